import numpy as np
import polars as pl
import pytest

from hdrgen.colour.primaries import AWG4, luminance
from hdrgen.dataset.frame_index import write_index
from hdrgen.evaluation import production_pictures
from hdrgen.evaluation.gradients import smooth_gradients
from hdrgen.evaluation.production import (
    GENERATED,
    GRADIENTS,
    KINDS,
    Validated,
    ValidateSettings,
    brightest_part,
    validate_all,
)
from hdrgen.evaluation.production_pictures import (
    FOOTAGE,
    INPUT_OF,
    LOGC4_8BIT,
    RECONSTRUCTED,
    REINHARD_8BIT,
    ROUTES,
    SRGB_8BIT,
    Models,
    generated,
    read_linear_awg4,
)
from hdrgen.evaluation.production_tables import (
    CONTINUITY,
    KEYS,
    LATITUDE,
    PLACE,
    all_verdicts,
    continuity_table,
    decisive,
    plots,
    sources_table,
    summary,
    tables,
)
from hdrgen.images.exr import read_header, write_exr
from hdrgen.metrics.production_figures import FIGURES, OF_GRADIENTS
from hdrgen.qc.check import check_delivery
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.metrics_file import read_figures, write_figures


def street(seed, height=48, width=64):
    """Return a smooth, grainy picture with a yellow sun."""
    rng = np.random.default_rng(seed)
    light = 0.18 * 2 ** (np.linspace(-4, 2, width)[None, :, None] + rng.normal(0, 0.03, (height, width, 3)))
    light[10:16, 40:46] = (320, 290, 200)
    return light.astype(np.float32)


@pytest.fixture(scope="module")
def validated(tmp_path_factory):
    """Everything of five frames of two sources and of two gradients, with pictures of the routes, cut off at 1.0."""
    folder = tmp_path_factory.mktemp("validate")
    rows = []
    for seed, source in enumerate(("mine", "mine", "mine", "yours", "yours")):
        write_exr(folder / f"sanitize/{seed}.exr", street(seed), chromaticities=AWG4)
        rows.append(
            {
                "source": source,
                "frame": f"f{seed}",
                "file": f"{seed}.exr",
                "split": "test",
                "quarantine_reason": None,
            }
        )
    write_index(folder / "split", pl.DataFrame(rows, schema_overrides={"quarantine_reason": pl.String}))
    for route in ROUTES:
        for seed in (7, 8):
            cut = np.minimum(street(seed), 1.0)
            write_exr(folder / f"generate/{route}/000{seed}.exr", cut, chromaticities=AWG4)
    return folder, validate_all(
        folder / "sanitize",
        folder / "split",
        folder / "generate",
        folder / "validate",
        ValidateSettings(judged_size=64, gradients=2, gradient_size=96),
        Models(),
    )


def test_every_kind_is_there_for_every_frame(validated):
    folder, pictures = validated
    assert [one.kind for one in pictures] == [*(FOOTAGE, *RECONSTRUCTED) * 7, *np.repeat(ROUTES, 2)]
    assert all(one.path.is_file() for one in pictures)
    assert {path.name for path in (folder / "validate").iterdir()} == {FOOTAGE, *RECONSTRUCTED}
    assert {one.source for one in pictures} == {"mine", "yours", GRADIENTS, GENERATED}
    assert {name for one in pictures for name in one.figures} == set(FIGURES)


def test_footage_is_itself_and_plain_8_bits_lose_the_sun_and_ours_keep_it(validated):
    kinds = summary(validated[1])["mine"]

    def means(figure):
        return {kind: of[figure]["mean"] for kind, of in kinds.items() if figure in of}

    assert means("logc4_psnr")[FOOTAGE] > 80
    assert means("noise_floor_shift_stops")[FOOTAGE] < 0.02
    energy = means("source_energy_ratio")
    assert energy[SRGB_8BIT] < 0.05
    for kind in (FOOTAGE, LOGC4_8BIT, "expand", "merge", "fuse"):
        assert energy[kind] == pytest.approx(1, abs=0.1), kind
    assert energy[REINHARD_8BIT] < 1.3
    assert means("gap_share")[LOGC4_8BIT] > means("gap_share")["expand"]


