import numpy as np

from hdrgen.metrics.base_model import JudgedSamples, NearestPicture, judge_prompts
from hdrgen.pairs.display_crops import DisplayCrops


def pictures_of(colours):
    return np.stack([np.full((32, 32, 3), colour, np.uint8) for colour in colours])


RED, BLUE = (200, 30, 30), (30, 30, 200)


def test_a_picture_is_of_the_kind_of_the_nearest_one():
    kinds = np.array(["red", "blue", "red"])
    nearest = NearestPicture.learned(pictures_of([RED, BLUE, (180, 30, 30)]), kinds)
    assert list(nearest(pictures_of([(150, 60, 50), (60, 50, 150)]))) == ["red", "blue"]


class Painter:
    """A pipeline that paints each prompt in one colour."""

    def __init__(self, colours):
        self.colours = colours
        self.tokenizer = type("Tokenizer", (), {"model_max_length": 32})

    def set_progress_bar_config(self, **_):
        pass

    def __call__(self, *, prompt, height, width, **_):
        pictures = [np.broadcast_to(np.array(self.colours[p]) / 255, (height, width, 3)) for p in prompt]
        return type("Output", (), {"images": np.stack(pictures)})


def judged(colours, tmp_path):
    crops = DisplayCrops(
        pictures_of([RED, RED, BLUE, BLUE]),
        ["r1", "r2", "b1", "b2"],
        ["red", "red", "blue", "blue"],
        [("",)] * 4,
    )
    return judge_prompts(Painter(colours), crops, JudgedSamples(seeds=(1, 2)), tmp_path / "sheet.png")


def test_a_model_that_listens_scores_1_and_one_that_ignores_the_prompt_scores_chance(tmp_path):
    listens = judged({"red": RED, "blue": BLUE}, tmp_path)
    assert listens == {
        "prompt_accuracy": 1.0,
        "classifier_accuracy": 1.0,
        "chance": 0.5,
        "seed_spread_code": 0.0,
    }
    assert judged({"red": RED, "blue": RED}, tmp_path)["prompt_accuracy"] == 0.5


def test_frames_that_do_not_say_what_they_show_are_not_judged(tmp_path):
    crops = DisplayCrops(pictures_of([RED]), ["r1"], [""], [("",)])
    assert judge_prompts(Painter({}), crops, JudgedSamples(), tmp_path / "sheet.png") == {}
