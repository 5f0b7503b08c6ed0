"""Nodes that load what the pipeline trained: folders in ``models/hdrgen``, laid out by the names of its stages."""

import os
from pathlib import Path
from typing import Any, get_args

import comfy.model_management
import folder_paths
from comfy_api.latest import io

from hdrgen.flux.hdr_vae import HdrVae, load_hdr_vae
from hdrgen.routes.load_generator import load_generator
from hdrgen.runtime.choices import ROUTES, Backend, Device
from hdrgen.runtime.errors import HdrgenError

from .wires import CATEGORY, backend_input

FOLDER = "hdrgen"
ENVIRONMENT = "$HDRGEN_MODELS"
NONE_FOUND = "(put a folder into models/hdrgen)"
_STAGES = ("base_model", "train_flux_full", "train_flux_lora", "train_flux_vae", "train_hdr_vae")

GeneratorWire = io.Custom("HDRGEN_FLUX")
HdrVaeWire = io.Custom("HDRGEN_VAE")


def register() -> None:
    """Let ComfyUI know of ``models/hdrgen``, which its ``extra_model_paths.yaml`` can place elsewhere too."""
    folder_paths.add_model_folder_path(FOLDER, str(Path(folder_paths.models_dir) / FOLDER))


def folders() -> dict[str, Path]:
    """Return folders of trained models by the names in the menu."""
    named = {}
    for root in map(Path, folder_paths.get_folder_paths(FOLDER)):
        children = sorted(root.iterdir()) if root.is_dir() else []
        named.update(
            {child.name: child for child in children if any((child / stage).is_dir() for stage in _STAGES)}
        )
    if os.environ.get("HDRGEN_MODELS"):
        named[ENVIRONMENT] = Path(os.environ["HDRGEN_MODELS"])
    return named


def folder_named(name: str) -> Path:
    """Return a folder of the menu; a name from elsewhere is no path.

    Raises
    ------
    HdrgenError
        The menu has no such name.
    """
    known = folders()
    if name not in known:
        raise HdrgenError(
            f"no folder {name!r} of trained models; put or link what the pipeline trained (its data/) into "
            f"ComfyUI's models/{FOLDER}, or set HDRGEN_MODELS; there are {', '.join(known) or 'none'}"
        )
    return known[name]


def changed(folder: Path) -> int:
    """Return when a folder of trained models last changed, so that ComfyUI loads it again."""
    return max((path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()), default=0)


def folder_input(tooltip: str) -> Any:
    """Return the menu of folders."""
    names = list(folders()) or [NONE_FOUND]
    return io.Combo.Input("models", options=names, default=names[0], tooltip=tooltip)


class LoadHdrFlux(io.ComfyNode):
    """A checkpoint with what was trained for one route."""

    @classmethod
    def define_schema(cls) -> Any:
        return io.Schema(
            node_id="HdrgenLoadHdrFlux",
            display_name="Load HDR Flux (folder)",
            category=CATEGORY,
            description="Loads a FLUX checkpoint and what the pipeline trained for one route to light.",
            inputs=[
                folder_input("Folder of trained models, in models/hdrgen or $HDRGEN_MODELS."),
                io.Combo.Input(
                    "route",
                    options=list(ROUTES),
                    default="brackets",
                    tooltip="brackets: four LogC4 exposures, merged. dual: two tone maps, fused. latent: HDR latents and the HDR VAE.",
                ),
                io.Combo.Input(
                    "device",
                    options=list(get_args(Device)),
                    default="auto",
                    tooltip="auto is the GPU where there is one.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Of brackets: how noisy the bit-depth expansion takes the generated pictures to be.",
                ),
                io.Boolean.Input(
                    "align", default=True, tooltip="Of brackets: align the exposures before they are merged."
                ),
                backend_input(),
            ],
            outputs=[
                GeneratorWire.Output(
                    "flux", display_name="flux", tooltip="For the HDR Flux Sampler (folder)."
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, models: str, **_: Any) -> Any:
        return changed(folder_named(models))

    @classmethod
    def execute(
        cls, models: str, route: Any, device: Any, strength: float, align: bool, backend: Backend = "auto"
    ) -> Any:
        folder = folder_named(models)
        if device != "cpu":
            comfy.model_management.unload_all_models()
            comfy.model_management.soft_empty_cache()
        return io.NodeOutput(
            load_generator(folder, route, device=device, backend=backend, strength=strength, align=align)
        )


class LoadHdrVae(io.ComfyNode):
    """A FLUX VAE that was adapted to light."""

    @classmethod
    def define_schema(cls) -> Any:
        return io.Schema(
            node_id="HdrgenLoadHdrVae",
            display_name="Load HDR VAE",
            category=CATEGORY,
            description="Loads the FLUX VAE that the pipeline adapted to light from 0 to 1000 (train_flux_vae).",
            inputs=[folder_input("Folder of trained models, in models/hdrgen or $HDRGEN_MODELS.")],
            outputs=[HdrVaeWire.Output("hdr_vae", display_name="hdr_vae", tooltip="For HDR VAE Decode.")],
        )

    @classmethod
    def fingerprint_inputs(cls, models: str) -> Any:
        return changed(folder_named(models))

    @classmethod
    def execute(cls, models: str) -> Any:
        vae: HdrVae = load_hdr_vae(folder_named(models) / "train_flux_vae")
        return io.NodeOutput(vae)
