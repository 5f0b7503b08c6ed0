"""The section of the stage ``train_tone_fusion``: two networks for one task, each with its own recipe."""

from hdrgen.runtime.params import Section
from hdrgen.training.tone_fuser import TrainToneFuser
from hdrgen.training.tone_mlp import TrainToneMlp


class TrainToneFusion(Section):
    """Recipes of the published perceptron and of the product's fuser."""

    mlp: TrainToneMlp
    """The published perceptron, by the published recipe."""
    fuser: TrainToneFuser
    """The product's own network."""
