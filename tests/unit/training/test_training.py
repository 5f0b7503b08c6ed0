import numpy as np
import pytest
import torch

from hdrgen.dataset.pairs.generated_like import GeneratedLike
from hdrgen.dataset.pairs.records import KINDS
from hdrgen.dataset.pairs.tone_map_pairs import MakeToneMapPairs, crop_record, tone_map_pair
from hdrgen.models.int8_unet import has_ranges
from hdrgen.models.tone_fusion import ToneFusion, load_tone_fuser
from hdrgen.models.tone_mlp import ToneMlpLoss
from hdrgen.training import tone_fuser, tone_mlp
from hdrgen.training.guards import TrainingDiverged
from hdrgen.training.tone_fuser import TrainToneFuser, train_tone_fuser
from hdrgen.training.tone_mlp import TrainToneMlp, train_tone_mlp

FUSER = TrainToneFuser(
    seed=0,
    steps=6,
    batch_crops=2,
    steps_per_validation=3,
    validation_crops=2,
    network=ToneFusion(widths=(8, 8, 8), blocks=(1, 1, 1)),
    precision="fp32",
)
MLP = TrainToneMlp(
    seed=0, epochs=4, batches_per_epoch=2, batch_pixels=512, crops_per_batch=2, loss=ToneMlpLoss()
)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    settings = MakeToneMapPairs(seed=0, generated_like=GeneratedLike())
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        records = np.zeros(4, crop_record(32))
        for record in records:
            smooth = np.cumsum(rng.normal(0, 0.1, (32, 32, 3)), axis=1)
            record["linear_awg4"] = np.exp2(smooth)
            for kind in KINDS:
                pair = tone_map_pair(record["linear_awg4"], kind, settings, rng)
                record[f"{kind}_reinhard_code8"], record[f"{kind}_log_code8"] = pair
        (folder / split).mkdir()
        np.save(folder / split / "frame.npy", records)
    (folder / "index.parquet").write_bytes(b"stands for the samples")
    return folder


def test_the_fuser_knows_its_ranges_for_8_bit_integers(pairs, tmp_path):
    train_tone_fuser(pairs, FUSER, tmp_path / "w.safetensors", tmp_path / "c.tsv")
    assert has_ranges(load_tone_fuser(tmp_path / "w.safetensors").unet)


@pytest.mark.parametrize(("train", "settings"), [(train_tone_mlp, MLP), (train_tone_fuser, FUSER)])
def test_the_same_seed_trains_the_same_weights(pairs, tmp_path, train, settings):
    figures = [train(pairs, settings, tmp_path / f"{i}.safetensors", tmp_path / f"{i}.tsv") for i in range(2)]
    assert figures[0] == figures[1]
    assert (tmp_path / "0.safetensors").read_bytes() == (tmp_path / "1.safetensors").read_bytes()
    assert (tmp_path / "0.tsv").read_text() == (tmp_path / "1.tsv").read_text()


def test_training_makes_the_loss_smaller(pairs, tmp_path):
    long = MLP.model_copy(update={"epochs": 40, "batches_per_epoch": 4})
    train_tone_mlp(pairs, long, tmp_path / "w.safetensors", tmp_path / "c.tsv")
    losses = np.genfromtxt(tmp_path / "c.tsv", skip_header=1)
    assert losses[-1, 2] < 0.5 * losses[0, 2]


@pytest.mark.parametrize(
    ("module", "loss", "train", "settings"),
    [
        (tone_mlp, "tone_mlp_loss", train_tone_mlp, MLP),
        (tone_fuser, "tone_fusion_loss", train_tone_fuser, FUSER),
    ],
)
def test_a_loss_that_is_not_finite_stops_before_the_step_and_names_the_batch(
    pairs, tmp_path, monkeypatch, module, loss, train, settings
):
    stepped = []
    monkeypatch.setattr(module, loss, lambda estimate, *_: estimate.sum() * torch.nan)
    monkeypatch.setattr(torch.optim.Adam, "step", lambda *_, **__: stepped.append(1))
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda *_, **__: stepped.append(1))
    with pytest.raises(TrainingDiverged, match=r"loss is nan at step \d; the batch held frame crop \d"):
        train(pairs, settings, tmp_path / "w.safetensors", tmp_path / "c.tsv")
    assert not stepped
    assert not (tmp_path / "w.safetensors").exists()


def test_early_stopping(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(tone_mlp, "tone_mlp_loss", lambda estimate, *_: 0 * estimate.sum() + 1)
    patient = MLP.model_copy(update={"epochs": 50, "patience_epochs": 3})
    figures = train_tone_mlp(pairs, patient, tmp_path / "w.safetensors", tmp_path / "c.tsv")
    assert figures["epochs"] == 4
    assert figures["best_epoch"] == 1


def test_a_gradient_that_is_not_finite_stops_as_well(pairs, tmp_path, monkeypatch):
    # The square root of zero: a loss of 0 whose gradient is NaN.
    monkeypatch.setattr(tone_fuser, "tone_fusion_loss", lambda level, *_: (level * 0).sum().sqrt() * 0)
    with pytest.raises(TrainingDiverged, match=r"gradient is nan at step 1"):
        train_tone_fuser(pairs, FUSER, tmp_path / "w.safetensors", tmp_path / "c.tsv")
