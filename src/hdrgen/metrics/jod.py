"""ColorVideoVDP: how good a picture looks beside its reference, in just-objectionable differences.

Mantiuk et al., "ColorVideoVDP: A visual difference predictor for image, video and display distortions" (SIGGRAPH
2024), by the authors' own package ``cvvdp``, which is an extra.
"""

from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import AWG4, REC709, convert_primaries
from hdrgen.colour.units import NITS_PER_UNIT
from hdrgen.runtime.errors import HdrgenError

DISPLAY = "standard_hdr_linear"
"""A 30-inch 4K monitor in dim light, seen from twice its height; its peak limits what is seen."""
PEAK_NITS = 1500.0
"""Peak luminance of that monitor."""


def is_installed() -> bool:
    """Tell whether the package is there."""
    return find_spec("pycvvdp") is not None


def jod(test: NDArray[np.floating], reference: NDArray[np.floating], *, display: str = DISPLAY) -> float:
    """Return the quality in JOD: 10 is no visible difference, one less is one that 75 % of people object to.

    Parameters
    ----------
    test, reference
        Scene-linear AWG4 of one shape ``(H, W, 3)``; 1.0 is 100 nit.
    display
        A display of cvvdp whose input is absolute light in Rec.709 primaries.

    Raises
    ------
    HdrgenError
        The package is not installed, or cannot be loaded.

    Examples
    --------
    >>> picture = np.full((64, 64, 3), 0.18, np.float32)
    >>> jod(picture, picture)  # doctest: +SKIP
    10.0
    """
    try:
        import pycvvdp  # noqa: PLC0415 - an extra
        import torch  # noqa: PLC0415 - takes seconds, and nothing else here needs it
    except (ImportError, RuntimeError, OSError) as error:
        raise HdrgenError(
            f"JOD needs ColorVideoVDP ({error}); install it with pip install 'hdrgen[jod]'"
        ) from None
    nits = [
        np.maximum(convert_primaries(linear.astype(np.float32), AWG4, REC709) * np.float32(NITS_PER_UNIT), 0)
        for linear in (test, reference)
    ]
    metric = pycvvdp.cvvdp(display_name=display, device=torch.device("cpu"), quiet=True)
    value, _ = metric.predict(*nits, dim_order="HWC")
    return float(value)
