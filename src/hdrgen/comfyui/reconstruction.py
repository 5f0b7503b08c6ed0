"""Nodes that make light of code values: bit depth, exposure stacks, tone-mapped pairs."""

from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from comfy_api.latest import io
from numpy.typing import NDArray
from torch import Tensor, from_numpy

from hdrgen.colour.primaries import AP1, SPACES
from hdrgen.colour.tone_maps import quantise8
from hdrgen.exposure.ev_list import DEFAULT_EVS, listed, parse_evs_or_auto
from hdrgen.images.conversion import from_chromaticities
from hdrgen.images.encoded import CODE_ENCODINGS, encoding_named, shows_srgb
from hdrgen.images.provenance import Attributes
from hdrgen.inference.backends import load_network
from hdrgen.routes.expand import keep_clipped
from hdrgen.routes.merge import merge_stack
from hdrgen.routes.stack import FEWEST, MOST, ExposureStack, Pictures, stack_of
from hdrgen.routes.stack_ceiling import ceilings_of_codes, ceilings_of_light, parse_ceiling
from hdrgen.routes.stack_faults import failures
from hdrgen.runtime.choices import Backend, MergeMethod
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.scheduling import cores

from .wires import (
    CATEGORY,
    Metadata,
    attributes,
    backend_input,
    codes_of,
    image_of,
    pictures_of,
    progress,
    space_input,
)

ENCODINGS = [name for name in CODE_ENCODINGS if name != "linear"]
LIGHT = "light (ACEScg)"
AUTO = "auto"


class BitDepthExpander(io.ComfyNode):
    """8-bit codes become float ones."""

    @classmethod
    def define_schema(cls) -> Any:
        return io.Schema(
            node_id="HdrgenBitDepthExpander",
            display_name="Bit-depth Expander",
            category=CATEGORY,
            description="Takes the steps out of 8-bit pictures, so that they survive a grade. What is clipped stays clipped.",
            inputs=[
                io.Image.Input(
                    "pictures",
                    tooltip="Code values 0 to 1 of 8-bit pictures, such as generated LogC4 exposures.",
                ),
                io.Combo.Input(
                    "encoding",
                    options=[AUTO, *ENCODINGS],
                    default=AUTO,
                    tooltip="What the codes are: the curve and primaries that the output `light` is decoded with; auto takes codes that can only be sRGB for that, else it is an error.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="0 for clean pictures: each value stays in the quantisation interval of its code. 1 for generated ones, whose noise is taken away.",
                ),
                space_input(tooltip="Scene-linear space of the output `light`."),
                backend_input(),
            ],
            outputs=[
                io.Image.Output(
                    "codes",
                    display_name="codes",
                    tooltip="Float code values 0 to 1, for the Luminance Stack Merger.",
                ),
                io.Image.Output(
                    "light", display_name="light", tooltip="Scene-linear light, values above 1 kept."
                ),
            ],
        )

    @classmethod
    def execute(
        cls, pictures: Tensor, encoding: str, strength: float, space: str, backend: Backend = "auto"
    ) -> Any:
        batch = pictures_of(pictures)
        curve = encoding_named(_encoding(encoding, batch))
        move = progress(len(pictures))
        expander = load_network("bit_depth", backend=backend)
        codes, light = [], []
        for number, picture in enumerate(batch, 1):
            code8 = quantise8(picture)
            code = expander.expand(code8, strength=strength, threads=cores())
            linear = np.asarray(curve.decode(code), np.float32)
            light.append(from_chromaticities(linear, curve.chromaticities, space, threads=cores()))
            codes.append(keep_clipped(code, code8))
            move(number, len(pictures))
        return io.NodeOutput(image_of(codes), image_of(light))


