"""Every frame in words: by a model, by the scene itself, or by a person."""

from pathlib import Path

from hdrgen.dataset.captions.captioning import CaptionSettings, caption_frames, check_all, write_captions
from hdrgen.dataset.captions.frames import indexed_frames
from hdrgen.dataset.captions.overrides import read_overrides
from hdrgen.dataset.frame_index import read_index
from hdrgen.evaluation.captions import caption_figures, write_tag_frequencies
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import picked, write_measured
from hdrgen.runtime.params import read_section


def main() -> None:
    """Describe all usable frames, and ask a model only about new ones."""
    settings = read_section(Path("params.yaml"), "caption", CaptionSettings)
    folder, out = Path("data/sanitize"), Path("data/caption")
    frames = indexed_frames(read_index(folder), folder)
    overrides = read_overrides(Path("caption_overrides.yaml"))
    with progress_bar("caption") as on_progress:
        done = caption_frames(frames, settings, out / "records", overrides, on_progress)
    write_captions(out / "captions.jsonl", done)
    figures = caption_figures(done)
    write_measured(
        Path("metrics/caption"),
        picked(figures, "captions", "failures", "contradicted_share"),
        figures,
        ("section", "figure"),
    )
    write_tag_frequencies(Path("metrics/caption/tags.tsv"), done.captions.values())
    check_all(done, "caption_overrides.yaml")


if __name__ == "__main__":
    run_stage(main)
