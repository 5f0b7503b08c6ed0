"""The node that looks at light."""

from typing import Any

import numpy as np
from comfy_api.latest import io
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from hdrgen.colour import ocio
from hdrgen.colour.false_colour import false_colour
from hdrgen.colour.ocio_menu import views
from hdrgen.qc.preview import linear_ap1, preview_code8
from hdrgen.qc.statistics import luminance_of, statistics
from hdrgen.runtime.scheduling import cores

from .colour import BETWEEN
from .files import scene_image, write_temporary
from .wires import CATEGORY, image_of, progress, space_input

FALSE_COLOUR = "false colour"
_LINES_PIXELS = 22


class HdrPreview(io.ComfyNode):
    """Light as a display shows it, or as false colour, with what is in it."""

    @classmethod
    def define_schema(cls) -> Any:
        return io.Schema(
            node_id="HdrgenHdrPreview",
            display_name="HDR Preview",
            category=CATEGORY,
            description="Shows scene-linear light at any exposure, and reads out its range and what is pinned at its ceiling.",
            is_output_node=True,
            inputs=[
                io.Image.Input("light", tooltip="Scene-linear light of any range."),
                space_input(tooltip="What the light is in."),
                io.Float.Input(
                    "exposure",
                    default=0.0,
                    min=-16.0,
                    max=16.0,
                    step=0.5,
                    tooltip="Stops; -8 shows what is in highlights.",
                ),
                io.Combo.Input(
                    "view",
                    options=[*(BETWEEN.join(shown) for shown in views()), FALSE_COLOUR],
                    default=BETWEEN.join(ocio.display_view()),
                    tooltip="Display and view of the OpenColorIO configuration, or a colour for each stop around mid-grey.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    "shown",
                    display_name="shown",
                    tooltip="Code values of the display, 0 to 1: not light any more.",
                ),
                io.String.Output(
                    "report",
                    display_name="report",
                    tooltip="Range, pinned pixels, and NaN and Inf of each picture.",
                ),
            ],
        )

    @classmethod
    def execute(cls, light: Tensor, space: str, exposure: float, view: str) -> Any:
        move, shown, reports, files = progress(len(light)), [], [], []
        # Not by `pictures_of`: NaN and Inf are what this node is asked about.
        for number, picture in enumerate(light.detach().float().cpu().contiguous().numpy(), 1):
            image = scene_image(picture, space)
            if view == FALSE_COLOUR:
                code8 = false_colour(luminance_of(image) * 2.0**exposure)
            else:
                display, _, name = view.partition(BETWEEN)
                code8 = preview_code8(
                    linear_ap1(image), exposure_stops=exposure, display=display, view=name, threads=cores()
                )
            reports.append(report(picture, space))
            shown.append(np.divide(code8, np.float32(255), dtype=np.float32))
            files.append(write_temporary(_captioned(code8, reports[-1]), "preview"))
            move(number, len(light))
        report_text = "\n\n".join(reports)
        return io.NodeOutput(image_of(shown), report_text, ui={"images": files, "text": [report_text]})


def report(linear: NDArray[np.float32], space: str) -> str:
    """Return what is in a picture, in lines for a person."""
    light = statistics(scene_image(linear, space))
    percentiles = "  ".join(f"{name} {value:.4g}" for name, value in light.percentiles.items())
    return "\n".join(
        (
            f"{linear.shape[1]} x {linear.shape[0]}  {space}  {light.minimum_linear:.4g} to {light.maximum_linear:.6g}",
            f"luminance {percentiles}  {light.stops:.1f} stops",
            f"above 1.0: {light.above_one_share:.2%}  pinned at the ceiling: {light.ceiling_share:.2%}",
            f"negative {light.negative_values}  NaN {light.nan_values}  Inf {light.inf_values}",
        )
    )


def _captioned(code8: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """Return a picture with lines of text below it."""
    lines = text.splitlines()
    height, width, _ = code8.shape
    picture = Image.new("RGB", (max(width, 640), height + _LINES_PIXELS * len(lines) + 8))
    picture.paste(Image.fromarray(code8))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(16)
    for row, line in enumerate(lines):
        draw.text((6, height + 4 + row * _LINES_PIXELS), line, fill="white", font=font)
    return np.array(picture)
