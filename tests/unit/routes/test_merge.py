"""Between a scene-linear picture and a stack of its exposures."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from hdrgen.colour.logc import LOGC4_CEILING, logc4_encode
from hdrgen.colour.primaries import AP1, AWG4, REC709, convert_primaries
from hdrgen.images.code_image import read_code, write_code
from hdrgen.images.exr import read_exr, write_exr
from hdrgen.routes.bracket import bracket_file, bracket_suffix, name_and_ev
from hdrgen.routes.merge import merge_files
from hdrgen.routes.stack import read_stack
from hdrgen.routes.write_exr import ExrWriter
from hdrgen.runtime.errors import HdrgenError

EVS = (-2.0, 0.0, 2.0, 4.0)
AWG4_EXR = ExrWriter("linear_awg4")


def scene(height=64, width=96) -> np.ndarray:
    """Return smooth light from 0.003 to some 1,500: more than one LogC4 picture holds."""
    stops = cv2.resize(
        np.random.default_rng(0).uniform(-6, 6, (4, 6, 3)), (width, height), interpolation=cv2.INTER_CUBIC
    )
    linear = (2.0**stops * 0.18).astype(np.float32)
    linear[20:30, 30:40] = 1500
    return linear


def never():
    raise AssertionError("the network was asked for")


@pytest.fixture
def bracketed(tmp_path):
    """Bracket a scene; return the light and the PNGs."""

    def make(evs=EVS, **how) -> SimpleNamespace:
        linear = scene()
        write_exr(tmp_path / "shot.exr", linear, chromaticities=AWG4, pixel_type="float")
        paths = [tmp_path / f"shot{bracket_suffix(ev)}" for ev in evs]
        done = bracket_file(tmp_path / "shot.exr", paths, evs, **how)
        return SimpleNamespace(linear=linear, paths=paths, done=done, out=tmp_path / "out.exr")

    return make


@pytest.mark.parametrize("bits", [8, 16])
def test_a_bracket_shows_light_times_two_to_its_ev(bracketed, bits):
    """Codes, text, names, and the share above each ceiling."""
    made = bracketed(bits=bits)
    assert [path.name for path in made.paths] == [f"shot_ev{ev}.png" for ev in ("-2", "+0", "+2", "+4")]
    for path, ev, share in zip(made.paths, EVS, made.done.clipped_fractions, strict=True):
        picture = read_code(path)
        assert picture.bits == bits
        code = np.clip(logc4_encode(made.linear * 2**ev), 0, 1) * (2**bits - 1)
        assert np.abs(picture.code - code).max() <= 0.5 + 2**bits * 1e-6
        said = dict(picture.text)
        assert said.pop("hdrgen:version")
        assert said == {"hdrgen:encoding": "logc4", "hdrgen:primaries": "awg4", "hdrgen:ev": f"{ev:g}"}
        assert share == (made.linear > LOGC4_CEILING / 2**ev).any(axis=-1).mean()
    assert made.done.clipped_fractions[0] == 0 < made.done.clipped_fractions[1]


def test_brackets_are_in_the_primaries_of_their_encoding(tmp_path):
    linear = scene() / 1500
    write_exr(tmp_path / "a.exr", linear, chromaticities=AP1, alpha=np.ones(linear.shape[:2], np.float32))
    done = bracket_file(tmp_path / "a.exr", [tmp_path / "a.png"], [0.0], encoding="srgb", bits=16)
    picture = read_code(tmp_path / "a.png")
    assert picture.text["hdrgen:primaries"] == "rec709"
    decoded = np.where(
        picture.code < 2650, picture.code / 12.92, 65535 * ((picture.code / 65535 + 0.055) / 1.055) ** 2.4
    )
    expected = np.clip(convert_primaries(linear.astype(np.float16).astype(np.float32), AP1, REC709), 0, 1)
    np.testing.assert_allclose(decoded / 65535, expected, atol=5e-5)
    assert done.notes == ("alpha was dropped",)


def test_all_brackets_are_written_or_none(tmp_path):
    write_exr(tmp_path / "a.exr", scene(), chromaticities=AP1, pixel_type="float")
    (tmp_path / "b.png").mkdir()
    with pytest.raises(HdrgenError, match="cannot be written"):
        bracket_file(tmp_path / "a.exr", [tmp_path / "a.png", tmp_path / "b.png"], [0, 2])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.exr", "b.png"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shot_ev-2.png", ("shot", -2)),
        ("a.0001_ev+0.5.png", ("a.0001", 0.5)),
        ("a-EV4.jpg", ("a", 4)),
        ("level2.png", ("level2", None)),
        ("ev2.png", ("ev2", None)),
    ],
)
def test_names_say_evs(name, expected):
    assert name_and_ev(Path(name)) == expected


@pytest.mark.parametrize(("bits", "worst_stops"), [(8, 0.05), (16, 0.002)])
def test_merging_undoes_bracketing(bracketed, bits, worst_stops):
    """Also where only the darkest bracket is not clipped; the EVs and the curve are read from the pictures."""
    made = bracketed(bits=bits)
    paths = [made.paths[i] for i in (2, 0, 3, 1)]
    done = merge_files(paths, made.out, never, method="closed", writer=AWG4_EXR)
    image = read_exr(made.out)
    lit = made.linear > 0.02
    assert np.abs(np.log2(image.rgb[lit] / made.linear[lit])).max() < worst_stops
    assert image.rgb[25, 35] == pytest.approx(1500, rel=0.03)
    assert (done.evs, done.evs_from, done.encoding) == (EVS, "text", "logc4")
    assert done.notes == ("EVs 2 -2 4 0, as the pictures say",)
    assert [Path(source).name for source in done.sources] == [path.name for path in made.paths]
    assert image.attributes["hdrgenRoute"] == "brackets"
    assert image.attributes["hdrgenSourceEvs"] == "-2 0 2 4"
    assert image.attributes["hdrgenMethod"] == "closed"
    assert "hdrgenWeights" not in image.attributes


@pytest.mark.parametrize("method", ["debevec", "robertson"])
def test_classical_methods_see_the_same_light(bracketed, method):
    made = bracketed()
    merge_files(made.paths, made.out, never, method=method, writer=AWG4_EXR)
    middle = (made.linear > 0.1) & (made.linear < 8)
    assert np.median(np.abs(np.log2(read_exr(made.out).rgb[middle] / made.linear[middle]))) < 0.15


class Remembering:
    """A merger that remembers what it was given and answers with one value."""

    digest = "feedfacebeef"

    def __init__(self, answer=12.5):
        self.answer = answer

    def merge(self, codes, tables, evs, *, reference, occluded=None, threads=2):
        self.given = SimpleNamespace(
            codes=codes, tables=tables, evs=evs, reference=reference, occluded=occluded, threads=threads
        )
        height, width, _ = codes[0].shape
        seen = np.full((height, width), 0.5, np.float32)
        return SimpleNamespace(linear=np.full((height, width, 3), self.answer, np.float32), confidence=seen)


def test_the_merger_gets_the_stack_darkest_first(bracketed):
    made = bracketed()
    merger = Remembering()
    done = merge_files(made.paths[::-1], made.out, lambda: merger, align=False, reference_ev=2, threads=3)
    given = merger.given
    assert (given.evs, given.reference, given.occluded, given.threads) == (EVS, 2, None, 3)
    for code, table, path in zip(given.codes, given.tables, made.paths, strict=True):
        np.testing.assert_array_equal(code, read_code(path).code)
        assert len(table.log2) == 256
    assert given.tables[0].log2[255] == pytest.approx(np.log2(4 * LOGC4_CEILING + 0.01), abs=1e-3)
    image = read_exr(made.out)
    np.testing.assert_allclose(image.rgb, 12.5, rtol=2e-3)
    assert image.attributes["hdrgenWeights"] == "feedfacebeef"
    assert done.unseen_share == 1


def test_what_moved_is_aligned_with_the_reference(tmp_path):
    """A bracket that alignment moves comes with the tables of its 16 bits; a static stack comes as it is."""
    texture = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 9, (160, 200, 3)), (0, 0), 3)
    linear = (0.18 * 2.0 ** np.clip(texture * 3, -4, 4)).astype(np.float32)
    paths = []
    for ev, shift in ((0.0, 0), (2.0, 6)):
        write_exr(tmp_path / "a.exr", np.roll(linear, shift, axis=1), chromaticities=AWG4, pixel_type="float")
        paths.append(tmp_path / f"a{bracket_suffix(ev)}")
        bracket_file(tmp_path / "a.exr", paths[-1:], [ev])
    merger = Remembering()
    merge_files(paths, tmp_path / "out.exr", lambda: merger)
    given = merger.given
    assert [code.dtype for code in given.codes] == [np.uint8, np.uint16]
    assert [len(table.log2) for table in given.tables] == [256, 65536]
    log2 = [table.log2[code][:, 30:170] for code, table in zip(given.codes, given.tables, strict=True)]
    assert np.median(np.abs(log2[0] - log2[1])) < 0.1
    merge_files(paths, tmp_path / "out.exr", lambda: merger, align=False)
    log2 = [
        table.log2[code][:, 30:170]
        for code, table in zip(merger.given.codes, merger.given.tables, strict=True)
    ]
    assert np.median(np.abs(log2[0] - log2[1])) > 0.3


@pytest.mark.parametrize("name", ["seen.exr", "seen.png"])
def test_confidence_is_nothing_where_nothing_but_clipping_was(bracketed, tmp_path, name):
    """The lamp is beyond every bracket from EV 0 on."""
    made = bracketed(evs=(0.0, 2.0))
    done = merge_files(made.paths, made.out, never, method="closed", confidence_target=tmp_path / name)
    seen = read_exr(tmp_path / name).rgb if name.endswith("exr") else read_code(tmp_path / name).code / 255
    lamp = np.zeros(seen.shape[:2], bool)
    lamp[20:30, 30:40] = True
    assert (seen[lamp] == 0).all()
    assert (seen[~lamp] > 0).mean() > 0.99
    assert done.unseen_share == (seen < 1).any(axis=-1).mean()


def test_confidence_and_exr_are_written_or_neither(bracketed, tmp_path):
    made = bracketed()
    before = set(tmp_path.iterdir())
    with pytest.raises(HdrgenError, match="beyond the half range"):
        merge_files(made.paths, made.out, lambda: Remembering(1e6), confidence_target=tmp_path / "seen.png")
    assert set(tmp_path.iterdir()) == before
    clamp = ExrWriter(overflow="clamp")
    done = merge_files(made.paths, made.out, lambda: Remembering(1e6), writer=clamp)
    assert done.maximum_linear == 65504
    assert "clamped to 65504" in done.notes[-1]


def test_linear_exposures_are_exrs(tmp_path):
    """Each in its own primaries; the result in those of the first."""
    linear = scene() / 20
    paths = [tmp_path / "dark_ev-3.exr", tmp_path / "bright_ev0.exr"]
    write_exr(paths[0], linear / 8, chromaticities=AWG4)
    write_exr(paths[1], convert_primaries(linear, AWG4, AP1), chromaticities=AP1)
    done = merge_files(paths, tmp_path / "out.exr", never, method="closed", writer=AWG4_EXR)
    image = read_exr(tmp_path / "out.exr")
    np.testing.assert_allclose(image.rgb, linear, rtol=0.01, atol=5e-4)
    assert (done.encoding, done.evs_from) == ("Linear ARRI Wide Gamut 4", "names")
    with pytest.raises(HdrgenError, match=r"dark_ev-3\.exr: holds linear light, not logc4"):
        merge_files(paths, tmp_path / "out.exr", never, encoding="logc4")


# Where the EVs are from.


def without_text(paths, names=("a.png", "b.png", "c.png", "d.png"), **exif_times):
    """Save brackets again as another program would, under names that say nothing, but for their encoding."""
    plain = []
    for path, name in zip(paths, names, strict=False):
        plain.append(path.with_name(name))
        exif = Image.Exif()
        if name in exif_times:
            exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] = exif_times[name]
        said = PngInfo()
        said.add_text("hdrgen:encoding", "logc4")
        Image.fromarray(read_code(path).code).save(plain[-1], exif=exif.tobytes(), pnginfo=said)
    return plain


def test_evs_are_said_by_text_then_names_then_exif_then_pictures(bracketed):
    made = bracketed()
    assert read_stack(made.paths).evs_from == "text"
    named = without_text(made.paths, [f"edited_ev{ev:g}.png" for ev in EVS])
    assert read_stack(named).evs_from == "names"
    assert read_stack(named).evs == EVS
    assert read_stack(without_text(made.paths)).evs_from == "estimate"
    times = dict(zip(("a.png", "b.png", "c.png", "d.png"), (1 / 400, 1 / 100, 1 / 25, 4 / 25), strict=True))
    exif = read_stack(without_text(made.paths, **times))
    assert exif.evs_from == "exif"
    assert exif.evs == (-2, 0, 2, 4)
    assert exif.notes[-1] == "EVs -2 0 2 4, from EXIF"
    assert read_stack(made.paths, evs="auto").evs_from == "estimate"
    given = read_stack(made.paths, evs=(-2.1, 0, 2, 4))
    assert (given.evs_from, given.evs[0], given.notes) == ("given", -2.1, ())


def test_estimated_evs_are_near_the_truth(bracketed):
    made = bracketed()
    stack = read_stack(without_text(made.paths)[::-1])
    np.testing.assert_allclose(np.diff(stack.evs), 2, atol=0.15)
    assert stack.evs[1] == 0
    assert [path.name for path in stack.paths] == ["a.png", "b.png", "c.png", "d.png"]
    assert "estimated from the pictures; give --ev if not" in stack.notes[-1]


def test_exif_that_the_pictures_contradict_is_believed_with_a_note(bracketed):
    """A camera's tone curve makes steps look larger; what a person says is refused."""
    paths = without_text(bracketed().paths[:2], **{"a.png": 1 / 100, "b.png": 1 / 99})
    stack = read_stack(paths)
    assert stack.evs_from == "exif"
    assert "the pictures say" in stack.notes[-1]
    with pytest.raises(HdrgenError, match=r"a\.png, .*b\.png: the EVs given are 0 8, but the pictures say"):
        read_stack(paths, evs=(0, 8))


