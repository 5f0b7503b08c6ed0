"""The node that makes light of ordinary pictures."""

from typing import Any

import numpy as np
from comfy_api.latest import io
from numpy.typing import NDArray
from torch import Tensor, from_numpy

from hdrgen.colour.primaries import REC709
from hdrgen.images.conversion import from_chromaticities
from hdrgen.images.mattes import OBSERVED
from hdrgen.images.provenance import Attributes
from hdrgen.inference.backends import load_network
from hdrgen.inference.highlights import Light
from hdrgen.routes.recover import Recovery, dequantised
from hdrgen.runtime.choices import DISPLAY_CURVES, Backend
from hdrgen.runtime.scheduling import cores

from .wires import (
    CATEGORY,
    Metadata,
    attributes,
    backend_input,
    code8_of,
    image_of,
    pictures_of,
    progress,
    space_input,
)


class HdrRecover(io.ComfyNode):
    """Ordinary pictures become light."""

    @classmethod
    def define_schema(cls) -> Any:
        return io.Schema(
            node_id="HdrgenHdrRecover",
            display_name="HDR Recover",
            category=CATEGORY,
            description="Undoes the curve of ordinary sRGB pictures and gives a plausible light to what was clipped: lamps, windows, the sun.",
            inputs=[
                io.Image.Input(
                    "pictures",
                    tooltip="Ordinary sRGB pictures, 0 to 1, as from Load Image. The steps of 8-bit ones are taken out; others are taken as they are.",
                ),
                io.Combo.Input(
                    "curve",
                    options=list(DISPLAY_CURVES),
                    default="auto",
                    tooltip="How they were rendered: auto estimates it for each picture, srgb is none but sRGB's, film a filmic shoulder, aces13 and aces2 are ACES's SDR views.",
                ),
                io.Float.Input(
                    "exposure",
                    default=0.0,
                    min=-16.0,
                    max=16.0,
                    step=0.25,
                    tooltip="Stops, of all light. At 0, 18 % grey stays 0.18.",
                ),
                io.Float.Input(
                    "anchor",
                    default=0.0,
                    min=0.0,
                    max=10000.0,
                    step=0.1,
                    tooltip="Light where display white lands, in place of the exposure; 0 leaves it where the curve has it, as the report says.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=2.0,
                    step=0.05,
                    tooltip="Share of the missing light that is added; 0 invents nothing.",
                ),
                io.Float.Input(
                    "peak",
                    default=0.0,
                    min=0.0,
                    max=65504.0,
                    step=1.0,
                    tooltip="Invented light goes no further; 0 is no end.",
                ),
                space_input(tooltip="Scene-linear space of the light."),
                Metadata.Input(
                    "metadata", optional=True, tooltip="What made the pictures; the answer adds to it."
                ),
                backend_input(),
            ],
            outputs=[
                io.Image.Output(
                    "light", display_name="light", tooltip="Scene-linear light, values above 1 kept."
                ),
                io.Mask.Output(
                    OBSERVED,
                    display_name=OBSERVED,
                    tooltip="1 where the picture shows the light, 0 where it is invented: for the EXR Exporter. Invert it to mask what is invented.",
                ),
                Metadata.Output(
                    "metadata", display_name="metadata", tooltip="What made it, for the EXR Exporter."
                ),
                io.String.Output(
                    "report",
                    display_name="report",
                    tooltip="Of each picture: the curve, where white landed, and how much is invented.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        pictures: Tensor,
        curve: Any,
        exposure: float,
        anchor: float,
        strength: float,
        peak: float,
        space: str,
        metadata: Attributes | None = None,
        backend: Backend = "auto",
    ) -> Any:
        recovery = Recovery(curve, exposure, anchor or None, strength, peak or None)
        recovery.check()
        batch, move = pictures_of(pictures), progress(len(pictures))
        recoverer = load_network("highlights", backend=backend)
        found: list[Light] = []
        light, lines, dequantised_by = [], [], None
        for number, picture in enumerate(batch, 1):
            code8 = code8_of(picture)
            if code8 is None:
                code = np.clip(picture, 0, 1)
            else:
                expander = load_network("bit_depth", backend=backend)
                dequantised_by = expander.digest
                code = dequantised(code8, expander, threads=cores())
            one = recovery.light(recoverer, code * np.float32(255), threads=cores())
            linear = from_chromaticities(one.linear, REC709, space, threads=cores(), in_place=True)
            found.append(one)
            light.append(linear)
            lines.append(f"picture {number}: {_said(one, picture, float(linear.max()))}")
            move(number, len(batch))
        added = attributes(
            "recover",
            curve=_of_each([one.curve for one in found]),
            curve_asked=curve,
            exposure_stops=_of_each([one.exposure_stops for one in found]),
            white_linear=_of_each([one.white_linear for one in found]),
            strength=strength,
            weights=recoverer.digest,
            bit_depth_weights=dequantised_by,
        )
        observed = from_numpy(np.stack([one.observed for one in found]))
        return io.NodeOutput(image_of(light), observed, {**(metadata or {}), **added}, "\n".join(lines))


def _said(light: Light, picture: NDArray[np.float32], brightest_linear: float) -> str:
    """Return what a person should know of a picture's light."""
    beyond = float(((picture < 0) | (picture > 1)).any(-1).mean())
    clipped = f"; {100 * beyond:.2g} % was beyond 0 to 1, and is clipped" if beyond else ""
    invented = 100 * float((light.observed < 1).mean())
    return (
        f"curve {light.curve}, white at {light.white_linear:.3g}, {invented:.1f} % invented, "
        f"brightest {brightest_linear:.4g}{clipped}"
    )


def _of_each(values: list[Any]) -> Any:
    """Return what is true of all pictures of a batch, or in one text what is true of each."""
    if len(set(values)) == 1:
        return values[0]
    return " ".join(value if isinstance(value, str) else f"{value:.6g}" for value in values)
