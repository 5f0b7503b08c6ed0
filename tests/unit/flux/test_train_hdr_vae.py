import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from hdrgen.colour.hdr_normalisation import HdrNormalisation
from hdrgen.colour.primaries import AWG4
from hdrgen.dataset.pairs.scene_crops import CropSettings
from hdrgen.evaluation.hdr_vae import (
    EvaluateHdrVae,
    decisive_hdr_vae,
    evaluate_hdr_vae,
    hdr_vae_summary,
    round_trips,
)
from hdrgen.evaluation.tables import plots
from hdrgen.flux.checkpoint import verify_checkpoint
from hdrgen.flux.hdr_vae import load_hdr_vae
from hdrgen.flux.latents import encode_latents
from hdrgen.images.exr import write_exr
from hdrgen.models.hdr_vae import load_published_hdr_vae
from hdrgen.runtime.errors import HdrgenError
from hdrgen.training.flux_vae import TrainFluxVae, train_flux_vae
from hdrgen.training.hdr_vae import TrainHdrVae, train_hdr_vae
from hdrgen.training.vae_task import HdrVaeTask, code_crops

RECIPE = {
    "seed": 1,
    "steps": 6,
    "batch_crops": 2,
    "steps_per_validation": 3,
    "validation_crops": 2,
    "precision": "fp32",
    "crops": CropSettings(seed=2, size=32, crops_per_frame=3),
}
PUBLISHED = TrainHdrVae(**RECIPE, base_channels=32)
FLUX = TrainFluxVae(**RECIPE)


class Interrupted(Exception):  # noqa: N818 - not an error
    """What a person's Ctrl-C would be."""


