"""The real pipeline, small, in a temporary clone: what a user sees who edits params.yaml and types `dvc repro`."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from hdrgen.bench import operations
from hdrgen.report import page
from hdrgen.runtime.metrics_file import TABLE, read_figures

pytestmark = pytest.mark.pipeline

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
FLUX = "evaluate_flux"
"""Has a table for each section of its figures."""

SMALL = {
    "simulate": {
        "count": 6,
        "width": 96,
        "height": 64,
        "samples_per_pixel": 8,
        # Four scenes to train on, one to validate with, one to judge by.
        "kinds": [
            "night_street",
            "meadow_sun_in_frame",
            "colour_chart",
            "cloudscape_road",
            "sea_sunset",
            "campfire",
        ],
    },
    "split": {"val_fraction": 0.2, "test_fraction": 0.2},
}


def run(folder, *command, check=True):
    environment = os.environ | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "src"),
        "DVC_NO_ANALYTICS": "1",
        # Two clones run beside each other; more threads than cores would only wait for each other.
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def edit(folder, change):
    path = folder / "params.yaml"
    params = yaml.safe_load(path.read_text())
    change(params)
    path.write_text(yaml.safe_dump(params, sort_keys=False))


def make_small(params):
    for section, values in SMALL.items():
        params[section].update(values)
    for pairs in params["make_pairs"].values():
        pairs.update(crop_size=64, crops_per_frame=2)
    params["make_pairs"]["bit_depth"]["gradients"].update(train=2, val=1, test=1, size=64)
    params["train_tone_fusion"]["mlp"].update(epochs=2, batches_per_epoch=2, batch_pixels=512)
    params["train_tone_fusion"]["fuser"].update(
        steps=4, batch_crops=2, steps_per_validation=2, validation_crops=2
    )
    params["train_tone_fusion"]["fuser"]["network"].update(widths=[8, 8, 8], blocks=[1, 1, 1])
    few = {"steps": 4, "batch_crops": 2, "steps_per_validation": 2, "validation_crops": 2}
    params["train_bit_depth"].update(few, gradient_crops=1, gradient_size=64, validation_gradients=1)
    params["train_bit_depth"]["network"].update(widths=[8] * 5)
    params["train_exposure_fusion"].update(few)
    params["train_exposure_fusion"]["network"].update(exposure_width=8, widths=[8] * 5)
    params["train_highlights"].update(few)
    params["train_highlights"]["network"] = {"widths": [8] * 5, "blocks": [1] * 5, "curve_widths": [8] * 3}
    params["make_pairs"]["display"]["judged_size"] = 64
    tiny = params["base_model"]["tiny"]
    tiny["crops"].update(size=32, crops_per_frame=2)
    tiny["network"].update(vae_widths=[8, 8, 8], text_width=32, double_blocks=1, single_blocks=1, heads=1)
    for part in ("vae", "flow"):
        tiny[part].update(steps=4, batch_crops=2, steps_per_validation=2, validation_crops=2)
    params["base_model"]["samples"].update(seeds=[1], steps=2)
    for vae in ("train_hdr_vae", "train_flux_vae"):
        params[vae].update(few)
        params[vae]["crops"].update(size=32, crops_per_frame=2)
    for training in ("train_flux_lora", "train_flux_full"):
        params[training]["crops"].update(size=32, crops_per_frame=2)
        params[training]["flow"].update(few)
        params[training]["samples"].update(prompts=["night street"], steps=2)
    params["generate"].update(prompts=["night street"], seeds=[1], size=32, steps=2)
    # VAEs of four steps and eight channels answer with noise, which amplifies rounding.
    params["export"].update(
        models=["hdr_vae_decoder", "flux_vae_decoder"], sizes=[[16, 16], [33, 17]], tolerance=1e-2
    )
    params["validate"].update(gradients=1, gradient_size=64)
    params["report"].update(frames=1, generated=1, captions=2)
    judged = params["evaluate_flux"]
    judged.update(seeds=[1, 2], size=32, steps=2, crops_per_frame=2)
    judged.setdefault("renders", {}).update(per_kind=2, width=48, height=32)
    judged.setdefault("classifier", {}).update(steps=4, batch=4, folds=2)


def clone(folder):
    """Copy what git knows or would take, without any cache or output."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    run(folder, "git", "init", "--quiet")
    edit(folder, make_small)
    return folder


def figures(folder):
    return {str(p.relative_to(folder)): p.read_text() for p in sorted((folder / "metrics").rglob("*.*"))}


def ran(output):
    return [
        line.split("'")[1].split("@")[0] for line in output.splitlines() if line.startswith("Running stage")
    ]


@pytest.fixture(scope="module")
def clones(tmp_path_factory):
    """Return two clones in which everything ran, from nothing."""
    folders = [clone(tmp_path_factory.mktemp(name)) for name in ("clone", "again")]
    with ThreadPoolExecutor(2) as both:
        for done in both.map(lambda folder: run(folder, "dvc", "repro"), folders):
            assert list(dict.fromkeys(ran(done.stdout))) == list(
                yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
            )
    return folders


