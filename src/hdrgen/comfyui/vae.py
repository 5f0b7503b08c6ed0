"""Latents become light: the HDR VAE's decoder, whole or in tiles."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import comfy.model_management
from comfy_api.latest import io
from diffusers import AutoencoderKL
from torch import Tensor

from hdrgen.colour.primaries import AWG4
from hdrgen.flux.hdr_vae import TILE, HdrVae, Vae
from hdrgen.flux.latents import normalise, pack, patchify
from hdrgen.images.conversion import from_chromaticities
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.scheduling import cores

from .models import HdrVaeWire
from .wires import CATEGORY, check_cancelled, image_of, progress, space_input


class HdrVaeDecode(io.ComfyNode):
    """Decodes to light, with no final clamp."""

    @classmethod
    def define_schema(cls) -> Any:
        return io.Schema(
            node_id="HdrgenHdrVaeDecode",
            display_name="HDR VAE Decode",
            category=CATEGORY,
            description="Decodes HDR latents to scene-linear light in single precision. Nothing is clamped.",
            inputs=[
                io.Latent.Input(
                    "latent",
                    tooltip="Of a FLUX model with the HDR LoRA; a stock model's latents are no light.",
                ),
                HdrVaeWire.Input("hdr_vae", tooltip="From Load HDR VAE."),
                io.Int.Input(
                    "tile",
                    default=TILE,
                    min=128,
                    max=8192,
                    step=64,
                    tooltip="Pictures with a longer side are decoded in tiles of so many pixels, which takes less memory and shows no seams.",
                ),
                space_input(tooltip="Scene-linear space of the light."),
            ],
            outputs=[
                io.Image.Output(
                    "light", display_name="light", tooltip="Scene-linear light, values above 1 kept."
                )
            ],
        )

    @classmethod
    def execute(cls, latent: dict[str, Any], hdr_vae: HdrVae, tile: int, space: str) -> Any:
        device = comfy.model_management.get_torch_device()
        vae = HdrVae(hdr_vae.vae.to(device), hdr_vae.normalisation, tile=tile)
        latents = _patches(vae, latent["samples"])
        height, width = (side * vae.pixels_per_token for side in latents.shape[2:])
        move, light = progress(len(latents)), []
        try:
            with _cancellable(vae.vae):
                for number, one in enumerate(latents, 1):
                    linear = vae.linear_awg4(pack(one[None].to(device)), height, width)[0]
                    array = linear.permute(1, 2, 0).cpu().contiguous().numpy()
                    light.append(from_chromaticities(array, AWG4, space, threads=cores(), in_place=True))
                    move(number, len(latents))
        finally:
            hdr_vae.vae.to("cpu")
        return io.NodeOutput(image_of(light))


def _patches(vae: HdrVae, latents: Tensor) -> Tensor:
    """Return normalised, patchified latents of what ComfyUI has on a wire: FLUX.2's are, FLUX.1's are the VAE's own."""
    flux1 = isinstance(vae.vae, AutoencoderKL)
    channels = int(vae.vae.config.latent_channels) * (1 if flux1 else 4)
    if latents.ndim != 4 or latents.shape[1] != channels:
        raise HdrgenError(
            f"the latents are {tuple(latents.shape)}; this HDR VAE decodes FLUX.{1 if flux1 else 2}'s, of {channels} channels"
        )
    return normalise(vae.vae, patchify(latents.float())) if flux1 else latents.float()


@contextmanager
def _cancellable(vae: Vae) -> Iterator[None]:
    """Let a person cancel between tiles: each of them begins with the upsampling that is decoded in tiles."""
    hook = vae.decoder.up_blocks[-2].upsamplers[0].register_forward_pre_hook(lambda *_: check_cancelled())
    try:
        yield
    finally:
        hook.remove()
