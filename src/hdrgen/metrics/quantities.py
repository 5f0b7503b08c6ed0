"""What the figures of ``metrics/`` are in: the unit of each, and which way is better.

The suite against a reference says it of its own metrics (`full_reference.METRICS`), validation of its figures
(`production_figures.FIGURES`); here are those that need no reference, and those of training and of the data.
"""

import re
from dataclasses import dataclass

from hdrgen.metrics.full_reference import METRICS
from hdrgen.metrics.production_figures import FIGURES, Better


@dataclass(frozen=True)
class Quantity:
    """The unit of a figure, and what is better; each empty where there is none, as a range in stops may be any."""

    unit: str = ""
    better: Better = ""

    def gain(self, before: float, now: float) -> float:
        """Return by how much a figure is better than another in its own unit; 0 where no way is better.

        Examples
        --------
        >>> Quantity("dB", "higher").gain(40, 42), Quantity("stops", "lower").gain(0.5, 0.75)
        (2, -0.25)
        >>> Quantity(better="nearer 1").gain(0.5, 1.25), Quantity("stops").gain(13, 14)
        (0.25, 0)
        """
        match self.better:
            case "higher":
                return now - before
            case "lower":
                return before - now
            case "nearer 1":
                return abs(before - 1) - abs(now - 1)
        return 0


_PIXELS, _PICTURES, _CODES = "of pixels", "of pictures", "codes"
QUANTITIES: dict[str, Quantity] = {
    **{name: Quantity(metric.unit, metric.better) for name, metric in METRICS.items()},
    "psnr": Quantity("dB", "higher"),
    "same_code8_share": Quantity("of codes", "higher"),
    "stops_rmse_over": Quantity("ratio", "lower"),
    "margin": Quantity("dB", "higher"),
    # Generated pictures: `metrics.generated`, `evaluation.text_to_exr`.
    "adherence": Quantity(_PICTURES, "higher"),
    "clipped_fraction": Quantity(_PIXELS, "lower"),
    "consistency_pu21_psnr": Quantity("dB", "higher"),
    "exposure_error_stops": Quantity("stops", "lower"),
    "compared_share": Quantity("of components"),
    "tone_distance_stops": Quantity("stops", "lower"),
    "spread_stops": Quantity("stops"),
    "accuracy": Quantity(_PICTURES, "higher"),
    "chance": Quantity(_PICTURES),
    "confusion": Quantity("crops"),
    "seed_spread_code": Quantity(_CODES),
    # Light of one picture.
    "stops": Quantity("stops"),
    "peak_linear": Quantity("linear"),
    "median_linear": Quantity("linear"),
    "at_maximum_share": Quantity(_PIXELS, "lower"),
    "finite_share": Quantity(_PIXELS, "higher"),
    "negative_share": Quantity("of components", "lower"),
    # What fine-tuning changed: more light or more range is not better in itself.
    "clipped_ratio": Quantity("ratio", "lower"),
    "base_against_brackets_peak_ratio": Quantity("ratio"),
    # Recovered light: `evaluation.highlights`.
    "gain_db": Quantity("dB", "higher"),
    "gain_crf_db": Quantity("dB", "higher"),
    "energy_error_stops": Quantity("stops", "lower"),
    "peak_error_stops": Quantity("stops", "lower"),
    "seen_rmse_stops": Quantity("stops", "lower"),
    # Whether a picture survives production: `validation`.
    "falls_short": Quantity("figures", "lower"),
    "as_footage": Quantity("figures", "higher"),
    "levels": Quantity("half floats that occur"),
    **{name: Quantity(figure.unit, figure.better) for name, figure in FIGURES.items()},
    # Training, captions and exports.
    "loss": Quantity("", "lower"),
    "bytes": Quantity("bytes"),
    "failures": Quantity("", "lower"),
    "invalid": Quantity("", "lower"),
    "contradicted_share": Quantity("of captions", "lower"),
    "contradictions": Quantity("captions", "lower"),
    "quarantined": Quantity("files", "lower"),
    "relative_error": Quantity("", "lower"),
    "error_ppm": Quantity("parts per million", "lower"),
}
"""Every quantity by its name in a metrics file, those that say most first in each group."""


def quantity_of(figure: str) -> Quantity:
    """Return what a figure is in, by its name or its path in a metrics file; an empty quantity where it is unknown.

    The first registered name among its words counts, and of those that begin there the longest: sections say what
    their entries are, and a band, a kind or an exposure may follow.

    Examples
    --------
    >>> quantity_of("train_code_psnr"), quantity_of("stops_rmse_above_16")
    (Quantity(unit='dB', better='higher'), Quantity(unit='stops', better='lower'))
    >>> quantity_of("routes / base / adherence_by_kind / neon alley")
    Quantity(unit='of pictures', better='higher')
    >>> quantity_of("best_step")
    Quantity(unit='', better='')
    """
    words = re.split(r"[ _/]+", figure)
    for start in range(len(words)):
        for end in range(len(words), start, -1):
            quantity = QUANTITIES.get("_".join(words[start:end]))
            if quantity:
                return quantity
    return Quantity()
