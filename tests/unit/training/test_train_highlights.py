"""The curves that the network can say, and a training of a few steps."""

import numpy as np
import pytest
import torch

from hdrgen.dataset.frame_index import INDEX_NAME
from hdrgen.dataset.pairs.display_pairs import code_stops, random_curve
from hdrgen.models.highlights import (
    CURVE_COMPONENTS,
    GREY_CODE,
    KNOTS,
    SRGB_STOPS,
    Highlights,
    curve_stops,
    load_highlights,
    log_slopes_of,
)
from hdrgen.training.highlights import FreshRenderings, TrainHighlights, curve_family, train_highlights

SHORT = {
    "seed": 0,
    "steps": 4,
    "batch_crops": 2,
    "steps_per_validation": 2,
    "validation_crops": 4,
    "precision": "fp32",
    "network": Highlights(widths=(8, 8, 8), blocks=(1, 1, 1), curve_widths=(8, 8)),
}


@pytest.fixture(scope="module")
def family():
    return curve_family(np.random.default_rng(0))


def nearest(family, stops):
    """Return what the network can say that is nearest to a curve: three deviations at most."""
    mean, components = family
    amounts, *_ = np.linalg.lstsq(components.T, log_slopes_of(stops) - mean, rcond=None)
    slopes = mean + np.clip(amounts, -3, 3) @ components
    return curve_stops(torch.from_numpy(slopes.astype(np.float32))[None])[0].numpy()


@pytest.mark.parametrize("camera", [False, True])
def test_a_random_curve_is_in_the_family(family, camera):
    """Below code 250; only a bend, as that of a knee, is rounded by more than a tenth of a stop, near the end."""
    rng = np.random.default_rng(7)
    worst, typical = [], []
    for _ in range(60):
        stops = code_stops(random_curve(rng, camera=camera))
        off = nearest(family, stops) - (stops - stops[GREY_CODE] + SRGB_STOPS[GREY_CODE])
        worst.append(np.abs(off[16:250]).max())
        typical.append(np.sqrt(np.square(off[16:250]).mean()))
        assert np.abs(off[16:235]).max() < 0.12
    assert max(typical) < 0.06
    assert np.median(worst) < 0.1
    assert max(worst) < 0.25


def test_ways_to_differ_are_of_one_deviation_and_the_largest_is_first(family):
    mean, components = family
    assert (mean.shape, components.shape) == ((KNOTS,), (CURVE_COMPONENTS, KNOTS))
    sizes = np.linalg.norm(components, axis=1)
    assert (np.diff(sizes) < 0).all()
    across = components @ components.T
    assert np.abs(across - np.diag(sizes**2)).max() < 1e-4
    again = curve_family(np.random.default_rng(0))
    np.testing.assert_array_equal(again[1], components)


@pytest.mark.parametrize("rendered", [0.0, 1.0])
def test_a_short_training_leaves_weights_that_work(display_folder, tmp_path, rendered):
    settings = TrainHighlights(**SHORT, rendered_share=rendered)
    figures = train_highlights(display_folder, settings, tmp_path / "w.safetensors", tmp_path / "loss.tsv")
    assert np.isfinite([value for value in figures.values() if isinstance(value, float)]).all()
    net = load_highlights(tmp_path / "w.safetensors")
    mean, components = curve_family(np.random.default_rng(0))
    np.testing.assert_allclose(net.curve_mean.numpy(), mean, atol=2e-3)
    np.testing.assert_allclose(net.curve_components.numpy(), components, atol=2e-3)
    header = (tmp_path / "loss.tsv").read_text().splitlines()[0]
    assert "val_gain" in header


def test_black_and_clipped_pictures_are_learned_from(tmp_path, display_folder):
    """No figure of theirs is without end."""
    folder = tmp_path / "pairs"
    for split in ("train", "val"):
        records = np.load(display_folder / split / "frame.npy")
        records["linear_rec709"][0], records["code8"][0] = 0, 0
        records["linear_rec709"][1], records["code8"][1] = 60000, 255
        records["linear_rec709"][2], records["code8"][2] = 0.18, 118
        records["is_plain"][:3] = True
        (folder / split).mkdir(parents=True)
        np.save(folder / split / "frame.npy", records)
    (folder / INDEX_NAME).write_bytes(b"the rows of these pairs")
    settings = TrainHighlights(
        **SHORT,
        rendered_share=0.5,
        renderings=FreshRenderings(aces_share=0.5, filmic_share=0.2, camera_share=0.2),
    )
    figures = train_highlights(folder, settings, tmp_path / "w.safetensors", tmp_path / "loss.tsv")
    assert np.isfinite([value for value in figures.values() if isinstance(value, float)]).all()
