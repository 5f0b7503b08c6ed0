"""The fuser the product uses: a closed form per pixel, corrected by a small network that sees neighbours.

Where the two codes' quantisation cells meet, the pair is a clean one there and the answer lies in the intersection,
so the corrected level is clamped into it: on clean pairs the network cannot do worse than half a cell. Where they do
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
from hdrgen.exposure.tone_map_tables import level_decode, level_encode, tone_cells
from hdrgen.models.clean_share import clean_share
from hdrgen.models.folded_unet import FOLD, FOLDED, FoldedUNet, block_deviations, block_means, fold, unfold
from hdrgen.models.weights import load_model, save_weights
from hdrgen.runtime.params import Section

MODEL = "tone_fusion"
"""The name in the header of its weights."""

CLEAN_WINDOW = 9
"""Side of the window, in blocks of 4x4 pixels, in which agreement is counted."""

TRUST_INSIDE_CELL = 0.25
"""How far a clean pixel goes from the middle of its cell to what the network says. Both err by a part of the cell and
not in the same direction, so part of the way is better than either (chosen on validation crops, see docs/log.md)."""

FEATURES = 3 + FOLDED + 3
"""Channels the network sees of each block: mean level, deviations, disagreement."""

MAX_LEVEL = 15.9
"""Just below where half floats end; beyond it an untrained network's levels would overflow, and their gradients be NaN."""

LEVEL_WEIGHT = 4.0
"""Decibels that an error of one level (one stop in the light) weighs in the loss."""


class ToneFusion(Section):
    """Size of the network."""

    widths: tuple[int, int, int] = (64, 96, 128)
    """Channels at a quarter, an eighth and a sixteenth of the picture's size."""
    blocks: tuple[int, int, int] = (1, 1, 2)
    """Residual blocks at each of these sizes, going down; as many come back up at the first two."""
    noise_codes: float = Field(3.0, gt=0)
    """Noise the inverse-variance average expects, standard deviation in 8-bit codes."""


class ToneFuser(nn.Module):
    """Two 8-bit pictures to levels of light. Pictures are ``(N, H, W, 3)``, as files have them.

    Parameters
    ----------
    settings
        The network's size.
    log_ceiling_linear
        Scene-linear value of code 255 in the log pictures it is for.
    """

    averages: Tensor
    bounds: Tensor
    agreement: Tensor

    def __init__(self, settings: ToneFusion, log_ceiling_linear: float = Log.ceiling_linear) -> None:
        super().__init__()
        self.settings = settings
        self.log_ceiling_linear = log_ceiling_linear
        cells = tone_cells(Reinhard(), Log(log_ceiling_linear), settings.noise_codes)
        for name, tables in (
            ("averages", (cells.average, cells.average_sd, cells.disagreement)),
            ("bounds", (cells.lower, cells.upper)),
            ("agreement", (cells.agree,)),
        ):
            stacked = torch.stack([torch.from_numpy(table).reshape(-1) for table in tables])
            self.register_buffer(name, stacked, persistent=False)
        self.unet = FoldedUNet(FEATURES, FOLDED, settings.widths, settings.blocks)

    def features(self, index: Tensor) -> Tensor:
        """Return what the network sees of folded pairs of codes, ``(N, H/4, W/4, 54)``, all near unit size.

        The mean level of each block, the pixels' deviations from it in standard deviations of their noise (beside
        the picture they would be too small to be learned from), and by how much the two pictures disagree.
        """
        average, sd, disagreement = (_look_up(table, index) for table in self.averages)
        mean = block_means(average)
        deviation = block_deviations(average, mean).div_(sd).clamp_(-6, 6)
        return torch.cat([mean / 4, deviation, block_means(disagreement).clamp(-6, 6)], -1)

    def level(self, index: Tensor, correction: Tensor, clean: Tensor) -> Tensor:
        """Return levels, folded: the average corrected, and where the pair is clean clamped into its cells.

        ``correction`` is what the network says of the features, in standard deviations, ``(N, H/4, W/4, 48)``.
        """
        average, sd = (_look_up(table, index) for table in self.averages[:2])
        level = torch.addcmul(average, sd, correction.float())
        if clean.any():
            lower, upper = (_look_up(table, index) for table in self.bounds)
            inside = level.clamp(lower, upper)
            inside = torch.lerp((lower + upper) / 2, inside, TRUST_INSIDE_CELL)
            level = torch.lerp(level, inside, clean)
        return level.clamp(max=MAX_LEVEL)

    def forward(self, reinhard_code8: Tensor, log_code8: Tensor) -> Tensor:
        """Return levels ``(N, H, W, 3)`` (see `level_decode`) of uint8 codes; sides are multiples of the stride."""
        index = fold(pair_index(reinhard_code8, log_code8))
        clean = clean_share(self.agreeing(index), CLEAN_WINDOW)
        return unfold(self.level(index, self.unet(self.features(index)), clean))

    def agreeing(self, index: Tensor) -> Tensor:
        """Return the share of each block's pixels whose cells meet, ``(N, H/4, W/4)``."""
        agree = _look_up(self.agreement[0], index)
        # Several times as fast as all(-1) over so few.
        red, green, blue = agree.reshape(*agree.shape[:-1], FOLD**2, 3).unbind(-1)
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
    save_weights(path, net, model=MODEL, settings=settings, dtype=torch.float16)


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


def tone_fusion_loss(level: Tensor, target_linear: Tensor) -> Tensor:
    """Return minus each picture's PU21-PSNR in dB, plus its error in levels, ``(N,)``.

    Their mean is what is learned from, because a mean of decibels is what the pictures are judged by. PU21 is blind
    above 10,000 nit (100.0); the error in levels is not.
    """
    nits = [linear * NITS_PER_UNIT for linear in (level_decode(level.float()), target_linear)]
    error = (pu21_encode(nits[0]) - pu21_encode(nits[1])) / PEAK
    decibels = 10 * torch.log10(error.square().mean((1, 2, 3)) + 1e-7)
    in_levels = (level.float() - level_encode(target_linear)).abs().mean((1, 2, 3))
    return decibels + LEVEL_WEIGHT * in_levels
