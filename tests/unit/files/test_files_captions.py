"""Captions hold what people and models write: other ends of lines, quotation marks, NUL, half a character, dollars."""

import csv
import json
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import polars as pl
import pytest
import yaml

from hdrgen.cli import run
from hdrgen.colour.primaries import AP1, AWG4
from hdrgen.dataset.captions.captioning import Caption, read_captions, write_captions
from hdrgen.dataset.captions.light import MeasuredLight
from hdrgen.dataset.frame_index import write_index
from hdrgen.dataset.pairs.prompts import with_prompts
from hdrgen.evaluation.captions import write_tag_frequencies
from hdrgen.images.exr import write_exr
from hdrgen.report.curves import plot_svg, read_plots
from hdrgen.report.page import write_report
from hdrgen.report.settings import ReportSettings
from hdrgen.routes.requests import read_prompts

ODD = {
    "line separator": "a lamp\u2028and a chair",
    "paragraph separator": "a lamp\u2029and a chair",
    "next line": "a lamp\x85and a chair",
    "other separators": "a\x0bb\x0cc\x1cd\x1de\x1ef",
    "lines": "a lamp\r\nand\ra\nchair",
    "NUL": "a lamp\0and a chair",
    "quotes": """a "lamp' <b>&amp; a `chair`""",
    "one quote": 'a 27" monitor',
    "dollars": r"from $^$ to $\foo$",
    "commas and tabs": "a, b;\tc",
    "beyond the first plane": "a lamp \U0001f3ee",
}
HALF = "half a character: \ud83d, half a byte: \udcff"


def _caption(text, frame="frame"):
    light = MeasuredLight(10.0, 3.0, 0.0, 0.0)
    return Caption(
        frame=frame,
        source="override",
        caption=text,
        prompts=("short", text),
        subject=text,
        place="",
        time_of_day="day",
        light_sources=(text,),
        tags=(text, "plain"),
        light=light,
    )


class _Texts(HTMLParser):
    """What a browser shows, and every picture's words."""

    def __init__(self, page):
        super().__init__()
        self.shown, self.alt = "", []
        self.feed(page)

    def handle_data(self, data):
        self.shown += data

    def handle_starttag(self, tag, attrs):
        assert tag not in {"script", "b\u2028"}
        self.alt += [value for name, value in attrs if name == "alt"]


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_every_text_comes_back_whole_from_the_file_of_captions(tmp_path, text):
    captions = {name: _caption(text, name) for name in ("a", "b")}
    path = tmp_path / "captions.jsonl"
    write_captions(path, type("Done", (), {"captions": captions}))
    assert read_captions(path) == captions
    assert [json.loads(line)["caption"] for line in path.read_bytes().split(b"\n")[:-1]] == [text, text]
    asked = with_prompts(pl.DataFrame({"frame": ["b"]}), path)
    assert asked["prompts"].to_list() == [["short", text]]


def test_half_a_character_is_a_question_mark_and_loses_nothing_else(tmp_path):
    path = tmp_path / "captions.jsonl"
    write_captions(path, type("Done", (), {"captions": {"f": _caption(HALF, "f\udcff")}}))
    (said,) = read_captions(path).values()
    assert (said.frame, said.caption) == ("f?", "half a character: ?, half a byte: ?")


