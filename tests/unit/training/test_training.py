import numpy as np
import pytest

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


def test_the_fuser_knows_its_ranges_for_8_bit_integers(tone_map_folder, tmp_path):
    train_tone_fuser(tone_map_folder, FUSER, tmp_path / "w.safetensors", tmp_path / "c.tsv")
    assert has_ranges(load_tone_fuser(tmp_path / "w.safetensors").unet)


def test_the_same_seed_trains_the_same_perceptron(tone_map_folder, tmp_path):
    figures = [
        train_tone_mlp(tone_map_folder, MLP, tmp_path / f"{i}.safetensors", tmp_path / f"{i}.tsv")
        for i in range(2)
    ]
    assert figures[0] == figures[1]
    assert (tmp_path / "0.safetensors").read_bytes() == (tmp_path / "1.safetensors").read_bytes()
    assert (tmp_path / "0.tsv").read_text() == (tmp_path / "1.tsv").read_text()


def test_training_makes_the_loss_smaller(tone_map_folder, tmp_path):
    long = MLP.model_copy(update={"epochs": 40, "batches_per_epoch": 4})
    train_tone_mlp(tone_map_folder, long, tmp_path / "w.safetensors", tmp_path / "c.tsv")
    losses = np.genfromtxt(tmp_path / "c.tsv", skip_header=1)
    assert losses[-1, 2] < 0.5 * losses[0, 2]


def test_early_stopping(tone_map_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(tone_mlp, "tone_mlp_loss", lambda estimate, *_: 0 * estimate.sum() + 1)
    patient = MLP.model_copy(update={"epochs": 50, "patience_epochs": 3})
    figures = train_tone_mlp(tone_map_folder, patient, tmp_path / "w.safetensors", tmp_path / "c.tsv")
    assert figures["epochs"] == 4
    assert figures["best_epoch"] == 1


def test_a_gradient_that_is_not_finite_stops_as_well(tone_map_folder, tmp_path, monkeypatch):
    # The square root of zero: a loss of 0 whose gradient is NaN.
    monkeypatch.setattr(tone_fuser, "tone_fusion_loss", lambda log2, *_: (log2 * 0).sum().sqrt() * 0)
    with pytest.raises(TrainingDiverged, match=r"gradient is nan at step 1"):
        train_tone_fuser(tone_map_folder, FUSER, tmp_path / "w.safetensors", tmp_path / "c.tsv")
