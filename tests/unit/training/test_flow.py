import numpy as np
import pytest
import torch

from hdrgen.flux.family import load_flux
from hdrgen.training.fit import Batch
from hdrgen.training.flow import FlowRecipe, FlowTask
from hdrgen.training.token_cache import Sample, cache_prompts, cache_samples

RECIPE = FlowRecipe(seed=1, steps=4, batch_crops=64, validation_crops=6, precision="fp32", prompt_dropout=0.3)
PICTURES = np.random.default_rng(0).normal(size=(3, 16, 16, 3)).astype(np.float32)
SAMPLES = [
    Sample(picture, f"frame {i}", (f"short {i}", f"a long prompt {i}"), f"nothing {i}")
    for i, picture in enumerate(PICTURES)
]


def encode(picture):
    """Make four tokens of a picture, of which the first numbers are its first pixel."""
    return picture[:, :, ::8, ::8].flatten(2).transpose(1, 2).repeat(1, 1, 128 // 3 + 1)[..., :128]


def refuse(_):
    raise AssertionError("this was known")


@pytest.fixture(scope="module")
def flux(checkpoint):
    return load_flux(checkpoint)


@pytest.fixture
def cached(tmp_path):
    return cache_samples(tmp_path / "train.npy", iter(SAMPLES), 3, encode, "one")


@pytest.fixture
def task_of(cached, flux, tmp_path):
    prompts = cache_prompts(tmp_path, cached.all_prompts, flux.embedded, "encoder")
    return lambda recipe: FlowTask(flux, cached, cached, prompts, recipe, None)


@pytest.fixture
def task(task_of):
    return task_of(RECIPE)


def test_samples_are_encoded_once_and_mapped_from_a_file(cached, tmp_path):
    again = cache_samples(tmp_path / "train.npy", (refuse(s) for s in SAMPLES), 3, refuse, "one")
    for samples in (cached, again):
        assert isinstance(samples.tokens, np.memmap)
        assert samples.tokens.shape == (3, 4, 128)
        np.testing.assert_allclose(samples.tokens[:, 0, :3], PICTURES[:, 0, 0], rtol=1e-3)
        assert list(samples.names) == ["frame 0", "frame 1", "frame 2"]
        assert samples.grid == (2, 2)
    assert again.all_prompts == cached.all_prompts
    assert "nothing 2" in again.all_prompts


@pytest.mark.usefixtures("cached")
def test_samples_of_another_digest_or_half_written_are_encoded_anew(tmp_path):
    path = tmp_path / "train.npy"
    double = cache_samples(path, iter(SAMPLES), 3, lambda x: 2 * encode(x), "two")
    np.testing.assert_allclose(double.tokens[0, 0, :3], 2 * PICTURES[0, 0, 0], rtol=1e-3)

    def interrupted():
        yield SAMPLES[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache_samples(path, interrupted(), 3, encode, "three")
    whole = cache_samples(path, iter(SAMPLES), 3, encode, "three")
    assert (whole.tokens[2] != 0).any()


def test_fewer_samples_than_promised_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="4 samples were promised, 3 came"):
        cache_samples(tmp_path / "train.npy", iter(SAMPLES), 4, encode, "one")


def test_prompts_are_embedded_once_in_the_precision_of_bf16(flux, tmp_path):
    prompts = [f"prompt {i}" for i in range(20)]
    table = cache_prompts(tmp_path, prompts, flux.embedded, "encoder")
    known = cache_prompts(tmp_path, reversed(prompts), refuse, "encoder")
    expected = flux.embedded(["prompt 7", "prompt 19", "prompt 7"])["encoder_hidden_states"]
    for cached in (table, known):
        states = cached(["prompt 7", "prompt 19", "prompt 7"])["encoder_hidden_states"]
        torch.testing.assert_close(states, expected, rtol=2**-8, atol=1e-4)
    other = cache_prompts(
        tmp_path, prompts, lambda p: {"encoder_hidden_states": torch.ones(len(p), 2, 3)}, "other"
    )
    assert (other(["prompt 3"])["encoder_hidden_states"] == 1).all()


def test_a_batch_mixes_each_picture_with_one_of_its_prompts_or_its_unprompted_words(task, flux):
    x0, noise, time, conditioning = task.batch(np.random.default_rng(2)).tensors
    every = [prompt for sample in SAMPLES for prompt in (*sample.prompts, sample.unprompted)]
    rows = flux.embedded(every)["encoder_hidden_states"]
    prompts_of = [every[int((rows - one).abs().mean((1, 2)).argmin())] for one in conditioning]
    shown = [int(np.abs(PICTURES[:, 0, 0] - one[0, :3].numpy()).sum(1).argmin()) for one in x0]
    assert [int(prompt[-1]) for prompt in prompts_of] == shown
    assert {prompt[:-2] for prompt in prompts_of} == {"short", "a long prompt", "nothing"}
    assert 0.1 < np.mean([prompt.startswith("nothing") for prompt in prompts_of]) < 0.5
    assert noise.std() == pytest.approx(1, abs=0.05)
    assert 0.4 < time.mean() < 0.6
    assert time.logit().std() == pytest.approx(1, abs=0.3)


def test_the_loss_is_0_for_the_velocity_from_picture_to_noise(task):
    x0, noise, time, conditioning = task.batch(np.random.default_rng(3)).tensors

    class Knows(torch.nn.Module):
        """Answer with the true velocity, and check what is asked."""

        def forward(self, hidden_states, timestep, **_):
            expected = x0 + time[:, None, None] * (noise - x0)
            torch.testing.assert_close(hidden_states, expected)
            assert torch.equal(timestep, time)
            return type("Output", (), {"sample": noise - x0})

    assert task.loss(Knows(), Batch((x0, noise, time, conditioning), [])) == 0


def test_validation_is_the_same_every_time_and_of_all_crops_in_pieces(task, task_of, flux):
    transformer = flux.pipeline.transformer
    figures = task.validation(transformer)
    assert figures == task.validation(transformer)
    assert figures["train_fixed_noise"] != figures["val_fixed_noise"]  # noise and times of its own
    in_pieces = task_of(RECIPE.model_copy(update={"batch_crops": 4}))
    assert in_pieces.validation(transformer) == pytest.approx(figures, rel=1e-5)
    assert task.score(figures) == figures["train_fixed_noise"]


def test_samples_follow_the_velocity_from_noise_to_the_picture(task):
    target = torch.randn(4, 128, generator=torch.Generator().manual_seed(0))

    class Straight(torch.nn.Module):
        """Know one picture alone: the velocity at any place and time leads to it."""

        def forward(self, hidden_states, timestep, **_):
            return type("Output", (), {"sample": (hidden_states - target) / timestep[:, None, None]})

    tokens = task.samples(Straight(), ["short 0", "short 1"], [1, 2], steps=3)
    torch.testing.assert_close(tokens, target.expand(2, -1, -1), rtol=1e-4, atol=1e-4)


def test_one_seed_is_one_noise_for_all_prompts(task):
    class Nothing(torch.nn.Module):
        def forward(self, hidden_states, **_):
            return type("Output", (), {"sample": torch.zeros_like(hidden_states)})

    first, second, other = task.samples(Nothing(), ["short 0", "short 1", "short 0"], [5, 5, 6], steps=2)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