# What is refused.


def test_what_does_not_belong_together_is_named(bracketed, tmp_path):
    made = bracketed()
    first, second = made.paths[:2]
    small, srgb = tmp_path / "small.png", tmp_path / "srgb.png"
    write_code(small, read_code(second).code[:20])
    write_code(srgb, read_code(second).code, text={"hdrgen:encoding": "srgb"})
    for paths, how, reason in [
        (
            [first, small],
            {},
            r"ev-2\.png is 96x64 and .*small\.png is 96x20: the exposures must have one size",
        ),
        ([first], {}, r"ev-2\.png: one exposure is no stack; `hdrgen expand`"),
        ([tmp_path / f"{i}.png" for i in range(65)], {}, r"0\.png and 64 others: more than 64 pictures"),
        ([first, first], {}, r"ev-2\.png: is given twice"),
        ([first, second], {"evs": (0, 1, 2)}, r"are 2 pictures, but there are 3 EVs: 0 1 2"),
        ([first, second], {"evs": (2, 2)}, r"the EVs given are 2 2, but the pictures say -?\d"),
        ([first, second], {"evs": (2, 0)}, r"the order is reversed"),
        ([first, second], {"evs": (0, 6)}, r"the EVs given are 0 6, but the pictures say"),
        ([first, srgb], {}, r"ev-2\.png is logc4 and .*srgb\.png is srgb; give --encoding"),
        ([first, tmp_path / "shot.exr"], {}, r"shot\.exr holds linear light and .*ev-2\.png does not"),
        ([first, tmp_path / "gone.png"], {}, r"gone\.png: cannot be read"),
    ]:
        with pytest.raises(HdrgenError, match=reason):
            read_stack(paths, **how)


