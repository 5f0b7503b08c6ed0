"""`hdrgen check` on folders: which files are frames of one sequence, told by names as people write them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hdrgen.colour.primaries import AP1
from hdrgen.images.exr import write_exr
from hdrgen.qc.check import check_sequence
from hdrgen.qc.rules import DeliveryRules


def said(names: str, **sequence) -> list[tuple[str, str]]:
    """Return verdicts and words on files called by these stems."""
    rules = DeliveryRules(sequence=sequence)
    return said_of([f"{name}.exr" for name in names.split()], rules)


def said_of(names: list[str], rules: DeliveryRules | None = None) -> list[tuple[str, str]]:
    findings = check_sequence(Path(), [Path(name) for name in names], rules).findings
    return [(finding.verdict, finding.why) for finding in findings]


@pytest.fixture
def folder(tmp_path):
    """Return a function that makes a folder of small pictures called by these stems."""
    picture = tmp_path / "picture.exr"
    write_exr(picture, np.full((8, 8, 3), 0.5, np.float32), chromaticities=AP1)

    def make(names: str) -> Path:
        made = tmp_path / "delivery"
        made.mkdir()
        for name in names.split():
            shutil.copy(picture, made / f"{name}.exr")
        return made

    return make


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ("a.1001_v02 a.1002_v02 a.1004_v02", "a.#_v02: 1 of 1001-1004 missing: 1003"),
        ("a.1001.left a.1003.left", "a.#.left: 1 of 1001-1003 missing: 1002"),
        ("a_1001_beauty a_1004_beauty", "a_#_beauty: 2 of 1001-1004 missing: 1002-1003"),
        ("a-0001 a-0003", "a-: 1 of 1-3 missing: 2"),
        ("sh010_v003.1001 sh010_v003.1003", "sh010_v003.: 1 of 1001-1003 missing: 1002"),
    ],
)
def test_a_missing_frame_fails_the_folder(cli, folder, names, why):
    """Wherever the number stands: exit code 1 and the frame's number."""
    done = cli("check", folder(names), "--json")
    first = json.loads(done.out)["files"][0]
    assert done.code == 1
    assert [(f["rule"], f["verdict"], f["why"]) for f in first["findings"]] == [("sequence", "fail", why)]


@pytest.mark.parametrize(
    "names", ["sh010 sh020 sh030", "comp_v001 comp_v002", "comp_v001 comp_v003", "a_2k a_4k"]
)
def test_shots_and_versions_do_not_fail_the_folder(cli, folder, names):
    done = cli("check", folder(names), "--json")
    first = json.loads(done.out)["files"][0]
    assert (done.code, first["fit"]) == (0, True)
    assert [f["verdict"] for f in first["findings"]] == ["pass"]
    assert "not taken for frames" in first["findings"][0]["why"]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ("0001 0002 0004", "#: 1 of 1-4 missing: 3"),
        ("beauty0001 beauty0003", "beauty: 1 of 1-3 missing: 2"),
        ("a.frame_1001.v2 a.frame_1003.v2", "a.frame_#.v2: 1 of 1001-1003 missing: 1002"),
        ("sh010f1001 sh010f1003", "sh010f: 1 of 1001-1003 missing: 1002"),
        ("shot_0001 shot_0003", "shot_: 1 of 1-3 missing: 2"),
        ("scene.001 scene.003", "scene.: 1 of 1-3 missing: 2"),
        ("frame_1 frame_3", "frame_: 1 of 1-3 missing: 2"),
        ("f10 f20 f40", "f: 1 of 10-40 by 10 missing: 30"),
        ("img001 img002 img004", "img: 1 of 1-4 missing: 3"),
        ("render.001 render.002 render.004", "render.: 1 of 1-4 missing: 3"),
        ("render.00001 render.00002 render.00004", "render.: 1 of 1-4 missing: 3"),
        ("A002_C029_001 A002_C029_003", "A002_C029_: 1 of 1-3 missing: 2"),
        ("a_1920x1080.1001 a_1920x1080.1003", "a_1920x1080.: 1 of 1001-1003 missing: 1002"),
        ("a_20240105_1001 a_20240105_1003", "a_20240105_: 1 of 1001-1003 missing: 1002"),
        ("a_v1_1001_beauty2 a_v1_1003_beauty2", "a_v1_#_beauty2: 1 of 1001-1003 missing: 1002"),
        ("seq_010_0010_v3.1001 seq_010_0010_v3.1003", "seq_010_0010_v3.: 1 of 1001-1003 missing: 1002"),
        ("a.left.1001 a.left.1003", "a.left.: 1 of 1001-1003 missing: 1002"),
        ("a.%V.1001 a.%V.1003", "a.%V.: 1 of 1001-1003 missing: 1002"),
        ("a.-0002 a.-0001 a.0000 a.0002", "a.: 1 of -2 to 2 missing: 1"),
        ("a.-103 a.-101", "a.: 1 of -103 to -101 missing: -102"),
        ("a.1001 a.1002 a.1004 a.1008 a.1009", "a.: 4 of 1001-1009 missing: 1003, 1005-1007"),
        ("a.1001 a.1003 a.1005 a.1009", "a.: 1 of 1001-1009 by 2 missing: 1007"),
        ("a.1001 a.1011 a.1031", "a.: 1 of 1001-1031 by 10 missing: 1021"),
        ("a.000000001 a.900000001", "a.: 899999999 of 1-900000001 missing: 2-900000000"),
    ],
)
def test_a_missing_frame_is_found_in_names_as_programs_write_them(names, why):
    assert said(names) == [("fail", why)]


