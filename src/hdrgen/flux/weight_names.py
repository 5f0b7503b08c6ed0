"""Whether a model got the weights that a folder holds: under other names they would be left out in silence."""

from pathlib import Path

from safetensors import safe_open
from torch import nn

from hdrgen.runtime.errors import HdrgenError

_OF_DIFFUSERS = "diffusion_pytorch_model*.safetensors"
_OF_TRANSFORMERS = "model*.safetensors"
_PREFIXES = ("", "model.", "text_model.")
"""What transformers adds and removes by itself."""


def check_weights(model: nn.Module, folder: Path, way_out: str = "get it again") -> None:
    """Check that the weights of a model are in the folder that it was loaded from.

    Parameters
    ----------
    model
        Of diffusers, or a text encoder of transformers, which converts names: of that one name is enough.
    folder
        Of one component of a checkpoint.
    way_out
        What to do about it, at the end of the message.

    Raises
    ------
    HdrgenError
        A weight is not there.
    """
    of_diffusers = sorted(folder.glob(_OF_DIFFUSERS))
    stored: set[str] = set()
    for file in of_diffusers or sorted(folder.glob(_OF_TRANSFORMERS)):
        with safe_open(file, framework="pt") as weights:
            stored |= set(weights.keys())
    own = set(model.state_dict())
    # A counter of training, which old files lack, is no weight.
    missing = sorted(name for name in own - stored if not name.endswith("num_batches_tracked"))
    other = sorted(stored - own)
    if not of_diffusers and _without_prefixes(own) & _without_prefixes(stored):
        return
    if missing:
        instead = f", and has {other[0]} instead" if other else ""
        raise HdrgenError(
            f"{folder}: lacks {len(missing)} of the model's weights, such as {missing[0]}{instead}; {way_out}"
        )


def _without_prefixes(names: set[str]) -> set[str]:
    return {name.removeprefix(prefix) for name in names for prefix in _PREFIXES}
