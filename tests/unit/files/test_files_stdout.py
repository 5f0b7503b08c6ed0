"""What libraries print never comes between the lines of a JSON."""

import json
import subprocess
import sys

import numpy as np
import pytest

from hdrgen.colour.primaries import AP1
from hdrgen.images.exr import write_exr

HDRGEN = [sys.executable, "-c", "from hdrgen.cli import main; main()"]
SIZ = b"\xff\x4f\xff\x51"  # the start of a JPEG 2000 codestream


@pytest.fixture(scope="module")
def talkative(tmp_path_factory):
    """Return an HTJ2K file with an unknown capability, which the codec reads and speaks of on its C stdout."""
    path = tmp_path_factory.mktemp("talkative") / "talkative.exr"
    write_exr(path, np.ones((40, 60, 3), np.float32), chromaticities=AP1, compression="htj2k")
    data = bytearray(path.read_bytes())
    data[data.index(SIZ) + 6] |= 0x08  # Rsiz
    path.write_bytes(data)
    reading = (
        f"from hdrgen.images.exr import read_exr; from pathlib import Path; read_exr(Path({str(path)!r}))"
    )
    said = subprocess.run([sys.executable, "-c", reading], capture_output=True, check=True)
    assert b"ojph" in said.stdout, "the codec is silent now: this file tests nothing"
    return path


def hdrgen(*arguments):
    return subprocess.run([*HDRGEN, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", ["inspect", "check", "convert"])
def test_json_is_json_whatever_a_codec_prints(talkative, command):
    output = ("-o", talkative.with_name("out.exr"), "--compression", "htj2k") if command == "convert" else ()
    done = hdrgen(command, talkative, *output, "--json")
    assert json.loads(done.stdout)["files"][0]["file"] == str(talkative)
    assert "ojph" not in done.stdout + done.stderr


def test_text_is_ours_alone_and_goes_into_a_pipe_that_closes(talkative):
    done = hdrgen("inspect", talkative)
    assert done.returncode == 0
    assert done.stdout.startswith(str(talkative))
    with subprocess.Popen(
        [*HDRGEN, "inspect", talkative], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as cut:
        cut.stdout.close()
        assert cut.stderr.read() == b""


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_streams_that_are_closed_are_no_bug(talkative, closed):
    line = f'exec {sys.executable} -c "from hdrgen.cli import main; main()" inspect {talkative} {closed}'
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "bug" not in done.stderr
