"""The node of OpenColorIO."""

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from hdrgen.colour import ocio
from hdrgen.colour.ocio_menu import space_names, views
from hdrgen.runtime.scheduling import cores

from .wires import CATEGORY, image_of, pictures_of, progress

BETWEEN = " | "
"""Between a display and its view in the menu."""


class OcioColorTransform(io.ComfyNode):
    """Any space to any other, or to what a display shows."""

    @classmethod
    def define_schema(cls) -> Any:
        spaces = space_names()
        return io.Schema(
            node_id="HdrgenOcioColorTransform",
            display_name="OCIO Color Transform",
            category=CATEGORY,
            description=(
                "Takes pictures between two spaces of the OpenColorIO configuration, or through a view of a display. "
                "$OCIO names the configuration, else it is the built-in ACES 2.0 studio one."
            ),
            inputs=[
                io.Image.Input("image", tooltip="Pictures in the source space, of any range."),
                io.Combo.Input(
                    "source",
                    options=spaces,
                    default=_own_name("acescg", spaces),
                    tooltip="What the pictures are in.",
                ),
                io.Combo.Input(
                    "target",
                    options=[*spaces, *(BETWEEN.join(shown) for shown in views())],
                    default=_own_name("logc4", spaces),
                    tooltip="What they are to be in: a space, or a display and its view. Only views limit the range.",
                ),
                io.Float.Input(
                    "exposure",
                    default=0.0,
                    min=-16.0,
                    max=16.0,
                    step=0.25,
                    tooltip="Stops, added in scene-linear light before a view; spaces are converted as they are.",
                ),
            ],
            outputs=[
                io.Image.Output("image", display_name="image", tooltip="The pictures in the target space.")
            ],
        )

    @classmethod
    def execute(cls, image: Tensor, source: str, target: str, exposure: float) -> Any:
        move, converted = progress(len(image)), []
        for number, picture in enumerate(pictures_of(image), 1):
            if BETWEEN in target:
                display, view = target.split(BETWEEN, 1)
                shown = ocio.display(
                    picture, source, display=display, view=view, exposure_stops=exposure, threads=cores()
                )
                converted.append(shown)
            else:
                converted.append(ocio.convert(picture, source, target, threads=cores()))
            move(number, len(image))
        return io.NodeOutput(image_of(converted))


def _own_name(name: str, spaces: list[str]) -> str:
    return ocio.space_name(name) if ocio.knows(name) else spaces[0]