@pytest.fixture
def pipeline(clones):
    return clones[0]


def test_two_clean_runs_give_the_same_figures_to_the_last_digit(clones):
    one, other = clones
    assert figures(one) == figures(other)
    locks = [yaml.safe_load((folder / "dvc.lock").read_text())["stages"] for folder in clones]
    assert locks[0] == locks[1]


def test_every_stage_leaves_its_metrics_and_tables_hold_baselines_and_margins(pipeline):
    decides = sorted((pipeline / "metrics").glob("*.json"))
    assert all(
        (file.with_suffix("") / TABLE).with_suffix(".tsv").is_file() for file in decides if file.stem != FLUX
    )
    assert read_figures(pipeline / "metrics" / FLUX)
    table = read_figures(pipeline / "metrics/evaluate_tone_fusion")["simulated"]
    rounded = json.loads((pipeline / "metrics/evaluate_tone_fusion.json").read_text())["simulated"]
    for kind in ("clean", "generated"):
        assert {
            "interval_intersection",
            "inverse_variance",
            "published_mlp",
            "fuser",
            "released_fuser",
        } <= set(table[kind])
        for model in ("interval_intersection", "fuser"):
            assert np.isfinite(table[kind][model]["pu21_psnr"]["mean"])
        assert rounded[kind]["pu21_psnr"] == round(table[kind]["fuser"]["pu21_psnr"]["mean"], 2)
        assert rounded[kind]["margin"] == round(table[kind]["fuser"]["pu21_psnr_margin"], 2)
    # The closed form inverts a clean pair almost perfectly, and does not invert a generated-like one.
    assert table["clean"]["interval_intersection"]["pu21_psnr"]["mean"] > 58
    assert table["generated"]["interval_intersection"]["pu21_psnr"]["mean"] < 45


def test_a_second_repro_changes_nothing(pipeline):
    done = run(pipeline, "dvc", "repro")
    assert "Data and pipelines are up to date" in done.stdout
    assert not ran(done.stdout)


def test_an_edit_of_code_reruns_the_stages_that_run_it_and_no_others(pipeline):
    # The first is of the command line.
    for module, reruns in ((operations, ["code_digests"]), (page, ["code_digests", "report"])):
        edited = pipeline / Path(module.__file__).relative_to(ROOT)
        edited.write_text(f"{edited.read_text()}\n# edited\n")
        assert ran(run(pipeline, "dvc", "repro").stdout) == reruns


def test_a_misspelt_parameter_is_one_clear_line_and_another_value_reruns_that_stage_and_what_follows(
    pipeline,
):
    before = (pipeline / "params.yaml").read_text()
    edit(pipeline, lambda p: p["train_tone_fusion"]["fuser"].update(step=1))
    done = run(pipeline, "dvc", "repro", check=False)
    (pipeline / "params.yaml").write_text(before)
    assert done.returncode != 0
    assert "params.yaml: train_tone_fusion.fuser.step: unknown key" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    run(pipeline, "git", "add", ".")
    run(pipeline, "git", "-c", "user.name=A", "-c", "user.email=a@localhost", "commit", "-qm", "before")
    edit(pipeline, lambda p: p["train_tone_fusion"]["fuser"].update(learning_rate=0.05))
    assert ran(run(pipeline, "dvc", "repro").stdout) == [
        "train_tone_fusion",
        "evaluate_tone_fusion",
        "export",
        "report",
    ]
    # What it changed is read at a glance.
    changed = run(pipeline, "dvc", "metrics", "diff").stdout.splitlines()
    assert any(line.startswith("metrics/evaluate_tone_fusion.json") for line in changed), changed
    assert len(changed) <= 40
    assert max(map(len, changed)) <= 100


def test_a_folder_of_footage_is_one_line(pipeline, tmp_path):
    footage = tmp_path / "footage"
    footage.mkdir()
    rendered = sorted((pipeline / "data/simulate").glob("*.exr"))
    for i, path in enumerate(rendered[:3]):
        shutil.copy(path, footage / f"shot_{i}.exr")
    before = (pipeline / "params.yaml").read_text()
    edit(pipeline, lambda p: p["ingest"]["sources"].update(footage={"path": str(footage)}))
    try:
        times = {path: path.stat().st_mtime_ns for path in rendered}
        run(pipeline, "dvc", "repro", "split")
        assert times == {path: path.stat().st_mtime_ns for path in rendered}, "frames were rendered again"
        index = pl.read_parquet(pipeline / "data/split/index.parquet")
        assert set(index["source"]) == {"simulated", "footage"}
        # A frame that is added to the folder is seen by the next repro; the others keep their split.
        shutil.copy(rendered[5], footage / "shot_5.exr")
        assert "ingest" in ran(run(pipeline, "dvc", "repro", "split").stdout)
        grown = pl.read_parquet(pipeline / "data/split/index.parquet")
        assert len(grown) == len(index) + 1
        assert (
            dict(index.select("frame", "split").iter_rows()).items()
            <= dict(grown.select("frame", "split").iter_rows()).items()
        )
    finally:
        (pipeline / "params.yaml").write_text(before)
