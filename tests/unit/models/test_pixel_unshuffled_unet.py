import pytest
import torch

from hdrgen.models.pixel_unshuffled_unet import (
    DOWNSCALE,
    UNSHUFFLED_CHANNELS,
    PixelUnshuffledUNet,
    block_deviations,
    block_means,
    pixel_shuffle,
    pixel_unshuffle,
    receptive_radius,
    stride,
)

CONFIGURATIONS = [((4, 6, 8), (1, 1, 2)), ((4, 4), (2, 1)), ((4, 4, 4, 4), (1, 1, 1, 1)), ((4,), (2,))]


def loud_unet(widths, blocks):
    """Make a network in which nothing that can be connected is not."""
    torch.manual_seed(0)
    net = PixelUnshuffledUNet(UNSHUFFLED_CHANNELS, UNSHUFFLED_CHANNELS, widths, blocks).double()
    for parameter in net.parameters():
        torch.nn.init.uniform_(parameter, 0.01, 0.1)
    return net


def farthest_dependence(net, whole, margin):
    """Return how far from a tile of one stride the farthest pixel is that moves one inside, by gradients."""
    size = 2 * margin + 3 * whole
    picture = torch.rand(1, size, size, 3, dtype=torch.float64, requires_grad=True)
    tile = slice(margin + whole, margin + 2 * whole)
    pixel_shuffle(net(pixel_unshuffle(picture)))[:, tile, tile].sum().backward()
    rows = picture.grad.abs().sum((0, 2, 3)).nonzero()[:, 0]
    assert rows[0] > 0, "the picture must be wider than the dependence"
    assert rows[-1] < size - 1, "the picture must be wider than the dependence"
    return max(tile.start - int(rows[0]), int(rows[-1]) - (tile.stop - 1))


def test_pixel_shuffling_undoes_unshuffling_which_keeps_blocks_together():
    picture = torch.arange(2 * 8 * 12 * 3).reshape(2, 8, 12, 3)
    unshuffled = pixel_unshuffle(picture)
    assert unshuffled.shape == (2, 2, 3, UNSHUFFLED_CHANNELS)
    assert torch.equal(pixel_shuffle(unshuffled), picture)
    assert torch.equal(unshuffled[1, 1, 2].reshape(DOWNSCALE, DOWNSCALE, 3), picture[1, 4:, 8:])
    # And the other way round: any such features come from a picture.
    features = torch.rand(1, 3, 2, 2 * DOWNSCALE**2)
    assert torch.equal(pixel_unshuffle(pixel_shuffle(features)), features)


def test_block_means_are_those_of_the_picture():
    picture = torch.rand(1, 8, 8, 3)
    expected = torch.nn.functional.avg_pool2d(picture.permute(0, 3, 1, 2), DOWNSCALE).permute(0, 2, 3, 1)
    means = block_means(pixel_unshuffle(picture))
    torch.testing.assert_close(means, expected)
    around = expected.repeat_interleave(DOWNSCALE, 1).repeat_interleave(DOWNSCALE, 2)
    torch.testing.assert_close(
        pixel_shuffle(block_deviations(pixel_unshuffle(picture), means)), picture - around
    )


def test_it_begins_by_correcting_nothing():
    torch.manual_seed(0)
    net = PixelUnshuffledUNet(UNSHUFFLED_CHANNELS, UNSHUFFLED_CHANNELS, (4, 6, 8), (1, 1, 2))
    assert not net(torch.rand(2, 8, 8, UNSHUFFLED_CHANNELS)).any()


def test_widths_and_blocks_go_together():
    with pytest.raises(ValueError, match="3 widths but 2 numbers of blocks"):
        PixelUnshuffledUNet(UNSHUFFLED_CHANNELS, UNSHUFFLED_CHANNELS, (4, 6, 8), (1, 2))


@pytest.mark.parametrize(("widths", "blocks"), CONFIGURATIONS)
def test_the_receptive_field_is_the_measured_dependence_in_whole_strides(widths, blocks):
    whole = stride(widths)
    claimed = receptive_radius(widths, blocks)
    measured = farthest_dependence(loud_unet(widths, blocks), whole, margin=claimed)
    assert claimed == -(-measured // whole) * whole


@pytest.mark.parametrize(("widths", "blocks"), CONFIGURATIONS[:2])
def test_a_tile_is_what_the_whole_picture_would_be(widths, blocks):
    net, whole, halo = loud_unet(widths, blocks), stride(widths), receptive_radius(widths, blocks)
    size = 2 * halo + 2 * whole
    picture = torch.rand(1, size + 2 * whole, size + 2 * whole, 3, dtype=torch.float64)
    tile = slice(halo + whole, halo + 2 * whole)
    around = slice(tile.start - halo, tile.stop + halo)
    inside = slice(halo, halo + whole)
    with torch.no_grad():
        expected = pixel_shuffle(net(pixel_unshuffle(picture)))[:, tile, tile]
        alone = pixel_shuffle(net(pixel_unshuffle(picture[:, around, around])))[:, inside, inside]
        outside = picture.clone()
        outside[:, : around.start], outside[:, around.stop :] = 1e3, -1e3
        outside[:, :, : around.start], outside[:, :, around.stop :] = 1e3, -1e3
        perturbed = pixel_shuffle(net(pixel_unshuffle(outside)))[:, tile, tile]
    torch.testing.assert_close(alone, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(perturbed, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("widths", [(4,), (4, 4), (4, 4, 4, 4)])
def test_sides_of_one_stride_are_enough(widths):
    net = loud_unet(widths, (1,) * len(widths))
    picture = torch.rand(1, stride(widths), 2 * stride(widths), 3, dtype=torch.float64)
    assert pixel_shuffle(net(pixel_unshuffle(picture))).shape == picture.shape