def test_a_recovered_picture_is_fit_for_delivery_and_says_what_it_invented(validated):
    """By the command's defaults: nobody says which curve the picture has."""
    for path in (one.path for one in validated[1] if one.kind == "recover"):
        attributes = read_header(path).attributes
        assert attributes["hdrgenRoute"] == "recover"
        assert (attributes["hdrgenCurveAsked"], attributes["hdrgenStrength"]) == ("auto", 1)
        verdicts = {finding.rule: finding.verdict for finding in check_delivery(path).findings}
        assert verdicts["observed"] == "pass", "it has the matte, and what was seen is within display white"
        assert "fail" not in verdicts.values()


def test_a_recovered_picture_has_the_exposure_of_its_frame(validated):
    """No gain is aligned: plain sRGB at the frame's own exposure keeps 18 % grey, whatever curve is found."""
    for name in ("0", "4"):
        frame, recovered = (
            luminance(read_linear_awg4(validated[0] / "validate" / kind / f"f{name}.exr"), AWG4)
            for kind in (FOOTAGE, "recover")
        )
        grey = abs(np.log2(frame / 0.18)) < 0.05
        assert abs(np.median(np.log2(recovered[grey] / frame[grey]))) < 0.05


def test_each_source_has_its_own_frames_and_gradients_stand_without_the_routes(validated):
    figures = summary(validated[1])
    assert list(figures) == [GRADIENTS, "mine", "yours"]
    for source, kinds, frames in (
        ("mine", KINDS, 3),
        ("yours", KINDS, 2),
        (GRADIENTS, KINDS[: -len(ROUTES)], 2),
    ):
        assert list(figures[source]) == list(kinds)
        assert figures[source][FOOTAGE]["comb"]["count"] == frames
        verdicts = all_verdicts(validated[1]).filter(pl.col("source") == source)
        inputs = dict(verdicts.select("kind", "input").iter_rows())
        assert inputs == {kind: INPUT_OF[kind] for kind in kinds if kind in INPUT_OF}
    assert set(figures[GRADIENTS][FOOTAGE]) <= set(OF_GRADIENTS)


def test_gradients_show_the_steps_that_grain_hides(validated):
    kinds = summary(validated[1])[GRADIENTS]
    assert kinds[FOOTAGE]["banded_share"]["mean"] == 0
    for kind in (SRGB_8BIT, LOGC4_8BIT, REINHARD_8BIT):
        assert kinds[kind]["banded_share"]["mean"] > 0.8, kind
    assert kinds["expand"]["banded_share"]["mean"] < 0.5


def verdicts(pictures, kind):
    return all_verdicts(pictures).filter(pl.col("kind") == kind).to_dicts()


def of_kind(kind, figures, source="mine"):
    """Return pictures of a kind of which nothing but one or more figures is known, by frame."""
    frames = range(len(next(iter(figures.values()))))
    return [
        Validated(
            source,
            kind,
            f"{source}{i}",
            None,
            {name: float(v[i]) for name, v in figures.items()},
            None,
            None,
            None,
        )
        for i in frames
    ]


FRAMES = np.array([0.1, 0.3, 0.2, 0.4, 0.25, 0.35])


def test_a_kind_is_held_against_its_own_8_bit_input_and_not_against_srgb():
    pictures = [
        *of_kind(FOOTAGE, {"comb": FRAMES * 0.01}),
        *of_kind(SRGB_8BIT, {"comb": FRAMES * 0.01 + 0.05}),
        *of_kind(LOGC4_8BIT, {"comb": FRAMES * 0.01 + 0.9}),
        *of_kind("expand", {"comb": FRAMES * 0.01 + 0.2}),
    ]
    (row,) = all_verdicts(pictures).to_dicts()
    assert (row["kind"], row["input"], row["figure"]) == ("expand", LOGC4_8BIT, "comb")
    assert row["way_to_footage"] == pytest.approx(0.7 / 0.9)
    assert row["verdict"] == "between"


