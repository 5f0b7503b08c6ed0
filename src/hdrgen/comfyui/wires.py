"""What passes between nodes: pictures as ComfyUI has them, and as the library has them.

An IMAGE is float32 of shape ``(B, H, W, 3)`` and of any range. By convention of this pack it holds either code values,
0 to 1, or scene-linear light, which is ACEScg unless a node was told otherwise. Other nodes share the tensors, so
nothing is edited in place.
"""

from collections.abc import Callable, Sequence
from typing import Any, get_args

import comfy.model_management
import comfy.utils
import numpy as np
import torch
from comfy_api.latest import io
from numpy.typing import NDArray
from torch import Tensor

from hdrgen.colour.tone_maps import quantise8
from hdrgen.images.conversion import LINEAR_SPACES
from hdrgen.images.provenance import Attributes, made_by
from hdrgen.runtime.choices import Backend
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.progress import OnProgress

CATEGORY = "hdrgen"
LIGHT_SPACE = "acescg"
Metadata = io.Custom("HDRGEN_METADATA")
"""What made a picture: names and values for an EXR's header."""


def space_input(name: str = "space", *, tooltip: str) -> Any:
    """Return a menu of scene-linear spaces."""
    return io.Combo.Input(name, options=list(LINEAR_SPACES), default=LIGHT_SPACE, tooltip=tooltip)


def backend_input() -> Any:
    """Return a menu of what runs the networks; workflows of before lack it, and take what is fastest."""
    return io.Combo.Input(
        "backend",
        options=list(get_args(Backend)),
        default="auto",
        optional=True,
        tooltip="What runs the networks of hdrgen: auto is what `hdrgen bench` found fastest, else torch.",
    )


def pictures_of(image: Tensor) -> list[NDArray[np.float32]]:
    """Return an IMAGE as arrays ``(H, W, 3)`` that cannot be written to.

    Raises
    ------
    HdrgenError
        It has other than three channels, or holds NaN or Inf.
    """
    if image.ndim != 4 or image.shape[-1] != 3:
        raise HdrgenError(
            f"needs IMAGE of shape (B, H, W, 3), not {tuple(image.shape)}; split alpha off first"
        )
    batch = image.detach().float().cpu().contiguous().numpy()
    if not np.isfinite(batch).all():
        raise HdrgenError("the IMAGE holds NaN or Inf; repair it first, HDR Preview counts them")
    batch.flags.writeable = False
    return list(batch)


def image_of(pictures: Sequence[NDArray[np.floating]]) -> Tensor:
    """Return arrays ``(H, W, 3)`` of one size as an IMAGE."""
    return torch.from_numpy(np.stack(pictures).astype(np.float32, copy=False))


def code8_of(picture: NDArray[np.float32]) -> NDArray[np.uint8] | None:
    """Return the 8-bit codes of a picture whose values are exactly those; None where they are finer or beyond 0 to 1."""
    code8 = quantise8(picture)
    return code8 if np.array_equal(np.divide(code8, np.float32(255), dtype=np.float32), picture) else None


def codes_of(picture: NDArray[np.float32]) -> NDArray[Any]:
    """Return code values as integers: 8-bit where that is what they are, else 16-bit; beyond 0 to 1 is clipped."""
    code8 = code8_of(picture)
    if code8 is not None:
        return code8
    return (np.clip(picture, 0, 1) * np.float32(65535) + np.float32(0.5)).astype(np.uint16)


def progress(steps: int) -> OnProgress:
    """Return what moves the running node's bar; it raises ComfyUI's own exception where a person has cancelled."""
    bar = comfy.utils.ProgressBar(steps)

    def moved(done: int, total: int) -> None:
        check_cancelled()
        bar.update_absolute(done, total)

    return moved


check_cancelled: Callable[[], None] = comfy.model_management.throw_exception_if_processing_interrupted


def attributes(route: str, **facts: str | float | None) -> Attributes:
    """Return facts as `made_by` does; integers that no EXR attribute can hold become text, as seeds do."""
    return made_by(route, **{name: _storable(value) for name, value in facts.items()})


def _storable(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not -(2**31) <= value < 2**31 else value
