"""Statistics, histograms and contact sheets."""

import numpy as np
import pytest

from hdrgen.cli.inspect import draw_histogram
from hdrgen.colour.primaries import AP1
from hdrgen.images.code_image import read_code8
from hdrgen.images.scene_image import read_scene_image
from hdrgen.images.stored_image import SceneImage
from hdrgen.qc.preview import write_contact_sheet
from hdrgen.qc.statistics import statistics, stops_histogram
from hdrgen.runtime.errors import HdrgenError


def image(rgb: np.ndarray) -> SceneImage:
    return SceneImage(rgb, None, AP1, {}, "half", "zip", "scanline")


def flat(value: float, dtype=np.float32) -> np.ndarray:
    return np.full((20, 30, 3), value, dtype)


def test_counts_what_does_not_belong():
    """NaN, Inf, negatives and the end of half floats, each by itself; the rest is measured without them."""
    rgb = flat(0.5, np.float16)
    rgb[0, 0] = [np.nan, np.inf, -np.inf]
    rgb[0, 1] = [-1, 65504, 0.5]
    light = statistics(image(rgb))
    assert (light.nan_values, light.inf_values, light.negative_values, light.half_max_values) == (1, 2, 1, 1)
    assert (light.minimum_linear, light.maximum_linear) == (-1, 65504)
    assert light.percentiles["p50"] == pytest.approx(0.5, rel=1e-3)


def test_a_ceiling_is_seen_per_component():
    """A third of the pixels cut off in blue alone."""
    rgb = np.random.default_rng(0).uniform(0, 1, (30, 30, 3)).astype(np.float32)
    rgb[:10, :, 2] = 1.5
    light = statistics(image(rgb))
    assert light.ceiling_share == pytest.approx(1 / 3)
    assert light.above_one_share == pytest.approx(1 / 3)


def test_a_black_picture_has_no_light():
    """Nothing is divided by zero, no logarithm of it taken."""
    light = statistics(image(flat(0)))
    assert (light.stops, light.maximum_linear, light.ceiling_share) == (0, 0, 0)
    histogram = stops_histogram(image(flat(0)))
    assert histogram.dark_share == 1
    assert "no pixel" in str(draw_histogram(histogram))


@pytest.mark.parametrize(
    ("stops", "expected"), [(0, 0.0), (3.6, 3.5), (-7.2, -7.5), (-40, -16.0), (60, 19.5)]
)
def test_the_histogram_counts_in_stops_from_grey(stops, expected):
    """Each pixel in its half stop; what is beyond goes into the ends."""
    histogram = stops_histogram(image(flat(0.18 * 2.0 ** (stops + 0.01))))
    place = int(np.argmax(histogram.shares))
    assert histogram.edges_stops[place] == expected
    assert sum(histogram.shares) == pytest.approx(1)


def test_the_drawing_is_aligned_and_marks_highlights():
    """Labels stand under their columns; one bright pixel still shows."""
    rgb = flat(0.18 * 1.1)
    rgb[0, 0] = 0.18 * 2**8.1
    drawing = draw_histogram(stops_histogram(image(rgb)))
    lines = str(drawing).splitlines()
    axis, lowest = lines[-2], lines[-4]
    assert lowest[axis.index("0")] == "█"
    assert lowest[axis.index("+8")] == "▁"
    assert any(span.style == "yellow" for span in drawing.spans)


def test_the_contact_sheet_gets_brighter(tmp_path):
    """Nine cells from -4 to +4 stops, of at most 480 pixels."""
    rgb = np.repeat(np.repeat(flat(0.18), 40, 0), 40, 1)
    write_contact_sheet(image(rgb), tmp_path / "sheet.png")
    sheet = read_code8(tmp_path / "sheet.png")
    assert sheet.code.shape == (3 * 320 + 12, 3 * 480 + 12, 3)
    middles = [sheet.code[160 + 326 * (i // 3), 240 + 486 * (i % 3), 1] for i in range(9)]
    assert middles == sorted(middles)
    assert middles[4] == 89
    assert sheet.text["hdrgen:contactSheet"].startswith("-4 -3")
    with pytest.raises(HdrgenError, match=r"written as \.png"):
        write_contact_sheet(image(rgb), tmp_path / "sheet.jpg")


def test_real_pictures_have_the_light_the_manifest_says(shared_hdr):
    """The candle of openexr-images: a 30 s exposure with a flame 24 stops above the dark."""
    candle = read_scene_image(shared_hdr / "scenes" / "CandleGlass.exr")
    light = statistics(candle)
    assert light.negative_values == 1107
    assert light.stops == pytest.approx(18.9, abs=0.05)
    assert light.percentiles["max"] == pytest.approx(212.5)
