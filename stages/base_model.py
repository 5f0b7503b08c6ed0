"""The FLUX checkpoint that everything generative starts from: trained on the spot, a folder, or a hub id."""

import logging
from pathlib import Path

from hdrgen.dataset.frame_index import read_index
from hdrgen.dataset.pairs.prompts import with_prompts
from hdrgen.evaluation.base_model import evaluate_tiny_klein
from hdrgen.flux.checkpoint import available_memory, check_memory
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import picked, write_measured
from hdrgen.runtime.params import read_section
from hdrgen.training.base_model import TINY, BaseModelSettings, make_base_model

log = logging.getLogger("base_model")


def main() -> None:
    """Make or find it, and say what it is made of."""
    settings = read_section(Path("params.yaml"), "base_model", BaseModelSettings)
    frames, out, measured = Path("data/sanitize"), Path("data/base_model"), Path("metrics/base_model")
    index = with_prompts(read_index(Path("data/split")), Path("data/caption/captions.jsonl"))
    with progress_bar("base model (steps)") as on_progress:
        checkpoint, figures = make_base_model(settings, frames, index, out, measured, on_progress)
    if settings.checkpoint == TINY:
        figures["prompts"] = evaluate_tiny_klein(
            checkpoint, frames, index, settings.tiny, settings.samples, out / "samples.png"
        )
    write_measured(
        measured,
        picked(figures, "vae/val_code_psnr", "flow/val_loss", "prompts/prompt_accuracy"),
        figures,
        ("part", "figure"),
    )
    if note := check_memory(checkpoint, available_memory()):
        log.warning(note)


if __name__ == "__main__":
    run_stage(main)
