"""8-bit code values to float: the U-Net that `hdrgen expand` uses.

An 8-bit code says that the picture is within half a code of it. On clean pictures that is certain, so the only question
is where inside its cell each value lies, and quantising again gives the same codes whatever the answer. A closed form
(`cell_smoother`) answers it for smooth gradients; the network says, for each pixel, how far to believe it, and what
to add. Generated pictures carry a decoder's noise of several codes, and the cell of a noisy code is the wrong one:
for them the network has a second answer, which takes the noise away and may leave the cell.

The network sees differences between codes, not what they stand for. It is trained on LogC4 and works on any curve
under which neighbouring codes are neighbouring lights.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hdrgen.models.folded_unet import FOLD, FOLDED, FoldedUNet, block_deviations, block_means, fold, unfold
from hdrgen.models.weights import load_model, save_weights
from hdrgen.runtime.params import Section

MODEL = "bit_depth"
"""The name in the header of its weights."""

CELL = 0.48
"""How far from its code the clean answer may be, in codes. A cell ends at 0.5; what is left outlives the rounding to half
floats and a change of primaries and back."""

MOST_DEVIATION = 12.0
"""Codes by which a pixel may differ from its block's mean before the network sees no more of it."""

DEVIATION_UNIT = 2.0
"""Codes that are one to the network."""

SCALES = 4
"""Halvings of the block means that they are compared with: along a slow gradient, the mean over many steps is the gradient
itself, and a step of one code, as a share of 255 too small to be learned from, is what differs from it."""

WIDEST = FOLD * 2**SCALES
"""Side in pixels of the widest of these means: what the network sees begins and ends on multiples of it."""

FEATURES = 3 + 3 * SCALES + 2 * FOLDED


class BitDepth(Section):
    """Size of the network."""

    widths: tuple[int, ...] = (48, 64, 96, 128, 128)
    """Channels at a quarter of the picture's size, an eighth, and so on; slow gradients need the coarse ones."""
    blocks: tuple[int, ...] = (1, 1, 1, 1, 2)
    """Residual blocks at each of these sizes, going down; as many come back up at all but the last."""


class BitDepthUNet(nn.Module):
    """8-bit codes to float codes. Pictures are ``(N, H, W, 3)``, sides multiples of its stride and of `WIDEST`."""

    def __init__(self, settings: BitDepth) -> None:
        super().__init__()
        self.settings = settings
        self.unet = FoldedUNet(FEATURES, 4 * FOLDED, settings.widths, settings.blocks)

    def forward(self, code8: Tensor, smooth: Tensor) -> tuple[Tensor, Tensor]:
        """Return the clean and the generated picture's float codes 0 to 255, ``(N, H, W, 3)`` each.

        Parameters
        ----------
        code8
            uint8 codes.
        smooth
            Of `smooth_in_cells`, float, of the same shape.
        """
        folded8, smooth = fold(code8), fold(smooth)
        answers = self.unet(features(folded8, smooth, overview(folded8)))
        return unfold(clean_code(folded8, smooth, answers)), unfold(generated_code(folded8, smooth, answers))


def overview(folded8: Tensor) -> Tensor:
    """Return what the network sees that reaches beyond a block, ``(N, H/4, W/4, 15)``, in codes.

    The mean of each block of folded codes, and how far it is from means over 8, 16, 32 and 64 pixels around it, up to 3.
    """
    mean = block_means(folded8.float())
    planes = wider = mean.permute(0, 3, 1, 2)
    seen = [mean]
    for _ in range(SCALES):
        wider = F.avg_pool2d(wider, 2)
        around = F.interpolate(wider, size=planes.shape[2:], mode="bilinear", align_corners=False)
        seen.append((planes - around).clamp_(-3, 3).permute(0, 2, 3, 1))
    return torch.cat(seen, -1)


def features(folded8: Tensor, smooth: Tensor, means: Tensor) -> Tensor:
    """Return what the network sees of folded codes and their closed form, ``(N, H/4, W/4, 111)``, near unit size.

    ``means`` are rows of the whole picture's `overview`, and the others the same rows of it.
    """
    mean, wider = means[..., :3], means[..., 3:]
    deviation = block_deviations(folded8, mean).clamp_(-MOST_DEVIATION, MOST_DEVIATION)
    return torch.cat([mean / 64 - 2, wider, deviation / DEVIATION_UNIT, 2 * smooth], -1)


def clean_code(code8: Tensor, smooth: Tensor, answers: Tensor) -> Tensor:
    """Return float codes inside their cells, 0 to 255; all folded."""
    belief, more = answers[..., : 2 * FOLDED].float().chunk(2, -1)
    return (code8 + (belief.sigmoid() * smooth + more / 2).clamp_(-CELL, CELL)).clamp_(0, 255)


def generated_code(code8: Tensor, smooth: Tensor, answers: Tensor) -> Tensor:
    """Return float codes wherever the network says, 0 to 255; all folded."""
    belief, more = answers[..., 2 * FOLDED :].float().chunk(2, -1)
    return (code8 + belief.sigmoid() * smooth + DEVIATION_UNIT * more).clamp_(0, 255)


def code_loss(code: Tensor, target: Tensor) -> Tensor:
    """Return minus each picture's PSNR in dB over code values, ``(N,)``; codes 0 to 255, ``(N, H, W, 3)``.

    Their mean is what is learned from, and not the PSNR of the mean error: the mean of decibels is what is
    judged, and gradients would otherwise count for nothing beside grain.
    """
    error = (code - target).square().mean((1, 2, 3))
    return 10 * torch.log10(error / 255**2 + 1e-9)


def save_bit_depth(path: Path, net: BitDepthUNet) -> None:
    """Write the weights with all that `load_bit_depth` needs to know."""
    settings = net.settings.model_dump(mode="json")
    save_weights(path, net, model=MODEL, settings=settings, dtype=torch.float16)


def load_bit_depth(path: Path) -> BitDepthUNet:
    """Read what `save_bit_depth` wrote, ready for inference.

    Raises
    ------
    HdrgenError
        The file is missing, damaged, or holds another model.
    """
    return load_model(path, MODEL, lambda settings: BitDepthUNet(BitDepth.model_validate(settings)))
