"""The figures of a picture that validation shows: unit, which way is better, and where that counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

Better = Literal["higher", "lower", "nearer 1", ""]


@dataclass(frozen=True)
class Figure:
    """What a figure is."""

    unit: str
    better: Better
    """``nearer 1`` is a ratio, off either way; an empty one is shown and has no verdict."""
    least: float = 0.0
    """Smallest difference of `goodness` that counts: below it, nobody would see one."""
    of_content: bool = False
    """It depends on what a picture shows, so it counts only beside the frame that the picture was made of."""

    def goodness(self, value: float) -> float:
        """Return a number that is larger where the figure is better: in the figure's unit, or in stops for ratios.

        Examples
        --------
        >>> Figure("", "nearer 1").goodness(2), Figure("", "nearer 1").goodness(0.5), Figure("dB", "higher").goodness(40)
        (-1.0, -1.0, 40)
        """
        if self.better == "nearer 1":
            return -abs(float(np.log2(max(value, _LEAST_RATIO))))
        return -value if self.better == "lower" else value


_LEAST_RATIO = 2.0**-14

FIGURES: Mapping[str, Figure] = {
    "ceiling_share": Figure("of pixels", "lower", 1e-3, of_content=True),
    "clipped_fraction_-4": Figure("of pixels", "lower", 1e-3, of_content=True),
    "banded_share": Figure("of flat areas", "lower", 1e-2),
    "noise_floor_stops": Figure("stops", ""),
    "noise_floor_shift_stops": Figure("stops", "lower", 0.05, of_content=True),
    "gap_share": Figure("of levels", "lower", 1e-2),
    "comb": Figure("0 smooth, 1 teeth", "lower", 1e-2),
    "logc4_psnr": Figure("dB", "higher", 0.1, of_content=True),
    "highlight_saturation_uv": Figure("u'v'", ""),
    "highlight_saturation_ratio": Figure("ratio", "nearer 1", 0.02, of_content=True),
    "highlight_hue_shift_degrees": Figure("degrees", "lower", 0.5, of_content=True),
    "source_energy_share": Figure("of light", ""),
    "source_energy_ratio": Figure("ratio", "nearer 1", 0.02, of_content=True),
    "source_area_ratio": Figure("ratio", "nearer 1", 0.02, of_content=True),
}
"""Every figure that a picture can have, in the order of tables."""

OF_GRADIENTS = ("banded_share", "gap_share", "comb", "logc4_psnr")
"""Those that a smooth gradient can have, in which there is no grain, no black, no ceiling and no source of light."""
