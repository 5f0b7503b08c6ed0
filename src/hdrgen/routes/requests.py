"""Requests for pictures: prompts, seeds and how to sample them. Imports nothing heavy."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from hdrgen.runtime.errors import HdrgenError

_SLUG_LENGTH = 40


@dataclass(frozen=True)
class GenerationRequest:
    """The prompt and seed of one picture. The seed decides its noise, whatever is sampled beside it."""

    prompt: str
    seed: int = 0


@dataclass(frozen=True)
class Sampling:
    """How pictures are sampled.

    Parameters
    ----------
    width, height
        Pixels, multiples of the generator's ``pixels_per_token``.
    steps
        Steps of the Euler sampler.
    guidance
        Scale of guidance; 1 is none.
    negative_prompt
        What guidance moves the picture away from; empty is nothing.
    """

    width: int
    height: int
    steps: int = 28
    guidance: float = 4.0
    negative_prompt: str = ""


def check_size(width: int, height: int, pixels_per_token: int) -> None:
    """Check that a picture's sides are whole tokens.

    Raises
    ------
    HdrgenError
        They are not.
    """
    for side in (width, height):
        if side < pixels_per_token or side % pixels_per_token:
            nearest = max(1, round(side / pixels_per_token)) * pixels_per_token
            raise HdrgenError(
                f"a size of {width}x{height} does not fit this model: sides must be multiples of {pixels_per_token}, "
                f"such as {nearest} for {side}"
            )


def read_prompts(path: Path) -> list[tuple[int, str]]:
    """Return a text file's prompts with their line numbers, from 1; empty lines are left out.

    Raises
    ------
    HdrgenError
        It cannot be read, is not UTF-8, or holds no prompt.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise HdrgenError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise HdrgenError(f"{path}: is no UTF-8 text; save it as UTF-8, one prompt a line") from None
    prompts = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    if not prompts:
        raise HdrgenError(f"{path}: holds no prompt; write one a line")
    return prompts


def file_name(number: int, prompt: str, seed: int) -> str:
    """Return a plain name for a picture: line number, the prompt's first words, seed.

    Examples
    --------
    >>> file_name(3, "Café at night, rain", 7)
    '003_cafe-at-night-rain_seed7.exr'
    """
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain)[:_SLUG_LENGTH].strip("-")
    return f"{number:03d}_{slug or 'prompt'}_seed{seed}.exr"
