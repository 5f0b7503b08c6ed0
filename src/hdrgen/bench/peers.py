"""What other programs make of the same files, each by its own calls alone.

OpenEXR is imported here as well as in `hdrgen.images.exr`, because reading and writing by itself is what is measured.
A peer works on a folder that `hdrgen.bench.operations` has filled, and writes ``out.exr`` or ``out.png`` into it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hdrgen.colour.ocio import BUILTIN_CONFIG
from hdrgen.exposure.ev_list import DEFAULT_EVS


@dataclass(frozen=True)
class Peer:
    """Someone else's way, the packages it imports, and what it does."""

    name: str
    modules: tuple[str, ...]
    work: Callable[[Path], object]


def openexr_read_write(folder: Path) -> None:
    """Read the EXRs of a folder and write each again."""
    import OpenEXR

    OpenEXR.set_global_thread_count(2 * _threads())  # as `exr.use_threads`
    for path in sorted(folder.glob("in*.exr")):
        rgb = OpenEXR.File(str(path)).parts[0].channels["RGB"].pixels
        _write_exr(folder / "out.exr", rgb)


def openimageio_convert(folder: Path) -> None:
    """Read, convert to ACEScg by the same OpenColorIO configuration, and write."""
    import OpenImageIO

    OpenImageIO.attribute("threads", _threads())
    OpenImageIO.attribute("exr_threads", _threads())
    picture = OpenImageIO.ImageBuf(str(folder / "in.exr"))
    converted = OpenImageIO.ImageBufAlgo.colorconvert(
        picture, "ACES2065-1", "ACEScg", colorconfig=BUILTIN_CONFIG
    )
    converted.specmod().attribute("compression", "zip")
    if not converted.write(str(folder / "out.exr"), OpenImageIO.HALF):
        raise RuntimeError(converted.geterror())


def colour_science_convert(folder: Path) -> None:
    """Read and write with OpenEXR, and convert AP0 to AP1 with colour-science in between."""
    import colour
    import OpenEXR

    OpenEXR.set_global_thread_count(2 * _threads())  # as `exr.use_threads`
    rgb = OpenEXR.File(str(folder / "in.exr")).parts[0].channels["RGB"].pixels.astype(np.float32)
    _write_exr(folder / "out.exr", colour.RGB_to_RGB(rgb, "ACES2065-1", "ACEScg").astype(np.float16))


def opencv_mertens(folder: Path) -> None:
    """Fuse the two pictures by OpenCV's exposure fusion (Mertens et al. 2007), which gives no light."""
    import cv2

    pair: Any = [_read_png(folder / f"{name}.png") for name in ("reinhard", "log")]
    _write_exr(folder / "out.exr", cv2.createMergeMertens().process(pair).astype(np.float16))


def opencv_debevec(folder: Path) -> None:
    """Align and merge the exposures by OpenCV (Debevec and Malik 1997), the curve taken from the pictures."""
    import cv2

    stack: Any = [_read_png(folder / f"{ev:g}.png") for ev in DEFAULT_EVS]
    times = np.exp2(np.array(DEFAULT_EVS, np.float32))
    curve = cv2.createCalibrateDebevec().process(stack, times)
    merged = cv2.createMergeDebevec().process(stack, times, curve)
    _write_exr(folder / "out.exr", np.minimum(merged, 65504).astype(np.float16))


def opencv_bilateral(folder: Path) -> None:
    """Smooth one picture by OpenCV's bilateral filter."""
    import cv2

    code = _read_png(folder / "0.png").astype(np.float32)
    _write_exr(folder / "out.exr", (cv2.bilateralFilter(code, 5, 3, 3) / 255).astype(np.float16))


def openimageio_display(folder: Path) -> None:
    """Show the EXR through the same view of the same configuration."""
    import OpenImageIO

    OpenImageIO.attribute("threads", _threads())
    picture = OpenImageIO.ImageBuf(str(folder / "in.exr"))
    displayed = OpenImageIO.ImageBufAlgo.ociodisplay(
        picture, "", "", "ACES2065-1", colorconfig=BUILTIN_CONFIG
    )
    if not displayed.write(str(folder / "out.png"), OpenImageIO.UINT8):
        raise RuntimeError(displayed.geterror())


def _threads() -> int:
    from hdrgen.runtime.scheduling import cores

    return cores()


def _read_png(path: Path) -> Any:
    import cv2

    bgr: Any = cv2.imread(str(path))
    return np.ascontiguousarray(bgr[..., ::-1])


def _write_exr(path: Path, rgb: Any) -> None:
    import OpenEXR

    OpenEXR.set_global_thread_count(2 * _threads())  # as `exr.use_threads`
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"RGB": np.ascontiguousarray(rgb)}).write(str(path))


PEERS = {
    peer.name: peer
    for peer in (
        Peer("OpenEXR read + write", ("OpenEXR",), openexr_read_write),
        Peer("OpenImageIO", ("OpenImageIO",), openimageio_convert),
        Peer("OpenImageIO view", ("OpenImageIO",), openimageio_display),
        Peer("colour-science", ("colour", "OpenEXR"), colour_science_convert),
        Peer("OpenCV Mertens", ("cv2", "OpenEXR"), opencv_mertens),
        Peer("OpenCV Debevec", ("cv2", "OpenEXR"), opencv_debevec),
        Peer("OpenCV bilateral", ("cv2", "OpenEXR"), opencv_bilateral),
    )
}
