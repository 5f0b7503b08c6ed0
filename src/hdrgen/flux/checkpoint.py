"""Checkpoints of FLUX: a diffusers folder or a hub id, verified before anything is loaded from it.

Two families are known: FLUX.2 Klein (`Flux2KleinPipeline`; train on a base one, not a distilled one) and FLUX.1-dev
(`FluxPipeline`). Weights are safetensors only, because a pickle runs whatever code it holds.
"""

import json
import math
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import psutil
from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    DryRunError,
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors import SafetensorError, safe_open

from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.documents import read_json_object
from hdrgen.runtime.errors import HdrgenError

Family = Literal["klein", "flux1"]

_PICKLES = (".bin", ".ckpt", ".pkl", ".pt", ".pth")
# What a pipeline is loaded from; a repository's single-file copies of the same weights stay there.
_DOWNLOADED = ("model_index.json", "*/*.json", "*/*.safetensors", "*/*.txt", "*/*.jinja", "*/*.model")
_DISK_RESERVE_BYTES = 2**30
_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


@dataclass(frozen=True)
class _Layout:
    family: Family
    classes: Mapping[str, tuple[str, ...]]
    """What each component may be."""


_QWEN_TOKENIZERS = ("Qwen2TokenizerFast", "Qwen2Tokenizer")
_LAYOUTS: Mapping[str, _Layout] = MappingProxyType(
    {
        "Flux2KleinPipeline": _Layout(
            "klein",
            {
                "scheduler": ("FlowMatchEulerDiscreteScheduler",),
                "tokenizer": _QWEN_TOKENIZERS,
                "text_encoder": ("Qwen3ForCausalLM",),
                "vae": ("AutoencoderKLFlux2",),
                "transformer": ("Flux2Transformer2DModel",),
            },
        ),
        "FluxPipeline": _Layout(
            "flux1",
            {
                "scheduler": ("FlowMatchEulerDiscreteScheduler",),
                "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
                "tokenizer_2": ("T5TokenizerFast", "T5Tokenizer"),
                "text_encoder": ("CLIPTextModel",),
                "text_encoder_2": ("T5EncoderModel",),
                "vae": ("AutoencoderKL",),
                "transformer": ("FluxTransformer2DModel",),
            },
        ),
    }
)


@dataclass(frozen=True)
class Component:
    """One part of a pipeline with weights: how many numbers they are, and their size on disk."""

    name: str
    class_name: str
    parameters: int
    bytes: int


@dataclass(frozen=True)
class Checkpoint:
    """A verified diffusers folder.

    ``source`` is what the user named, a folder or a hub id; ``revision`` is the commit of a hub id, else None.
    ``distilled`` ones need few steps and no guidance, and are not for training.
    """

    path: Path
    source: str
    revision: str | None
    family: Family
    distilled: bool
    components: tuple[Component, ...]

    @property
    def parameters(self) -> int:
        """Numbers in all weights."""
        return sum(component.parameters for component in self.components)

    @property
    def bytes(self) -> int:
        """Size of all weights on disk."""
        return sum(component.bytes for component in self.components)

    def figures(self) -> dict[str, Any]:
        """Return family and sizes, for a metrics file."""
        return {
            "family": self.family,
            "distilled": self.distilled,
            "parameters": {c.name: c.parameters for c in self.components} | {"all": self.parameters},
            "bytes": {c.name: c.bytes for c in self.components} | {"all": self.bytes},
        }


