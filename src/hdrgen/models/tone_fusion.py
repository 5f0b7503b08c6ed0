"""The fuser the product uses: a closed form per pixel, corrected by a small network that knows its neighbours.

Where the two codes' quantisation intervals meet, the pair is a clean one there and the light lies in the intersection,
so the corrected light is clamped into it: on clean pairs the network cannot do worse than half an interval. Where they do
not meet, the pair came out of a generator, and the network removes what the inverse-variance average leaves:
noise, blur, and the pair's disagreement in exposure and tint.
"""

from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from hdrgen.colour.pu21 import PEAK, pu21_encode
from hdrgen.colour.tone_maps import Log, Reinhard
from hdrgen.colour.units import NITS_PER_UNIT
from hdrgen.exposure.log2_encoding import MAX_LOG2, log2_decode, log2_encode
from hdrgen.exposure.tone_map_tables import tone_map_tables
from hdrgen.models.consistency import TRUST_INSIDE_INTERVAL, WINDOW_PIXELS, local_consistency
from hdrgen.models.pixel_unshuffled_unet import (
    DOWNSCALE,
    UNSHUFFLED_CHANNELS,
    PixelUnshuffledUNet,
    block_deviations,
    block_means,
    pixel_shuffle,
    pixel_unshuffle,
)
from hdrgen.models.weights import load_model, save_model
from hdrgen.runtime.params import Section

MODEL = "tone_fusion"
"""The name in the header of its weights."""

