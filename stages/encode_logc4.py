"""Write the LogC4 pictures, 16 and 8 bits, of all usable frames."""

from pathlib import Path

from hdrgen.dataset.encode import EncodeParams, encode_logc4, saturation_in_all
from hdrgen.dataset.frame_index import read_index
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import picked, write_measured
from hdrgen.runtime.params import read_section


def main() -> None:
    """Encode all usable frames."""
    params = read_section(Path("params.yaml"), "encode_logc4", EncodeParams)
    index = read_index(Path("data/split"))
    with progress_bar("encode_logc4") as on_progress:
        encoded = encode_logc4(
            index, Path("data/sanitize"), params, Path("data/encode_logc4"), on_progress=on_progress
        )
    figures = saturation_in_all(encoded)
    write_measured(
        Path("metrics/encode_logc4"), picked(figures, "frames_above_ceiling"), figures, ("figure",)
    )


if __name__ == "__main__":
    run_stage(main)
