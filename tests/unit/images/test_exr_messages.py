"""The OpenEXR library tells of damage in sentences alone: these are the ones that we know it by."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import OpenEXR
import pytest

from hdrgen.colour.primaries import AP1
from hdrgen.images.exr import read_exr, write_exr
from hdrgen.images.exr_messages import (
    is_of_several_types,
    printed_output,
    reason_printed,
    reason_raised,
)


@pytest.fixture
def whole(tmp_path):
    path = tmp_path / "whole.exr"
    write_exr(path, np.random.default_rng(0).random((64, 64, 3)), chromaticities=AP1)
    return path


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[:-2000], "Unable to query scanline information"),
        (lambda data: data[:-3000] + bytes(2000) + data[-1000:], "Unable to run decoder"),
    ],
    ids=["truncated", "overwritten"],
)
def test_damaged_pixels_are_a_sentence_and_no_parts(whole, damage, reason, capsys):
    path = whole.with_name("damaged.exr")
    path.write_bytes(damage(whole.read_bytes()))
    with printed_output() as printed:
        parts = list(OpenEXR.File(str(path)).parts)
    assert parts == []
    assert reason_printed(printed, path) == reason
    assert capsys.readouterr().out == ""


def test_a_lack_of_memory_is_no_damage(tmp_path):
    """Where an array finds no memory the library raises or prints, by what it was about to make."""
    write_exr(tmp_path / "large.exr", np.ones((3000, 3000, 3), np.float16), chromaticities=AP1)
    reading = """
import resource
from pathlib import Path
from hdrgen.images.exr import read_exr
own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (own + 20_000_000, own + 20_000_000))
read_exr(Path("large.exr"))
"""
    done = subprocess.run(
        [sys.executable, "-c", reading], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr.endswith("large.exr: asks for more memory than there is\n")


def test_colours_of_several_types_are_told_by_a_sentence(tmp_path):
    path = tmp_path / "mixed.exr"
    planes = {name: np.ones((4, 4), kind) for name, kind in (("R", "f2"), ("G", "f4"), ("B", "f4"))}
    OpenEXR.File({}, planes).write(str(path))
    with pytest.raises(Exception, match="R") as raised:
        OpenEXR.File(str(path), separate_channels=False)
    assert is_of_several_types(raised.value)
    assert read_exr(path).rgb.shape == (4, 4, 3)


def test_a_reason_says_nothing_of_the_path(tmp_path):
    path = tmp_path / "text.exr"
    path.write_bytes(b"\x76\x2f\x31\x01 and no header")
    with pytest.raises(RuntimeError) as raised:
        OpenEXR.File(str(path))
    assert reason_raised(raised.value, path) == "Unable to open"


def test_pictures_are_decoded_at_once(whole, monkeypatch):
    """Two readers meet inside the library; behind one lock they would wait for each other forever."""
    inside = threading.Barrier(2, timeout=20)

    def meeting(*arguments, of=OpenEXR.File, **options):
        if not options.get("header_only"):
            inside.wait()
        return of(*arguments, **options)

    before = sys.stdout
    monkeypatch.setattr(OpenEXR, "File", meeting)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(read_exr, [whole, whole])
    np.testing.assert_array_equal(one.rgb, other.rgb)
    assert sys.stdout is before
