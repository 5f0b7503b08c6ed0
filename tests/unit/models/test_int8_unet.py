import pytest
import torch

from hdrgen.models.int8_unet import Affine, Int8UNet, has_ranges, int8_supported, measured_ranges
from hdrgen.models.pixel_unshuffled_unet import PixelUnshuffledUNet

CONFIGURATIONS = [
    ((16, 24, 32), (1, 1, 2)),
    ((8,), (2,)),
    ((8, 16), (0, 1)),
    ((8, 8, 8, 8, 8), (1, 1, 1, 1, 2)),
]

pytestmark = pytest.mark.skipif(
    not int8_supported(),
    reason="this processor has no products of 8-bit integers, or this torch no use for them",
)


def unet_with_ranges(widths, blocks):
    torch.manual_seed(0)
    unet = PixelUnshuffledUNet(12, 10, widths, blocks).eval()
    for bias in (c.bias for c in unet.convolutions()):
        torch.nn.init.uniform_(bias, -0.3, 0.3)
    torch.nn.init.normal_(unet.head.weight, std=0.1)
    features = 1.5 * torch.randn(2, 32, 48, 12)
    with torch.no_grad(), measured_ranges(unet):
        unet(features)
    return unet, features


@pytest.mark.parametrize(("widths", "blocks"), CONFIGURATIONS)
def test_its_output_is_the_networks_to_three_percent(widths, blocks):
    unet, features = unet_with_ranges(widths, blocks)
    int8 = Int8UNet(unet)
    with torch.inference_mode():
        expected, output = unet(features), int8(int8.codes(features))
    assert output.dtype == torch.bfloat16
    assert output.shape == expected.shape
    error = output.float() - expected
    assert error.std() < 0.03 * expected.std()
    # What convolutions pad with is 0 in every tensor's codes.
    assert error[:, [0, -1]].std() < 0.03 * expected.std()
    assert error[:, :, [0, -1]].std() < 0.03 * expected.std()


def test_parts_of_a_picture_come_out_as_in_the_whole_to_the_last_bit():
    unet, features = unet_with_ranges((16, 24, 32), (1, 1, 2))
    int8 = Int8UNet(unet)
    with torch.inference_mode():
        whole = int8(int8.codes(features))
        part = int8(int8.codes(features[:, :, :36]))
    assert torch.equal(part[:, :, :4], whole[:, :, :4])


def test_ranges_leave_out_the_tails_and_hold_zero():
    unet = PixelUnshuffledUNet(3, 3, (8,), (1,)).eval()
    features = torch.rand(1, 256, 256, 3) + 1
    features[0, 0, 0] = 1e6
    with torch.no_grad(), measured_ranges(unet):
        unet(features)
    lowest, highest = unet.input_ranges[0]
    assert 1 <= lowest < 1.01
    assert 1.99 < highest <= 2
    assert Affine.over(1.0, 2.0) == Affine(2 / 255, 0)
    codes = Affine.over(-1.0, 2.0)
    assert codes.codes(torch.tensor([-9.0, -1.0, 0.0, 2.0, 9.0])).tolist() == [
        0,
        0,
        codes.zero_point,
        255,
        255,
    ]


@pytest.mark.parametrize("column", [1, 2, 7])
def test_every_column_of_a_large_tensor_is_sampled(column):
    unet = PixelUnshuffledUNet(8, 8, (8,), (1,)).eval()
    features = torch.zeros(16, 64, 64, 8)
    features[:, :, column] = 3
    with torch.no_grad(), measured_ranges(unet):
        unet(features)
    assert unet.input_ranges[0].tolist() == [0, 3]


def test_weights_from_before_ranges_were_measured_are_loaded():
    unet, _ = unet_with_ranges((8,), (1,))
    weights = {name: value for name, value in unet.state_dict().items() if name != "input_ranges"}
    again = PixelUnshuffledUNet(12, 10, (8,), (1,))
    again.load_state_dict(weights)
    assert not has_ranges(again)
    again.load_state_dict(unet.state_dict())
    assert has_ranges(again)


def test_the_widest_range_of_several_pictures_counts():
    unet = PixelUnshuffledUNet(3, 3, (8,), (1,)).eval()
    with torch.no_grad(), measured_ranges(unet):
        unet(torch.full((1, 8, 8, 3), -2.0))
        unet(torch.full((1, 8, 8, 3), 5.0))
    assert unet.input_ranges[0].tolist() == [-2, 5]


def test_without_ranges_it_cannot_be_and_running_nothing_leaves_them_as_they_are():
    unet = PixelUnshuffledUNet(3, 3, (8,), (1,))
    with measured_ranges(unet):
        pass
    assert not has_ranges(unet)
    with pytest.raises(ValueError, match="were not measured"):
        Int8UNet(unet)
