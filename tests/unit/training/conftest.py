import json

import cv2
import numpy as np
import polars as pl
import pytest
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from tokenizers import pre_tokenizers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

from hdrgen.colour.primaries import AWG4
from hdrgen.dataset.frame_index import INDEX_NAME
from hdrgen.dataset.pairs import bit_depth_pairs, bracket_pairs, display_pairs, tone_map_pairs
from hdrgen.dataset.pairs.generated_like import GeneratedLike
from hdrgen.dataset.pairs.gradients import gradient_logc4
from hdrgen.dataset.pairs.records import KINDS
from hdrgen.flux.checkpoint import verify_checkpoint
from hdrgen.flux.tiny import TinyNetwork, tiny_klein
from hdrgen.images.exr import write_exr


@pytest.fixture(scope="session")
def frames(tmp_path_factory):
    """Return red and blue scenes to train on, a green one to validate on, and their index."""
    folder, rows = tmp_path_factory.mktemp("frames"), []
    for i, (kind, colour, split) in enumerate(
        [("red_room", 0, "train"), ("blue_sea", 2, "train"), ("green_field", 1, "val")]
    ):
        linear = np.random.default_rng(i).uniform(0, 0.1, (32, 48, 3)).astype(np.float32)
        linear[..., colour] += 0.5
        write_exr(folder / f"{kind}.exr", linear, chromaticities=AWG4)
        words = kind.replace("_", " ")
        rows.append(
            {
                "frame": kind,
                "file": f"{kind}.exr",
                "digest": kind,
                "split": split,
                "description": json.dumps({"kind": kind}),
                "prompts": [words, f"{words}, day", f"{words}, x, day, lit by sun"],
            }
        )
    return folder, pl.DataFrame(rows).with_columns(quarantine_reason=pl.lit(None, pl.String))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Return a Klein of the smallest size, with random weights, on disk."""
    network = TinyNetwork(
        vae_widths=(8, 8, 8), text_width=32, vocabulary=400, double_blocks=1, single_blocks=1, heads=1
    )
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    tiny_klein(network, ["night street", "sea at sunset"], 24, seed=3).save_pretrained(folder)
    return verify_checkpoint(folder)


@pytest.fixture(scope="session")
def flux1_checkpoint(tmp_path_factory):
    """Return a FLUX.1-dev of the smallest size, with random weights, on disk."""
    torch.manual_seed(4)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    clip_words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    pieces = ["<pad>", "</s>", "<unk>", "\u2581", *"abcdefghijklmnopqrstuvwxyz,+-:LCEV0248"]
    pipeline = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        tokenizer=CLIPTokenizer(
            vocab={word: i for i, word in enumerate(clip_words)}, merges=[], model_max_length=16
        ),
        tokenizer_2=T5TokenizerFast(
            vocab=[(piece, -1.0 if i > 2 else 0.0) for i, piece in enumerate(pieces)],
            extra_ids=0,
            model_max_length=24,
        ),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(clip_words),
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                max_position_embeddings=16,
                bos_token_id=len(clip_words) - 2,
                eos_token_id=len(clip_words) - 1,
                pad_token_id=len(clip_words) - 1,
            )
        ),
        text_encoder_2=T5EncoderModel(
            T5Config(vocab_size=len(pieces), d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
        ),
        vae=AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(8, 8),
            latent_channels=16,
            norm_num_groups=4,
            scaling_factor=0.3611,
            shift_factor=0.1159,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ),
        transformer=FluxTransformer2DModel(
            in_channels=64,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=16,
            guidance_embeds=True,
            axes_dims_rope=(4, 6, 6),
        ),
    )
    folder = tmp_path_factory.mktemp("checkpoint") / "flux1"
    pipeline.save_pretrained(folder)
    return verify_checkpoint(folder)


def write_pairs(folder, record, fill):
    """Write four records of a kind to train on and four to validate on, each filled with pictures."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        records = np.zeros(4, record)
        for number, one in enumerate(records):
            fill(one, number, rng)
        (folder / split).mkdir(parents=True)
        np.save(folder / split / "frame.npy", records)
    (folder / INDEX_NAME).write_bytes(b"the rows of these pairs")
    return folder


