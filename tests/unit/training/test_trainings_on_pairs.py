"""What holds of each training on pairs, whatever it trains."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
import torch

from hdrgen.dataset.frame_index import INDEX_NAME
from hdrgen.models.highlights import Highlights
from hdrgen.models.tone_fusion import ToneFusion
from hdrgen.models.tone_mlp import ToneMlpLoss
from hdrgen.training import bit_depth, exposure_fusion, highlights, tone_fuser, tone_mlp
from hdrgen.training.bit_depth import TrainBitDepth
from hdrgen.training.exposure_fusion import TrainExposureFusion
from hdrgen.training.guards import TrainingDiverged
from hdrgen.training.highlights import TrainHighlights
from hdrgen.training.tone_fuser import TrainToneFuser
from hdrgen.training.tone_mlp import TrainToneMlp

SHORT = {
    "seed": 0,
    "steps": 6,
    "batch_crops": 2,
    "steps_per_validation": 3,
    "validation_crops": 2,
    "precision": "fp32",
}


@dataclass(frozen=True)
class Training:
    """A training of some steps.

    Parameters
    ----------
    module, train, loss
        Where it is, and the names of its function and of its loss there.
    settings
        Its recipe.
    pairs
        The fixture of its pairs.
    held
        What a batch holds, in its words.
    more
        Other arguments.
    """

    module: ModuleType
    train: str
    loss: str
    settings: Any
    pairs: str
    held: str = r"frame crop \d"
    more: dict[str, Any] | None = None

    def __call__(self, pairs, folder, on_progress: Callable[[int, int], None] | None = None):
        train = getattr(self.module, self.train)
        files = folder / "w.safetensors", folder / "loss.tsv"
        return train(pairs, self.settings, *files, on_progress, **self.more or {})


def of_bit_depth(gradient_share, held):
    settings = TrainBitDepth(
        **SHORT,
        gradient_crops=1,
        gradient_size=64,
        gradient_share=gradient_share,
        validation_gradients=2,
        network={"widths": (4, 4, 4, 4, 4), "blocks": (1, 1, 1, 1, 1)},
    )
    return Training(bit_depth, "train_bit_depth", "code_loss", settings, "bit_depth_folder", held)


GOING_ON = {
    "tone_fuser": Training(
        tone_fuser,
        "train_tone_fuser",
        "tone_fusion_loss",
        TrainToneFuser(**SHORT, network=ToneFusion(widths=(8, 8, 8), blocks=(1, 1, 1))),
        "tone_map_folder",
    ),
    "bit_depth": of_bit_depth(0.5, ""),
    "exposure_fusion": Training(
        exposure_fusion,
        "train_exposure_fusion",
        "exposure_fusion_loss",
        TrainExposureFusion(
            **SHORT,
            network={"exposure_width": 4, "widths": (8, 8, 8, 8, 8), "heads": 2, "attention_window": 3},
        ),
        "brackets_folder",
        more={"evs": (-2.0, 0.0, 2.0, 4.0)},
    ),
    "highlights": Training(
        highlights,
        "train_highlights",
        "_level",
        TrainHighlights(**SHORT, network=Highlights(widths=(8, 8, 8), blocks=(1, 1, 1), curve_widths=(8, 8))),
        "display_folder",
    ),
}
"""Those that go on where they were interrupted."""
ALL = {
    "tone_mlp": Training(
        tone_mlp,
        "train_tone_mlp",
        "tone_mlp_loss",
        TrainToneMlp(
            seed=0, epochs=4, batches_per_epoch=2, batch_pixels=512, crops_per_batch=2, loss=ToneMlpLoss()
        ),
        "tone_map_folder",
    ),
    **GOING_ON,
    "bit_depth": of_bit_depth(0, r"frame crop \d"),
    "bit_depth of gradients": of_bit_depth(1, "synthetic gradients"),
}


@pytest.fixture
def pairs(request, training):
    return request.getfixturevalue(training.pairs)


@pytest.mark.parametrize("training", GOING_ON.values(), ids=GOING_ON)
def test_an_interrupted_training_goes_on_to_the_same_bytes(training, pairs, tmp_path, interrupt_after):
    for name in ("whole", "continued"):
        (tmp_path / name).mkdir()
    figures = training(pairs, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        training(pairs, tmp_path / "continued", interrupt_after(5))
    seen = []
    assert training(pairs, tmp_path / "continued", lambda done, _: seen.append(done)) == figures
    assert seen == [4, 5, 6]
    for file in ("w.safetensors", "loss.tsv"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "continued" / file).read_bytes()


@pytest.mark.parametrize("training", GOING_ON.values(), ids=GOING_ON)
def test_a_checkpoint_of_other_pairs_is_not_continued(training, pairs, tmp_path, interrupt_after):
    with pytest.raises(KeyboardInterrupt):
        training(pairs, tmp_path, interrupt_after(5))
    assert (tmp_path / "w.checkpoint.safetensors").is_file()
    index = pairs / INDEX_NAME
    before = index.read_bytes()
    index.write_bytes(b"other rows")
    seen = []
    try:
        training(pairs, tmp_path, lambda done, _: seen.append(done))
    finally:
        index.write_bytes(before)
    assert seen == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("training", ALL.values(), ids=ALL)
def test_a_loss_that_is_not_finite_stops_before_the_step_and_names_the_batch(
    training, pairs, tmp_path, monkeypatch
):
    stepped = []
    monkeypatch.setattr(training.module, training.loss, lambda estimate, *_: estimate.sum() * torch.nan)
    monkeypatch.setattr(torch.optim.Adam, "step", lambda *_, **__: stepped.append(1))
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda *_, **__: stepped.append(1))
    with pytest.raises(TrainingDiverged, match=rf"loss is nan at step \d; the batch held {training.held}"):
        training(pairs, tmp_path)
    assert not stepped
    assert not (tmp_path / "w.safetensors").exists()
