import numpy as np
import pytest

from hdrgen.inference.bit_depth import Expander
from hdrgen.models.bit_depth import load_bit_depth
from hdrgen.models.int8_unet import has_ranges
from hdrgen.training.bit_depth import TrainBitDepth, train_bit_depth

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


def train(pairs, folder, settings=SMALL, on_progress=None):
    return train_bit_depth(pairs, settings, folder / "w.safetensors", folder / "loss.tsv", on_progress)


@pytest.mark.parametrize("gradient_share", [0, 1])
def test_a_few_steps_make_the_loss_smaller(bit_depth_folder, tmp_path, gradient_share):
    settings = SMALL.model_copy(
        update={"steps": 40, "steps_per_validation": 10, "gradient_share": gradient_share}
    )
    figures = train(bit_depth_folder, tmp_path, settings)
    curve = np.genfromtxt(tmp_path / "loss.tsv", names=True)
    assert curve.dtype.names == ("step", "train", "val_clean", "val_generated", "val_gradients")
    assert figures["val_loss"] < np.mean([curve[name][0] for name in curve.dtype.names[2:]])
    assert (curve["val_clean"] < -55).all(), "a clean output is inside its intervals from the beginning"


def test_what_was_trained_expands(bit_depth_folder, tmp_path):
    train(bit_depth_folder, tmp_path)
    assert has_ranges(load_bit_depth(tmp_path / "w.safetensors").unet)
    code8 = np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8)
    code = Expander.load(tmp_path / "w.safetensors").expand(code8, threads=1)
    np.testing.assert_array_equal(np.rint(code * 255), code8)
