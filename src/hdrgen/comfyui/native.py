"""Nodes for ComfyUI's own MODEL, CLIP and VAE: sampling exposures of one scene, and the HDR LoRA.

What they do is what `hdrgen.flux.family` does with diffusers: one noise for all renditions, asked for in the words that
the model was trained on, Euler steps on FLUX.2's own schedule, and a VAE whose answer is not clamped.
"""

import copy
import json
from pathlib import Path
from typing import Any

import comfy.lora
import comfy.model_base
import comfy.sample
import comfy.samplers
import comfy.sd
import folder_paths
import node_helpers
import torch
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker
from comfy_extras.nodes_flux import get_schedule
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from hdrgen.exposure.ev_list import DEFAULT_EVS, check_differ, listed, parse_evs
from hdrgen.flux.native import native_flux2
from hdrgen.flux.renditions import DUAL, Rendition, brackets
from hdrgen.routes.requests import check_size
from hdrgen.routes.trained_models import find_trained
from hdrgen.runtime.choices import ROUTES, Route
from hdrgen.runtime.documents import read_json_object
from hdrgen.runtime.errors import HdrgenError

from .generation import evs_and_metadata, sampling_inputs
from .models import changed, folder_input, folder_named
from .wires import CATEGORY, attributes, progress

_PIXELS_PER_FLUX_TOKEN = 16
_HEAD_WIDTH = 128


