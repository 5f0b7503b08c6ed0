"""What `evaluate_flux` asks of the models; they are never-trained ones."""

import numpy as np
import pytest

from hdrgen.colour.logc import logc4_decode
from hdrgen.evaluation.text_to_exr import BASE, EvaluateFlux
from hdrgen.evaluation.trained_routes import TrainedRoutes

PROMPTS, SEEDS = ["night street", "sea at sunset", "night street"], [1, 1, 2]


@pytest.fixture(scope="module")
def routes(models):
    return TrainedRoutes(models, EvaluateFlux(size=32, steps=1))


@pytest.mark.parametrize(("route", "pictures"), [(BASE, 1), ("brackets", 4), ("dual", 2), ("latent", 0)])
def test_each_route_gives_a_picture_for_each_prompt_and_seed(routes, route, pictures):
    made = routes(route, PROMPTS, SEEDS)
    assert len(made) == 3
    for picture in made:
        assert picture.linear_awg4.shape == (32, 32, 3)
        assert picture.linear_awg4.dtype == np.float32
        assert len(picture.code8) == pictures
        assert all(code8.dtype == np.uint8 for code8 in picture.code8.values())
    assert not np.array_equal(made[0].linear_awg4, made[2].linear_awg4)


def test_the_base_model_shows_codes_that_are_read_as_logc4(routes):
    picture, *_ = routes(BASE, PROMPTS, SEEDS)
    (code8,) = picture.code8.values()
    assert np.array_equal(code8, picture.display_code8)
    np.testing.assert_allclose(picture.linear_awg4, logc4_decode(code8 / 255), rtol=1e-4, atol=1e-6)


def test_without_shared_noise_exposures_differ_in_more_than_exposure(routes):
    shared, own = (
        [
            np.corrcoef(*(code8.ravel().astype(float) for code8 in list(picture.code8.values())[:2]))[0, 1]
            for picture in routes("brackets", PROMPTS, SEEDS, shared_noise=noise)
        ]
        for noise in (True, False)
    )
    assert np.mean(shared) > np.mean(own)
