import cv2
import numpy as np
import pytest
import torch

from hdrgen.dataset.frame_index import INDEX_NAME
from hdrgen.dataset.pairs.bracket_pairs import (
    ENCODING_NAMES,
    KINDS,
    MakeBracketPairs,
    bracket_stacks,
    crop_record,
    moving_scene,
)
from hdrgen.exposure.bracket_tables import bracket_cells
from hdrgen.inference.exposure_fusion import StackMerger
from hdrgen.training import exposure_fusion
from hdrgen.training.exposure_fusion import TrainExposureFusion, train_exposure_fusion
from hdrgen.training.guards import TrainingDiverged

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


def write_pairs(folder, evs):
    rng = np.random.default_rng(0)
    settings = MakeBracketPairs(seed=0, evs=evs)
    for split in ("train", "val"):
        records = np.zeros(4, crop_record(32, len(evs)))
        for number, record in enumerate(records):
            stops = cv2.GaussianBlur(rng.normal(0, 1, (32, 32, 3)).astype(np.float32), (0, 0), 4) * 20
            scene = moving_scene(np.exp2(stops), settings, 0, rng)
            record["linear_awg4"], record["encoding"] = scene.linear_awg4, number % 2
            for kind, codes in bracket_stacks(scene, ENCODING_NAMES[number % 2], settings, rng).items():
                record[f"{kind}_code8"] = codes
            record["motion_occluded"][0, :8] = True
        (folder / split).mkdir(parents=True)
        np.save(folder / split / "frame.npy", records)
    (folder / INDEX_NAME).write_bytes(b"the rows of these pairs")
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("pairs"), FOUR)


def train(pairs, folder, settings=SMALL, on_progress=None, evs=FOUR):
    files = folder / "w.safetensors", folder / "loss.tsv"
    return train_exposure_fusion(pairs, settings, *files, on_progress, evs=evs)


def stop_after_five(done, _):
    if done == 5:
        raise KeyboardInterrupt


def test_an_interrupted_training_goes_on_to_the_same_bytes(pairs, tmp_path):
    for name in ("whole", "continued"):
        (tmp_path / name).mkdir()
    figures = train(pairs, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(pairs, tmp_path / "continued", on_progress=stop_after_five)
    seen = []
    assert train(pairs, tmp_path / "continued", on_progress=lambda done, _: seen.append(done)) == figures
    assert seen == [4, 5, 6]
    for file in ("w.safetensors", "loss.tsv"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "continued" / file).read_bytes()


def test_a_checkpoint_of_other_pairs_is_not_continued(pairs, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(pairs, tmp_path, on_progress=stop_after_five)
    index = pairs / INDEX_NAME
    before = index.read_bytes()
    index.write_bytes(b"other rows")
    seen = []
    try:
        train(pairs, tmp_path, on_progress=lambda done, _: seen.append(done))
    finally:
        index.write_bytes(before)
    assert seen == [1, 2, 3, 4, 5, 6]


def test_a_few_steps_make_the_loss_smaller(pairs, tmp_path):
    settings = SMALL.model_copy(update={"steps": 60, "steps_per_validation": 12})
    figures = train(pairs, tmp_path, settings)
    curve = np.genfromtxt(tmp_path / "loss.tsv", names=True)
    assert curve.dtype.names == ("step", "train", *(f"val_{kind}" for kind in KINDS))
    shares = np.array(list(SMALL.shares.values()))
    scores = np.stack([curve[f"val_{kind}"] for kind in KINDS], -1) @ shares
    assert figures["val_loss"] == pytest.approx(scores.min(), abs=1e-3)
    assert scores.min() < scores[0]


def test_what_was_trained_merges(pairs, tmp_path):
    train(pairs, tmp_path)
    cells = [bracket_cells("logc4_awg4", 8, ev, evs=FOUR) for ev in FOUR]
    codes = list(np.random.default_rng(0).integers(60, 200, (4, 40, 50, 3), dtype=np.uint8))
    merger = StackMerger.load(tmp_path / "w.safetensors")
    merged = merger.merge(codes, cells, FOUR, reference=1, threads=1)
    assert np.isfinite(merged.linear).all()


@pytest.mark.parametrize("evs", [FOUR, FIVE, (-2.0, 0.0)])
def test_any_number_of_brackets_is_learned_from_with_the_reference_in_its_slot(tmp_path, monkeypatch, evs):
    """Stacks of more than four are averaged into four slots, and the reference moves with them."""
    seen = []
    forward = exposure_fusion.LuminanceStackProcessor.forward

    def spying(self, level, weight, reference):
        seen.append((level.shape[1], *reference.tolist()))
        return forward(self, level, weight, reference)

    monkeypatch.setattr(exposure_fusion.LuminanceStackProcessor, "forward", spying)
    train(write_pairs(tmp_path / "pairs", evs), tmp_path, SMALL.model_copy(update={"steps": 1}), evs=evs)
    slot = {FOUR: 1, FIVE: 1, (-2.0, 0.0): 1}[evs]  # of five, the two darkest share the first slot
    assert set(seen) == {(4, slot, slot)}


def test_a_bracket_goes_missing_but_never_the_reference(pairs, tmp_path, monkeypatch):
    weights = []
    merged = exposure_fusion.LuminanceStackProcessor.merged

    def spying(self, stack, reference):
        if self.training:
            weights.append(stack.weight.detach().amax((2, 3, 4)))
        return merged(self, stack, reference)

    monkeypatch.setattr(exposure_fusion.LuminanceStackProcessor, "merged", spying)
    train(pairs, tmp_path, SMALL.model_copy(update={"missing_share": 1.0, "steps": 12}))
    there = torch.cat(weights) > 0
    assert there[:, 1].all()
    assert (there.sum(1) == 3).all()
    assert not there[:, [0, 2, 3]].all(0).any(), "each of the others is missing at times"


def test_a_loss_that_is_not_finite_names_the_crops(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(exposure_fusion, "exposure_fusion_loss", lambda level, *_: level.sum() * torch.nan)
    with pytest.raises(TrainingDiverged, match=r"loss is nan at step 1; the batch held frame crop \d"):
        train(pairs, tmp_path)
    assert not (tmp_path / "w.safetensors").exists()
