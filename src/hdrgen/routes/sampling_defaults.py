"""How pictures are sampled where a person leaves it open."""

from typing import TYPE_CHECKING

from hdrgen.routes.requests import Sampling, check_size

if TYPE_CHECKING:
    from hdrgen.routes.trained_models import Trained

SEED_MAX = 2**31 - 1
"""What an integer in an EXR header holds."""

DISTILLED = (4, 1.0)
"""Steps and guidance of distilled checkpoints."""


def sampling_for(
    trained: "Trained",
    *,
    width: int | None = None,
    height: int | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    negative: str = "",
) -> Sampling:
    """Return how to sample with a route's models; None is what they were made for.

    That is the size of the pictures they were trained on, 28 steps and a guidance of 4; 4 steps without guidance
    where they are distilled.

    Raises
    ------
    HdrgenError
        The sides are not whole tokens.
    """
    width = trained.size if width is None else width
    height = trained.size if height is None else height
    check_size(width, height, trained.pixels_per_token)
    usual_steps, usual_guidance = (
        DISTILLED if trained.checkpoint.distilled else (Sampling.steps, Sampling.guidance)
    )
    return Sampling(
        width,
        height,
        usual_steps if steps is None else steps,
        usual_guidance if guidance is None else guidance,
        negative,
    )
