"""What several tests need: the real pictures, where they are present."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_hdr() -> Path:
    """Return the folder of real, test and damaged pictures; they are not part of the repository."""
    beside = Path(__file__).resolve().parents[1] / "../shared/hdr"
    folder = Path(os.environ.get("HDRGEN_SHARED", beside)).resolve()
    if not (folder / "manifest.csv").is_file():
        pytest.skip(f"no real HDR pictures at {folder}: set HDRGEN_SHARED to a folder with manifest.csv")
    return folder
