"""What code each of the other stages runs, by digests: a stage depends on its file of them, not on a list of modules."""

from pathlib import Path

from hdrgen.runtime.code_digests import write_code_digests
from hdrgen.runtime.console import run_stage


def main() -> None:
    """Write them. The released weights are no code: stages that read them depend on them."""
    scripts = [path for path in Path("stages").glob("*.py") if path.name != Path(__file__).name]
    write_code_digests(
        scripts, Path("src/hdrgen"), Path("data/code_digests"), apart=[Path("src/hdrgen/weights")]
    )


if __name__ == "__main__":
    run_stage(main)