def test_better_than_footage_does_not_fall_short():
    pictures = [
        *of_kind(FOOTAGE, {"comb": FRAMES}),
        *of_kind(LOGC4_8BIT, {"comb": FRAMES + 0.1}),
        *of_kind("merge", {"comb": FRAMES - 0.08}),
        *of_kind("expand", {"comb": FRAMES + 0.3}),
    ]
    (merge,), (expand,) = verdicts(pictures, "merge"), verdicts(pictures, "expand")
    assert merge["way_to_footage"] > 1.5
    assert (merge["verdict"], expand["verdict"]) == ("as_footage", "falls_short")


def test_recovered_light_is_held_against_the_srgb_picture_it_begins_with():
    ones = np.ones(6)
    pictures = [
        *of_kind(FOOTAGE, {"source_energy_ratio": ones}),
        *of_kind(SRGB_8BIT, {"source_energy_ratio": ones * 2.0**-4}),
        *of_kind(LOGC4_8BIT, {"source_energy_ratio": ones}),
        *of_kind("recover", {"source_energy_ratio": ones * 2.0**-1}),
    ]
    (row,) = verdicts(pictures, "recover")
    assert (row["input"], row["verdict"]) == (SRGB_8BIT, "between")
    assert row["way_to_footage"] == pytest.approx(0.75)


def test_ratios_are_as_bad_above_one_as_below():
    ones = np.ones(6)
    pictures = [
        *of_kind(FOOTAGE, {"source_energy_ratio": ones}),
        *of_kind(REINHARD_8BIT, {"source_energy_ratio": ones * 0.5}),
        *of_kind("fuse", {"source_energy_ratio": ones * 4}),
    ]
    (row,) = verdicts(pictures, "fuse")
    assert row["way_to_footage"] == pytest.approx(-1)
    assert (row["figure"], row["verdict"]) == ("source_energy_ratio", "falls_short")


def test_differences_that_nobody_sees_are_no_verdict():
    small = FIGURES["source_energy_ratio"].least / 4
    ones = np.ones(6)
    pictures = [
        *of_kind(FOOTAGE, {"source_energy_ratio": ones}),
        *of_kind(REINHARD_8BIT, {"source_energy_ratio": ones + small}),
        *of_kind("fuse", {"source_energy_ratio": ones + 2 * small}),
    ]
    (row,) = verdicts(pictures, "fuse")
    assert (row["verdict"], row["way_to_footage"]) == ("open", None)
    pictures += of_kind(LOGC4_8BIT, {"source_energy_ratio": ones * 0.5})
    pictures += of_kind("merge", {"source_energy_ratio": ones + small})
    assert [row["verdict"] for row in verdicts(pictures, "merge")] == ["as_footage"]
    counts = decisive(summary(pictures), all_verdicts(pictures))["mine"]
    assert counts == {
        "merge": {"falls_short": 0, "as_footage": 1},
        "fuse": {"falls_short": 0, "as_footage": 0},
    }


def test_generated_pictures_are_judged_by_what_codes_left_and_not_by_what_they_show():
    good, bad = (
        {"comb": FRAMES, "clipped_fraction_-4": FRAMES},
        {"comb": FRAMES + 9, "clipped_fraction_-4": FRAMES + 9},
    )
    pictures = [*of_kind(FOOTAGE, good), *of_kind(LOGC4_8BIT, bad), *of_kind("brackets", bad, GENERATED)]
    (row,) = verdicts(pictures, "brackets")
    assert (row["figure"], row["verdict"]) == ("comb", "falls_short")


