# One word for the right thing: make repro | test | lint | fix
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null)
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1

.PHONY: help setup repro test lint fix bench clean

help: ## show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/'

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
	@dvc metrics diff --md 2>/dev/null || true

test: setup ## run the tests
	python -m pytest

lint: setup ## style and strict types
	ruff check .
	ruff format --check .
	mypy

fix: setup ## repair what can be repaired by itself
	ruff check --fix .
	ruff format .

bench: setup ## speed, as shares of this machine's ceilings and beside other programs
	hdrgen bench --output metrics/bench.json

clean: ## remove what `make repro` made, keep the environment
	rm -rf data/*/ .dvc/cache .dvc/tmp