def test_many_gaps_are_counted_not_listed():
    """Every third frame of three is missing."""
    (verdict, why), *_ = said(" ".join(f"a.{1000 + n}" for n in range(60) if n % 3))
    assert verdict == "fail"
    assert (
        why == "a.: 19 of 1001-1059 missing: 1003, 1006, 1009, 1012, 1015, 1018, 1021, 1024, and 11 more gaps"
    )


@pytest.mark.parametrize(
    "names",
    [
        "a_1280x720 a_1920x1080",
        "render_20240105 render_20240107",
        "render_2024-01-05 render_2024-01-08",
        "compV001 compV003",
        "comp_ver_1 comp_ver_3",
        "cam1 cam3",
        "take1 take4",
        "s01e02 s01e04",
        "SH0010 SH0030",
        "a_ev-2 a_ev0 a_ev+2",
        "a(1) a(3)",
        "12345678901234567890 99999999999999999999",
        "frame1 frame99999999999999999999",
        "v001 v002 v004",
        "A002C001 A002C002 A002C004",
        "s01e001 s01e002 s01e004",
        "sh0010 sh0020 sh0025 sh0027",
        "sh010 sh020 sh040",
        "plate left right",
    ],
)
def test_what_counts_other_things_is_no_sequence(names):
    assert {verdict for verdict, _ in said(names)} <= {"pass"}
    assert not any("missing" in why for _, why in said(names))


@pytest.mark.parametrize(
    "names",
    [
        "light1 light3",
        "shot_010 shot_012",
        "a_010 a_020 a_040",
        "a_10 a_20 a_30",
        "ab_0010 ab_0020",
        "ABC_0010 ABC_0015 ABC_0030",
        "ABC_0010_comp_v001 ABC_0015_comp_v001 ABC_0030_comp_v001",
        "ABC0010 ABC0015 ABC0030",
        "ABC_0010 ABC_0020 ABC_0025 ABC_0027",
        "ABC_0010 ABC_010",
        "studio_small_03_4k studio_small_08_4k studio_small_09_4k",
        "a.1 a.2 a.4",
        "a.01 a.02 a.04",
        "1 2 4",
        "scene.1 scene.3",
        "a.-3 a.-1",
        "a.1 a.01 a.3 a.2",
        "shot1001 shot1003",
        "shot001 shot002 shot004",
        "shot999 shot1000 shot1002",
        "comp_v0001 comp_v0002 comp_v0004",
        "A001C0001 A001C0002 A001C0004",
    ],
)
def test_what_may_count_either_is_asked(names):
    """Few digits, numbers by fives or tens, and versions of four digits."""
    (verdict, _), *more = said(names)
    assert (verdict, more) == ("warn", [])


