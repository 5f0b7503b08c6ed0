"""The sampler of checkpoint folders: a prompt becomes light by one of the three routes."""

from typing import Any

import numpy as np
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from hdrgen.colour.primaries import AWG4
from hdrgen.exposure.ev_list import listed
from hdrgen.images.conversion import from_chromaticities
from hdrgen.routes.generator import Generator
from hdrgen.routes.requests import GenerationRequest, Sampling
from hdrgen.runtime.scheduling import cores

from .models import GeneratorWire
from .wires import CATEGORY, Metadata, attributes, image_of, progress, space_input

LARGEST_SEED = 0xFFFFFFFFFFFFFFFF
LARGEST_SIDE = 16384


def sampling_inputs() -> list[Any]:
    """Return what every sampler asks for."""
    return [
        io.String.Input(
            "prompt",
            multiline=True,
            dynamic_prompts=True,
            tooltip="The scene. Exposure is asked for by the route.",
        ),
        io.String.Input(
            "negative", default="", multiline=True, tooltip="What guidance leads away from; may be empty."
        ),
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=LARGEST_SEED,
            control_after_generate=True,
            tooltip="Decides the noise, which all exposures of a picture start from.",
        ),
        io.Int.Input("width", default=1024, min=16, max=LARGEST_SIDE, step=16, tooltip="Pixels."),
        io.Int.Input("height", default=1024, min=16, max=LARGEST_SIDE, step=16, tooltip="Pixels."),
        io.Int.Input("steps", default=Sampling.steps, min=1, max=1000, tooltip="Of the Euler sampler."),
        io.Float.Input(
            "guidance",
            default=Sampling.guidance,
            min=1.0,
            max=30.0,
            step=0.1,
            tooltip="Scale of guidance; 1 is none.",
        ),
    ]


def evs_and_metadata() -> list[Any]:
    """Return what every sampler says of its pictures."""
    return [
        io.String.Output(
            "evs",
            display_name="evs",
            tooltip="EVs of exposures, for the Luminance Stack Merger; empty where there are none.",
        ),
        Metadata.Output("metadata", display_name="metadata", tooltip="What made it, for the EXR Exporter."),
    ]


class HdrFluxFolderSampler(io.ComfyNode):
    """A prompt becomes light."""

    @classmethod
    def define_schema(cls) -> Any:
        return io.Schema(
            node_id="HdrgenFluxFolderSampler",
            display_name="HDR Flux Sampler (folder)",
            category=CATEGORY,
            description="Samples a picture by the route that was loaded, all the way to scene-linear light.",
            inputs=[
                GeneratorWire.Input("flux", tooltip="From Load HDR Flux (folder)."),
                *sampling_inputs(),
                space_input(tooltip="Scene-linear space of the light."),
            ],
            outputs=[
                io.Image.Output(
                    "light",
                    display_name="light",
                    tooltip="Scene-linear light at EV 0: 18 % grey is 0.18, values above 1 kept.",
                ),
                io.Image.Output(
                    "pictures",
                    display_name="pictures",
                    tooltip="The 8-bit pictures it was made of: exposures in the order of the EVs, or Reinhard and log. None of latent.",
                ),
                *evs_and_metadata(),
            ],
        )

    @classmethod
    def execute(
        cls,
        flux: Generator,
        prompt: str,
        negative: str,
        seed: int,
        width: int,
        height: int,
        steps: int,
        guidance: float,
        space: str,
    ) -> Any:
        sampling = Sampling(width, height, steps, guidance, negative)
        move = progress(steps)
        generated = flux.generate([GenerationRequest(prompt, seed)], sampling, on_step=move, threads=cores())[
            0
        ]
        light = from_chromaticities(generated.linear_awg4, AWG4, space, threads=cores(), in_place=True)
        codes8 = generated.intermediates.values()
        pictures = (
            image_of([np.divide(code8, np.float32(255), dtype=np.float32) for code8 in codes8])
            if codes8
            else ExecutionBlocker(f"The route {flux.route} makes no 8-bit pictures: take its light.")
        )
        evs = listed([rendition.ev for rendition in generated.intermediates if rendition.curve == "logc4"])
        return io.NodeOutput(image_of([light]), pictures, evs, attributes(flux.route, **generated.facts))
