import numpy as np
import pytest

from hdrgen.metrics.verdicts import better, verdict

FRAMES = np.array([10.0, 20, 30, 40, 25, 35, 15, 20])


def by_frame(values, source="frames"):
    return {(source, str(number)): float(value) for number, value in enumerate(values)}


def test_differences_within_chance_are_no_verdict():
    rng = np.random.default_rng(0)
    noisy = FRAMES + rng.normal(0, 1, len(FRAMES))
    assert verdict(by_frame(FRAMES), by_frame(FRAMES), by_frame(noisy - noisy.mean() + FRAMES.mean())) is None
    assert verdict(by_frame(FRAMES), by_frame(FRAMES), by_frame(FRAMES)) is None


def test_a_small_difference_that_every_frame_has_is_one_although_frames_differ_by_more():
    outcome = verdict(by_frame(FRAMES - 0.05), by_frame(FRAMES), by_frame(FRAMES - 0.1 - FRAMES / 1000))
    assert outcome is not None
    assert outcome.way == pytest.approx(0.6, abs=0.1)
    assert (outcome.falls_short, outcome.as_footage) == (False, False)


def test_where_8_bits_are_better_than_footage_the_figure_tells_nothing():
    assert verdict(by_frame(FRAMES), by_frame(FRAMES), by_frame(FRAMES + 1)) is None


def test_a_gain_within_chance_falls_short():
    wobble = np.array([3.0, -3, 3, -3, 3, -3, 3, -3])
    outcome = verdict(by_frame(FRAMES - 4.9 + wobble), by_frame(FRAMES), by_frame(FRAMES - 5))
    assert outcome is not None
    assert outcome.way == pytest.approx(0.02)
    assert outcome.falls_short


def test_where_a_kind_may_be_as_either_nothing_is_said():
    few = by_frame([10, -60, 50, -100], "made")
    assert verdict(few, by_frame(FRAMES), by_frame(FRAMES - 40)) is None
    assert verdict(by_frame(FRAMES - 40, "made"), by_frame(FRAMES), by_frame(FRAMES - 40)).falls_short


def test_a_difference_below_the_least_that_counts_is_none():
    footage, input_8bit = by_frame(FRAMES), by_frame(FRAMES - 1)
    assert verdict(by_frame(FRAMES - 0.5), footage, input_8bit, least=0.2).way == pytest.approx(0.5)
    assert verdict(by_frame(FRAMES - 0.1), footage, input_8bit, least=0.2).as_footage
    assert verdict(by_frame(FRAMES - 0.9), footage, input_8bit, least=0.2).falls_short
    assert verdict(by_frame(FRAMES), footage, input_8bit, least=2) is None


def test_only_frames_that_all_three_have_are_compared():
    footage, input_8bit = by_frame(FRAMES), by_frame(FRAMES - 5)
    kind = {key: value - 1 for key, value in list(footage.items())[:6]}
    input_8bit[("frames", "0")] = -1e9
    del kind[("frames", "0")]
    outcome = verdict(kind, footage, input_8bit)
    assert outcome is not None
    assert outcome.way == pytest.approx(0.8)


def test_pictures_without_frames_need_a_difference_beyond_their_own_spread():
    footage, input_8bit = by_frame(FRAMES), by_frame(FRAMES - 100)
    close, far = by_frame(FRAMES[:4] + 5, "made"), by_frame(FRAMES[:4] - 99, "made")
    assert verdict(close, footage, input_8bit).as_footage
    assert verdict(far, footage, input_8bit).falls_short
    assert not verdict(by_frame(FRAMES[:4] - 50, "made"), footage, input_8bit).as_footage


@pytest.mark.parametrize("count", [0, 1])
def test_one_picture_proves_nothing(count):
    footage, input_8bit = by_frame(FRAMES), by_frame(FRAMES - 100)
    assert verdict(by_frame(FRAMES[:count], "made"), footage, input_8bit) is None
    assert verdict(by_frame(FRAMES[:1]), by_frame(FRAMES[:1]), by_frame(FRAMES[:1] - 9)) is None


def test_as_many_chance_differences_are_taken_for_real_as_the_confidence_says():
    rng = np.random.default_rng(1)
    for frames in (3, 7, 40):
        taken = [better(rng.normal(size=frames), np.zeros(frames), paired=True) for _ in range(2000)]
        assert np.mean(taken) == pytest.approx(0.025, abs=0.012), frames
