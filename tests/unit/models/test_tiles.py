import numpy as np
import pytest
import torch

from hdrgen.models.runtime_network import torch_threads
from hdrgen.models.tiles import in_threads, padded, tiles


@pytest.mark.parametrize("picture", [(1, 1), (64, 64), (65, 63), (200, 300), (37, 500)])
@pytest.mark.parametrize("size", [32, (64, 128), (4096, 4096)])
@pytest.mark.parametrize("halo", [0, 32])
def test_tiles_keep_every_pixel_once_and_see_a_halo_where_there_is_picture(picture, size, halo):
    height, width = picture
    numbers = np.arange(height * width).reshape(picture)
    kept = np.zeros(picture, int)
    for tile in tiles(height, width, size=size, halo=halo):
        kept[tile.kept] += 1
        np.testing.assert_array_equal(numbers[tile.seen][tile.kept_of_seen], numbers[tile.kept])
        for inner, outer, length in zip(tile.kept, tile.seen, picture, strict=True):
            assert outer.start == max(0, inner.start - halo)
            assert outer.stop == min(length, inner.stop + halo)
    assert (kept == 1).all()


def test_tiles_are_no_larger_than_asked_for_and_come_row_by_row():
    found = list(tiles(100, 200, size=(64, 96), halo=32))
    assert [(t.kept[0].start, t.kept[1].start) for t in found] == [
        (top, left) for top in (0, 64) for left in (0, 96, 192)
    ]
    assert max(t.kept[0].stop - t.kept[0].start for t in found) == 64


def test_padding_repeats_the_edge_to_whole_strides():
    picture = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    found = padded(picture, 4)
    assert found.shape == (1, 8, 8, 3)
    np.testing.assert_array_equal(found[0, :5, :7].numpy(), picture)
    np.testing.assert_array_equal(found[0, 5:, :7].numpy(), np.repeat(picture[-1:], 3, 0))
    np.testing.assert_array_equal(found[0, :5, 7:].numpy(), picture[:, -1:])


def test_a_picture_that_fits_is_not_copied_unless_it_must_not_be_written():
    picture = np.zeros((8, 4, 3), np.uint8)
    assert padded(picture, 4).data_ptr() == picture.ctypes.data
    picture.flags.writeable = False
    assert padded(picture, 4).data_ptr() != picture.ctypes.data


def test_bands_come_back_in_order_and_threads_are_left_as_they_were():
    def work(band):
        return band, torch.get_num_threads(), torch.is_inference_mode_enabled()

    with torch_threads(3):
        assert in_threads(work, range(9), 2) == [(band, 1, True) for band in range(9)]
        assert torch.get_num_threads() == 3


def test_what_goes_wrong_in_a_band_is_raised():
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda band: 1 // band, [1, 0], 1)