def test_tables_have_a_column_for_each_kind(validated, tmp_path):
    written = plots(validated[1])
    of_frames = {"source_energy_ratio_by_place", "gradients_banded_share_by_exposure"}
    assert set(written) == of_frames | {f"{m}_by_exposure" for m in LATITUDE} | {
        f"{m}_by_stop" for m in CONTINUITY
    }
    for name, table in written.items():
        assert set(table.columns) >= set((FOOTAGE, *RECONSTRUCTED) if name in of_frames else KINDS), name
    assert written["clipped_fraction_by_exposure"]["exposure_stops"].to_list() == [-4, -2, 0, 2, 4]
    levels = continuity_table(validated[1], "levels")
    assert {"levels_half_float", "levels_logc4_8bit"} <= set(levels.columns)
    assert levels["stop"].is_sorted()
    write_figures(tmp_path, summary(validated[1]), KEYS)
    assert read_figures(tmp_path) == summary(validated[1])


def test_the_strongest_sources_are_listed_with_what_each_kind_kept_of_them(validated):
    frames = [one for one in validated[1] if one.source in ("mine", "yours")]
    table = sources_table(frames, 4)
    assert table["place"].to_list() == [1, 2, 3, 4]
    assert table["energy"].is_sorted(descending=True)
    assert (table["row"] - 12.5).abs().max() < 1
    assert table[FOOTAGE].to_list() == pytest.approx([1] * 4, abs=1e-3)
    assert table[SRGB_8BIT].max() < 0.05


def test_nothing_to_list_makes_empty_tables(tmp_path):
    dim = np.full((32, 32, 3), 0.18, np.float32)
    write_exr(tmp_path / "s/0.exr", dim, chromaticities=AWG4)
    row = {"source": "mine", "frame": "f", "file": "0.exr", "split": "test", "quarantine_reason": None}
    write_index(tmp_path / "i", pl.DataFrame([row], schema_overrides={"quarantine_reason": pl.String}))
    settings = ValidateSettings(gradients=0)
    pictures = validate_all(tmp_path / "s", tmp_path / "i", None, tmp_path / "v", settings, Models())
    written = plots(pictures) | tables(pictures)
    for name in ("source_energy_ratio_by_place", "light_sources", "gradients_banded_share_by_exposure"):
        assert written[name].is_empty(), name
    assert tuple(written["light_sources"].columns) == PLACE
    # One frame proves nothing.
    assert written["verdicts"]["verdict"].unique().to_list() == ["open"]


def test_the_sun_in_the_corner_of_a_large_frame_is_in_the_part_that_is_judged():
    frame = np.full((200, 400, 3), 0.2, np.float32)
    frame[4:8, 390:394] = 500
    assert brightest_part(frame, 100).shape == (100, 100, 3)
    assert (brightest_part(frame, 100) == 500).any(-1).sum() == 16
    assert brightest_part(frame, 1000).shape == frame.shape


def test_gradients_are_smooth_coloured_and_always_the_same():
    (name, light), (_, other) = smooth_gradients(2, 96, seed=1)
    assert name == "gradient_00"
    assert light.shape == (96, 96, 3)
    assert np.abs(np.diff(np.log2(light), axis=1)).max() < 0.2
    assert np.ptp(light - light.mean(-1, keepdims=True)) > 0.01
    assert not np.array_equal(light, other)
    assert np.array_equal(light, next(smooth_gradients(1, 96, seed=1))[1])
    assert not np.array_equal(light, next(smooth_gradients(1, 96, seed=2))[1])


def test_a_route_without_pictures_is_said(tmp_path):
    with pytest.raises(HdrgenError, match=r"brackets: holds no \.exr files; run the stage generate"):
        generated(tmp_path)


def test_a_picture_with_nan_is_said(tmp_path):
    light = street(0)
    light[0, 0] = np.nan
    write_exr(tmp_path / "nan.exr", light, chromaticities=AWG4, allow_nonfinite=True)
    with pytest.raises(HdrgenError, match=r"nan\.exr: holds NaN or Inf"):
        production_pictures.read_linear_awg4(tmp_path / "nan.exr")
