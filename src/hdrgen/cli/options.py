"""Options that several commands share, and how their help looks. Imports nothing heavy."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hdrgen.images.choices import Compression
from hdrgen.runtime.choices import Backend, Device

if TYPE_CHECKING:
    from hdrgen.routes.write_exr import ExrWriter

Primaries = Literal["awg3", "awg4", "ap0", "ap1", "rec709", "rec2020", "p3d65", "xyz"]

JsonOption = Annotated[bool, typer.Option("--json", help="Answer as JSON on stdout, for programs.")]
SkipExistingOption = Annotated[
    bool, typer.Option("--skip-existing", help="Leave outputs that are there; resumes a batch.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be written, write nothing.")]
ClampOption = Annotated[bool, typer.Option("--clamp", help="Clamp what half floats cannot hold, and say so.")]
SpaceOption = Annotated[str, typer.Option(help="Scene-linear space of the EXR.")]
WeightsOption = Annotated[
    Path | None, typer.Option(help="Weights of the model, .safetensors. [default: those released]")
]
BackendOption = Annotated[
    Backend,
    typer.Option(help="What runs the network; auto is what `hdrgen bench` found fastest, else torch."),
]
DeviceOption = Annotated[Device, typer.Option(help="Where to work; auto takes a GPU where there is one.")]
ModelsOption = Annotated[
    Path, typer.Option(envvar="HDRGEN_MODELS", help="Folder of what `make repro` trained.")
]
CompressionOption = Annotated[Compression, typer.Option(help="Compression of the EXR.")]
LayerOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Layer of an EXR, or one channel. [default: its picture; inspect lists all]"
    ),
]
PartOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Part of an EXR, by name, or by number where none is called so."),
]
ScenePictures = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="OpenEXR or Radiance files, or folders of them.")
]


def examples(*lines: str) -> str:
    """Return an epilog that shows how a command is called, line by line as written."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def exr_writer(space: str, compression: Compression, *, clamp: bool) -> "ExrWriter":
    """Return how EXRs are written; a misspelt space is an error now, since it is no matter of any one file."""
    from hdrgen.images.conversion import linear_space
    from hdrgen.routes.write_exr import ExrWriter

    linear_space(space)
    return ExrWriter(space, compression, "clamp" if clamp else "raise")


def network(model: str, weights: Path | None, backend: Backend) -> Callable[[], Any]:
    """Return what loads a network when it is first needed, see `load_network`, and then returns the same."""

    @cache
    def load() -> Any:
        from hdrgen.inference.backends import load_network

        return load_network(model, weights, backend)  # type: ignore[call-overload]

    return load


def threads() -> int:
    """Return how many threads this process may use, and let OpenEXR use as many."""
    from hdrgen.images.exr import use_threads
    from hdrgen.runtime.scheduling import cores

    count = cores()
    use_threads(count)
    return count
