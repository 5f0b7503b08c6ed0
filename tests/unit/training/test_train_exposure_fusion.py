import numpy as np
import pytest
import torch

from hdrgen.dataset.pairs.bracket_pairs import (
    KINDS,
)
from hdrgen.exposure.bracket_tables import bracket_tables
from hdrgen.inference.exposure_fusion import StackMerger
from hdrgen.training import exposure_fusion
from hdrgen.training.exposure_fusion import TrainExposureFusion, train_exposure_fusion

FOUR, FIVE = (-2.0, 0.0, 2.0, 4.0), (-4.0, -2.0, 0.0, 2.0, 4.0)
SMALL = TrainExposureFusion(
    seed=0,
    steps=6,
    batch_crops=2,
    steps_per_validation=3,
    validation_crops=2,
    precision="fp32",
    network={"exposure_width": 4, "widths": (8, 8, 8, 8, 8), "heads": 2, "attention_window": 3},
)


def train(pairs, folder, settings=SMALL, on_progress=None, evs=FOUR):
    files = folder / "w.safetensors", folder / "loss.tsv"
    return train_exposure_fusion(pairs, settings, *files, on_progress, evs=evs)


def test_a_few_steps_make_the_loss_smaller(brackets_folder, tmp_path):
    settings = SMALL.model_copy(update={"steps": 60, "steps_per_validation": 12})
    figures = train(brackets_folder, tmp_path, settings)
    curve = np.genfromtxt(tmp_path / "loss.tsv", names=True)
    assert curve.dtype.names == ("step", "train", *(f"val_{kind}" for kind in KINDS))
    shares = np.array(list(SMALL.shares.values()))
    scores = np.stack([curve[f"val_{kind}"] for kind in KINDS], -1) @ shares
    assert figures["val_loss"] == pytest.approx(scores.min(), abs=1e-3)
    assert scores.min() < scores[0]


def test_what_was_trained_merges(brackets_folder, tmp_path):
    train(brackets_folder, tmp_path)
    tables = [bracket_tables("logc4_awg4", 8, ev, evs=FOUR) for ev in FOUR]
    codes = list(np.random.default_rng(0).integers(60, 200, (4, 40, 50, 3), dtype=np.uint8))
    merger = StackMerger.load(tmp_path / "w.safetensors")
    merged = merger.merge(codes, tables, FOUR, reference=1, threads=1)
    assert np.isfinite(merged.linear).all()


@pytest.mark.parametrize("evs", [FOUR, FIVE, (-2.0, 0.0)])
def test_any_number_of_brackets_is_learned_from_with_the_reference_in_its_slot(
    brackets_folder_of, tmp_path, monkeypatch, evs
):
    """Stacks of more than four are averaged into four slots, and the reference moves with them."""
    steps = []
    forward = exposure_fusion.LuminanceStackProcessor.forward

    def spying(self, log2, weight, reference):
        steps.append((log2.shape[1], *reference.tolist()))
        return forward(self, log2, weight, reference)

    monkeypatch.setattr(exposure_fusion.LuminanceStackProcessor, "forward", spying)
    train(brackets_folder_of(evs), tmp_path, SMALL.model_copy(update={"steps": 1}), evs=evs)
    slot = {FOUR: 1, FIVE: 1, (-2.0, 0.0): 1}[evs]  # of five, the two darkest share the first slot
    assert set(steps) == {(4, slot, slot)}


def test_a_bracket_goes_missing_but_never_the_reference(brackets_folder, tmp_path, monkeypatch):
    weights = []
    merged = exposure_fusion.LuminanceStackProcessor.merged

    def spying(self, stack, reference):
        if self.training:
            weights.append(stack.weight.detach().amax((2, 3, 4)))
        return merged(self, stack, reference)

    monkeypatch.setattr(exposure_fusion.LuminanceStackProcessor, "merged", spying)
    train(brackets_folder, tmp_path, SMALL.model_copy(update={"missing_share": 1.0, "steps": 12}))
    there = torch.cat(weights) > 0
    assert there[:, 1].all()
    assert (there.sum(1) == 3).all()
    assert not there[:, [0, 2, 3]].all(0).any(), "each of the others is missing at times"
