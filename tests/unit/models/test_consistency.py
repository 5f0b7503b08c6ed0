import torch
from torch.nn import functional as F

from hdrgen.models.consistency import CONSISTENT_SHARE, local_consistency


def test_it_is_a_ramp_of_the_mean_over_the_window_that_borders_cut():
    torch.manual_seed(0)
    consistent = torch.rand(2, 40, 23) < 0.96
    low, high = CONSISTENT_SHARE
    for window in (1, 9, 33):
        mean = F.avg_pool2d(consistent[:, None].double(), window, 1, window // 2, count_include_pad=False)[
            :, 0
        ]
        expected = ((mean - low) / (high - low)).clamp(0, 1)
        torch.testing.assert_close(
            local_consistency(consistent, window)[..., 0].double(), expected, atol=2e-5, rtol=0
        )


def test_a_picture_that_is_consistent_everywhere_is_so_to_its_corners():
    assert local_consistency(torch.ones(1, 5, 2000), 9).min() == 1
    assert local_consistency(torch.zeros(1, 5, 3), 9).max() == 0
