import json

import numpy as np
import polars as pl
import pytest

from hdrgen.colour.primaries import AWG4
from hdrgen.flux.checkpoint import verify_checkpoint
from hdrgen.flux.tiny import TinyNetwork, tiny_klein
from hdrgen.images.exr import write_exr


@pytest.fixture(scope="session")
def frames(tmp_path_factory):
    """Return red and blue scenes to train on, a green one to validate on, and their index."""
    folder, rows = tmp_path_factory.mktemp("frames"), []
    for i, (kind, colour, split) in enumerate(
        [("red_room", 0, "train"), ("blue_sea", 2, "train"), ("green_field", 1, "val")]
    ):
        linear = np.random.default_rng(i).uniform(0, 0.1, (32, 48, 3)).astype(np.float32)
        linear[..., colour] += 0.5
        write_exr(folder / f"{kind}.exr", linear, chromaticities=AWG4)
        scene = {"kind": kind, "caption": kind, "subject": kind, "place": "x", "time_of_day": "day"}
        described = json.dumps(scene | {"light_sources": [{"name": "sun"}]})
        rows.append(
            {"frame": kind, "file": f"{kind}.exr", "digest": kind, "split": split, "description": described}
        )
    return folder, pl.DataFrame(rows).with_columns(quarantine_reason=pl.lit(None, pl.String))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Return a Klein of the smallest size, with random weights, on disk."""
    network = TinyNetwork(
        vae_widths=(8, 8, 8), text_width=32, vocabulary=400, double_blocks=1, single_blocks=1, heads=1
    )
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    tiny_klein(network, ["night street", "sea at sunset"], 24, seed=3).save_pretrained(folder)
    return verify_checkpoint(folder)


@pytest.fixture
def interrupt_after():
    """Return what makes a callback for progress that stops a training after some steps, as Ctrl-C would."""

    def interrupt_after(steps):
        def on_progress(done, _):
            if done == steps:
                raise KeyboardInterrupt

        return on_progress

    return interrupt_after