WINDOW_BLOCKS = -(-WINDOW_PIXELS // DOWNSCALE)
"""Side of the window, in blocks of 4x4 pixels, in which consistent pixels are counted."""

FEATURES = 3 + UNSHUFFLED_CHANNELS + 3
"""Channels the network gets of each block: mean light, deviations, disagreement."""

LOG2_WEIGHT = 4.0
"""Decibels that an error of 1 in log2 encoding (one stop in the light) weighs in the loss."""


class ToneFusion(Section):
    """Size of the network."""

    widths: tuple[int, int, int] = (64, 96, 128)
    """Channels at a quarter, an eighth and a sixteenth of the picture's size."""
    blocks: tuple[int, int, int] = (1, 1, 2)
    """Residual blocks at each of these sizes, going down; as many come back up at the first two."""
    noise_codes: float = Field(3.0, gt=0)
    """Noise the inverse-variance average expects, standard deviation in 8-bit codes."""


class ToneFuser(nn.Module):
    """Two 8-bit pictures to light in log2 encoding. Pictures are ``(N, H, W, 3)``, as files have them.

    Parameters
    ----------
    settings
        The network's size.
    log_ceiling_linear
        Scene-linear value of code 255 in the log pictures it is for.
    """

    averages: Tensor
    bounds: Tensor
    consistency: Tensor

    def __init__(self, settings: ToneFusion, log_ceiling_linear: float = Log.ceiling_linear) -> None:
        super().__init__()
        self.settings = settings
        self.log_ceiling_linear = log_ceiling_linear
        tables = tone_map_tables(Reinhard(), Log(log_ceiling_linear), settings.noise_codes)
        for name, together in (
            ("averages", (tables.average, tables.average_sd, tables.disagreement)),
            ("bounds", (tables.lower, tables.upper)),
            ("consistency", (tables.consistent,)),
        ):
            stacked = torch.stack([torch.from_numpy(table).reshape(-1) for table in together])
            self.register_buffer(name, stacked, persistent=False)
        self.unet = PixelUnshuffledUNet(FEATURES, UNSHUFFLED_CHANNELS, settings.widths, settings.blocks)

    def features(self, index: Tensor) -> Tensor:
        """Return what the network gets of pixel-unshuffled pairs of codes, ``(N, H/4, W/4, 54)``, all near unit size.

        The mean light of each block, the pixels' deviations from it in standard deviations of their noise (beside
        the picture they would be too small to be learned from), and by how much the two pictures disagree.
        """
        average, sd, disagreement = (_look_up(table, index) for table in self.averages)
        mean = block_means(average)
        deviation = block_deviations(average, mean).div_(sd).clamp_(-6, 6)
        return torch.cat([mean / 4, deviation, block_means(disagreement).clamp(-6, 6)], -1)

    def corrected(self, index: Tensor, correction: Tensor, consistency: Tensor) -> Tensor:
        """Return the average corrected, and where the pair is consistent clamped into its intervals; pixel-unshuffled.

        ``correction`` is the network's output for the features, in standard deviations, ``(N, H/4, W/4, 48)``.
        """
        average, sd = (_look_up(table, index) for table in self.averages[:2])
        log2 = torch.addcmul(average, sd, correction.float())
        if consistency.any():
            lower, upper = (_look_up(table, index) for table in self.bounds)
            inside = log2.clamp(lower, upper)
            inside = torch.lerp((lower + upper) / 2, inside, TRUST_INSIDE_INTERVAL)
            log2 = torch.lerp(log2, inside, consistency)
        return log2.clamp(max=MAX_LOG2)

    def forward(self, reinhard_code8: Tensor, log_code8: Tensor) -> Tensor:
        """Return light ``(N, H, W, 3)`` in log2 encoding of uint8 codes; sides are multiples of the stride."""
        index = pixel_unshuffle(pair_index(reinhard_code8, log_code8))
        consistency = local_consistency(self.consistent_share(index), WINDOW_BLOCKS)
        return pixel_shuffle(self.corrected(index, self.unet(self.features(index)), consistency))

    def consistent_share(self, index: Tensor) -> Tensor:
        """Return the share of each block's pixels whose intervals meet, ``(N, H/4, W/4)``."""
        consistent = _look_up(self.consistency[0], index)
        # Several times as fast as all(-1) over so few.
        red, green, blue = consistent.reshape(*consistent.shape[:-1], DOWNSCALE**2, 3).unbind(-1)
        return (red & green & blue).float().mean(-1)


def _look_up(table: Tensor, index: Tensor) -> Tensor:
    # Several times as fast as table[index] on a CPU.
    return torch.index_select(table, 0, index.reshape(-1)).reshape(index.shape)


def pair_index(reinhard_code8: Tensor, log_code8: Tensor) -> Tensor:
    """Return where each pair of codes stands in the tables; int32, of the pictures' shape."""
    return reinhard_code8.int().mul_(256).add_(log_code8)


def save_tone_fuser(path: Path, net: ToneFuser) -> None:
    """Write the weights with all that `load_tone_fuser` needs to know."""
    settings = {"network": net.settings.model_dump(mode="json"), "log_ceiling_linear": net.log_ceiling_linear}
    save_model(path, net, model=MODEL, settings=settings, dtype=torch.float16)


def load_tone_fuser(path: Path) -> ToneFuser:
    """Read what `save_tone_fuser` wrote, ready for inference.

    Raises
    ------
    HdrgenError
        The file is missing, damaged, or holds another model.
    """

    def build(settings: dict[str, Any]) -> ToneFuser:
        return ToneFuser(ToneFusion.model_validate(settings["network"]), settings["log_ceiling_linear"])

    return load_model(path, MODEL, build)


def tone_fusion_loss(log2: Tensor, target_linear: Tensor) -> Tensor:
    """Return minus each picture's PU21-PSNR in dB, plus its error in log2 encoding, ``(N,)``.

    Their mean is what is learned from, because a mean of decibels is what the pictures are evaluated by. PU21 is blind
    above 10,000 nit (100.0); the error in log2 encoding is not.
    """
    nits = [linear * NITS_PER_UNIT for linear in (log2_decode(log2.float()), target_linear)]
    error = (pu21_encode(nits[0]) - pu21_encode(nits[1])) / PEAK
    decibels = 10 * torch.log10(error.square().mean((1, 2, 3)) + 1e-7)
    log2_error = (log2.float() - log2_encode(target_linear)).abs().mean((1, 2, 3))
    return decibels + LOG2_WEIGHT * log2_error
