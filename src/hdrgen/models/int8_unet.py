"""A `PixelUnshuffledUNet` in 8-bit integers: twice as fast as in bf16 where the processor multiplies them in hardware.

Affine quantisation (Jacob et al., CVPR 2018): what goes from one convolution to the next is uint8 with one scale and one
zero point each, measured while training on crops that are not trained on (`measured_ranges`); weights are int8 with a scale
for each channel that comes out. Sums are exact 32-bit integers, so tiles agree to the last bit. Shortcuts and skips are
added inside the convolutions, and only the output becomes floats.

The kernels are oneDNN's, by the operators that torch's own int8 compiler backend calls.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from hdrgen.models.pixel_unshuffled_unet import PixelUnshuffledUNet, Residual, pixel_shuffle, pixel_unshuffle

TAIL = 1e-4
"""Share of values at either end that a range leaves out and that are clamped: a few outliers would cost all others precision
(0.01 % lost least on validation crops, see docs/log.md)."""

HALF = 2
"""Each size is half of the one before."""

SAMPLED_VALUES = 1 << 16
"""Values of one tensor, evenly chosen, from which its range is estimated, and no more than twice as many."""


class Affine(NamedTuple):
    """What uint8 codes stand for: ``scale * (code - zero_point)``."""

    scale: float
    zero_point: int

    @classmethod
    def over(cls, lowest: float, highest: float) -> Self:
        """Return codes over a range; 0, which convolutions pad with, is one of them."""
        lowest, highest = min(lowest, 0.0), max(highest, 0.0)
        scale = max(highest - lowest, 1e-6) / 255
        return cls(scale, round(-lowest / scale))

    def codes(self, values: Tensor) -> Tensor:
        """Return the nearest codes, uint8; what is outside of the range becomes its end."""
        scaled = (values / self.scale).add_(self.zero_point)
        return scaled.round_().clamp_(0, 255).to(torch.uint8)


@contextmanager
def measured_ranges(unet: PixelUnshuffledUNet) -> Iterator[None]:
    """Watch what goes into each convolution meanwhile, and leave its range in `PixelUnshuffledUNet.input_ranges`.

    Of each tensor without its `TAIL`, of all tensors together the widest. Nothing changes if the network did not run.
    """
    convolutions = unet.convolutions()
    samples: list[list[Tensor]] = [[] for _ in convolutions]

    def watch(number: int, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].detach().reshape(-1)
        # An odd step takes in every column of pictures whose sides are powers of two.
        sample = values[:: values.numel() // SAMPLED_VALUES | 1].float()
        samples[number].append(torch.quantile(sample, sample.new_tensor([TAIL, 1 - TAIL])))

    hooks = [
        convolution.register_forward_pre_hook(lambda _, inputs, number=number: watch(number, inputs))
        for number, convolution in enumerate(convolutions)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
    if all(samples):
        ends = torch.stack([torch.stack(ranges) for ranges in samples])
        unet.input_ranges.copy_(torch.stack([ends[..., 0].amin(1), ends[..., 1].amax(1)], -1))


def int8_supported() -> bool:
    """Whether this processor multiplies 8-bit integers in hardware, and this torch knows how."""
    known = all(hasattr(torch.ops.onednn, name) for name in ("qconv_prepack", "qconv2d_pointwise"))
    return known and torch.cpu._is_vnni_supported()  # noqa: SLF001


def has_ranges(unet: PixelUnshuffledUNet) -> bool:
    """Whether the ranges of a network's activations were measured."""
    return bool(unet.input_ranges.isfinite().all())