def test_one_picture_under_two_names_is_refused(tmp_path):
    """Its noise would count as agreement."""
    code8 = np.random.default_rng(0).integers(60, 200, (64, 64, 3), np.uint8)
    for name in ("a.png", "b.png"):
        write_code(tmp_path / name, code8, text={"hdrgen:encoding": "logc4", "hdrgen:ev": "2"})
    for evs in (None, "auto"):
        with pytest.raises(HdrgenError, match=r"a\.png and .*b\.png hold the same picture; leave one out"):
            read_stack([tmp_path / "a.png", tmp_path / "b.png"], evs=evs)


@pytest.mark.parametrize(
    ("target", "how", "reason"),
    [
        ("out.png", {}, "merged pictures are written as .exr"),
        ("out.exr", {"method": "magic"}, "unknown method 'magic'; known are learned, closed"),
        ("out.exr", {"reference_ev": 7}, "no exposure has EV 7 to be the reference; there are -2 0 2 4"),
        ("out.exr", {"confidence_target": Path("a.jpg")}, "a.jpg: the confidence is written as .exr or .png"),
    ],
)
def test_wrong_options_are_refused(bracketed, tmp_path, target, how, reason):
    with pytest.raises(HdrgenError, match=reason):
        merge_files(bracketed().paths, tmp_path / target, never, **how)