def find_checkpoint(source: str, revision: str | None = None) -> Checkpoint:
    """Find a checkpoint by what a user names it, download it if it must be, and verify it.

    Parameters
    ----------
    source
        A diffusers folder, or a hub id such as ``black-forest-labs/FLUX.2-klein-base-4B``. A folder wins.
    revision
        Branch, tag or commit of a hub id.

    Raises
    ------
    HdrgenError
        It is neither; the hub is out of reach, refuses, or has no such revision; the disk is too small for the
        download; or as `verify_checkpoint`.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise HdrgenError(f"{source}: a folder has no revision {revision!r}; set the revision to null")
        return verify_checkpoint(folder)
    if _HUB_ID.fullmatch(source) is None:
        raise HdrgenError(f"{source}: no such folder, and not a hub id (owner/name)")
    try:
        return _cached(source, revision)
    except LocalEntryNotFoundError:
        pass
    except HdrgenError:
        # Another program may have fetched only what it needed.
        if constants.is_offline_mode():
            raise
    path = _download(source, revision)
    return verify_checkpoint(path, source=source, revision=path.name)


def verify_checkpoint(path: Path, *, source: str | None = None, revision: str | None = None) -> Checkpoint:
    """Verify that a folder is a whole checkpoint of a known family, by its configs and its weights' headers.

    Parameters
    ----------
    path
        The folder, with a ``model_index.json``.
    source, revision
        Kept in the result; the source is the folder unless given.

    Raises
    ------
    HdrgenError
        It is no diffusers folder, of another family, incomplete, damaged, or holds pickled weights.
    """
    index = read_json_object(path / "model_index.json", "is this a diffusers checkpoint folder?")
    pipeline = index.get("_class_name")
    layout = _LAYOUTS.get(str(pipeline))
    if layout is None:
        raise HdrgenError(
            f"{path / 'model_index.json'}: a checkpoint of {pipeline}; "
            "take FLUX.2 Klein (Flux2KleinPipeline) or FLUX.1-dev (FluxPipeline)"
        )
    components = []
    for name, allowed in layout.classes.items():
        library, class_name = _entry(index, name, path)
        if class_name not in allowed:
            raise HdrgenError(
                f"{path / 'model_index.json'}: its {name} is a {class_name}, not a {allowed[0]}; take another checkpoint"
            )
        folder = path / name
        _refuse_pickles(folder)
        if name.startswith("tokenizer"):
            read_json_object(folder / "tokenizer_config.json", "the checkpoint is incomplete; get it again")
        elif name == "scheduler":
            read_json_object(folder / "scheduler_config.json", "the checkpoint is incomplete; get it again")
        else:
            read_json_object(folder / "config.json", "the checkpoint is incomplete; get it again")
            stem = "model" if library == "transformers" else "diffusion_pytorch_model"
            components.append(_component(folder, name, class_name, stem))
    distilled = index.get("is_distilled") is True
    return Checkpoint(path, source or str(path), revision, layout.family, distilled, tuple(components))


def check_memory(checkpoint: Checkpoint, available_bytes: int, where: str = "memory") -> str | None:
    """Compare a checkpoint with the memory that is free.

    Parameters
    ----------
    checkpoint
        Its weights are counted as they are stored; activations come on top.
    available_bytes
        What is free, see `available_memory`.
    where
        What a message calls this memory.

    Returns
    -------
    str or None
        A warning when the parts fit only one after the other, None when all fit at once.

    Raises
    ------
    HdrgenError
        The largest part alone does not fit.
    """
    largest = max(checkpoint.components, key=lambda component: component.bytes)
    if largest.bytes > available_bytes:
        raise HdrgenError(
            f"{checkpoint.source}: its {largest.name} takes {_gb(largest.bytes)} of {where} and {_gb(available_bytes)} "
            "are free; take a smaller checkpoint or a larger machine"
        )
    if checkpoint.bytes > available_bytes:
        return (
            f"{checkpoint.source}: takes {_gb(checkpoint.bytes)} of {where} in all and {_gb(available_bytes)} are free; "
            "its parts must be loaded one after the other"
        )
    return None


def available_memory(device: str = "cpu") -> int:
    """Return the bytes of memory that are free on a device: RAM for `cpu`, the GPU's own for `cuda`."""
    if device == "cpu":
        return int(psutil.virtual_memory().available)
    import torch  # noqa: PLC0415 - takes seconds, and what is missing is to be said before

    return int(torch.cuda.mem_get_info(device)[0])


def write_reference(path: Path, checkpoint: Checkpoint) -> None:
    """Write a small JSON file that says where a checkpoint is; a folder beside the file stays beside it when moved."""
    about: dict[str, str]
    if checkpoint.revision is not None:
        about = {"hub_id": checkpoint.source, "revision": checkpoint.revision}
    elif checkpoint.path.resolve().parent == path.resolve().parent:
        about = {"folder": checkpoint.path.name}
    else:
        about = {"folder": str(checkpoint.path.resolve())}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def read_reference(path: Path) -> Checkpoint:
    """Return the checkpoint that `write_reference` wrote about, verified again.

    Raises
    ------
    HdrgenError
        There is no such file, or as `find_checkpoint`.
    """
    match read_json_object(path, "run the stage base_model"):
        case {"hub_id": str(hub_id), "revision": str(revision)}:
            return find_checkpoint(hub_id, revision)
        case {"folder": str(folder)}:
            return verify_checkpoint(path.parent / folder)
    raise HdrgenError(f"{path}: names no checkpoint; run the stage base_model again")


