"""Pictures of any size through an autoencoder and back."""

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hdrgen.flux import round_trip
from hdrgen.flux.round_trip import RoundTrip
from hdrgen.flux.tiny_autoencoder import (
    DOWNSCALE,
    FILES,
    LATENT_CHANNELS,
    TinyAutoencoder,
    load_tiny_autoencoder,
)
from hdrgen.runtime.errors import HdrgenError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return untrained weights as they are shared: two files of half floats."""
    torch.manual_seed(0)
    net, folder = TinyAutoencoder(), tmp_path_factory.mktemp("tiny")
    for name, part in zip(FILES, (net.encoder, net.decoder), strict=True):
        save_file({key: value.half().contiguous() for key, value in part.state_dict().items()}, folder / name)
    return folder


def test_latents_are_an_eighth_and_weights_come_back_single(folder):
    net = load_tiny_autoencoder(folder)
    assert not net.training
    assert {p.dtype for p in net.parameters()} == {torch.float32}
    with torch.inference_mode():
        latents = net.encoder(torch.rand(2, 3, 32, 48))
        assert latents.shape == (2, LATENT_CHANNELS, 32 // DOWNSCALE, 48 // DOWNSCALE)
        assert net.decoder(latents).shape == (2, 3, 32, 48)
        far = net.decoder(torch.full_like(latents, 1e6))
        torch.testing.assert_close(far, net.decoder(torch.full_like(latents, 1e4)), msg="latents end at 3")


@pytest.mark.parametrize("size", [(16, 24), (1, 1), (13, 29)])
def test_pictures_of_any_size_come_back_clipped(folder, size):
    code = np.random.default_rng(0).random((*size, 3), np.float32)
    before = code.copy()
    trip = RoundTrip(str(folder))
    back = trip(code)
    assert (back.shape, back.dtype) == (code.shape, np.float32)
    assert back.min() >= 0
    assert back.max() <= 1
    np.testing.assert_array_equal(code, before)
    np.testing.assert_array_equal(trip(code), back)
    # As it is in another process.
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(trip))(code), back)  # noqa: S301 - our own


def test_weights_are_read_once_and_only_when_needed(folder, monkeypatch):
    round_trip._loaded.cache_clear()
    RoundTrip("nowhere")
    RoundTrip(str(folder))(np.zeros((8, 8, 3), np.float32))

    def never(_):
        raise AssertionError("read again")

    monkeypatch.setattr(round_trip.tiny_autoencoder, "load_tiny_autoencoder", never)
    RoundTrip(str(folder))(np.zeros((8, 8, 3), np.float32))
    round_trip._loaded.cache_clear()


@pytest.mark.parametrize("content", [None, b"nonsense", "other"])
def test_other_weights_are_refused_by_name(folder, tmp_path, content):
    (tmp_path / FILES[0]).write_bytes((folder / FILES[0]).read_bytes())
    if content == "other":
        save_file({"x": torch.zeros(2)}, tmp_path / FILES[1])
    elif content is not None:
        (tmp_path / FILES[1]).write_bytes(content)
    with pytest.raises(HdrgenError, match=rf"{FILES[1]}: no weights of a small FLUX\.2 autoencoder"):
        load_tiny_autoencoder(tmp_path)


def test_no_autoencoder_at_all_is_said(tmp_path):
    with pytest.raises(HdrgenError):
        RoundTrip(str(tmp_path / "nowhere"))(np.zeros((8, 8, 3), np.float32))


def test_a_checkpoints_own_vae_is_taken(models):
    back = RoundTrip(str(models / "base_model" / "tiny"))(
        np.random.default_rng(0).random((24, 40, 3), np.float32)
    )
    assert back.shape == (24, 40, 3)
    assert np.isfinite(back).all()
    assert np.ptp(back) > 0