class LoadHdrFluxModel(io.ComfyNode):
    """The transformer that was fine-tuned on renditions, as ComfyUI's own MODEL."""

    @classmethod
    def define_schema(cls) -> Any:
        return io.Schema(
            node_id="HdrgenLoadHdrFluxModel",
            display_name="Load HDR Flux Model (native)",
            category=CATEGORY,
            description="Loads the transformer of train_flux_full as ComfyUI's own MODEL, for the HDR Flux Sampler.",
            inputs=[folder_input("Folder of trained models, in models/hdrgen or $HDRGEN_MODELS.")],
            outputs=[
                io.Model.Output(
                    "model",
                    display_name="model",
                    tooltip="Knows the words that ask for exposures and tone maps.",
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, models: str) -> Any:
        return changed(folder_named(models))

    @classmethod
    def execute(cls, models: str) -> Any:
        trained = find_trained(folder_named(models), "brackets")
        assert trained.transformer is not None, "the route brackets has one"
        config = read_json_object(trained.transformer / "config.json", "run `dvc repro train_flux_full`")
        if config["attention_head_dim"] != _HEAD_WIDTH:
            raise HdrgenError(
                f"{trained.transformer}: its heads are {config['attention_head_dim']} wide, and ComfyUI's FLUX has "
                f"{_HEAD_WIDTH}: the tiny checkpoint runs with Load HDR Flux (folder) alone"
            )
        weights: dict[str, Tensor] = {}
        for file in sorted(trained.transformer.glob("*.safetensors")):
            weights |= load_file(file)
        if trained.checkpoint.family == "klein":
            weights = native_flux2(weights)  # of FLUX.1, ComfyUI knows diffusers' names
        model = comfy.sd.load_diffusion_model_state_dict(weights)
        if model is None:
            raise HdrgenError(f"{trained.transformer}: ComfyUI knows no such model")
        return io.NodeOutput(model)


class HdrFluxSampler(io.ComfyNode):
    """A prompt becomes exposures, a tone-mapped pair, or HDR latents."""

    @classmethod
    def define_schema(cls) -> Any:
        return io.Schema(
            node_id="HdrgenFluxSampler",
            display_name="HDR Flux Sampler",
            category=CATEGORY,
            description=(
                "Samples with ComfyUI's own MODEL, CLIP and VAE, FLUX.2 or FLUX.1. brackets and dual need a model that was "
                "fine-tuned on renditions, see Load HDR Flux Model; a stock one does not know the words that ask for an exposure, "
                "and the Luminance Stack Merger will say so. latent needs the HDR LoRA, and HDR VAE Decode after it."
            ),
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="FLUX.2 or FLUX.1, fine-tuned on renditions, or with the HDR LoRA for latent.",
                ),
                io.Clip.Input("clip", tooltip="Its text encoder."),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip="Its VAE, for brackets and dual. Decodes without ComfyUI's clamp.",
                ),
                *sampling_inputs(),
                io.Combo.Input(
                    "route",
                    options=list(ROUTES),
                    default="brackets",
                    tooltip="brackets: LogC4 exposures at the EVs. dual: a Reinhard and a log picture. latent: the prompt as it is.",
                ),
                io.String.Input(
                    "evs",
                    default=listed(DEFAULT_EVS),
                    tooltip="Of brackets: exposure values that the model was trained on.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    "pictures",
                    display_name="pictures",
                    tooltip="Code values, one picture for each EV, or Reinhard and log. None of latent.",
                ),
                io.Latent.Output("latent", display_name="latent", tooltip="The latents, for HDR VAE Decode."),
                *evs_and_metadata(),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        clip: Any,
        prompt: str,
        negative: str,
        seed: int,
        width: int,
        height: int,
        steps: int,
        guidance: float,
        route: Route,
        evs: str,
        vae: Any = None,
    ) -> Any:
        flux2 = _is_flux2(model)
        renditions = _renditions(route, evs)
        if renditions and vae is None:
            raise HdrgenError(f"the route {route} needs a VAE; connect the one that belongs to the model")
        empty = _empty_latent(model, width, height)
        noise = comfy.sample.prepare_noise(empty, seed)
        if flux2:
            sigmas = get_schedule(steps, width * height // _PIXELS_PER_FLUX_TOKEN**2)
        else:
            sigmas = comfy.samplers.calculate_sigmas(
                model.get_model_object("model_sampling"), "simple", steps
            )
        samples = renditions or (None,)
        move, latents = progress(steps * len(samples)), []
        for number, rendition in enumerate(samples):

            def on_step(step: int, *_: object, before: int = number * steps) -> None:
                move(before + step + 1, steps * len(samples))

            conditioning = [
                _conditioning(clip, _prompt(rendition, text), None if flux2 else guidance)
                for text in (prompt, negative)
            ]
            latents.append(
                comfy.sample.sample_custom(
                    model,
                    noise,
                    guidance if flux2 else 1.0,
                    comfy.samplers.sampler_object("euler"),
                    sigmas,
                    *conditioning,
                    empty,
                    callback=on_step,
                    disable_pbar=True,
                    seed=seed,
                )
            )
        batch = torch.cat(latents)
        pictures = (
            _unclamped(vae).decode(batch)
            if renditions
            else ExecutionBlocker("The route latent makes no pictures: connect its latent to HDR VAE Decode.")
        )
        evs_text = listed([rendition.ev for rendition in renditions if rendition.curve == "logc4"])
        metadata = attributes(
            route,
            prompt=prompt,
            negative_prompt=negative or None,
            seed=seed,
            steps=steps,
            guidance=guidance,
            size=f"{width}x{height}",
            evs=evs_text or None,
            sampled_by="ComfyUI",
        )
        return io.NodeOutput(pictures, {"samples": batch}, evs_text, metadata)


def _is_flux2(model: Any) -> bool:
    if isinstance(model.model, comfy.model_base.Flux2):
        return True
    if type(model.model) is comfy.model_base.Flux:
        return False
    raise HdrgenError(f"the MODEL is {type(model.model).__name__}; this sampler is for FLUX.2 and FLUX.1")


def _renditions(route: Route, evs: str) -> tuple[Rendition, ...]:
    """Return what to ask for; nothing where the prompt is asked as it is."""
    if route == "latent":
        return ()
    if route == "dual":
        return DUAL
    values = parse_evs(evs)
    check_differ(values)
    if len(values) < 2:
        raise HdrgenError(f"exposures are two or more; give as many EVs, not {evs!r}")
    return brackets(values)


def _prompt(rendition: Rendition | None, text: str) -> str:
    # What guidance leads away from is of the same rendition: it is to sharpen the scene, not the exposure.
    return text if rendition is None else rendition.prompt(text)


def _conditioning(clip: Any, text: str, distilled_guidance: float | None) -> Any:
    conditioning = clip.encode_from_tokens_scheduled(clip.tokenize(text))
    if distilled_guidance is None:
        return conditioning
    return node_helpers.conditioning_set_values(conditioning, {"guidance": distilled_guidance})


def _empty_latent(model: Any, width: int, height: int) -> Tensor:
    latents = model.get_model_object("latent_format")
    side = latents.spacial_downscale_ratio
    check_size(width, height, _PIXELS_PER_FLUX_TOKEN)
    return torch.zeros(1, latents.latent_channels, height // side, width // side)


def _unclamped(vae: Any) -> Any:
    """Return a VAE that answers what it decodes, 0 to 1 and beyond; the one on the wire stays as it is."""
    own = copy.copy(vae)
    # ComfyUI wants it done in place, and in some places takes the answer.
    own.process_output = lambda picture: picture.add_(1).div_(2)
    return own


class HdrLoraLoader(io.ComfyNode):
    """The HDR LoRA on a native MODEL."""

    @classmethod
    def define_schema(cls) -> Any:
        return io.Schema(
            node_id="HdrgenHdrLoraLoader",
            display_name="HDR LoRA Loader",
            category=CATEGORY,
            description=(
                "Adds a LoRA of train_flux_lora to a native FLUX model. Unlike ComfyUI's own loader it takes the file's alpha "
                "into account, and fails where a layer of the file has no place in the model."
            ),
            inputs=[
                io.Model.Input("model", tooltip="The FLUX base model that the LoRA was trained on."),
                io.Combo.Input(
                    "lora", options=folder_paths.get_filename_list("loras"), tooltip="In models/loras."
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-2.0,
                    max=2.0,
                    step=0.05,
                    tooltip="1 is what was trained; less leaves the HDR VAE's latents.",
                ),
            ],
            outputs=[io.Model.Output("model", display_name="model", tooltip="The model with the LoRA.")],
        )

    @classmethod
    def execute(cls, model: Any, lora: str, strength: float) -> Any:
        path = Path(folder_paths.get_full_path_or_raise("loras", lora))
        weights, scale = read_lora(path)
        places = comfy.lora.model_lora_keys_unet(model.model, {})
        patches = comfy.lora.load_lora(weights, places, log_missing=False)
        own = model.clone()
        placed = own.add_patches(patches, strength * scale)
        layers = {name.rpartition(".lora_")[0] for name in weights}
        if len(placed) != len(layers):
            raise HdrgenError(
                f"{path}: {len(layers) - len(placed)} of its {len(layers)} layers have no place in this model; "
                "it was trained on another one"
            )
        return io.NodeOutput(own)


def read_lora(path: Path) -> tuple[dict[str, Tensor], float]:
    """Return a diffusers LoRA's weights, and alpha / rank, which its header says.

    Raises
    ------
    HdrgenError
        The file is damaged, is no LoRA, or has layers of several scales.
    """
    try:
        with safe_open(path, "pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dictionary
            adapter = json.loads((file.metadata() or {}).get("lora_adapter_metadata", "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise HdrgenError(f"{path}: cannot be read ({error})") from None
    if not weights or not all(".lora_" in name for name in weights):
        raise HdrgenError(f"{path}: is no LoRA as train_flux_lora saves it")
    if adapter.get("transformer.rank_pattern") or adapter.get("transformer.alpha_pattern"):
        raise HdrgenError(
            f"{path}: its layers have ranks or alphas of their own, which cannot be added as one"
        )
    rank, alpha = adapter.get("transformer.r"), adapter.get("transformer.lora_alpha")
    return weights, float(alpha) / float(rank) if rank and alpha else 1.0
