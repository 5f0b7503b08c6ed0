import json
import shutil
from types import SimpleNamespace

import httpx2
import pytest
import torch
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError
from safetensors.torch import load_file, save_file

from hdrgen.flux import checkpoint
from hdrgen.flux.checkpoint import (
    check_memory,
    find_checkpoint,
    read_reference,
    verify_checkpoint,
    write_reference,
)
from hdrgen.runtime.errors import HdrgenError

HUB_ID = "black-forest-labs/FLUX.2-klein-base-4B"


@pytest.fixture
def copied(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "tiny")


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_whole_checkpoint_says_what_it_is_made_of(klein, saved):
    found = find_checkpoint(str(saved))
    assert (found.family, found.distilled, found.revision, found.path) == ("klein", False, None, saved)
    parts = {c.name: c for c in found.components}
    assert set(parts) == {"text_encoder", "vae", "transformer"}
    assert parts["transformer"].parameters == sum(p.numel() for p in klein.transformer.parameters())
    assert found.figures()["bytes"]["all"] == sum(f.stat().st_size for f in saved.rglob("*.safetensors"))


def test_weights_in_several_files_are_counted_once_each(copied):
    weights = load_file(copied / "transformer/diffusion_pytorch_model.safetensors")
    expected = verify_checkpoint(copied).figures()["parameters"]
    names = sorted(weights)
    parts = {"part-1.safetensors": names[::2], "part-2.safetensors": names[1::2]}
    for file, held in parts.items():
        save_file({name: weights[name] for name in held}, copied / "transformer" / file)
    (copied / "transformer/diffusion_pytorch_model.safetensors").unlink()
    index = {"weight_map": {name: file for file, held in parts.items() for name in held}}
    (copied / "transformer/diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    assert verify_checkpoint(copied).figures()["parameters"] == expected
    (copied / "transformer/part-2.safetensors").unlink()
    with pytest.raises(HdrgenError, match=r"part-2\.safetensors: damaged or missing"):
        verify_checkpoint(copied)


def test_a_download_that_broke_off_is_noticed(copied):
    path = copied / "vae/diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        HdrgenError, match=r"diffusion_pytorch_model\.safetensors: damaged or missing.*get it again"
    ):
        verify_checkpoint(copied)


def test_pickled_weights_are_refused_even_beside_safetensors(copied):
    torch.save({}, copied / "text_encoder/pytorch_model.bin")
    with pytest.raises(HdrgenError, match=r"pytorch_model\.bin: pickled weights can run code"):
        verify_checkpoint(copied)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "model_index.json").unlink(), "model_index.json: cannot be read"),
        (
            lambda folder: shutil.rmtree(folder / "tokenizer"),
            "has no tokenizer; the checkpoint is incomplete",
        ),
        (lambda folder: (folder / "vae/config.json").write_text("{"), "vae/config.json: cannot be read"),
        (
            lambda folder: edit(folder / "model_index.json", _class_name="StableDiffusionPipeline"),
            "a checkpoint of StableDiffusionPipeline; take FLUX.2 Klein",
        ),
        (
            lambda folder: edit(folder / "model_index.json", vae=["diffusers", "AutoencoderKL"]),
            "its vae is a AutoencoderKL, not a AutoencoderKLFlux2",
        ),
    ],
)
def test_what_is_no_checkpoint_of_ours_is_one_line(copied, damage, said):
    damage(copied)
    with pytest.raises(HdrgenError, match=said):
        verify_checkpoint(copied)


def test_a_folder_has_no_revision_and_a_missing_one_is_no_hub_id(saved, tmp_path):
    with pytest.raises(HdrgenError, match="a folder has no revision 'main'"):
        find_checkpoint(str(saved), "main")
    with pytest.raises(HdrgenError, match="no such folder, and not a hub id"):
        find_checkpoint(str(tmp_path / "missing"))


