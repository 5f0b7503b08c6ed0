"""What `dvc.yaml` promises: every stage depends on all the code it runs and on its parameters."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hdrgen.bench import operations
from hdrgen.dataset.simulate.scenes import streets
from hdrgen.report import page
from hdrgen.runtime import errors
from hdrgen.runtime.code_digests import PackageCode

ROOT = Path(__file__).resolve().parents[2]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
STAGES = [name for name in PIPELINE if name != "code_digests"]
"""Those with code and parameters of their own; `code_digests` says what code that is."""
WEIGHTS = "src/hdrgen/weights"


def stage(name):
    return PIPELINE[name].get("do", PIPELINE[name])


def code_digests(project):
    """Run the stage `code_digests` in a project, and return what it writes, by stage."""
    script = [sys.executable, "stages/code_digests.py"]
    subprocess.run(script, cwd=project, check=True, capture_output=True, text=True)
    return {path.name: path.read_text() for path in sorted((project / "data/code_digests").iterdir())}


@pytest.fixture
def project(tmp_path):
    """Return a copy of the code."""
    for folder in ("src/hdrgen", "stages"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("*.safetensors"))
    return tmp_path


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_its_code_and_beside_it_on_released_weights_alone(name):
    deps = stage(name)["deps"]
    assert [d for d in deps if d.startswith("data/code_digests")] == [f"data/code_digests/{name}"]
    named = [d for d in deps if d.startswith(("src", "stages")) and not d.startswith(f"{WEIGHTS}/")]
    assert named == (["stages"] if name == "report" else []), (
        "the report reads what each script says of itself"
    )
    assert [d for d in deps if d.startswith(WEIGHTS) and not (ROOT / d).is_file()] == []


def test_the_stage_of_digests_sees_all_code_and_writes_a_digest_for_every_other_stage(project):
    assert stage("code_digests")["deps"] == ["src/hdrgen", "stages"]
    assert stage("code_digests")["outs"] == ["data/code_digests"]
    assert set(code_digests(project)) == set(STAGES)


@pytest.mark.parametrize("name", ["generate", "report", "simulate"])
def test_digests_have_all_modules_that_python_itself_imports(name):
    script = f"""
import json, sys
sys.path.insert(0, "stages")
import {name}
print(json.dumps([m.__file__ for n, m in sys.modules.items() if n.split(".")[0] == "hdrgen"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    imported = {Path(file) for file in json.loads(done.splitlines()[-1])}
    assert len(imported) > 10
    package = ROOT / "src/hdrgen"
    code = set(PackageCode(package).files_of(ROOT / f"stages/{name}.py"))
    # Packages with a docstring at most hold no code.
    assert {file for file in imported - code if not holds_only_a_docstring(file)} == set()


def holds_only_a_docstring(file):
    body = ast.parse(file.read_text()).body
    return file.name == "__init__.py" and all(isinstance(node, ast.Expr | ast.Assign) for node in body)


@pytest.mark.parametrize(
    ("module", "reruns"),
    [
        (page, {"report"}),
        (streets, {"simulate", "evaluate_flux"}),
        (operations, set()),  # of the command line alone
        (errors, set(STAGES)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_edit_of_a_module_reruns_the_stages_that_import_it_and_no_others(project, module, reruns):
    before = code_digests(project)
    edited = project / Path(module.__file__).relative_to(ROOT)
    edited.write_text(edited.read_text() + "\n# edited\n")
    after = code_digests(project)
    assert {name for name in after if after[name] != before[name]} == reruns
    for name in reruns:
        changed = set(before[name].splitlines()) ^ set(after[name].splitlines())
        assert {line.split("  ")[1] for line in changed} == {edited.relative_to(project).as_posix()}


def test_one_name_in_five_places():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    scripts = {p.stem for p in (ROOT / "stages").glob("*.py")}
    assert list(PIPELINE) == ["code_digests", *params]
    assert scripts == set(PIPELINE)
    for name in PIPELINE:
        written = [next(iter(o)) if isinstance(o, dict) else o for o in stage(name).get("outs", [])]
        figures = f"metrics/{name}" + {"ingest": "_${key}", "make_pairs": "_${item}"}.get(name, "")
        data = [out for out in written if not out.startswith("metrics/")]
        assert all(out == f"data/{name}" or out.startswith(f"data/{name}/") for out in data), data
        metrics = [next(iter(m)) for m in stage(name).get("metrics", [])]
        # Beside each JSON stands a folder of tables.
        tables = [out for out in written if out.startswith("metrics/")]
        assert (tables, metrics) in (([], []), ([figures], [f"{figures}.json"])), name


def test_the_figures_that_decide_are_few():
    def numbers(tree):
        return sum(numbers(one) if isinstance(one, dict) else 1 for one in tree.values())

    assert sum(numbers(json.loads(file.read_text())) for file in (ROOT / "metrics").glob("*.json")) <= 130


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_reruns_when_its_own_section_changes(name):
    assert any(p == name or p.startswith(f"{name}.") for p in stage(name)["params"])


def library_files():
    return sorted((ROOT / "src").rglob("*.py"))


@pytest.mark.parametrize("path", library_files(), ids=lambda p: str(p.relative_to(ROOT / "src")))
def test_the_library_names_no_data_folder_prints_nothing_and_never_exits(path):
    skin = (
        path.name in {"console.py", "__main__.py"} or "cli" in path.relative_to(ROOT / "src/hdrgen").parts[0]
    )
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not node.value.startswith("data/"), f"line {node.lineno} names {node.value}"
        if isinstance(node, ast.Call) and not skin:
            called = ast.unparse(node.func)
            assert called not in {"print", "sys.exit", "exit", "logging.basicConfig"}, f"line {node.lineno}"


@pytest.mark.parametrize("name", PIPELINE)
def test_a_stage_is_dull(name):
    tree = ast.parse((ROOT / "stages" / f"{name}.py").read_text())
    for node in ast.walk(tree):
        assert not isinstance(node, ast.ClassDef), "a stage defines no class"
        assert not isinstance(node, ast.While), "a stage has no loop of its own"
        if isinstance(node, ast.ImportFrom | ast.Import):
            module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            assert module.split(".")[0] in {"hdrgen", "pathlib", "typing", "typer", "logging"}, (
                f"a stage imports {module}"
            )
