"""What a training would take: parameters, memory by part, steps and time, before anything is downloaded or started.

The transformer is built on torch's meta device, which knows shapes and holds no numbers. Its forward pass there says
how many floating-point operations a step takes and which tensors wait for the way back.
"""

import time
from dataclasses import dataclass
from typing import Any, Literal

import torch
from diffusers import Flux2Transformer2DModel, FluxTransformer2DModel, ModelMixin
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from hdrgen.flux.checkpoint import Family, available_memory
from hdrgen.flux.latents import picture_ids, prompt_ids
from hdrgen.flux.tiny import TinyNetwork, tiny_transformer
from hdrgen.training.fit import Recipe

Size = Literal["tiny", "klein-4b", "flux1-dev"]
_GB = 1e9
_FULL_SIZE_SIDE = 512
_FULL_SIZE_PROMPT = 512
_MATMUL_SIDE = 2048


@dataclass(frozen=True)
class Workload:
    """One step of a training: its batch, and how it is computed."""

    batch: int
    batches_per_step: int
    steps: int
    precision: Literal["fp32", "bf16"]
    device: Literal["cpu", "cuda"]
    gradient_checkpointing: bool
    averaged: bool
    """Whether an average of the weights is kept."""

    @classmethod
    def of(cls, recipe: Recipe, gradient_checkpointing: bool) -> "Workload":  # noqa: FBT001 - as its field
        """Return what a recipe makes of a step."""
        return cls(
            recipe.batch_crops,
            recipe.accumulated_batches,
            recipe.steps,
            recipe.precision,
            recipe.device,
            gradient_checkpointing,
            averaged=recipe.ema_decay > 0,
        )


@dataclass(frozen=True)
class Transformer:
    """A transformer without numbers, and what it is given: tokens of a picture and of a prompt."""

    model: ModelMixin
    family: Family
    side: int
    """Side of a picture, in pixels."""
    picture_tokens: int
    prompt_tokens: int


@dataclass(frozen=True)
class TrainingPlan:
    """Figures of one training; memory in bytes."""

    size: str
    parameters: int
    learning: int
    memory: dict[str, int]
    """Bytes by part, activations as the workload computes them."""
    activations: dict[str, int]
    """Without and with gradient checkpointing."""
    available: int
    flop_per_step: float
    flop_per_second: float
    workload: Workload
    tokens: tuple[int, int]
    """Tokens of a picture and of a prompt."""
    side: int

    @property
    def seconds_per_step(self) -> float:
        """At the measured rate of a matrix product, which is the most that the machine gives."""
        return self.flop_per_step / self.flop_per_second

    def table(self) -> str:
        """Return the plan for people."""
        work, total = self.workload, sum(self.memory.values())
        picture, prompt = self.tokens
        each = " and ".join(f"{gigabytes(b)} {how}" for how, b in self.activations.items())
        rows = [
            ("transformer", self.size),
            ("parameters", f"{self.parameters:,}"),
            ("of which learn", f"{self.learning:,}"),
            ("picture", f"{self.side} x {self.side}, {picture} tokens, and {prompt} of the prompt"),
            ("batch", f"{work.batch} x {work.batches_per_step}, {work.precision}, on {work.device}"),
            *((part, gigabytes(size)) for part, size in self.memory.items()),
            ("memory in all", f"{gigabytes(total)}, {gigabytes(self.available)} are free"),
            ("activations would be", each),
            ("steps", f"{work.steps:,}"),
            (
                "a step",
                f"{self.flop_per_step / 1e12:.3g} TFLOP, at {self.flop_per_second / 1e12:.2g} TFLOP/s",
            ),
            ("time at least", duration(work.steps * self.seconds_per_step)),
        ]
        return "\n".join(f"{name:<22}{value}" for name, value in rows)


