"""What `dvc.yaml` promises: every stage depends on all the code it runs and on its parameters."""

import ast
import json
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def stage(name):
    return PIPELINE[name].get("do", PIPELINE[name])


def module_file(module):
    base = ROOT / "src" / Path(*module.split("."))
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def imports_of(path):
    """Files of ours that a file imports, packages on the way included, whether at the top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            for end in range(1, len(parts) + 1):
                file = module_file(".".join(parts[:end]))
                if file and parts[0] == "hdrgen":
                    found.add(file)
    return found


def code_of(script):
    seen, waiting = set(), [script]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += imports_of(path)
    return {p.relative_to(ROOT) for p in seen if does_something(p)}


def does_something(path):
    """Tell code from a mere docstring or version number, which nothing can depend on."""
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    return any(isinstance(node, kinds) for node in ast.walk(ast.parse(path.read_text())))


@pytest.mark.parametrize("name", PIPELINE)
def test_a_stage_lists_all_the_code_it_runs_and_no_other(name):
    code = [
        d for d in stage(name)["deps"] if d.startswith(("src/", "stages/")) and not d.endswith(".safetensors")
    ]
    deps = [Path(d) for d in code]
    needed = code_of(ROOT / "stages" / f"{name}.py")
    missing = {p for p in needed if not any(p == d or d in p.parents for d in deps)}
    assert not missing, f"{name} runs code that dvc does not watch: {sorted(map(str, missing))}"
    unused = {d for d in deps if not any(p == d or d in p.parents for p in needed)}
    assert not unused, f"{name} depends on code that it never imports: {sorted(map(str, unused))}"


def test_one_name_in_five_places():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    scripts = {p.stem for p in (ROOT / "stages").glob("*.py")}
    assert list(PIPELINE) == list(params)
    assert scripts == set(PIPELINE)
    for name in PIPELINE:
        outs = [next(iter(o)) if isinstance(o, dict) else o for o in stage(name).get("outs", [])]
        folders = [out for out in outs if out.startswith("metrics/")]
        written = [out for out in outs if out not in folders]
        assert all(out == f"data/{name}" or out.startswith(f"data/{name}/") for out in written), written
        figures = [next(iter(m)) for m in stage(name).get("metrics", [])]
        assert all(f.startswith(f"metrics/{name}") for f in figures), figures
        # Beside each JSON stands a folder of tables.
        assert [f"{folder}.json" for folder in folders] == figures


def test_the_figures_that_decide_are_few():
    def numbers(tree):
        return sum(numbers(one) if isinstance(one, dict) else 1 for one in tree.values())

    assert sum(numbers(json.loads(file.read_text())) for file in (ROOT / "metrics").glob("*.json")) <= 120


@pytest.mark.parametrize("name", PIPELINE)
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
