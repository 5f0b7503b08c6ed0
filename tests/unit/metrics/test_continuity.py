import numpy as np
import polars as pl
import pytest

from hdrgen.colour.display import srgb_decode, srgb_encode
from hdrgen.colour.logc import logc4_decode, logc4_encode
from hdrgen.colour.primaries import AP1, AWG4, REC709, convert_primaries
from hdrgen.metrics.continuity import (
    FEWEST_SAMPLES,
    HALVES_PER_STOP,
    codes_per_stop,
    histogram_continuity,
)


@pytest.fixture(scope="module")
def light():
    """Return grainy light over ten stops."""
    rng = np.random.default_rng(0)
    return (2.0 ** rng.uniform(-6, 4, (256, 256, 3))).astype(np.float32)


def quantised(linear, bits):
    largest = 2**bits - 1
    return logc4_decode(np.round(logc4_encode(linear) * largest) / largest).astype(np.float32)


def test_smooth_light_fills_what_half_floats_allow(light):
    table = histogram_continuity(light)
    # Where a change of primaries spreads the ends of the range, light is not smooth.
    table = table.filter(pl.col("stop").is_between(-5, 2))
    assert len(table) == 8
    assert (table["levels"] <= HALVES_PER_STOP).all()
    assert table["gap_share"].max() < 0.03
    assert table["comb"].max() < 0.02


def test_8_bit_codes_leave_teeth_and_gaps_in_every_stop(light):
    table = histogram_continuity(quantised(light, 8)).filter(pl.col("stop").is_between(-5, 2))
    assert len(table) == 8
    assert table["comb"].min() > 0.7
    assert table["gap_share"].min() > 0.95
    codes = dict(codes_per_stop("logc4_awg4", 8).iter_rows())
    for stop, levels in table.select("stop", "levels").iter_rows():
        assert abs(levels - codes[stop]) <= 1


def test_more_bits_are_more_continuous(light):
    figures = [histogram_continuity(quantised(light, bits)) for bits in (8, 10, 12)]
    for measure in ("gap_share", "comb"):
        means = [table[measure].mean() for table in figures]
        assert means == sorted(means, reverse=True), measure
        assert means[2] < 0.9 * means[0], measure


def test_noise_fills_the_gaps_again(light):
    rng = np.random.default_rng(1)
    codes = quantised(light, 8)
    dithered = codes * np.float32(2) ** rng.uniform(-0.03, 0.03, codes.shape).astype(np.float32)
    # A code is a sixteenth of a stop wide from grey on.
    bright = pl.col("stop").is_between(-2, 2)
    assert histogram_continuity(codes).filter(bright)["gap_share"].min() > 0.95
    assert histogram_continuity(dithered).filter(bright)["gap_share"].max() < 0.1


@pytest.mark.parametrize(
    ("primaries", "encode", "decode"),
    [
        (REC709, srgb_encode, srgb_decode),
        (AWG4, logc4_encode, logc4_decode),
        (AP1, logc4_encode, logc4_decode),
    ],
    ids=["srgb", "logc4", "acescg"],
)
def test_codes_of_colours_are_seen_whatever_their_primaries_and_after_delivery_in_acescg(
    primaries, encode, decode
):
    rng = np.random.default_rng(4)
    codes = np.round(encode(2.0 ** rng.uniform(-5, 0, (192, 192, 3))) * 255) / 255
    written = convert_primaries(decode(codes).astype(np.float32), primaries, AP1).astype(np.float16)
    table = histogram_continuity(convert_primaries(written.astype(np.float32), AP1, AWG4))
    of_codes = table.filter(pl.col("stop").is_between(-4, -2))
    assert len(of_codes) == 3
    assert of_codes["comb"].min() > 0.15
    assert of_codes["gap_share"].min() > 0.3


def test_few_pixels_are_not_blamed_for_gaps_of_chance():
    rng = np.random.default_rng(3)
    few = (2.0 ** rng.uniform(0, 0.999, (20, 10, 3))).astype(np.float32)
    table = histogram_continuity(few)
    (stop,) = table.filter(stop=0).iter_rows(named=True)
    assert stop["gap_share"] < 0.1
    assert stop["comb"] < 0.08
    assert histogram_continuity(few[: FEWEST_SAMPLES // 30 - 1]).is_empty()


def test_black_and_negative_light_are_in_no_stop():
    assert histogram_continuity(np.zeros((64, 64, 3), np.float32)).is_empty()
    assert histogram_continuity(np.full((64, 64, 3), -0.5, np.float32)).is_empty()
