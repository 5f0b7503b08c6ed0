"""One implementation of a curve for numpy and for torch.

A curve takes an array of either library and gives the same kind back. Numbers are computed in the array's own
precision; half floats are promoted to single, integers refused.
"""

from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import array_api_compat
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

ArrayT = TypeVar("ArrayT", NDArray[Any], "torch.Tensor")


def float_array(values: ArrayT) -> tuple[ModuleType, ArrayT]:
    """Return the array's namespace and the array in at least single precision.

    Raises
    ------
    TypeError
        The values are not floats, so their encoding is unknown.
    """
    if isinstance(values, float | int):
        values = np.asarray(values, np.float64)
    # numpy 2 speaks the array API itself, and finding that out takes longer than to read a picture.
    namespace = (
        np if isinstance(values, np.ndarray | np.generic) else array_api_compat.array_namespace(values)
    )
    if not namespace.isdtype(values.dtype, "real floating"):
        raise TypeError(f"expected floats, got {values.dtype}: divide code values by their maximum first")
    if values.dtype == namespace.float16:
        values = namespace.astype(values, namespace.float32)
    return namespace, values
