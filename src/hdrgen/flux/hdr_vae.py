"""A FLUX VAE that works on light: pictures from 0 to 1000 to tokens and back, in single precision."""

import json
import math
import shutil
from pathlib import Path
from typing import Protocol, TypeAlias

import torch
from diffusers import AutoencoderKL, AutoencoderKLFlux2
from torch import Tensor, nn

from hdrgen.colour.hdr_normalisation import HdrNormalisation
from hdrgen.flux.latents import denormalise, encode_latents, pack, pixels_per_token, unpack
from hdrgen.flux.weight_names import check_weights
from hdrgen.models.group_norm_tiles import decode_in_tiles
from hdrgen.runtime.errors import HdrgenError

Vae: TypeAlias = AutoencoderKLFlux2 | AutoencoderKL
"""FLUX.2's, FLUX.1's."""
VAE_CLASSES = {c.__name__: c for c in (AutoencoderKLFlux2, AutoencoderKL)}
NORMALISATION = "normalisation.json"
TILE = 1024


class LightCode(Protocol):
    """What makes codes around -1 to 1 of light, and light of codes."""

    def encode(self, linear: Tensor, /) -> Tensor:
        """Return codes of scene-linear values."""

    def decode(self, code: Tensor, /) -> Tensor:
        """Return scene-linear values of codes."""


class HdrVae:
    """A VAE and the curve that stands between it and light.

    Parameters
    ----------
    vae
        Brought to single precision: half floats and bf16 show as bands in the sky.
    normalisation
        `HdrNormalisation`, or another curve to compare it with.
    tile
        Side in pixels of the largest picture that is decoded in one piece.
    """

    def __init__(self, vae: Vae, normalisation: LightCode, *, tile: int = TILE) -> None:
        self.vae = vae.float().eval()
        self.normalisation = normalisation
        self.tile = tile

    @property
    def pixels_per_token(self) -> int:
        """Side of the square of pixels that one token stands for; pictures are multiples of it."""
        return pixels_per_token(self.vae)

    @torch.no_grad()
    def tokens(self, linear_awg4: Tensor) -> Tensor:
        """Return the normalised tokens ``(B, N, C)`` of scene-linear pictures ``(B, 3, H, W)``."""
        return pack(encode_latents(self.vae, self.normalisation.encode(linear_awg4.float())))

    @torch.no_grad()
    def linear_awg4(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Return scene-linear pictures ``(B, 3, height, width)``, unclamped; `tokens` mirrored.

        What is larger than a tile is decoded in tiles that know the whole picture's statistics: there are no seams,
        and it differs from a picture decoded in one piece by rounding only.
        """
        side = self.pixels_per_token
        with torch.autocast(tokens.device.type, enabled=False):
            latents = denormalise(self.vae, unpack(tokens.float(), height // side, width // side))
            if max(height, width) <= self.tile:
                code = self.vae.decode(latents).sample
            else:
                code = _decode_large(self.vae, latents, self.tile)
            return self.normalisation.decode(code)

    def save(self, folder: Path) -> None:
        """Write ``vae/``, in diffusers' layout, and ``normalisation.json``.

        Raises
        ------
        TypeError
            The curve is none that `load_hdr_vae` could make again.
        """
        if not isinstance(self.normalisation, HdrNormalisation):
            raise TypeError(f"{type(self.normalisation).__name__} is for comparisons and is not saved")
        partial, vae = folder / ".vae.partial", folder / "vae"
        shutil.rmtree(partial, ignore_errors=True)
        self.vae.save_pretrained(partial)
        about = {"peak_linear": self.normalisation.peak_linear}
        (folder / NORMALISATION).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        shutil.rmtree(vae, ignore_errors=True)
        partial.rename(vae)


def load_hdr_vae(folder: Path) -> HdrVae:
    """Read what `HdrVae.save` wrote.

    Raises
    ------
    HdrgenError
        The folder lacks a part, or a part is damaged.
    """
    path = folder / NORMALISATION
    try:
        peak_linear = float(json.loads(path.read_text(encoding="utf-8"))["peak_linear"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HdrgenError(f"{path}: cannot be read ({error}); run train_flux_vae") from None
    if not (math.isfinite(peak_linear) and peak_linear > 0):
        raise HdrgenError(f"{path}: peak_linear is {peak_linear}; run train_flux_vae")
    return HdrVae(load_vae(folder / "vae"), HdrNormalisation(peak_linear))


def load_vae(folder: Path) -> Vae:
    """Load a checkpoint's VAE in single precision; its ``config.json`` says which class it is.

    Raises
    ------
    HdrgenError
        It is missing, damaged, or no VAE of FLUX.
    """
    path = folder / "config.json"
    try:
        name = json.loads(path.read_text(encoding="utf-8"))["_class_name"]
        vae: Vae = VAE_CLASSES[name].from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HdrgenError(f"{folder}: no VAE of FLUX can be loaded from it ({error})") from None
    check_weights(vae, folder)
    return vae.eval()


def _decode_large(vae: Vae, latents: Tensor, tile: int) -> Tensor:
    """Decode in one piece as far as half of the picture's size, where activations are small, and on in tiles."""
    decoder = vae.decoder
    if vae.post_quant_conv is not None:
        latents = vae.post_quant_conv(latents)
    features = decoder.mid_block(decoder.conv_in(latents))
    *before, half, full = decoder.up_blocks
    for block in (*before, *half.resnets):
        features = block(features, None)
    part = nn.Sequential(*half.upsamplers, full, decoder.conv_norm_out, decoder.conv_act, decoder.conv_out)
    # Pixels that reach into another: 2 for each residual block, 1 for each of the convolutions before and after.
    return decode_in_tiles(part, features, scale=2, halo=len(full.resnets) + 1, tile=tile)