def interrupt(done, _):
    if done == 5:
        raise Interrupted


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Return frames with a sun in them, and their index."""
    folder, rows = tmp_path_factory.mktemp("frames"), []
    for i, split in enumerate(["train", "train", "val", "test"]):
        linear = np.random.default_rng(i).uniform(0, 0.5, (48, 64, 3)).astype(np.float32)
        linear[20:28, 20:40] = 300
        write_exr(folder / f"{i}.exr", linear, chromaticities=AWG4)
        rows.append({"frame": f"{i}", "file": f"{i}.exr", "digest": f"{i}", "split": split, "source": "made"})
    missing = {name: pl.lit(None, pl.String) for name in ("quarantine_reason", "description")}
    return folder, pl.DataFrame(rows).with_columns(**missing)


@pytest.fixture(scope="module")
def checkpoint(saved):
    return verify_checkpoint(saved)


@pytest.fixture(scope="module")
def published(frames, tmp_path_factory):
    out = tmp_path_factory.mktemp("published")
    return out, train_hdr_vae(*frames, PUBLISHED, out / "hdr_vae.safetensors", out / "loss.tsv")


@pytest.fixture(scope="module")
def flux(checkpoint, frames, tmp_path_factory):
    out = tmp_path_factory.mktemp("flux")
    return out, train_flux_vae(checkpoint, *frames, FLUX, out, out / "loss.tsv")


def test_the_published_vae_learns_and_is_loaded_again(published):
    out, figures = published
    rows = pl.read_csv(out / "loss.tsv", separator="\t")
    assert rows.columns == ["step", "train", "val_error", "val_highlight_error"]
    assert rows["val_error"][-1] < rows["val_error"][0]
    net = load_published_hdr_vae(out / "hdr_vae.safetensors")
    assert net.network.base_channels == 32
    assert figures["parameters"] == sum(p.numel() for p in net.parameters())


def test_an_interrupted_training_ends_with_the_weights_of_an_uninterrupted_one(
    published, flux, checkpoint, frames, tmp_path
):
    weights = tmp_path / "hdr_vae.safetensors"
    with pytest.raises(Interrupted):
        train_hdr_vae(*frames, PUBLISHED, weights, tmp_path / "loss.tsv", interrupt)
    train_hdr_vae(*frames, PUBLISHED, weights, tmp_path / "loss.tsv")
    assert weights.read_bytes() == (published[0] / "hdr_vae.safetensors").read_bytes()

    with pytest.raises(Interrupted):
        train_flux_vae(checkpoint, *frames, FLUX, tmp_path, tmp_path / "loss.tsv", interrupt)
    train_flux_vae(checkpoint, *frames, FLUX, tmp_path, tmp_path / "loss.tsv")
    same = "vae/diffusion_pytorch_model.safetensors"
    assert (tmp_path / same).read_bytes() == (flux[0] / same).read_bytes()


def test_latents_of_light_have_mean_0_and_variance_1(flux, frames):
    out, _ = flux
    assert {p.name for p in out.iterdir()} == {"vae", "normalisation.json", "loss.tsv"}
    crops = code_crops(*frames, "train", FLUX.crops, HdrNormalisation())
    with torch.no_grad():
        latents = encode_latents(load_hdr_vae(out).vae, crops.code)
    assert latents.mean((0, 2, 3)).abs().max() < 1e-3
    assert latents.var().item() == pytest.approx(1, abs=0.05)


def test_only_the_decoder_learns_where_it_is_told_to(flux, checkpoint, frames, tmp_path):
    decoder = FLUX.model_copy(update={"parts": "decoder"})
    train_flux_vae(checkpoint, *frames, decoder, tmp_path, tmp_path / "loss.tsv")
    base = load_file(checkpoint.path / "vae/diffusion_pytorch_model.safetensors")
    for folder, moved in ((tmp_path, {"decoder"}), (flux[0], {"encoder", "decoder"})):
        written = load_file(folder / "vae/diffusion_pytorch_model.safetensors")
        names = {name.partition(".")[0] for name in base if not torch.equal(written[name], base[name])}
        assert names & {"encoder", "decoder"} == moved


def test_crops_are_codes_of_light(frames):
    crops = code_crops(*frames, "train", FLUX.crops, HdrNormalisation())
    assert crops.code.shape == (6, 3, 32, 32)
    assert crops.code.dtype == torch.float32
    assert HdrNormalisation().decode(crops.code.max()).item() == pytest.approx(300, rel=1e-3)
    assert crops.frames == ["0"] * 3 + ["1"] * 3


def test_errors_in_highlights_count_more(frames):
    crops = code_crops(*frames, "train", FLUX.crops, HdrNormalisation())
    task = HdrVaeTask(crops, crops, FLUX.model_copy(update={"gradient_weight": 0.0}), (4, 8))
    dark, bright = (torch.full((1, 3, 8, 8), float(HdrNormalisation().encode(x))) for x in (1.0, 100.0))
    assert task._error(bright + 0.1, bright) == pytest.approx(
        (1 + FLUX.highlight_weight) * float(task._error(dark + 0.1, dark)), rel=1e-4
    )


def test_the_figures_hold_bands_and_what_they_are_of_the_baselines(published, flux, checkpoint, frames):
    trips, multiple = round_trips(checkpoint.path / "vae", flux[0], published[0] / "hdr_vae.safetensors")
    rows = evaluate_hdr_vae(*frames, EvaluateHdrVae(judged_size=56), trips, multiple)
    by_model = hdr_vae_summary(rows)["made"]["round_trip"]
    models = {"frozen_vae_logc4", "frozen_vae_linear", "published_hdr_vae", "flux_hdr_vae"}
    assert models <= set(by_model)
    over = {model: of.get("stops_rmse_over_frozen_vae_logc4_above_16") for model, of in by_model.items()}
    assert {model for model, of in over.items() if of is None} == {"frozen_vae_logc4"}
    above = "stops_rmse_above_16"
    expected = by_model["flux_hdr_vae"][above]["mean"] / by_model["frozen_vae_logc4"][above]["mean"]
    assert over["flux_hdr_vae"] == pytest.approx(expected)
    # Plain light ends at 1: of 300, more than 8 stops are missing.
    assert by_model["frozen_vae_linear"][above]["mean"] > 8
    assert models < set(plots(rows)["stops_rmse_by_band_round_trip"].columns)
    decides = decisive_hdr_vae(hdr_vae_summary(rows))["made"]
    assert decides.keys() == {"flux_hdr_vae", "published_hdr_vae"}
    flux_vae = by_model["flux_hdr_vae"]
    assert decides["flux_hdr_vae"] == {
        "pu21_psnr": flux_vae["pu21_psnr"]["mean"],
        "margin": flux_vae["pu21_psnr_margin"],
        "peak_ratio": flux_vae["peak_ratio"]["mean"],
    }


def test_a_round_trip_that_loses_nothing_has_no_error(frames):
    rows = evaluate_hdr_vae(*frames, EvaluateHdrVae(judged_size=40), {"same": lambda linear: linear}, 16)
    assert [j.frame for j in rows] == ["3"]
    assert rows[0].figures["stops_rmse"] == 0
    assert rows[0].figures["peak_ratio"] == 1


def test_no_test_frames_is_one_line(frames):
    folder, index = frames
    with pytest.raises(HdrgenError, match="no test frames"):
        evaluate_hdr_vae(folder, index.filter(pl.col("split") != "test"), EvaluateHdrVae(), {}, 16)