def build(size: Size, tiny: TinyNetwork, tiny_side: int, tiny_prompt_tokens: int) -> Transformer:
    """Return a transformer on the meta device.

    Parameters
    ----------
    size
        `klein-4b` and `flux1-dev` are those of the published checkpoints, at 512 x 512 pixels.
    tiny, tiny_side, tiny_prompt_tokens
        The tiny model, the side of its pictures in pixels, and the tokens of its prompts.
    """
    side = _FULL_SIZE_SIDE
    with torch.device("meta"):
        if size == "tiny":
            pixels = 2 ** len(tiny.vae_widths)
            tokens = (tiny_side // pixels) ** 2
            return Transformer(tiny_transformer(tiny), "klein", tiny_side, tokens, tiny_prompt_tokens)
        tokens = (side // 16) ** 2
        if size == "klein-4b":
            klein = Flux2Transformer2DModel(
                in_channels=128,
                num_layers=5,
                num_single_layers=20,
                attention_head_dim=128,
                num_attention_heads=24,
                joint_attention_dim=7680,
                guidance_embeds=False,
            )
            return Transformer(klein, "klein", side, tokens, _FULL_SIZE_PROMPT)
        flux1 = FluxTransformer2DModel(guidance_embeds=True)  # the class's defaults are FLUX.1-dev's
        return Transformer(flux1, "flux1", side, tokens, _FULL_SIZE_PROMPT)


def plan_training(size: str, transformer: Transformer, work: Workload) -> TrainingPlan:
    """Count what a training takes.

    Parameters
    ----------
    size
        What the plan calls the transformer.
    transformer
        From `build`; its parameters that require gradients learn, so a LoRA has been added by now.
    work
        One step.
    """
    model = transformer.model
    parameters = sum(p.numel() for p in model.parameters())
    learning = sum(p.numel() for p in model.parameters() if p.requires_grad)
    forward, kept = _measured(transformer, work)
    activations = {"without gradient checkpointing": kept, "with it": _checkpointed(transformer, work, kept)}
    memory = {
        "weights": 4 * parameters,
        "their copies in bf16": 2 * parameters if work.precision == "bf16" else 0,
        "gradients": 4 * learning,
        "optimizer": 8 * learning,
        "averaged weights": 4 * learning if work.averaged else 0,
        "activations": activations[
            "with it" if work.gradient_checkpointing else "without gradient checkpointing"
        ],
    }
    # The way back costs a forward pass for the inputs' gradients and another for the weights'.
    passes = 2 + (learning > parameters / 2) + work.gradient_checkpointing
    return TrainingPlan(
        size,
        parameters,
        learning,
        memory,
        activations,
        available_memory(work.device) if work.device == "cpu" or torch.cuda.is_available() else 0,
        passes * forward * work.batches_per_step,
        matmul_rate(work.precision, work.device if torch.cuda.is_available() else "cpu"),
        work,
        (transformer.picture_tokens, transformer.prompt_tokens),
        transformer.side,
    )


def matmul_rate(precision: str, device: str) -> float:
    """Return the floating-point operations a second of a large matrix product, the best of several."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a = torch.ones(_MATMUL_SIDE, _MATMUL_SIDE, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        float((a @ a)[0, 0])  # waits for a GPU
        best = min(best, time.perf_counter() - start)
    return 2 * _MATMUL_SIDE**3 / best


def gigabytes(size: int) -> str:
    """Return a number of bytes for people."""
    return f"{size / _GB:,.1f} GB" if size >= _GB else f"{size / 1e6:,.1f} MB"


def duration(seconds: float) -> str:
    """Return a time for people."""
    for unit, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:,.1f} {name}"
    return f"{seconds:,.1f} s"


def _measured(transformer: Transformer, work: Workload) -> tuple[float, int]:
    """Return the operations of one forward pass, and the bytes of what it keeps for the way back."""
    dtype = torch.bfloat16 if work.precision == "bf16" else torch.float32
    model = transformer.model
    for weight in model.parameters():
        weight.data = weight.data.to(dtype)
    weights = {p.untyped_storage()._cdata for p in model.parameters()}  # noqa: SLF001 - a storage's identity
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()._cdata  # noqa: SLF001
        if storage not in weights:
            kept[storage] = tensor
        return tensor

    with FlopCounterMode(display=False) as counter, saved_tensors_hooks(keep, lambda tensor: tensor):
        output = model(**_inputs(transformer, work.batch, dtype))
    del output
    return float(counter.get_total_flops()), sum(t.untyped_storage().nbytes() for t in kept.values())


def _checkpointed(transformer: Transformer, work: Workload, kept: int) -> int:
    """Return the bytes that are kept with gradient checkpointing: every block's input, and one block in full."""
    config = transformer.model.config
    blocks = config.num_layers + config.num_single_layers
    width = config.num_attention_heads * config.attention_head_dim
    tokens = transformer.picture_tokens + transformer.prompt_tokens
    inputs = blocks * work.batch * tokens * width * (2 if work.precision == "bf16" else 4)
    return min(kept, inputs + kept // blocks)


def _inputs(transformer: Transformer, batch: int, dtype: torch.dtype) -> dict[str, Any]:
    config = transformer.model.config
    meta: dict[str, Any] = {"device": "meta", "dtype": dtype}
    side = round(transformer.picture_tokens**0.5)
    inputs: dict[str, Any] = {
        "hidden_states": torch.empty(batch, side * side, config.in_channels, **meta),
        "encoder_hidden_states": torch.empty(
            batch, transformer.prompt_tokens, config.joint_attention_dim, **meta
        ),
        "timestep": torch.empty(batch, **meta),
        "img_ids": picture_ids(side, side).to("meta"),
        "txt_ids": prompt_ids(transformer.prompt_tokens).to("meta"),
        "guidance": None,
    }
    if transformer.family == "flux1":
        inputs["img_ids"], inputs["txt_ids"] = (inputs[name][:, :3] for name in ("img_ids", "txt_ids"))
        inputs["pooled_projections"] = torch.empty(batch, config.pooled_projection_dim, **meta)
        inputs["guidance"] = torch.empty(batch, **meta)
    return inputs
