import numpy as np
import pytest
import torch

from hdrgen.evaluation.scene_classifier import (
    ClassifierRecipe,
    NamedPictures,
    SceneClassifier,
    confusion,
    held_out_kinds,
    srgb_display_code8,
)

RECIPE = ClassifierRecipe(steps=60, batch=24, folds=2)
COLOURS = {"grass": (0.05, 0.4, 0.05), "sea": (0.05, 0.1, 0.4), "sand": (0.5, 0.4, 0.2)}


def pictures(frames_per_kind=4, crops=3, seed=1):
    """Return noisy patches of each kind's colour, brighter and darker."""
    rng = np.random.default_rng(seed)
    rows = [
        (np.array(colour) * rng.uniform(0.7, 1.4) * rng.uniform(0.5, 1.5, (32, 32, 1)), kind, f"{kind} {n}")
        for kind, colour in COLOURS.items()
        for n in range(frames_per_kind)
        for _ in range(crops)
    ]
    light, kinds, frames = zip(*rows, strict=True)
    return NamedPictures(np.stack(light).astype(np.float32), np.array(kinds), np.array(frames))


def test_kinds_that_can_be_told_apart_are_told_apart_on_frames_that_were_not_learned():
    known = pictures()
    taken_for = held_out_kinds(known, RECIPE)
    assert np.mean(taken_for == known.kinds) > 0.95
    table = confusion(known.kinds, taken_for)
    assert set(table) == set(COLOURS)
    assert sum(n for row in table.values() for n in row.values()) == len(known.kinds)


def test_kinds_that_cannot_be_told_apart_are_guessed():
    known = pictures()
    rng = np.random.default_rng(3)
    shuffled = dict(
        zip(
            np.unique(known.frames), rng.permutation(known.kinds[:: len(known.kinds) // 12][:12]), strict=True
        )
    )
    mixed = NamedPictures(known.linear_awg4, np.array([shuffled[f] for f in known.frames]), known.frames)
    assert np.mean(held_out_kinds(mixed, RECIPE) == mixed.kinds) < 0.7


def test_exposure_does_not_decide_the_kind():
    known = pictures()
    classifier = SceneClassifier.learned(known, RECIPE)
    for stops in (-1, 0, 1):
        assert np.mean(classifier(srgb_display_code8(known.linear_awg4, stops)) == known.kinds) > 0.95


def test_it_is_the_same_each_time_whatever_the_size_of_the_batch_and_leaves_torchs_generator_alone():
    known = pictures()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = (SceneClassifier.learned(known, RECIPE) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    codes = srgb_display_code8(pictures(seed=2).linear_awg4)
    assert list(first(codes)) == list(second(codes))
    assert [first(one[None])[0] for one in codes] == list(first(codes))


def test_a_monitor_shows_grey_as_grey_and_nan_as_black():
    light = np.full((1, 4, 4, 3), 0.18, np.float32)
    light[0, 0, 0, 0] = np.nan
    codes = srgb_display_code8(light)
    assert codes.dtype == np.uint8
    assert np.ptp(codes[0, 1, 1].astype(int)) <= 2
    assert codes[0, 0, 0, 0] < codes[0, 1, 1, 0]
    assert srgb_display_code8(light, 1.0)[0, 1, 1, 1] > codes[0, 1, 1, 1]


@pytest.mark.parametrize("folds", [2, 3])
def test_every_fold_reports_and_every_picture_gets_an_answer(folds):
    known, progress = pictures(frames_per_kind=3, crops=1), []
    recipe = RECIPE.model_copy(update={"folds": folds, "steps": 2})
    taken_for = held_out_kinds(known, recipe, lambda done, total: progress.append((done, total)))
    assert progress == [(n + 1, folds) for n in range(folds)]
    assert set(taken_for) <= set(COLOURS)
