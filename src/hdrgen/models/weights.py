"""Weights on disk: safetensors with the settings that made them, never pickles."""

import json
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


def released_weights(model: str) -> Path:
    """Return the weights of a model that come with the package."""
    return Path(str(resources.files("hdrgen") / "weights" / f"{model}.safetensors"))


def save_weights(
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
    """Read what `save_weights` wrote into the module it is of, ready for inference.

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
            made: dict[str, Any] = json.loads((file.metadata() or {}).get("hdrgen", "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise HdrgenError(f"{path}: no readable safetensors weights ({error})") from None
    if made.get("model") != model:
        held = made.get("model", "another model")
        raise HdrgenError(f"{path}: holds weights of {held!r}, not of {model!r}")
    try:
        module = build(made["settings"])
        module.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError, TypeError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise HdrgenError(f"{path}: does not fit the model; of another version of hdrgen? ({said})") from None
    return module.eval()