def _cached(hub_id: str, revision: str | None) -> Checkpoint:
    """Return the checkpoint of a hub id out of the local cache; raises `LocalEntryNotFoundError` if it is not there."""
    snapshot = snapshot_download(
        hub_id, revision=revision, allow_patterns=[*_DOWNLOADED], local_files_only=True
    )
    return verify_checkpoint(Path(snapshot), source=hub_id, revision=Path(snapshot).name)


def _download(hub_id: str, revision: str | None) -> Path:
    """Return the local snapshot of a hub id, downloaded where the disk has room for it."""
    if constants.is_offline_mode():
        raise HdrgenError(
            f"{hub_id}: not in the cache {constants.HF_HUB_CACHE}, and HF_HUB_OFFLINE forbids the download; "
            "unset it, or name a folder"
        )
    try:
        files = snapshot_download(hub_id, revision=revision, allow_patterns=[*_DOWNLOADED], dry_run=True)
        _require_disk(hub_id, sum(file.file_size or 0 for file in files if file.will_download))
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=[*_DOWNLOADED]))
    except HdrgenError:
        raise
    except Exception as error:  # the hub's client lets any error of its HTTP library through
        raise HdrgenError(f"{hub_id}: {_refusal(hub_id, revision, error)}") from error


def _refusal(hub_id: str, revision: str | None, error: BaseException) -> str:
    """Return why the hub did not give a checkpoint, and the way out."""
    if isinstance(error, DryRunError) and error.__cause__ is not None:
        error = error.__cause__
    page = f"{constants.ENDPOINT}/{hub_id}"
    status = getattr(getattr(error, "response", None), "status_code", None)
    # A gated repository is also one that is not found, so its case stands first.
    if isinstance(error, GatedRepoError) or status == 403:
        return f"is gated; accept the licence at {page}, then log in with `hf auth login`"
    if isinstance(error, RevisionNotFoundError):
        return f"has no revision {revision!r}; see {page}/commits/main"
    if isinstance(error, RepositoryNotFoundError) or status == 401:
        return f"not found on {constants.ENDPOINT}; correct the name, or log in with `hf auth login` if it is private"
    if status is not None:
        return f"the hub answered with HTTP status {status}; try again later"
    reason = str(error).partition("\n")[0] or type(error).__name__
    return (
        f"not in the cache {constants.HF_HUB_CACHE}, and not to be had from {constants.ENDPOINT} ({reason}); "
        "look to the network, or name a folder"
    )


def _require_disk(hub_id: str, needed_bytes: int) -> None:
    cache = Path(constants.HF_HUB_CACHE)
    there = next(folder for folder in (cache, *cache.parents) if folder.is_dir())
    free_bytes = shutil.disk_usage(there).free
    if needed_bytes + _DISK_RESERVE_BYTES > free_bytes:
        raise HdrgenError(
            f"{hub_id}: {_gb(needed_bytes)} to download and {_gb(free_bytes)} free in {cache}; make room, or set HF_HOME"
        )


def _entry(index: Mapping[str, Any], name: str, path: Path) -> tuple[str, str]:
    match index.get(name):
        case [str(library), str(class_name)] if (path / name).is_dir():
            return library, class_name
    raise HdrgenError(f"{path}: has no {name}; the checkpoint is incomplete; get it again")


def _refuse_pickles(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        if file.suffix in _PICKLES:
            raise HdrgenError(
                f"{file}: pickled weights can run code and are not loaded; convert them to safetensors"
            )


def _component(folder: Path, name: str, class_name: str, stem: str) -> Component:
    parameters = size = 0
    for file in _weight_files(folder, stem):
        try:
            with safe_open(file, framework="pt") as weights:
                parameters += sum(
                    math.prod(weights.get_slice(key).get_shape())
                    for key in weights.keys()  # noqa: SIM118
                )
            size += file.stat().st_size
        except (OSError, SafetensorError) as error:
            raise HdrgenError(f"{file}: damaged or missing ({error}); get it again") from None
    return Component(name, class_name, parameters, size)


def _weight_files(folder: Path, stem: str) -> list[Path]:
    """Return a component's weights: one file, or the parts that its index names."""
    index = folder / f"{stem}.safetensors.index.json"
    if index.is_file():
        parts = read_json_object(index, "get it again").get("weight_map")
        if not isinstance(parts, dict) or not parts:
            raise HdrgenError(f"{index}: names no weights; get it again")
        return [folder / part for part in sorted(set(parts.values()))]
    return [folder / f"{stem}.safetensors"]


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
