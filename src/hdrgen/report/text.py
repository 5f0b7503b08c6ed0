"""Numbers and names for eyes: rounded, with signs, units and the field's own spelling."""

import re
from typing import Any, Literal

from hdrgen.metrics.quantities import quantity_of

MINUS = "\N{MINUS SIGN}"
Verdict = Literal["", "best", "above", "below"]
_DIGESTS = re.compile(r"(_[0-9a-f]{12})+$")
_SPELLING = {
    word.lower().replace("-", ""): word
    for word in (
        *("8-bit", "dB", "EXR", "FLUX", "HDR", "JPEG", "LogC3", "LogC4", "LoRA", "MLP", "OpenCV"),
        *("PSNR", "PU21", "RMSE", "sRGB", "SSIM", "VAE"),
    )
} | {"pu21": "PU21", "inf": "Inf", "nan": "NaN", "uv": "u'v'"}


def rounded(value: Any) -> str:
    """Return a figure for eyes: about four digits, a real minus sign, thousands apart.

    Examples
    --------
    >>> rounded(63.5557), rounded(-0.02514), rounded(2142176), rounded(0.0), rounded(18234.2)
    ('63.56', '\N{MINUS SIGN}0.0251', '2\N{NARROW NO-BREAK SPACE}142\N{NARROW NO-BREAK SPACE}176', '0', '18\N{NARROW NO-BREAK SPACE}234')
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        return _as_text(value)
    size = abs(value)
    if isinstance(value, int) or size >= 1000:
        text = f"{size:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    elif size == 0:
        text = "0"
    elif size >= 100:
        text = f"{size:.1f}"
    elif size >= 1:
        text = f"{size:.2f}"
    elif size >= 0.1:
        text = f"{size:.4f}"
    elif size >= 0.0001:
        text = f"{size:.3g}"
    else:
        text = f"{size:.1e}".replace("e-0", "e-").replace("-", MINUS)
    return f"{MINUS}{text}" if value < 0 else text


def _as_text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(rounded, value))
    return {None: "none", True: "yes", False: "no"}[value] if value in {None, True, False} else str(value)


def two_digits(spread: float) -> str:
    """Return a spread for eyes."""
    return rounded(spread) if spread >= 1 or spread < 0.0001 else f"{spread:.2g}"


def signed(value: float) -> str:
    """Return a difference for eyes, with its sign: two digits behind the point, or two that are not 0 of four.

    Examples
    --------
    >>> signed(0.2391), signed(-20.172), signed(-0.0241), signed(0.00472), signed(-0.00001)
    ('+0.24', '\N{MINUS SIGN}20.17', '\N{MINUS SIGN}0.024', '+0.0047', '0')
    """
    size = abs(value)
    decimals = 2 if size >= 0.1 else 3 if size >= 0.01 else 4
    if round(size, decimals) == 0:
        return "0"
    text = rounded(size) if size >= 100 else f"{size:.{decimals}f}"
    return f"+{text}" if value > 0 else f"{MINUS}{text}"


def verdict_on(margin: float) -> Verdict:
    """Return whether a model is above its baseline, below it, or, to four decimals, level with it."""
    if signed(margin) == "0":
        return ""
    return "above" if margin > 0 else "below"


def words(name: str) -> str:
    """Return a name of code as words, with the field's own spelling.

    Examples
    --------
    >>> words("pu21_psnr"), words("srgb_8bit"), words("stops_rmse_below_0.05")
    ('PU21-PSNR', 'sRGB 8-bit', 'stops RMSE below 0.05')
    """
    spelled = " ".join(_SPELLING.get(word, word) for word in name.split("_"))
    return spelled.replace("PU21 ", "PU21-")


def frame_name(name: str) -> str:
    """Return a frame's name without its source and its digests.

    Examples
    --------
    >>> frame_name("simulated/night_street_0026_a94850d569f7_a69b7a31686e")
    'night street 0026'
    """
    return _DIGESTS.sub("", name.rsplit("/", 1)[-1]).replace("_", " ")


def unit_of(figure: str) -> str:
    """Return the unit of a figure, by its name or its path; empty where there is none, or where the name has it.

    Examples
    --------
    >>> unit_of("pu21_psnr"), unit_of("gain_db"), unit_of("routes / base / clipped_fraction")
    ('dB', '', 'of pixels')
    """
    unit = quantity_of(figure).unit
    return "" if unit.lower() in figure.rsplit(" / ", 1)[-1].split("_") else unit


def unit_and_wish(figure: str) -> str:
    """Return the unit of a figure and which way is better."""
    better = quantity_of(figure).better
    return ", ".join(filter(None, (unit_of(figure), f"{better} is better" if better else "")))
