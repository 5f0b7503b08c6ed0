"""A FLUX.2 Klein small enough to be trained on the spot: the real classes at toy size, made without a download.

Saved, it is a checkpoint like the published ones: ``Flux2KleinPipeline.from_pretrained`` loads it, and what works
on it works on Klein 4B. It is of the base kind, not step-distilled, so it is sampled with guidance.
"""

import json
from collections.abc import Sequence

import torch
from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
)
from pydantic import Field
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import nn
from transformers import Qwen2TokenizerFast, Qwen3Config, Qwen3ForCausalLM

from hdrgen.runtime.params import Section

TEXT_LAYERS = 28
"""The pipeline reads hidden states 9, 18 and 27."""
_END, _START, _STOP, _THINK, _THOUGHT = SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<think>",
    "</think>",
)
# What Qwen3's own template makes of one question with thinking off.
_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)


class TinyNetwork(Section):
    """Sizes; what is not named is as in Klein 4B."""

    vae_widths: tuple[int, ...] = Field((32, 64, 64), min_length=2, max_length=4)
    """Channels at the picture's full size, a half, a quarter and so on; multiples of 8. Klein's VAE has four sizes."""
    text_width: int = Field(64, ge=32, multiple_of=32)
    """Width of the text encoder, of which the transformer sees three layers."""
    vocabulary: int = Field(1024, ge=300)
    """Most tokens that the tokenizer learns from the prompts."""
    double_blocks: int = Field(2, ge=1)
    """Transformer blocks that treat text and picture apart."""
    single_blocks: int = Field(6, ge=1)
    """Transformer blocks that treat them as one."""
    heads: int = Field(6, ge=1)
    """Heads of the attention."""
    head_width: int = Field(32, ge=8, multiple_of=8)
    """Channels of each head."""


def tiny_klein(
    network: TinyNetwork, prompts: Sequence[str], prompt_tokens: int, seed: int
) -> Flux2KleinPipeline:
    """Return a Klein with random weights that the seed decides, and a tokenizer that knows the prompts' words.

    Parameters
    ----------
    network
        Its sizes.
    prompts
        What the tokenizer learns its words from. Any other text it spells out in bytes.
    prompt_tokens
        Tokens that a prompt is padded or cut to, kept as the tokenizer's ``model_max_length``.
    seed
        Decides the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = _tokenizer(prompts, network.vocabulary, prompt_tokens)
        pipeline = Flux2KleinPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
            vae=AutoencoderKLFlux2(
                block_out_channels=network.vae_widths,
                down_block_types=("DownEncoderBlock2D",) * len(network.vae_widths),
                up_block_types=("UpDecoderBlock2D",) * len(network.vae_widths),
                layers_per_block=1,
                latent_channels=32,
                norm_num_groups=8,
                # Attention learned on small pictures misleads on large ones, which this VAE has to serve as well.
                mid_block_add_attention=False,
            ).eval(),
            text_encoder=_text_encoder(network.text_width, tokenizer),
            tokenizer=tokenizer,
            transformer=tiny_transformer(network).eval(),
            is_distilled=False,
        )
        _start_at_identity(pipeline.transformer)
        return pipeline


def tiny_transformer(network: TinyNetwork) -> Flux2Transformer2DModel:
    """Return the transformer alone, with random weights."""
    return Flux2Transformer2DModel(
        in_channels=128,
        num_layers=network.double_blocks,
        num_single_layers=network.single_blocks,
        attention_head_dim=network.head_width,
        num_attention_heads=network.heads,
        joint_attention_dim=3 * network.text_width,
        axes_dims_rope=(network.head_width // 4,) * 4,
        guidance_embeds=False,
    )


def _start_at_identity(transformer: Flux2Transformer2DModel) -> None:
    """Close all gates and answer 0, which few steps learn faster from (adaLN-Zero; Peebles and Xie 2023)."""
    for name, layer in transformer.named_modules():
        if name == "proj_out" or (isinstance(layer, nn.Linear) and "modulation" in name):
            nn.init.zeros_(layer.weight)


def _tokenizer(prompts: Sequence[str], vocabulary: int, prompt_tokens: int) -> Qwen2TokenizerFast:
    """Byte-level BPE, as Qwen's is."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    learn = trainers.BpeTrainer(
        vocab_size=vocabulary - len(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator([*prompts, "user\n", "assistant\n\n"], learn)
    learned = json.loads(bpe.to_str())["model"]
    tokens = sorted(learned["vocab"], key=learned["vocab"].__getitem__)
    tokenizer = Qwen2TokenizerFast(
        vocab={token: i for i, token in enumerate([*tokens, *SPECIAL])},
        merges=[tuple(pair) for pair in learned["merges"]],
        unk_token=None,
        bos_token=None,
        eos_token=_STOP,
        pad_token=_END,
        extra_special_tokens=[_START, _THINK, _THOUGHT],
        model_max_length=prompt_tokens,
        padding_side="right",
    )
    tokenizer.chat_template = _CHAT
    return tokenizer


def _text_encoder(width: int, tokenizer: Qwen2TokenizerFast) -> Qwen3ForCausalLM:
    """Random and never trained: different words get different vectors, which is all that a few scenes need."""
    text_encoder = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=TEXT_LAYERS,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=width // 2,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
            # At the default of 0.02 the layers would add next to nothing: each position would know its own word only.
            initializer_range=0.2,
        )
    )
    # Published encoders answer with large values; the default 0.02 would leave the transformer almost no signal.
    nn.init.normal_(text_encoder.model.embed_tokens.weight, std=1.0)
    return text_encoder.eval().requires_grad_(False)
