"""Weights on disk: safetensors with the settings of their network, never pickles."""

import json
import re
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError

ModuleT = TypeVar("ModuleT", bound=nn.Module)

FORMER_NAMES = {
    "attention.leave": "attention.output",
    "enter": "stem",
    "leave": "head",
    "grow": "upsample",
    "shrink": "downsample",
}
"""Layers by the names that they had once: weights trained then are read as well."""
_FORMER_NAME = re.compile(rf"\b({'|'.join(map(re.escape, FORMER_NAMES))})\b")


def released_weights(model: str) -> Path:
    """Return the weights of a model that come with the package."""
    return Path(str(resources.files("hdrgen") / "weights" / f"{model}.safetensors"))


def save_model(
    path: Path,
    module: nn.Module,
    *,
    model: str,
    settings: Mapping[str, Any],
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a module's weights; ``model`` and ``settings`` go into the header, for `load_model`.

    Those that come with the package are stored as half floats: their 11 bits are more than the 8 of the bf16 they
    are multiplied in.
    """
    tensors: dict[str, Tensor] = {
        name: value.to(dtype).contiguous() for name, value in module.state_dict().items()
    }
    # One entry, because safetensors writes several in an order of its own that changes from run to run.
    metadata = {"hdrgen": json.dumps({"model": model, "settings": settings}, sort_keys=True)}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def load_model(path: Path, model: str, build: Callable[[dict[str, Any]], ModuleT]) -> ModuleT:
    """Read what `save_model` wrote into the module it is of, ready for inference.

    Parameters
    ----------
    path
        The safetensors file.
    model
        Which model it must be.
    build
        Makes the module of the settings in the file's header.

    Raises
    ------
    HdrgenError
        The file is missing, is no safetensors file, holds another model, or does not fit the module.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, Any] = json.loads((file.metadata() or {}).get("hdrgen", "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise HdrgenError(f"{path}: no readable safetensors weights ({error})") from None
    if metadata.get("model") != model:
        other = metadata.get("model", "another model")
        raise HdrgenError(f"{path}: holds weights of {other!r}, not of {model!r}")
    try:
        module = build(metadata["settings"])
        module.load_state_dict({_current_name(name): value for name, value in load_file(path).items()})
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError, TypeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise HdrgenError(
            f"{path}: does not fit the model; of another version of hdrgen? ({reason})"
        ) from None
    return module.eval()


def save_state_dict(path: Path, module: nn.Module) -> None:
    """Write a module's tensors alone, for libraries that know what they are of."""
    with replacing(path) as temporary:
        save_file({name: value.contiguous() for name, value in module.state_dict().items()}, temporary)


def _current_name(name: str) -> str:
    return _FORMER_NAME.sub(lambda former: FORMER_NAMES[former[0]], name)
