"""The pictures that are validated: footage, and what each way of making an EXR delivers of it.

Everything goes through the functions of the command line and through files, so what is measured is what a person gets:
half floats in ACEScg.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import AWG4
from hdrgen.exposure.ev_list import DEFAULT_EVS
from hdrgen.exposure.tone_map_tables import reinhard_table
from hdrgen.images.code_image import read_code8
from hdrgen.images.conversion import assumed_chromaticities, to_chromaticities
from hdrgen.images.convert_file import convert_file
from hdrgen.images.exr import read_exr
from hdrgen.inference.bit_depth import Expander
from hdrgen.inference.exposure_fusion import StackMerger
from hdrgen.inference.highlights import Recoverer
from hdrgen.inference.tone_fusion import Fuser
from hdrgen.routes.bracket import bracket_file, bracket_suffix
from hdrgen.routes.dual import fuse_files, tone_map_file
from hdrgen.routes.expand import expand_file
from hdrgen.routes.merge import merge_files
from hdrgen.routes.recover import recover_file
from hdrgen.routes.write_exr import ACESCG
from hdrgen.runtime.choices import ROUTES, Route
from hdrgen.runtime.errors import HdrgenError

FOOTAGE = "footage"
"""The frames themselves, real, simulated or drawn: what is best."""
SRGB_8BIT, LOGC4_8BIT, REINHARD_8BIT = INPUTS_8BIT = ("srgb_8bit", "logc4_8bit", "reinhard_8bit")
"""One 8-bit picture of a frame, decoded and nothing else: what is to be bettered."""
COMMANDS = ("expand", "merge", "fuse", "recover")
RECONSTRUCTED = (*INPUTS_8BIT, *COMMANDS)
"""The kinds of picture that are made of a frame."""
INPUT_OF = {
    "expand": LOGC4_8BIT,
    "merge": LOGC4_8BIT,
    "fuse": REINHARD_8BIT,
    "recover": SRGB_8BIT,
    "brackets": LOGC4_8BIT,
    "dual": REINHARD_8BIT,
    "latent": SRGB_8BIT,
}
"""The one 8-bit picture that each begins with. Of the two that are fused it is the better one. The latent route has none:
what it is to better is the 8-bit sRGB picture that an image model is made for."""

Light = NDArray[np.float32]


@dataclass(frozen=True)
class Models:
    """The networks, loaded when they are first needed and run in torch: those released where no weights are given."""

    bit_depth: Path | None = None
    exposure_fusion: Path | None = None
    tone_fusion: Path | None = None
    highlights: Path | None = None

    @property
    def expander(self) -> Expander:
        """Load the model of `hdrgen expand`."""
        return Expander.load(self.bit_depth)

    @property
    def merger(self) -> StackMerger:
        """Load the model of `hdrgen merge`."""
        return StackMerger.load(self.exposure_fusion)

    @property
    def fuser(self) -> Fuser:
        """Load the model of `hdrgen fuse`."""
        return Fuser.load(self.tone_fusion)

    @property
    def recoverer(self) -> Recoverer:
        """Load the model of `hdrgen recover`."""
        return Recoverer.load(self.highlights)


def deliver(
    linear_awg4: Light, folder: Path, name: str, models: Models, *, threads: int = 2
) -> dict[str, Path]:
    """Write a frame and everything that is made of it as EXRs.

    Parameters
    ----------
    linear_awg4
        Scene-linear AWG4 of shape ``(H, W, 3)``, finite.
    folder
        Gets a folder for each kind.
    name
        Name of the files, without suffix.
    models
        The networks.
    threads
        Threads to work with.

    Returns
    -------
    dict
        A path for `FOOTAGE` and each of `RECONSTRUCTED`.

    Raises
    ------
    HdrgenError
        A picture cannot be written or made.
    """
    pictures = {kind: folder / kind / f"{name}.exr" for kind in (FOOTAGE, *RECONSTRUCTED)}
    footage = pictures[FOOTAGE]
    ACESCG.write(footage, linear_awg4.copy(), AWG4, {}, threads=threads)
    with TemporaryDirectory() as temporary:
        work = Path(temporary)
        srgb, reinhard, log = (work / f"{part}.png" for part in (SRGB_8BIT, "reinhard", "log"))
        brackets = [work / f"{name}{bracket_suffix(ev)}" for ev in DEFAULT_EVS]
        bracket_file(footage, [srgb], [0.0], encoding="srgb", threads=threads)
        bracket_file(footage, brackets, DEFAULT_EVS, threads=threads)
        logc4 = brackets[DEFAULT_EVS.index(0.0)]
        tone_map_file(footage, reinhard, log, threads=threads)
        for png, kind, space in ((srgb, SRGB_8BIT, "srgb"), (logc4, LOGC4_8BIT, "logc4")):
            convert_file(png, pictures[kind], source_space=space, target_space="acescg", threads=threads)
        reinhard_linear = reinhard_table()[read_code8(reinhard).code]
        ACESCG.write(pictures[REINHARD_8BIT], reinhard_linear, AWG4, {}, threads=threads)
        expand_file(logc4, pictures["expand"], lambda: models.expander, threads=threads)
        merge_files(brackets, pictures["merge"], lambda: models.merger, threads=threads)
        fuse_files(reinhard, log, pictures["fuse"], models.fuser, threads=threads)
        # As a person gets it: nobody says that the picture has no curve but sRGB's. The figures still stand beside the frame
        # without an alignment of the gain, as 18 % grey of plain sRGB stays 0.18 whatever curve is found. A curve that is
        # taken for another is an error of the command, and counts.
        recover_file(
            srgb, pictures["recover"], lambda: models.recoverer, lambda: models.expander, threads=threads
        )
    return pictures


def generated(folder: Path) -> Mapping[Route, list[Path]]:
    """Return the EXRs of each of `ROUTES` below a folder, as the stage `generate` leaves them.

    Raises
    ------
    HdrgenError
        A route has none.
    """
    by_route = {route: sorted((folder / route).glob("*.exr")) for route in ROUTES}
    for route, files in by_route.items():
        if not files:
            raise HdrgenError(f"{folder / route}: holds no .exr files; run the stage generate")
    return by_route


def read_linear_awg4(path: Path) -> Light:
    """Read an EXR as finite scene-linear AWG4 ``(H, W, 3)``.

    Raises
    ------
    HdrgenError
        It cannot be read, or holds NaN or Inf.
    """
    image = read_exr(path)
    if not np.isfinite(image.rgb).all():
        raise HdrgenError(f"{path}: holds NaN or Inf; `hdrgen check` says where")
    return to_chromaticities(image.rgb, assumed_chromaticities(image)[0], AWG4)
