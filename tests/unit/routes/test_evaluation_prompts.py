"""What the stage `generate` leaves; its models are never-trained ones."""

import numpy as np
import pytest
from PIL import Image

from hdrgen.images.exr import read_exr
from hdrgen.routes.evaluation_prompts import GenerateSettings, generate_evaluation


@pytest.fixture(scope="module")
def generated(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("generate")
    settings = GenerateSettings(prompts=("night street", "sea at sunset"), seeds=(1, 2, 3), size=32, steps=1)
    told = []
    figures = generate_evaluation(models, settings, folder, lambda *step: told.append(step), threads=1)
    assert told == [(1, 1)] * 3
    return folder, figures


def test_each_route_leaves_pictures_a_sheet_and_a_strip(generated):
    folder, _ = generated
    for route, intermediates in (("brackets", 4), ("dual", 2), ("latent", 0)):
        assert len(list((folder / route).glob("*.exr"))) == 6
        assert len(list((folder / route).glob("0*.png"))) == 6 * intermediates
        assert Image.open(folder / route / "sheet.png").size == (3 * 192, 2 * 192)
        strip = np.asarray(Image.open(folder / route / "strip.png")).reshape(192, 9, 192, 3)
        assert (np.diff(strip.mean((0, 2, 3))) >= 0).all()


def test_figures_are_those_of_the_files(generated):
    folder, figures = generated
    assert list(figures) == ["brackets", "dual", "latent"]
    for route, found in figures.items():
        peaks = [read_exr(path).rgb.max() for path in sorted((folder / route).glob("002_*.exr"))]
        assert found["finite_share"] == 1
        assert found["sea at sunset"]["peak_linear"] == max(peaks)
        assert found["peak_linear"] == max(found[p]["peak_linear"] for p in ("night street", "sea at sunset"))
        assert found["night street"]["stops"] > 0
