import numpy as np
import torch

from hdrgen.dataset.pairs.scene_crops import SceneCrop
from hdrgen.evaluation.base_model import NearestPicture, evaluate_prompts
from hdrgen.training.base_model import PromptSamples


def pictures_of(colours):
    return np.stack([np.full((32, 32, 3), colour, np.uint8) for colour in colours])


RED, BLUE = (200, 30, 30), (30, 30, 200)


def test_a_picture_is_of_the_kind_of_the_nearest_one():
    kinds = np.array(["red", "blue", "red"])
    nearest = NearestPicture.learned(pictures_of([RED, BLUE, (180, 30, 30)]), kinds)
    assert list(nearest(pictures_of([(150, 60, 50), (60, 50, 150)]))) == ["red", "blue"]


class Painter:
    """A model that paints each prompt in one colour; its tokens are that colour."""

    def __init__(self, colours):
        self.colours = colours

    def sample(self, prompts, seeds, **_):
        assert len(prompts) == len(seeds)
        return torch.tensor([self.colours[prompt] for prompt in prompts])

    def picture(self, tokens, height, width):
        return (tokens / 127.5 - 1)[:, :, None, None].expand(-1, -1, height, width)


def crops_of(kinds):
    return [
        SceneCrop(np.zeros((32, 32, 3), np.float32), f"{kind}{i}", kind, ("",))
        for i, kind in enumerate(kinds)
    ]


def evaluated(colours, tmp_path):
    crops, code8 = crops_of(["red", "red", "blue", "blue"]), pictures_of([RED, RED, BLUE, BLUE])
    return evaluate_prompts(
        Painter(colours), crops, code8, PromptSamples(seeds=(1, 2)), tmp_path / "sheet.png"
    )


def test_a_model_that_listens_scores_1_and_one_that_ignores_the_prompt_scores_chance(tmp_path):
    listens = evaluated({"red": RED, "blue": BLUE}, tmp_path)
    assert listens == {
        "prompt_accuracy": 1.0,
        "classifier_accuracy": 1.0,
        "chance": 0.5,
        "seed_spread_code": 0.0,
    }
    assert evaluated({"red": RED, "blue": RED}, tmp_path)["prompt_accuracy"] == 0.5


def test_frames_that_do_not_say_what_they_show_are_not_judged(tmp_path):
    crops = crops_of([""])
    assert (
        evaluate_prompts(Painter({}), crops, pictures_of([RED]), PromptSamples(), tmp_path / "sheet.png")
        == {}
    )
