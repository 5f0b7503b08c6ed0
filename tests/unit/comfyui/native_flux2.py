"""Run by ComfyUI's own Python, in its folder: how far native model and diffusers agree.

Prints the largest differences as JSON; see test_real_comfyui.py.
"""

import json
import sys
import tempfile
from pathlib import Path

sys.argv = [sys.argv[0], "--cpu"]
sys.path.insert(0, str(Path.cwd()))

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()
import comfy.sd  # noqa: E402
import folder_paths  # noqa: E402
import torch  # noqa: E402
from diffusers import Flux2KleinPipeline, Flux2Transformer2DModel  # noqa: E402
from diffusers.training_utils import _collate_lora_metadata  # noqa: E402
from peft import LoraConfig, get_peft_model_state_dict  # noqa: E402

from hdrgen.comfyui.native import HdrLoraLoader  # noqa: E402
from hdrgen.flux.latents import picture_ids, prompt_ids, unpack  # noqa: E402
from hdrgen.flux.native import native_flux2  # noqa: E402
from hdrgen.training.flux_lora import TARGETS  # noqa: E402

torch.manual_seed(0)
torch.set_grad_enabled(False)
ROWS, COLUMNS, WORDS, CONTEXT = 4, 6, 512, 64
klein = Flux2Transformer2DModel(
    num_layers=2,
    num_single_layers=2,
    num_attention_heads=2,
    attention_head_dim=128,
    joint_attention_dim=CONTEXT,
    in_channels=128,
    guidance_embeds=False,
).eval()
for weights in klein.parameters():
    weights.copy_(torch.randn_like(weights) * 0.05)
model = comfy.sd.load_diffusion_model_state_dict(
    native_flux2(klein.state_dict()), model_options={"dtype": torch.float32}
)
tokens, prompt, time = (
    torch.randn(1, ROWS * COLUMNS, 128),
    torch.randn(1, WORDS, CONTEXT),
    torch.tensor([0.7]),
)


def by_diffusers():
    answer = klein(
        hidden_states=tokens,
        encoder_hidden_states=prompt,
        timestep=time,
        img_ids=picture_ids(ROWS, COLUMNS),
        txt_ids=prompt_ids(WORDS),
        guidance=None,
        return_dict=False,
    )[0]
    return unpack(answer, ROWS, COLUMNS)


def by_comfyui(patcher):
    patcher.patch_model(device_to=torch.device("cpu"))
    return patcher.model.diffusion_model(unpack(tokens, ROWS, COLUMNS), time, context=prompt)


plain = by_diffusers()
found = {"plain": float((by_comfyui(model) - plain).abs().max()), "size": float(plain.abs().max())}
model.unpatch_model()
klein.add_adapter(LoraConfig(r=4, lora_alpha=2, init_lora_weights=False, target_modules=TARGETS["klein"]))
with tempfile.TemporaryDirectory() as folder:
    Flux2KleinPipeline.save_lora_weights(
        folder,
        transformer_lora_layers=get_peft_model_state_dict(klein),
        **_collate_lora_metadata({"transformer": klein}),
    )
    folder_paths.add_model_folder_path("loras", folder)
    added = HdrLoraLoader.execute(model=model, lora="pytorch_lora_weights.safetensors", strength=1.0)[0]
with_lora = by_diffusers()
found |= {
    "lora": float((by_comfyui(added) - with_lora).abs().max()),
    "lora_moved": float((with_lora - plain).abs().max()),
}
print(json.dumps(found))  # noqa: T201 - its answer