class LuminanceStackMerger(io.ComfyNode):
    """Exposures become light."""

    @classmethod
    def define_schema(cls) -> Any:
        return io.Schema(
            node_id="HdrgenLuminanceStackMerger",
            display_name="Luminance Stack Merger",
            category=CATEGORY,
            description="Merges exposures of a scene into scene-linear light at EV 0; pictures of one exposure are averaged.",
            inputs=[
                io.Image.Input("pictures", tooltip="The exposures as one batch, in the order of the EVs."),
                io.String.Input(
                    "evs",
                    default=listed(DEFAULT_EVS),
                    tooltip="EV of each picture, lowest is darkest and holds the highlights; or auto, to find them from the pictures.",
                ),
                io.Combo.Input(
                    "encoding",
                    options=[AUTO, *ENCODINGS, LIGHT],
                    default=AUTO,
                    tooltip="What the pictures hold: code values of a curve, or scene-linear light from EXR brackets; auto takes codes that can only be sRGB for that, else it is an error.",
                ),
                io.Combo.Input(
                    "method",
                    options=list(get_args(MergeMethod)),
                    default="learned",
                    tooltip="The network, or a classical merge: inverse variance, OpenCV's Debevec or Robertson.",
                ),
                io.Boolean.Input(
                    "align",
                    default=True,
                    tooltip="Align the exposures by optical flow; a stack that stands still passes unchanged.",
                ),
                io.Float.Input(
                    "reference_ev",
                    default=0.0,
                    min=-16.0,
                    max=16.0,
                    step=0.5,
                    tooltip="Moving things are taken from the exposure with the EV nearest to this one.",
                ),
                io.Boolean.Input(
                    "check_evs",
                    default=True,
                    tooltip="Refuse EVs that the pictures contradict, as those of a model that was not trained on exposures do, and pictures that carry nothing or show another scene.",
                ),
                space_input(tooltip="Scene-linear space of the light."),
                Metadata.Input(
                    "metadata", optional=True, tooltip="What made the pictures; the answer adds to it."
                ),
                backend_input(),
                io.String.Input(
                    "ceiling",
                    default="auto",
                    optional=True,
                    tooltip="Light, in the pictures' own values, at which they were cut; auto looks for it in linear ones, none is none.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    "light", display_name="light", tooltip="Scene-linear light at EV 0, values above 1 kept."
                ),
                io.Mask.Output(
                    "confidence",
                    display_name="confidence",
                    tooltip="Share of a pixel that some exposure shows unclipped: 0 is a guess.",
                ),
                Metadata.Output(
                    "metadata", display_name="metadata", tooltip="What made it, for the EXR Exporter."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        pictures: Tensor,
        evs: str,
        encoding: str,
        method: Any,
        align: bool,
        reference_ev: float,
        check_evs: bool,
        space: str,
        metadata: Attributes | None = None,
        backend: Backend = "auto",
        ceiling: str = "auto",
    ) -> Any:
        move = progress(2)
        stack = _stack(pictures_of(pictures), evs, encoding, ceiling, checked=check_evs)
        move(1, 2)
        nearest = min(stack.evs, key=lambda ev: abs(ev - reference_ev))
        merged = merge_stack(
            stack,
            lambda: load_network("exposure_fusion", backend=backend),
            method=method,
            align=align,
            reference_ev=nearest,
            threads=cores(),
        )
        wrong = failures(merged.beyond_share, merged.disagreement) if check_evs else ()
        if wrong:
            raise HdrgenError(f"{'; '.join(wrong)}; correct the batch, or do not check the EVs")
        light = from_chromaticities(
            merged.linear, stack.chromaticities, space, threads=cores(), in_place=True
        )
        move(2, 2)
        added = attributes(
            "brackets",
            source_encoding=stack.name,
            source_evs=listed(stack.evs),
            method=method,
            merge_weights=merged.weights,
        )
        return io.NodeOutput(
            image_of([light]), from_numpy(merged.confidence[None]), {**(metadata or {}), **added}
        )


def _stack(
    pictures: list[NDArray[np.float32]], evs: str, encoding: str, ceiling: str, *, checked: bool
) -> ExposureStack:
    if not FEWEST <= len(pictures) <= MOST:
        raise HdrgenError(f"a stack is a batch of {FEWEST} to {MOST} exposures, not {len(pictures)}")
    end = parse_ceiling(ceiling, "ceiling")
    encoding = _encoding(encoding, pictures)
    if encoding == LIGHT:
        codes, ceilings, chromaticities = ceilings_of_light(pictures, AP1, end)
        key = "log2_code16"
    else:
        key, chromaticities = CODE_ENCODINGS[encoding], encoding_named(encoding).chromaticities
        codes, ceilings = ceilings_of_codes([codes_of(picture) for picture in pictures], key, end)
    called = [Path(f"picture {number}") for number in range(1, len(pictures) + 1)]
    batch = Pictures(
        called, codes, encoding, key, chromaticities, (None,) * len(codes), (), ceilings=ceilings
    )
    stack = stack_of(batch, _evs(len(codes), evs), checked=checked)
    if len(stack.codes) < len(pictures):
        raise HdrgenError(f"{'; '.join(stack.notes)}; take it out of the batch, or do not check the EVs")
    return stack


def _encoding(encoding: str, pictures: list[NDArray[np.float32]]) -> str:
    """Return the encoding, or of ``auto`` the one that the codes can only be."""
    if encoding != AUTO:
        return encoding
    if not shows_srgb([quantise8(picture[::2, ::2]) for picture in pictures]):
        raise HdrgenError("the codes may be sRGB or LogC4; choose the encoding, such as srgb or logc4")
    return "srgb"


def _evs(count: int, text: str) -> list[float] | Literal["auto"]:
    """Return the EV of each picture in the batch's order."""
    evs = parse_evs_or_auto(text)
    if evs != "auto" and len(evs) != count:
        raise HdrgenError(f"there are {count} pictures, but {len(evs)} EVs: {listed(evs)}")
    return evs


class ToneFusion(io.ComfyNode):
    """A Reinhard and a log picture become light."""

    @classmethod
    def define_schema(cls) -> Any:
        return io.Schema(
            node_id="HdrgenToneFusion",
            display_name="Tone Fusion",
            category=CATEGORY,
            description="Fuses a Reinhard and a log tone map of one scene, 8 bits each, into scene-linear light.",
            inputs=[
                io.Image.Input("reinhard", tooltip="Code values of x / (1 + x), 8 bits."),
                io.Image.Input("log", tooltip="Code values of log(1 + x) / log(1 + 10000), 8 bits."),
                io.Combo.Input(
                    "primaries",
                    options=list(SPACES),
                    default="awg4",
                    tooltip="Primaries that the tone maps work in.",
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
                Metadata.Output(
                    "metadata", display_name="metadata", tooltip="What made it, for the EXR Exporter."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        reinhard: Tensor,
        log: Tensor,
        primaries: str,
        space: str,
        metadata: Attributes | None = None,
        backend: Backend = "auto",
    ) -> Any:
        if len(reinhard) != len(log):
            raise HdrgenError(f"{len(reinhard)} Reinhard pictures against {len(log)} log ones")
        pairs = list(zip(pictures_of(reinhard), pictures_of(log), strict=True))
        if primaries not in SPACES:
            raise HdrgenError(f"unknown primaries {primaries!r}; known are {', '.join(SPACES)}")
        move, light, fuser = progress(len(pairs)), [], load_network("tone_fusion", backend=backend)
        for number, pair in enumerate(pairs, 1):
            linear = fuser.fuse(*map(quantise8, pair), threads=cores())
            light.append(
                from_chromaticities(linear, SPACES[primaries], space, threads=cores(), in_place=True)
            )
            move(number, len(pairs))
        added = attributes(
            "dual",
            source_primaries=primaries,
            log_ceiling=fuser.log_ceiling_linear,
            fuse_weights=fuser.digest,
        )
        return io.NodeOutput(image_of(light), {**(metadata or {}), **added})