_WORDS = (
    "shot scene ViewLayer clip_take3 cam clip seq take part layer sc sh render_layer plate_roll beauty_sh "
    "comp_v2 SHOT Camera ep01_sc02_shot"
)


@pytest.mark.parametrize("word", _WORDS.split())
def test_frames_right_behind_any_word_are_found(word):
    """Blender puts four digits behind the name that it is given: //shot makes shot1001.exr."""
    lacking = said(f"{word}1001 {word}1002 {word}1004")
    assert [verdict for verdict, _ in lacking] == ["fail"]
    assert lacking[0][1].endswith("1003")
    whole = said(f"{word}1001 {word}1002 {word}1003")
    assert [verdict for verdict, _ in whole] == ["pass"]
    assert whole[0][1].endswith("3 frames")


@pytest.mark.parametrize(
    "name", ["render ({})", "a_{}a", "a_{}fps24", "shot{}_v02", "shot{}_L", "take{}.beauty"]
)
def test_frames_are_found_whatever_stands_around_them(name):
    (verdict, why), *more = said_of([f"{name.format(n)}.exr" for n in (1001, 1002, 1004)])
    assert (verdict, more) == ("fail", [])
    assert why.endswith("missing: 1003")


@pytest.mark.parametrize(
    ("names", "verdict"),
    [
        (["a.0001.exr", "a.0002.EXR", "a.0003.exr"], "pass"),
        (["a.0001.exr", "a.0002.EXR", "a.0004.Exr"], "fail"),
    ],
)
def test_the_case_of_a_suffix_does_not_matter(names, verdict):
    assert [verdict for verdict, _ in said_of(names)] == [verdict]


def test_files_that_differ_in_the_case_of_the_suffix_only_are_no_sequence():
    assert said_of(["a.0001.exr", "a.0001.EXR"]) == []


def test_a_frame_of_many_shots_lacks_none():
    """One frame each, as stills for the edit are."""
    assert {verdict for verdict, _ in said("sh010.1001 sh020.1001 sh040.1001")} == {"pass"}
    assert said("sh010.1001 sh020.1005") == [
        ("pass", "sh010.: 1001 alone"),
        ("pass", "sh020.: 1005 alone"),
    ]


def test_doubt_ends_where_a_show_says_how_its_frames_step():
    assert [verdict for verdict, _ in said("a.1 a.3", step=1)] == ["fail"]
    assert [verdict for verdict, _ in said("a_0010 a_0020", step=1)] == ["fail"]


@pytest.mark.parametrize(
    ("names", "code", "verdict"),
    [
        ("shot1001 shot1002 shot1004", 1, "fail"),
        ("ViewLayer0001 ViewLayer0002 ViewLayer0004", 1, "fail"),
        ("clip_take31001 clip_take31002 clip_take31004", 1, "fail"),
        ("shot1001 shot1002 shot1003", 0, "pass"),
        ("ABC_0010_comp_v001 ABC_0015_comp_v001 ABC_0030_comp_v001", 0, "warn"),
        ("studio_small_03_4k studio_small_08_4k studio_small_09_4k", 0, "warn"),
    ],
)
def test_the_exit_code_follows_what_numbers_may_mean(cli, folder, names, code, verdict):
    done = cli("check", folder(names), "--json")
    first = json.loads(done.out)["files"][0]
    assert (done.code, [f["verdict"] for f in first["findings"]]) == (code, [verdict])


def test_a_folder_with_suffixes_of_both_cases_is_whole(cli, folder):
    made = folder("a.0001 a.0002 a.0003")
    (made / "a.0002.exr").rename(made / "a.0002.EXR")
    done = cli("check", made, "--json")
    first, *pictures = json.loads(done.out)["files"]
    assert (done.code, len(pictures)) == (0, 3)
    assert [f["why"] for f in first["findings"]] == ["a.: 1-3, 3 frames"]


