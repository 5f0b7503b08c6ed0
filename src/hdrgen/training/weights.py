"""Weights on disk: safetensors with the settings that made them, never pickles."""

import json
from collections.abc import Mapping
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
    """Write a module's weights; ``model`` and ``settings`` go into the header, for `read_settings`.

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


def read_settings(path: Path, *, model: str) -> dict[str, Any]:
    """Read the settings that weights were made with.

    Raises
    ------
    HdrgenError
        The file is missing, is no safetensors file, or holds another model.
    """
    try:
        with safe_open(path, framework="pt") as file:
            made: dict[str, Any] = json.loads((file.metadata() or {}).get("hdrgen", "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise HdrgenError(f"{path}: no readable safetensors weights ({error})") from None
    if made.get("model") != model:
        held = made.get("model", "another model")
        raise HdrgenError(f"{path}: holds weights of {held!r}, not of {model!r}")
    settings: dict[str, Any] = made["settings"]
    return settings


def load_weights(path: Path, module: ModuleT) -> ModuleT:
    """Load weights into a module of the same settings; returns it, ready for inference.

    Raises
    ------
    HdrgenError
        The weights do not fit the module.
    """
    try:
        module.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise HdrgenError(f"{path}: does not fit the model ({str(error).splitlines()[0]})") from None
    return module.eval()
