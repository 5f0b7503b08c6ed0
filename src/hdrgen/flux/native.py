"""FLUX.2's weights under the names of its own release, as ComfyUI reads them: diffusers' names the other way round."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_NAMES = {
    "x_embedder": "img_in",
    "context_embedder": "txt_in",
    "time_guidance_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_guidance_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "time_guidance_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
    "time_guidance_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
    "double_stream_modulation_img.linear": "double_stream_modulation_img.lin",
    "double_stream_modulation_txt.linear": "double_stream_modulation_txt.lin",
    "single_stream_modulation.linear": "single_stream_modulation.lin",
    "norm_out.linear": "final_layer.adaLN_modulation.1",
    "proj_out": "final_layer.linear",
}
_DOUBLE = {
    "attn.to_out.0": "img_attn.proj",
    "attn.to_add_out": "txt_attn.proj",
    "attn.norm_q": "img_attn.norm.query_norm",
    "attn.norm_k": "img_attn.norm.key_norm",
    "attn.norm_added_q": "txt_attn.norm.query_norm",
    "attn.norm_added_k": "txt_attn.norm.key_norm",
    "ff.linear_in": "img_mlp.0",
    "ff.linear_out": "img_mlp.2",
    "ff_context.linear_in": "txt_mlp.0",
    "ff_context.linear_out": "txt_mlp.2",
}
_SINGLE = {
    "attn.to_qkv_mlp_proj": "linear1",
    "attn.to_out": "linear2",
    "attn.norm_q": "norm.query_norm",
    "attn.norm_k": "norm.key_norm",
}
_QKV = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}
_BLOCK = re.compile(r"(single_)?transformer_blocks\.(\d+)\.(.+)")


def native_flux2(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a FLUX.2 transformer's weights by their native names.

    Queries, keys and values are one layer there, and the last modulation has shift before scale.

    Parameters
    ----------
    weights
        Of diffusers' ``Flux2Transformer2DModel``, by its names.

    Raises
    ------
    KeyError
        A name is none of that class.
    """
    native: dict[str, Tensor] = {}
    for name, weight in weights.items():
        layer, _, kind = name.rpartition(".")
        block = _BLOCK.fullmatch(layer)
        if block is None:
            own = _NAMES[layer]
            native[f"{own}.{kind}"] = (
                torch.cat(weight.chunk(2)[::-1]) if layer == "norm_out.linear" else weight
            )
            continue
        single, number, part = block.groups()
        place = f"{'single' if single else 'double'}_blocks.{number}"
        joined = None if single else next((own for own, parts in _QKV.items() if part in parts), None)
        if joined is None:
            own = (_SINGLE if single else _DOUBLE)[part]
            native[f"{place}.{own}.{'scale' if 'norm' in part else kind}"] = weight
        elif part == _QKV[joined][0]:
            stem = name.removesuffix(f"{part}.{kind}")
            native[f"{place}.{joined}.{kind}"] = torch.cat(
                [weights[f"{stem}{p}.{kind}"] for p in _QKV[joined]]
            )
    return native