def test_views_layers_versions_and_shots_are_sequences_of_their_own():
    left, right = "a.left.1001 a.left.1002", "a.right.1001 a.right.1002"
    assert said(f"{left} {right}") == [
        ("pass", "a.left.: 1001-1002, 2 frames"),
        ("pass", "a.right.: 1001-1002, 2 frames"),
    ]
    assert said("a_1001_beauty a_1002_beauty a_1001_N a_1003_N") == [
        ("fail", "a_#_N: 1 of 1001-1003 missing: 1002"),
        ("pass", "a_#_beauty: 1001-1002, 2 frames"),
    ]
    assert said("c_v01.1001 c_v01.1002 c_v02.1001 c_v02.1003") == [
        ("pass", "c_v01.: 1001-1002, 2 frames"),
        ("fail", "c_v02.: 1 of 1001-1003 missing: 1002"),
    ]
    assert said("sh010.1001 sh010.1002 sh020.1050 sh020.1052") == [
        ("pass", "sh010.: 1001-1002, 2 frames"),
        ("fail", "sh020.: 1 of 1050-1052 missing: 1051"),
    ]
    assert said("crypto00.1001 crypto00.1002 crypto02.1001 crypto02.1002") == [
        ("pass", "crypto00.: 1001-1002, 2 frames"),
        ("pass", "crypto02.: 1001-1002, 2 frames"),
    ]
    # The version changed half way: the frame is missing in both.
    assert ("fail", "a.#_v02: 1 of 1001-1003 missing: 1002") in said("a.1001_v02 a.1002_v03 a.1003_v02")


def test_a_view_that_ends_early_is_asked_about():
    assert said("a.1001.left a.1002.left a.1003.left a.1001.right a.1002.right")[-1] == (
        "warn",
        "views of different lengths: a.#.left: 1001-1003, a.#.right: 1001-1002",
    )


def test_a_step_is_said():
    """Three frames or more show one; of two nobody knows."""
    assert said("a.1001 a.1003 a.1005") == [("warn", "a.: 1001-1005 by 2, 3 frames")]
    assert said("a.1001 a.1003") == [("fail", "a.: 1 of 1001-1003 missing: 1002")]
    assert said("a.1001 a.1003 a.1005", step=2) == [("pass", "a.: 1001-1005 by 2, 3 frames")]
    assert said("a.1001 a.1003 a.1005", step=1) == [("fail", "a.: 2 of 1001-1005 missing: 1002, 1004")]


@pytest.mark.parametrize(
    ("names", "alike"),
    [
        ("a.9 a.10 a.11", True),
        ("a.0 a.1 a.2", True),
        ("a.9999 a.10000 a.10001", True),
        ("a.0999 a.1000", True),
        ("a.-0001 a.0000 a.0001", True),
        ("a.-001 a.0000 a.0001", True),
        ("a.-1 a.0 a.1", True),
        ("a.0009 a.10", False),
        ("a.09 a.010", False),
        ("a.100 a.0100 a.101", False),
        ("a.0 a.0001", False),
    ],
)
def test_numbers_are_padded_alike(names, alike):
    """A number longer than the padding is no other padding, and a sign may count in it, as printf has it."""
    verdicts = said(names)
    assert any("different lengths" in why for _, why in verdicts) == (not alike)
    assert {verdict for verdict, _ in verdicts} == {"pass" if alike else "fail"}


def test_a_show_says_where_the_frame_is():
    """By a regular expression where names are its own."""
    frame = r"^f([0-9]+)of"
    assert said("f1of9_x f3of9_x plate1", frame=frame) == [("fail", "f#of9_x: 1 of 1-3 missing: 2")]
    assert said("sh010 sh011 sh013", frame=r"sh([0-9]+)") == [("fail", "sh: 1 of 10-13 missing: 12")]


def test_a_pattern_without_a_frame_is_refused(cli, folder, tmp_path):
    rules = tmp_path / "show.yaml"
    rules.write_text("delivery: {sequence: {frame: 'f[0-9]+'}}")
    done = cli("check", folder("a.1 a.2"), "--rules", rules)
    assert done.code == 2
    assert "delivery.sequence.frame" in done.err
    assert "group" in done.err


def test_frames_of_other_suffixes_are_not_counted():
    """A sequence is read by one pattern of its name."""
    files = [Path("a.1001.exr"), Path("a.1002.sxr"), Path("a.1003.exr")]
    assert [f.why for f in check_sequence(Path(), files).findings] == ["a.: 1 of 1001-1003 missing: 1002"]
