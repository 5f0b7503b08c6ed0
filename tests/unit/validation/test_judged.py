import json

import numpy as np
import polars as pl
import pytest

from hdrgen.colour.primaries import AWG4
from hdrgen.frames.frame_index import write_index
from hdrgen.images.exr import write_exr
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.metrics_file import write_metrics
from hdrgen.validation import delivered
from hdrgen.validation.delivered import FOOTAGE, PLAIN_8BIT, RECONSTRUCTED, ROUTES, Models, generated
from hdrgen.validation.judged import (
    CONTINUITY,
    KINDS,
    LATITUDE,
    ValidateSettings,
    continuity_table,
    figures_table,
    summary,
    validate_all,
    write_tables,
)


def street(seed, height=48, width=64):
    """Return a smooth, grainy picture with a sun."""
    rng = np.random.default_rng(seed)
    light = 0.18 * 2 ** (np.linspace(-4, 2, width)[None, :, None] + rng.normal(0, 0.03, (height, width, 3)))
    light[10:16, 40:46] = 300
    return light.astype(np.float32)


@pytest.fixture(scope="module")
def validated(tmp_path_factory):
    """Everything of two frames, with pictures of each route that were cut off at 1.0."""
    folder = tmp_path_factory.mktemp("validate")
    rows = []
    for seed in (1, 2):
        write_exr(folder / f"sanitize/{seed}.exr", street(seed), chromaticities=AWG4)
        rows.append(
            {
                "source": "mine",
                "frame": f"f{seed}",
                "file": f"{seed}.exr",
                "split": "test",
                "quarantine_reason": None,
            }
        )
    write_index(folder / "split", pl.DataFrame(rows, schema_overrides={"quarantine_reason": pl.String}))
    for route in ROUTES:
        cut = np.minimum(street(3), 1.0)
        write_exr(folder / f"generate/{route}/0001.exr", cut, chromaticities=AWG4)
    return folder, validate_all(
        folder / "sanitize",
        folder / "split",
        folder / "generate",
        folder / "validate",
        ValidateSettings(judged_size=64),
        Models(),
    )


def test_every_kind_is_there_for_every_frame(validated):
    folder, found = validated
    assert [one.kind for one in found] == [*(FOOTAGE, *RECONSTRUCTED) * 2, *ROUTES]
    assert all(one.path.is_file() for one in found)
    assert {path.name for path in (folder / "validate").iterdir()} == {FOOTAGE, *RECONSTRUCTED}


def test_footage_is_itself_and_plain_8_bits_lose_the_sun_and_ours_keep_it(validated):
    means = {row["figure"]: row for row in figures_table(validated[1]).iter_rows(named=True)}
    assert means["logc4_psnr"][FOOTAGE] > 80
    assert means["logc4_psnr"]["brackets"] is None
    energy = means["source_energy_ratio"]
    assert energy[PLAIN_8BIT] < 0.05
    for kind in (FOOTAGE, "logc4_8bit", "expand", "merge", "fuse"):
        assert energy[kind] == pytest.approx(1, abs=0.1), kind
    assert means["gap_share"]["logc4_8bit"] > means["gap_share"]["expand"]


def test_the_summary_says_how_far_each_is_on_the_way_to_footage_and_where_it_falls_short(validated):
    figures = summary(validated[1])["mine"]
    assert list(figures["kinds"]) == list(KINDS)
    assert set(figures["way_to_footage"]) == set(KINDS) - {FOOTAGE, PLAIN_8BIT}
    assert figures["way_to_footage"]["merge"]["source_energy_ratio"] == pytest.approx(1, abs=0.1)
    # The routes' pictures were cut off as 8-bit pictures are, so they have no source at all.
    assert figures["way_to_footage"]["latent"]["source_energy_share"] == pytest.approx(0, abs=0.01)
    for kind, names in figures["falls_short"].items():
        for name in names:
            assert abs(figures["way_to_footage"][kind][name] - 1) > 1


def test_tables_have_a_column_for_each_kind(validated, tmp_path):
    write_tables(tmp_path, validated[1])
    written = {path.stem: pl.read_csv(path, separator="\t") for path in tmp_path.iterdir()}
    assert set(written) == {"figures"} | {f"{m}_by_exposure" for m in LATITUDE} | {
        f"{m}_by_stop" for m in CONTINUITY
    }
    for name, table in written.items():
        assert set(table.columns) >= set(KINDS), name
    assert written["clipped_share_by_exposure"]["exposure_stops"].to_list() == list(range(-4, 5))
    levels = continuity_table(validated[1], "levels")
    assert {"levels_half_float", "levels_logc4_8bit"} <= set(levels.columns)
    assert levels["stop"].is_sorted()
    write_metrics(tmp_path / "validate.json", summary(validated[1]))
    assert json.loads((tmp_path / "validate.json").read_text())


def test_a_route_without_pictures_is_said(tmp_path):
    with pytest.raises(HdrgenError, match=r"brackets: holds no \.exr files; run the stage generate"):
        generated(tmp_path)


def test_a_picture_with_nan_is_said(tmp_path):
    light = street(0)
    light[0, 0] = np.nan
    write_exr(tmp_path / "nan.exr", light, chromaticities=AWG4, allow_nonfinite=True)
    with pytest.raises(HdrgenError, match=r"nan\.exr: holds NaN or Inf"):
        delivered.read_linear_awg4(tmp_path / "nan.exr")