class Int8UNet:
    """The network with its convolutions in 8-bit integers; on CPUs, and not to be trained.

    Parameters
    ----------
    unet
        A network whose ranges were measured.

    Raises
    ------
    ValueError
        They were not.
    """

    def __init__(self, unet: PixelUnshuffledUNet) -> None:
        if not has_ranges(unet):
            raise ValueError("the ranges of the network's activations were not measured")
        ends = unet.input_ranges.tolist()
        self._codes: dict[nn.Module, Affine] = {
            convolution: Affine.over(*pair)
            for convolution, pair in zip(unet.convolutions(), ends, strict=True)
        }
        bottom = len(unet.downsample)
        # What takes the picture from the blocks of each size on the way down, and on the way up.
        below = [*unet.downsample, unet.upsample[-1] if bottom else unet.head]
        above = [unet.head, *unet.upsample][:bottom]
        self._stem = self._convolution(unet.stem, _next_layer(unet.down[0], below[0]))
        self._down = [self._blocks(*size) for size in zip(unet.down, below, strict=True)]
        self._downsample = [
            self._convolution(downsample, _next_layer(unet.down[size], below[size]))
            for size, downsample in enumerate(unet.downsample, 1)
        ]
        # An upsampling layer adds the skip, in the codes that its downsampling counterpart took it in.
        self._upsample = [
            self._convolution(upsample, _next_layer(up, after), added=self._codes[downsample])
            for upsample, downsample, up, after in zip(
                unet.upsample, unet.downsample, unet.up, above, strict=True
            )
        ]
        self._up = [self._blocks(*size) for size in zip(unet.up, above, strict=True)]
        self._head = self._convolution(unet.head, None)

    def codes(self, features: Tensor) -> Tensor:
        """Return features as the network takes them: uint8, of the same shape."""
        return self._stem.inside.codes(features)

    def __call__(self, features8: Tensor) -> Tensor:
        """Return corrections, bf16 ``(N, H/4, W/4, C)``, of `codes`."""
        x = _through(self._down[0], self._stem(features8))
        skips = []
        for downsample, down in zip(self._downsample, self._down[1:], strict=True):
            skips.append(x)
            x = _through(down, downsample(x))
        for upsample, up in zip(reversed(self._upsample), reversed(self._up), strict=True):
            x = _through(up, _upsampled(upsample, x, skips.pop()))
        return self._head(x)

    def _convolution(
        self,
        layer: nn.Module,
        next_layer: nn.Module | None,
        *,
        relu: bool = False,
        added: Affine | None = None,
    ) -> "_Convolution":
        """Return a layer whose output is in the codes that the next layer takes; floats where none does."""
        assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        outside = self._codes[next_layer] if next_layer is not None else None
        return _Convolution(layer, self._codes[layer], outside, relu=relu, added=added)

    def _blocks(self, blocks: nn.Module, after: nn.Module) -> list[tuple["_Convolution", "_Convolution"]]:
        residuals = [block for block in blocks.children() if isinstance(block, Residual)]
        next_layers = [*(block.first for block in residuals), after][1:]
        return [
            (
                self._convolution(block.first, block.second, relu=True),
                self._convolution(block.second, next_layer, added=self._codes[block.first]),
            )
            for block, next_layer in zip(residuals, next_layers, strict=True)
        ]


class _Convolution:
    """A convolution from codes to codes, or to bf16; a 2x2 transposed one is a 1x1 to the four places of each pixel.

    Parameters
    ----------
    layer
        The float layer.
    inside, outside
        Codes of what goes in and of what comes out.
    relu
        Whether negative outputs become 0.
    added
        Codes of what the output is added to, where it is.
    """

    def __init__(
        self,
        layer: nn.Conv2d | nn.ConvTranspose2d,
        inside: Affine,
        outside: Affine | None,
        *,
        relu: bool,
        added: Affine | None,
    ) -> None:
        weight, bias = layer.weight.detach().float(), layer.bias
        assert bias is not None
        bias = bias.detach().float()
        if isinstance(layer, nn.ConvTranspose2d):
            weight = weight.permute(2, 3, 1, 0).reshape(-1, weight.shape[0], 1, 1)
            bias = bias.repeat(HALF**2)
        self._stride = [layer.stride[0]] * 2 if isinstance(layer, nn.Conv2d) else [1, 1]
        self._padding = [int(layer.padding[0])] * 2
        self._scales = weight.abs().amax((1, 2, 3)).clamp_min(1e-9) / 127
        self._zero_points = torch.zeros(len(bias), dtype=torch.int)
        weight8 = (weight / self._scales[:, None, None, None]).round().to(torch.int8)
        self._weight8: Tensor = torch.ops.onednn.qconv_prepack(
            weight8, self._scales, *inside, self._stride, self._padding, [1, 1], 1, None
        )
        self._bias, self._relu = bias, "relu" if relu else "none"
        self.inside, self._outside, self._added = inside, outside, added

    def __call__(self, x: Tensor, added_to: Tensor | None = None) -> Tensor:
        """Return the output, channels last; ``added_to``, whose memory it may take, is of its shape."""
        x = x.permute(0, 3, 1, 2)
        weights = (self._weight8, self._scales, self._zero_points)
        geometry = (self._bias, self._stride, self._padding, [1, 1], 1)
        outside, dtype = self._outside or (1.0, 0), torch.uint8 if self._outside else torch.bfloat16
        output: Tensor
        if added_to is None:
            output = torch.ops.onednn.qconv2d_pointwise(
                x, *self.inside, *weights, *geometry, *outside, dtype, self._relu, [], ""
            )
        else:
            assert self._added is not None
            output = torch.ops.onednn.qconv2d_pointwise.binary(
                x, *self.inside, *weights, added_to.permute(0, 3, 1, 2), *geometry, *outside, dtype,
                *self._added, "sum", 1.0, "none", [], "",
            )  # fmt: skip
        return output.permute(0, 2, 3, 1)


def _next_layer(blocks: nn.Module, after: nn.Module) -> nn.Module:
    """Return the layer that takes what goes into these blocks, or past them where there are none."""
    return next((block.first for block in blocks.children() if isinstance(block, Residual)), after)


def _through(blocks: Sequence[tuple[_Convolution, _Convolution]], x: Tensor) -> Tensor:
    for first, second in blocks:
        x = second(first(x), added_to=x)
    return x


def _upsampled(upsample: _Convolution, x: Tensor, skip: Tensor) -> Tensor:
    """Return a picture at twice its size, and the skip added to it."""
    return pixel_shuffle(upsample(x, added_to=pixel_unshuffle(skip, HALF)), HALF)
