"""How pictures are sampled where a person leaves it open."""

from typing import TYPE_CHECKING

from hdrgen.routes.generation.wishes import Sampling, check_size

if TYPE_CHECKING:
    from hdrgen.routes.generation.trained import Trained

SEED_MAX = 2**31 - 1
"""What an integer in an EXR header holds."""


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
    width, height = width or trained.size, height or trained.size
    check_size(width, height, trained.pixels_per_token)
    distilled = trained.checkpoint.distilled
    return Sampling(
        width,
        height,
        steps or (4 if distilled else 28),
        guidance or (1.0 if distilled else 4.0),
        negative,
    )