def test_captions_of_headers_and_people_go_through_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scene = {
        "subject": "a",
        "place": "b",
        "time_of_day": "day",
        "light_sources": [{"name": "sun"}],
        "tags": ['27"'],
    }
    for number, text in enumerate(ODD.values()):
        write_exr(
            tmp_path / f"frames/{number:02}.exr",
            np.full((16, 16, 3), 0.18),
            chromaticities=AWG4,
            attributes={"hdrgenScene": json.dumps(scene | {"caption": text})},
        )
    overrides = {"frames/00.exr": {"caption": "by hand\u2028in two lines", "tags": ["x\u0085y"]}}
    (tmp_path / "words.yaml").write_text(yaml.safe_dump(overrides))
    assert run(["caption", "frames", "-o", "captions.jsonl", "--overrides", "words.yaml"]) == 0
    said = read_captions(tmp_path / "captions.jsonl")
    assert len(said) == len(ODD)
    assert said["frames/00.exr"].caption == "by hand\u2028in two lines"
    assert said["frames/01.exr"].caption.startswith(ODD["paragraph separator"])


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_tags_come_back_from_their_table_and_can_be_drawn(tmp_path, text):
    path = tmp_path / "metrics/caption/tags.tsv"
    write_tag_frequencies(path, [_caption(text, "a"), _caption("other", "b")])
    with path.open(newline="", encoding="utf-8") as stream:
        rows = [*csv.reader(stream, delimiter="\t")]
    plain = " ".join(text.replace("\0", " ").split())
    assert rows == [["tag", "frames"], ["plain", "2"], *sorted([["other", "1"], [plain, "1"]])]
    (plot,) = read_plots(
        [{"metrics/caption/tags.tsv": {"x": "frames", "y": "tag", "template": "bar_horizontal"}}]
    )
    drawn = ET.fromstring(plot_svg(plot, tmp_path))  # noqa: S314 - our own drawing
    assert plain in [
        "".join(one.itertext()).strip() for one in drawn.iter("{http://www.w3.org/2000/svg}text")
    ]


def test_tables_of_plain_tags_keep_their_bytes(tmp_path):
    write_tag_frequencies(tmp_path / "tags.tsv", [_caption("it's a lamp", "a"), _caption("lamp", "b")])
    assert (tmp_path / "tags.tsv").read_bytes() == b"tag\tframes\nplain\t2\nit's a lamp\t1\nlamp\t1\n"


@pytest.fixture
def left(tmp_path):
    """Return what a pipeline left whose captions hold every odd text."""
    (tmp_path / "dvc.yaml").write_text("stages: {caption: {cmd: 'true', metrics: [metrics/caption.json]}}")
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/caption.json").write_text("{}")
    names = [f"f{number}" for number in range(len(ODD))]
    for name in names:
        write_exr(
            tmp_path / f"data/sanitize/frames/{name}.exr", np.full((16, 16, 3), 0.18), chromaticities=AWG4
        )
    index = pl.DataFrame({"frame": names, "file": [f"frames/{name}.exr" for name in names]})
    write_index(tmp_path / "data/sanitize", index)
    captions = {name: _caption(text, name) for name, text in zip(names, ODD.values(), strict=True)}
    write_captions(tmp_path / "data/caption/captions.jsonl", type("Done", (), {"captions": captions}))
    return tmp_path


def _report(root):
    page = root / "data/report/index.html"
    write_report(
        page, root, root / "data", root / "bench.json", ReportSettings(captions=20, exposure_side=32)
    )
    return page


def test_the_report_shows_every_caption_and_picture_whatever_they_hold(left):
    exr = left / "data/generate/dual/001.exr"
    attributes = {"hdrgenPrompt": ODD["quotes"], "hdrgenSeed": 3}
    write_exr(exr, np.full((16, 16, 3), 0.18), chromaticities=AP1, attributes=attributes)
    page = _Texts(_report(left).read_bytes().decode("utf-8").replace("\0", "\ufffd"))
    for text in ODD.values():
        said = text.replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", "\n")
        assert said in page.shown.replace("\r\n", "\n").replace("\r", "\n")
    assert ODD["quotes"] in page.alt
    assert f"{ODD['quotes']}, seed 3" in page.shown


def test_a_report_that_cannot_be_written_leaves_the_last_one(left):
    page = _report(left)
    last = page.read_bytes()
    captions = left / "data/caption/captions.jsonl"
    captions.write_text(captions.read_text() + '{"frame": "half')
    with pytest.raises(Exception, match="is no file of captions"):
        _report(left)
    assert page.read_bytes() == last
    assert [path.name for path in page.parent.iterdir()] == ["index.html"]


def test_a_prompt_with_another_end_of_line_is_one_prompt(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_bytes("a lamp\u2028and a chair\r\n\r\nb\x85c\x0cd\re\n".encode())
    assert read_prompts(path) == [(1, "a lamp\u2028and a chair"), (3, "b\x85c\x0cd"), (4, "e")]