@pytest.fixture(scope="session")
def tone_map_folder(tmp_path_factory):
    """Return pairs of tone maps of 32 x 32 pixels."""
    settings = tone_map_pairs.MakeToneMapPairs(seed=0, generated_like=GeneratedLike())

    def fill(record, _number, rng):
        record["linear_awg4"] = np.exp2(np.cumsum(rng.normal(0, 0.1, (32, 32, 3)), axis=1))
        for kind in KINDS:
            pair = tone_map_pairs.tone_map_pair(record["linear_awg4"], kind, settings, rng)
            record[f"{kind}_reinhard_code8"], record[f"{kind}_log_code8"] = pair

    return write_pairs(tmp_path_factory.mktemp("tone_map"), tone_map_pairs.crop_record(32), fill)


@pytest.fixture(scope="session")
def bit_depth_folder(tmp_path_factory):
    """Return pairs of bit depths of 64 x 64 pixels."""
    settings = bit_depth_pairs.MakeBitDepthPairs(seed=0)

    def fill(record, _number, rng):
        record["logc4_code16"] = np.rint(gradient_logc4(rng, 64, 64) * 65535)
        for kind, code8 in bit_depth_pairs.bit_depth_pictures(record["logc4_code16"], settings, rng).items():
            record[f"{kind}_code8"] = code8

    return write_pairs(tmp_path_factory.mktemp("bit_depth"), bit_depth_pairs.crop_record(64), fill)


@pytest.fixture(scope="session")
def display_folder(tmp_path_factory):
    """Return ordinary pictures of 32 x 32 pixels and their light."""
    settings = display_pairs.MakeDisplayPairs(seed=0)

    def fill(record, _number, rng):
        stops = cv2.GaussianBlur(rng.normal(0, 1, (32, 32, 3)).astype(np.float32), (0, 0), 3) * 20
        picture = display_pairs.random_picture(np.exp2(stops), settings, rng)
        record["linear_rec709"], record["code8"] = picture.linear_rec709, picture.code8
        record["is_plain"] = picture.is_plain

    return write_pairs(tmp_path_factory.mktemp("display"), display_pairs.crop_record(32), fill)


@pytest.fixture(scope="session")
def brackets_folder_of(tmp_path_factory):
    """Return what writes brackets of 32 x 32 pixels at some EVs."""

    def write(evs):
        settings = bracket_pairs.MakeBracketPairs(seed=0, evs=evs)

        def fill(record, number, rng):
            stops = cv2.GaussianBlur(rng.normal(0, 1, (32, 32, 3)).astype(np.float32), (0, 0), 4) * 20
            scene = bracket_pairs.moving_scene(np.exp2(stops), settings, 0, rng)
            record["linear_awg4"], record["encoding"] = scene.linear_awg4, number % 2
            encoding = bracket_pairs.ENCODING_NAMES[number % 2]
            for kind, codes in bracket_pairs.bracket_stacks(scene, encoding, settings, rng).items():
                record[f"{kind}_code8"] = codes
            record["motion_occluded"][0, :8] = True

        record = bracket_pairs.crop_record(32, len(evs))
        return write_pairs(tmp_path_factory.mktemp("brackets"), record, fill)

    return write


@pytest.fixture(scope="session")
def brackets_folder(brackets_folder_of):
    """Return brackets at -2, 0, 2 and 4 stops."""
    return brackets_folder_of((-2.0, 0.0, 2.0, 4.0))


@pytest.fixture
def interrupt_after():
    """Return what makes a callback for progress that stops a training after some steps, as Ctrl-C would."""

    def interrupt_after(steps):
        def on_progress(done, _):
            if done == steps:
                raise KeyboardInterrupt

        return on_progress

    return interrupt_after
