"""Export the trained models as ONNX, each held against eager fp32."""

from pathlib import Path

from hdrgen.dataset.frame_index import read_index
from hdrgen.evaluation.export_parity import (
    Export,
    decisive_export,
    export_models,
    light_of_test_frames,
    trained_models,
)
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import write_figures, write_measured
from hdrgen.runtime.params import read_section


def main() -> None:
    """Write them and their errors."""
    settings = read_section(Path("params.yaml"), "export", Export)
    models = trained_models(
        tone_fusion=Path("data/train_tone_fusion/tone_fusion.safetensors"),
        bit_depth=Path("data/train_bit_depth/bit_depth.safetensors"),
        exposure_fusion=Path("data/train_exposure_fusion/exposure_fusion.safetensors"),
        highlights=Path("data/train_highlights/highlights.safetensors"),
        hdr_vae=Path("data/train_hdr_vae/hdr_vae.safetensors"),
        flux_vae=Path("data/train_flux_vae"),
    )
    scenes = light_of_test_frames(Path("data/sanitize"), read_index(Path("data/split")))
    with progress_bar("export (models)") as on_progress:
        figures = export_models(models, scenes, settings, Path("data/export"), on_progress)
    write_measured(
        Path("metrics/export"), decisive_export(figures), figures["models"], ("model", "runtime", "figure")
    )
    errors, keys = figures["relative_error"], ("runtime", "model", "size")
    write_figures(Path("metrics/export"), errors, keys, "relative_error")


if __name__ == "__main__":
    run_stage(main)