def test_flux1_dev_is_known_by_its_two_text_encoders(tmp_path):
    parts = {
        "scheduler": ("diffusers", "FlowMatchEulerDiscreteScheduler", "scheduler_config.json"),
        "tokenizer": ("transformers", "CLIPTokenizer", "tokenizer_config.json"),
        "tokenizer_2": ("transformers", "T5TokenizerFast", "tokenizer_config.json"),
        "text_encoder": ("transformers", "CLIPTextModel", "config.json"),
        "text_encoder_2": ("transformers", "T5EncoderModel", "config.json"),
        "vae": ("diffusers", "AutoencoderKL", "config.json"),
        "transformer": ("diffusers", "FluxTransformer2DModel", "config.json"),
    }
    index = {"_class_name": "FluxPipeline"} | {name: part[:2] for name, part in parts.items()}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    for name, (library, _, config) in parts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / config).write_text("{}")
        if config == "config.json":
            stem = "model" if library == "transformers" else "diffusion_pytorch_model"
            weights = {"weight": torch.zeros(3, 5, dtype=torch.bfloat16)}
            save_file(weights, tmp_path / name / f"{stem}.safetensors")
    found = verify_checkpoint(tmp_path)
    assert found.family == "flux1"
    assert [c.name for c in found.components] == ["text_encoder", "text_encoder_2", "vae", "transformer"]
    assert found.parameters == 4 * 15


def test_memory_for_one_part_at_a_time_is_a_warning_and_less_an_error(saved):
    found = verify_checkpoint(saved)
    assert check_memory(found, found.bytes) is None
    assert "one after the other" in check_memory(found, found.bytes - 1)
    with pytest.raises(HdrgenError, match="take a smaller checkpoint or a larger machine"):
        check_memory(found, max(c.bytes for c in found.components) - 1)


def test_a_reference_moves_with_its_checkpoint(copied, tmp_path):
    write_reference(tmp_path / "checkpoint.json", verify_checkpoint(copied))
    moved = tmp_path.with_name(f"{tmp_path.name}_moved")
    tmp_path.rename(moved)
    assert read_reference(moved / "checkpoint.json").path == moved / "tiny"


def test_a_folder_elsewhere_is_found_from_any_working_directory(copied, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    write_reference(tmp_path / "out/checkpoint.json", find_checkpoint("tiny"))
    monkeypatch.chdir(tmp_path / "out")
    assert read_reference(tmp_path / "out/checkpoint.json").path == copied


class Hub:
    """What `snapshot_download` does, without a network."""

    def __init__(self, folder=None, error=None, size=1000):
        self.folder, self.error, self.size, self.cached = folder, error, size, False

    def __call__(self, hub_id, *, local_files_only=False, dry_run=False, **_):
        if local_files_only:
            if not self.cached:
                raise LocalEntryNotFoundError(hub_id)
            return str(self.folder)
        if self.error:
            raise self.error
        if dry_run:
            return [SimpleNamespace(file_size=self.size, will_download=True)]
        self.cached = True
        return str(self.folder)


def answer(kind, status):
    response = httpx2.Response(status, request=httpx2.Request("GET", "https://huggingface.co"))
    return kind("refused", response=response)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setattr(checkpoint.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(checkpoint.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def of(**said):
        made = Hub(**said)
        monkeypatch.setattr(checkpoint, "snapshot_download", made)
        return made

    return of


def test_a_hub_id_is_downloaded_once_and_its_commit_remembered(hub, copied, tmp_path, monkeypatch):
    commit = copied.rename(tmp_path / "0123abc")
    hub(folder=commit)
    found = find_checkpoint(HUB_ID)
    assert (found.source, found.revision) == (HUB_ID, "0123abc")
    monkeypatch.setattr(checkpoint.constants, "HF_HUB_OFFLINE", True)
    (tmp_path / "out").mkdir()
    write_reference(tmp_path / "out/checkpoint.json", found)
    assert read_reference(tmp_path / "out/checkpoint.json") == found


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            answer(GatedRepoError, 403),
            "is gated; accept the licence at https://huggingface.co/.*hf auth login",
        ),
        (answer(GatedRepoError, 401), "is gated"),
        (answer(RepositoryNotFoundError, 404), "not found on"),
        (httpx2.ConnectError("no route"), r"not in the cache .*\(no route\); look to the network"),
    ],
)
def test_a_refusal_of_the_hub_says_the_way_out(hub, error, said):
    hub(error=error)
    with pytest.raises(HdrgenError, match=said):
        find_checkpoint(HUB_ID)


def test_offline_and_not_in_the_cache_is_one_line(hub, monkeypatch):
    hub()
    monkeypatch.setattr(checkpoint.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HdrgenError, match="HF_HUB_OFFLINE forbids the download"):
        find_checkpoint(HUB_ID)


def test_a_disk_too_small_is_said_before_the_download(hub):
    small = hub(size=10**18)
    with pytest.raises(HdrgenError, match=r"1000000000\.0 GB to download and .* make room, or set HF_HOME"):
        find_checkpoint(HUB_ID)
    assert not small.cached
