"""What several tests need: the real pictures, where they are present."""

import os
from multiprocessing.util import get_temp_dir
from pathlib import Path
from types import SimpleNamespace

import pytest

from hdrgen.cli import run


@pytest.fixture(scope="session", autouse=True)
def _short_paths_of_sockets() -> None:
    """Let multiprocessing choose its folder before a test has another for temporary files, too long for a socket."""
    get_temp_dir()


@pytest.fixture(scope="session")
def shared_hdr() -> Path:
    """Return the folder of real, test and damaged pictures; they are not part of the repository."""
    beside = Path(__file__).resolve().parents[1] / "../shared/hdr"
    folder = Path(os.environ.get("HDRGEN_SHARED", beside)).resolve()
    if not (folder / "manifest.csv").is_file():
        pytest.skip(f"no real HDR pictures at {folder}: set HDRGEN_SHARED to a folder with manifest.csv")
    return folder


@pytest.fixture
def cli(capsys):
    """Run a command: its exit code, stdout and stderr."""

    def call(*arguments: object) -> SimpleNamespace:
        code = run([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return SimpleNamespace(code=code, out=said.out, err=said.err)

    return call
