"""What the pipeline trained, in one folder: which parts a route needs, whether they fit, and what made them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hdrgen.exposure.ev_list import DEFAULT_EVS
from hdrgen.flux.checkpoint import Checkpoint, read_reference
from hdrgen.runtime.choices import ROUTES, Route
from hdrgen.runtime.documents import read_json_object
from hdrgen.runtime.errors import HdrgenError

LORA_FILE = "pytorch_lora_weights.safetensors"
DEFAULT_SIZE = 1024
_AGAIN = "run `dvc repro` again"


@dataclass(frozen=True)
class Trained:
    """The parts that one route needs; all of them are there.

    Parameters
    ----------
    route
        Which route.
    checkpoint
        The base model, from the stage `base_model`.
    transformer
        Folder of the one that was fine-tuned on renditions, None for `latent`.
    lora, hdr_vae
        File of the LoRA, and folder of the VAE whose latents it was trained on; None for the other routes.
    size
        Side of the pictures it was trained on, in pixels.
    evs
        Exposure values it was trained on.
    """

    route: Route
    checkpoint: Checkpoint
    transformer: Path | None
    lora: Path | None
    hdr_vae: Path | None
    size: int
    evs: tuple[float, ...]

    @property
    def pixels_per_token(self) -> int:
        """Side of the square of pixels that one token stands for; pictures are multiples of it."""
        config = read_json_object(self.checkpoint.path / "vae" / "config.json", _AGAIN)
        return int(2 ** len(config["block_out_channels"]))  # as `hdrgen.flux.latents.pixels_per_token`

    def made_with(self) -> dict[str, str | None]:
        """Return names and digests of all weights, as facts for `made_by`.

        A hub id's revision stands for its weights; of a folder, and of what was trained, it is the first twelve
        hexadecimal digits of a SHA-256.
        """
        revision = self.checkpoint.revision
        return {
            "checkpoint": self.checkpoint.source if revision else self.checkpoint.path.name,
            "checkpoint_revision": revision,
            "checkpoint_weights": None if revision else _digest(self.checkpoint.path),
            "transformer_weights": _digest(self.transformer),
            "lora_weights": _digest(self.lora),
            "hdr_vae_weights": _digest(self.hdr_vae),
        }


def find_trained(models: Path, route: Route) -> Trained:
    """Find what a route needs in a folder that is laid out by the names of the pipeline's stages.

    Raises
    ------
    HdrgenError
        The route is unknown, or a part is missing, damaged, or trained from another checkpoint; the message names
        the stage to run.
    """
    if route not in ROUTES:
        raise HdrgenError(f"unknown route {route!r}; known are {', '.join(ROUTES)}")
    if not models.is_dir():
        raise HdrgenError(f"{models}: no such folder of models; run `make repro`, or name one with --models")
    reference = models / "base_model" / "checkpoint.json"
    _require(reference, "base_model")
    checkpoint = read_reference(reference)
    full, lora = models / "train_flux_full", models / "train_flux_lora"
    about = _about(lora if route == "latent" else full) or _about(full)
    size, evs = int(about.get("size", DEFAULT_SIZE)), tuple(map(float, about.get("evs", DEFAULT_EVS)))
    if route == "latent":
        _require(lora / LORA_FILE, "train_flux_lora")
        hdr_vae = models / "train_flux_vae"
        _require(hdr_vae / "vae" / "config.json", "train_flux_vae")
        return Trained(route, checkpoint, None, lora / LORA_FILE, hdr_vae, size, evs)
    transformer = full / "transformer"
    _require(transformer / "config.json", "train_flux_full")
    if route == "dual" and not about.get("dual", True):
        raise HdrgenError(
            f"{full}: was not trained on the tone-mapped pictures of the route dual; take another route, "
            "or train it on them (`dvc repro train_flux_full`)"
        )
    if _differ(transformer / "config.json", checkpoint.path / "transformer" / "config.json"):
        raise HdrgenError(
            f"{transformer}: was trained from another checkpoint than {checkpoint.source}; "
            "run `dvc repro train_flux_full`"
        )
    return Trained(route, checkpoint, transformer, None, None, size, evs)


def _require(path: Path, stage: str) -> None:
    if not path.is_file():
        raise HdrgenError(f"{path}: is missing; run `dvc repro {stage}`")


def _about(folder: Path) -> dict[str, Any]:
    path = folder / "about.json"
    return read_json_object(path, _AGAIN) if path.is_file() else {}


def _differ(config: Path, other: Path) -> bool:
    """Tell whether two configs contradict each other; each may lack what its version of diffusers did not know."""
    ours, theirs = (read_json_object(path, _AGAIN) for path in (config, other))
    shared = {key for key in ours.keys() & theirs.keys() if not key.startswith("_")}
    return any(ours[key] != theirs[key] for key in shared)


def _digest(path: Path | None) -> str | None:
    if path is None:
        return None
    files = sorted(path.rglob("*.safetensors")) if path.is_dir() else [path]
    whole = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            whole.update(hashlib.file_digest(stream, "sha256").digest())
    return whole.hexdigest()[:12]
