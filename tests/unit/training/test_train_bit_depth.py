import numpy as np
import pytest
import torch

from hdrgen.dataset.frame_index import INDEX_NAME
from hdrgen.dataset.pairs.bit_depth_pairs import MakeBitDepthPairs, bit_depth_pictures, crop_record
from hdrgen.dataset.pairs.gradients import gradient_logc4
from hdrgen.inference.bit_depth import Expander
from hdrgen.models.bit_depth import load_bit_depth
from hdrgen.models.int8_unet import has_ranges
from hdrgen.training import bit_depth
from hdrgen.training.bit_depth import TrainBitDepth, train_bit_depth
from hdrgen.training.guards import TrainingDiverged

SMALL = TrainBitDepth(
    seed=0,
    steps=6,
    batch_crops=2,
    gradient_crops=1,
    gradient_size=64,
    validation_gradients=2,
    steps_per_validation=3,
    validation_crops=2,
    precision="fp32",
    network={"widths": (4, 4, 4, 4, 4), "blocks": (1, 1, 1, 1, 1)},
)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        records = np.zeros(4, crop_record(64))
        for record in records:
            code16 = np.rint(gradient_logc4(rng, 64, 64) * 65535).astype(np.uint16)
            record["logc4_code16"] = code16
            for kind, code8 in bit_depth_pictures(code16, MakeBitDepthPairs(seed=0), rng).items():
                record[f"{kind}_code8"] = code8
        (folder / split).mkdir()
        np.save(folder / split / "frame.npy", records)
    (folder / INDEX_NAME).write_bytes(b"the rows of these pairs")
    return folder


def train(pairs, folder, settings=SMALL, on_progress=None):
    return train_bit_depth(pairs, settings, folder / "w.safetensors", folder / "loss.tsv", on_progress)


def stop_after_five(done, _):
    if done == 5:
        raise KeyboardInterrupt


def test_an_interrupted_training_goes_on_to_the_same_bytes(pairs, tmp_path):
    for name in ("whole", "continued"):
        (tmp_path / name).mkdir()
    figures = train(pairs, tmp_path / "whole")
    assert has_ranges(load_bit_depth(tmp_path / "whole/w.safetensors").unet)
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
    assert (tmp_path / "w.checkpoint.safetensors").is_file()
    index = pairs / INDEX_NAME
    before = index.read_bytes()
    index.write_bytes(b"other rows")
    seen = []
    try:
        train(pairs, tmp_path, on_progress=lambda done, _: seen.append(done))
    finally:
        index.write_bytes(before)
    assert seen == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("gradient_share", [0, 1])
def test_a_few_steps_make_the_loss_smaller(pairs, tmp_path, gradient_share):
    settings = SMALL.model_copy(
        update={"steps": 40, "steps_per_validation": 10, "gradient_share": gradient_share}
    )
    figures = train(pairs, tmp_path, settings)
    curve = np.genfromtxt(tmp_path / "loss.tsv", names=True)
    assert curve.dtype.names == ("step", "train", "val_clean", "val_generated", "val_gradients")
    assert figures["val_loss"] < np.mean([curve[name][0] for name in curve.dtype.names[2:]])
    assert (curve["val_clean"] < -55).all(), "a clean answer is inside its cells from the beginning"


def test_what_was_trained_expands(pairs, tmp_path):
    train(pairs, tmp_path)
    code8 = np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8)
    code = Expander.load(tmp_path / "w.safetensors").expand(code8, threads=1)
    np.testing.assert_array_equal(np.rint(code * 255), code8)


@pytest.mark.parametrize(("gradient_share", "name"), [(0, r"frame crop \d"), (1, "synthetic gradients")])
def test_a_loss_that_is_not_finite_names_the_samples(pairs, tmp_path, monkeypatch, gradient_share, name):
    monkeypatch.setattr(bit_depth, "code_loss", lambda code, _: code.sum() * torch.nan)
    with pytest.raises(TrainingDiverged, match=f"loss is nan at step 1; the batch held {name}"):
        train(pairs, tmp_path, SMALL.model_copy(update={"gradient_share": gradient_share}))
    assert not (tmp_path / "w.safetensors").exists()
