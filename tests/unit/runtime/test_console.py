"""What a stage says on stderr."""

import os
import subprocess
import sys

STAGE = """
import logging, warnings
import hdrgen.flux.family  # as a stage has it: imported before it runs
from transformers.utils import logging as of_transformers
from hdrgen.runtime.console import run_stage

def main():
    warnings.warn("words of torch")
    from diffusers import FluxPipeline
    of_transformers.get_logger("transformers.models").warning("words of transformers")
    logging.getLogger("diffusers.pipelines").warning("words of diffusers")
    logging.getLogger("stage").info("words of ours")

run_stage(main)
"""


def said(**environment):
    keep = {k: v for k, v in os.environ.items() if not k.endswith("_VERBOSITY") and k != "HDRGEN_TRACEBACK"}
    done = subprocess.run(
        [sys.executable, "-c", STAGE],
        env=keep | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return done.stderr


def test_a_stage_says_its_own_words_alone():
    (line,) = said().splitlines()
    assert "words of ours" in line


def test_who_asks_for_tracebacks_is_told_everything():
    words = said(HDRGEN_TRACEBACK="1")
    for name in ("torch", "transformers", "diffusers", "ours"):
        assert f"words of {name}" in words
