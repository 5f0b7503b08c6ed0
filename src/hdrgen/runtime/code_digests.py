"""Digests of the code that scripts run: the script, the modules that it imports, what those import, and so on."""

import ast
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.documents import file_sha256
from hdrgen.runtime.errors import HdrgenError


def write_code_digests(
    scripts: Collection[Path], package: Path, out_dir: Path, apart: Collection[Path] = ()
) -> None:
    """Write a file for each script, of its name, that is the same for as long as the code is that the script runs.

    It has a line ``sha256  path`` for each file of `PackageCode.files_of`, sorted by path, which `sha256sum --check`
    reads. Files of other names are removed from the folder.

    Parameters
    ----------
    scripts
        Python files of different names.
    package, apart
        As `PackageCode` takes them. Lines name paths as they are given, so give them relative to the project.
    out_dir
        The folder to write to.

    Raises
    ------
    HdrgenError
        A file is not valid Python.
    """
    code = PackageCode(package, apart)
    for script in scripts:
        lines = [f"{file_sha256(path)}  {path.as_posix()}\n" for path in code.files_of(script)]
        with replacing(out_dir / script.stem) as temporary:
            temporary.write_text("".join(lines), encoding="utf-8", newline="\n")
    for path in set(out_dir.iterdir()) - {out_dir / script.stem for script in scripts}:
        path.unlink()


@dataclass(frozen=True)
class _Module:
    """A module's source: the modules of the package that it imports, and whether it holds more than a docstring."""

    imports: Sequence[Path]
    has_code: bool


class PackageCode:
    """What scripts run of a package, by its source alone: nothing is imported, and each module is parsed once.

    Parameters
    ----------
    package
        Folder of the package; what other packages hold is left out.
    apart
        Folders in it that belong to no module, such as released weights.
    """

    def __init__(self, package: Path, apart: Collection[Path] = ()) -> None:
        self._package = package
        self._apart = apart
        self._modules: dict[Path, _Module] = {}

    def files_of(self, script: Path) -> list[Path]:
        """Return the script, the modules it needs and the data beside them, sorted by path.

        Imports inside functions count as those at the top, and packages on the way to a module count too; what is
        imported for type checkers alone does not. Modules without code, with a docstring or a version at most, are
        left out. Data are the files in a module's folder, and in folders there that hold no modules, such as templates.

        Raises
        ------
        HdrgenError
            A file is not valid Python.
        """
        paths: set[Path] = set()
        waiting = [script]
        while waiting:
            path = waiting.pop()
            if path not in paths:
                paths.add(path)
                waiting += self._module(path).imports
        code = {path for path in paths if self._module(path).has_code}
        folders = {path.parent for path in code if self._package in path.parents}
        data = {path for folder in folders for path in self._data_in(folder)}
        return sorted(code | data)

    def _module(self, path: Path) -> _Module:
        if path not in self._modules:
            tree = _parsed(path)
            names = [name.split(".") for name in self._imported_names(path, tree)]
            ways = {
                tuple(parts[:end])
                for parts in names
                if parts[0] == self._package.name
                for end in range(1, len(parts) + 1)
            }
            files = [self._module_file(way) for way in ways]
            self._modules[path] = _Module([file for file in files if file], _has_code(tree))
        return self._modules[path]

    def _imported_names(self, path: Path, tree: ast.Module) -> Iterator[str]:
        """Yield dotted names that a file imports; of ``from a import b`` both, as ``b`` may be a module."""
        for node in _nodes_that_run(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                parts = [node.module] if node.module else []
                if node.level:
                    here = path.relative_to(self._package.parent).parent.parts
                    parts = [*here[: len(here) + 1 - node.level], *parts]
                module = ".".join(parts)
                yield module
                yield from (f"{module}.{alias.name}" for alias in node.names)

    def _module_file(self, parts: Sequence[str]) -> Path | None:
        base = self._package.parent.joinpath(*parts)
        return next(
            (path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None
        )

    def _data_in(self, folder: Path) -> Iterator[Path]:
        for path in folder.iterdir():
            if path.name.startswith((".", "__pycache__")) or path in self._apart:
                continue
            if path.is_file() and path.suffix != ".py":
                yield path
            elif path.is_dir() and not any(path.rglob("*.py")):
                yield from self._data_in(path)


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except SyntaxError as error:
        raise HdrgenError(f"{path}: line {error.lineno}: is not valid Python ({error.msg})") from None


def _nodes_that_run(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all under it, but for what type checkers alone see."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for other in child.orelse:
                yield from _nodes_that_run(other)
        else:
            yield from _nodes_that_run(child)


def _has_code(module: ast.Module) -> bool:
    """Tell code from a docstring and names such as ``__version__`` and ``__all__``, on which nothing can depend."""
    return not all(
        (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.Assign) and all(ast.unparse(t).startswith("__") for t in node.targets))
        for node in module.body
    )
