"""What a run of the pipeline left: its stages in order, their figures, and what DVC and git know of how they came."""

import ast
import csv
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from hdrgen.runtime.documents import read_yaml
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.metrics_file import read_figures

Tree = Mapping[str, Any]
"""Figures or parameters: mappings in mappings."""


@dataclass(frozen=True)
class Output:
    """A file or folder that a stage wrote, by its digest in ``dvc.lock``."""

    path: str
    md5: str
    bytes: int
    files: int


@dataclass(frozen=True)
class Stage:
    """One stage.

    ``metrics`` are its metrics files' contents by name: several where a stage runs for each of some items. ``figures`` are
    all figures by the same names, from the tables beside them, ``verdicts`` the rows of its table of verdicts, and ``harmed``
    those of its table of pictures that a model made worse.
    ``parameters`` are those it last ran with, which may not be those of ``params.yaml``.
    """

    name: str
    about: str
    has_metrics: bool
    metrics: Mapping[str, Tree]
    figures: Mapping[str, Tree]
    verdicts: Sequence[Mapping[str, str]]
    harmed: Sequence[Mapping[str, str]]
    parameters: Tree
    outputs: tuple[Output, ...]

    @property
    def was_run(self) -> bool:
        """Tell whether there is anything to show of it."""
        return bool(self.metrics) if self.has_metrics else bool(self.outputs)


@dataclass(frozen=True)
class Revision:
    """What git says of the code: the commit, its day and subject, and the files that differ from it."""

    commit: str
    day: str
    subject: str
    changed: tuple[str, ...] = ()


def read_stages(root: Path, own_name: str) -> list[Stage]:
    """Return the pipeline's stages in the order of ``dvc.yaml``.

    Parameters
    ----------
    root
        Folder of ``dvc.yaml``, ``dvc.lock``, ``stages`` and ``metrics``.
    own_name
        The stage that is left out, as it is running.

    Raises
    ------
    HdrgenError
        A file cannot be read.
    """
    blocks = {name: block for name, block in pipeline(root)["stages"].items() if name != own_name}
    lock = _lock(_text(root / "dvc.lock"))
    return [_stage(root, name, block, lock) for name, block in blocks.items()]


def pipeline(root: Path) -> dict[str, Any]:
    """Return ``dvc.yaml`` as it is written.

    Raises
    ------
    HdrgenError
        It is missing or no YAML.
    """
    path = root / "dvc.yaml"
    document = read_yaml(path, "run this where dvc.yaml is")
    return {"stages": {}, "plots": []} | (document or {})


def read_revision(root: Path) -> Revision | None:
    """Return the commit that is checked out, and what else of the code and parameters is in place; None without git."""
    if _git(root, "rev-parse", "--verify", "HEAD") is None:
        return None
    code = ("src", "stages", "dvc.yaml", "params.yaml")
    changed = _git(root, "status", "--porcelain", "--", *code) or ""
    return replace(read_commit(root, "HEAD"), changed=tuple(line[3:] for line in changed.split("\n") if line))


def read_commit(root: Path, commit: str) -> Revision:
    """Return a commit that is there, as one of `commits_of_metrics`."""
    line = _git(root, "show", "--no-patch", "--format=%H %cs %s", commit) or ""
    name, day, subject = line.rstrip("\n").split(" ", 2)
    return Revision(name, day, subject)


def last_commit_of(file: Path) -> Revision | None:
    """Return the commit that last changed a file; None where it was changed since, and without git."""
    commit = _git(file.parent, "log", "-1", "--format=%H", "--", file.name)
    changed = _git(file.parent, "status", "--porcelain", "--", file.name)
    return read_commit(file.parent, commit.strip()) if commit and not changed else None


def commits_of_metrics(root: Path) -> list[str]:
    """Return the commits that changed metrics files, newest first; empty without git."""
    return (_git(root, "log", "--format=%H", "--", "metrics/*.json") or "").split()


def committed_metrics(root: Path, commit: str) -> dict[str, Tree]:
    """Return a commit's metrics files by name; empty without git."""
    listed = _git(root, "ls-tree", "--name-only", commit, "metrics/") or ""
    names = [name for name in listed.split("\n") if name.endswith(".json")]
    return {Path(name).stem: json.loads(_git(root, "show", f"{commit}:./{name}") or "{}") for name in names}


def committed_parameters(root: Path, commit: str) -> dict[str, Tree]:
    """Return each stage's parameters in a commit's ``dvc.lock``; empty without git."""
    stages = _lock(_git(root, "show", f"{commit}:./dvc.lock"))
    names = dict.fromkeys(name.split("@")[0] for name in stages)
    return {name: _parameters(_entries(stages, name)) for name in names}


def _stage(root: Path, name: str, block: Tree, lock: Tree) -> Stage:
    entries = _entries(lock, name)
    script = _text(root / "stages" / f"{name}.py")
    files = sorted((root / "metrics").glob(f"{name}_*.json" if "foreach" in block else f"{name}.json"))
    outputs = [out for entry in entries for out in entry.get("outs", []) if not _is_figure(out["path"])]
    return Stage(
        name,
        (ast.get_docstring(ast.parse(script)) or "").split("\n")[0] if script else "",
        bool(block.get("do", block).get("metrics")),
        {file.stem: _metrics(file) for file in files},
        {file.stem: read_figures(file.with_suffix("")) for file in files},
        _rows(root / "metrics" / name / "verdicts.tsv"),
        _rows(root / "metrics" / name / "harmed.tsv"),
        _parameters(entries),
        tuple(Output(out["path"], out["md5"], out.get("size", 0), out.get("nfiles", 1)) for out in outputs),
    )


def _entries(lock: Tree, name: str) -> list[Tree]:
    return [entry for key, entry in lock.items() if key.split("@")[0] == name]


def _parameters(entries: list[Tree]) -> Tree:
    """Return all parameters of a stage, nested as in ``params.yaml``."""
    parameters: dict[str, Any] = {}
    for entry in entries:
        for name, value in entry.get("params", {}).get("params.yaml", {}).items():
            *sections, key = name.split(".")
            place = parameters
            for section in sections:
                place = place.setdefault(section, {})
            place[key] = value
    return parameters


def _is_figure(path: str) -> bool:
    return path.startswith("metrics/")


def _lock(text: str | None) -> dict[str, Any]:
    stages = (yaml.load(text, _YamlLoader) or {}).get("stages", {}) if text else {}  # noqa: S506 - a safe loader
    return dict(stages)


def _metrics(path: Path) -> Tree:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise HdrgenError(f"{path}: is no metrics file; run its stage again") from None


def _rows(path: Path) -> list[dict[str, str]]:
    return [*csv.DictReader((_text(path) or "").splitlines(), delimiter="\t")]


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git says, None where there is no git, no repository or no such object."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(root), *arguments],  # noqa: S607 - git is where its user has it
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout


_YamlLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The lock has thousands of lines; the C loader reads it ten times faster."""
