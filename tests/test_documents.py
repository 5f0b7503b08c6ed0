"""The pages: their commands are ones that there are, their links lead somewhere, their tables show the figures there are."""

import re
import shlex
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
import typer
from dvc.cli import DvcParserError
from dvc.cli.parser import get_main_parser

from hdrgen.cli import app
from hdrgen.report.tables.pages import TABLES, pages, with_tables

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "src/hdrgen/comfyui/*.md", "src/hdrgen/weights/*.md")
    for path in ROOT.glob(pattern)
)
CLI = typer.main.get_command(app)
PIPELINE = (ROOT / "docs/pipeline.md").read_text()


def by_page(values):
    """Return a page and a value for each value of the pages' texts, with an id that names both."""
    return [(page, value) for page in PAGES for value in values(page.read_text())]


def named(found):
    """Return the ids of what `by_page` found."""
    return [f"{page.relative_to(ROOT)}: {value}" for page, value in found]


def shell_commands(text):
    """Return the commands of blocks of shell: whole lines, or those after a prompt; what follows ``&&`` is one of its own."""
    found = []
    for kind, block in re.findall(r"```(sh|console)\n(.*?)```", text, re.DOTALL):
        lines = block.replace("\\\n", " ").splitlines()
        if kind == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        found += [one for line in lines for one in _commands(line)]
    return found


def _commands(line):
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;>")
    lexer.whitespace_split = True
    words = [[]]
    for word in lexer:
        if word in {"&&", ";", "|"}:
            words.append([])
        else:
            words[-1].append(word)
    return [
        shlex.join(command[: command.index(">")] if ">" in command else command)
        for command in words
        if command
    ]


def inline_commands(text):
    """Return what stands in the text as code and begins with the name of our program."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [code for code in re.findall(r"(?<!`)`([^`\n]+)`", prose) if code.startswith("hdrgen ")]


@pytest.mark.parametrize(
    "command", [command for _, command in by_page(shell_commands)], ids=named(by_page(shell_commands))
)
def test_a_command_is_one_that_there_is(command, tmp_path, monkeypatch):
    """Every command of the blocks is parsed by the program it is for; files that it names need not be there."""
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(command)
    match program:
        case "hdrgen":
            parsed_by_cli(arguments)
        case "make":
            targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            assert set(arguments) <= set(targets)
        case "dvc":
            parsed_by_dvc(arguments)
        case "pip" | ".venv/bin/pip":
            assert arguments[0] == "install"
            assert extras_of(arguments[1]) <= set(extras())
        case _:
            assert program in {"cd", "git", "ln", "mkdir", "sed", "vllm"}, "no test knows this program"


def parsed_by_cli(arguments):
    """Parse with the command line's own parser, and run nothing."""
    name, command, rest = CLI.resolve_command(CLI.make_context("hdrgen", list(arguments)), arguments)
    for argument in rest:  # files that an option wants to be there
        if argument.endswith((".txt", ".yaml")):
            Path(argument).touch()
    with suppress(typer.Exit):  # an option that answers by itself
        command.make_context(name, list(rest))


def parsed_by_dvc(arguments):
    """Parse with DVC's own parser; `dvc repro` names stages that there are."""
    parsed = get_main_parser().parse_args(arguments)
    for target in getattr(parsed, "targets", None) or []:
        assert (ROOT / f"stages/{target}.py").is_file()


def test_a_command_that_is_wrong_is_noticed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for wrong in (
        ["fusee"],
        ["fuse", "--reinhard", "a.png", "-o", "b.exr"],
        ["preview", "a.exr", "-o", "b.png", "--ev", "1"],
    ):
        with pytest.raises(Exception, match=r"No such|Missing"):
            parsed_by_cli(wrong)
    for wrong in (["metrics", "difference"], ["repro", "--no-such-option"], ["repro", "no_such_stage"]):
        with pytest.raises((DvcParserError, AssertionError)):
            parsed_by_dvc(wrong)


def extras():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def extras_of(requirement):
    found = re.search(r"\[([\w,]+)\]", requirement)
    return set(found[1].split(",")) if found else set()


@pytest.mark.parametrize(
    "command", [command for _, command in by_page(inline_commands)], ids=named(by_page(inline_commands))
)
def test_a_command_in_the_text_is_one_that_there_is(command):
    """Its name and its options; the rest may be left out."""
    _, name, *words = command.split()
    if name == "COMMAND":
        return
    assert name in CLI.commands
    known = {option for param in CLI.commands[name].params for option in param.opts} | {"--help"}
    assert {word for word in words if word.startswith("--")} <= known


def links(text):
    """Return the targets of links and pictures that are not on the network."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose) if "://" not in target]


def anchors(text):
    """Return the anchors of a page's headings, as GitHub makes them."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("page", "target"), by_page(links), ids=named(by_page(links)))
def test_a_link_leads_somewhere(page, target):
    file, _, anchor = target.partition("#")
    path = page.parent / file if file else page
    assert path.exists()
    assert not anchor or anchor in anchors(path.read_text())


@pytest.mark.parametrize(
    "path",
    [
        code
        for code in re.findall(r"`([\w./]+)`", (ROOT / "CONTRIBUTING.md").read_text())
        if "/" in code and "NAME" not in code and not code.startswith("data/")
    ],
)
def test_a_path_that_contributors_are_sent_to_is_there(path):
    """From the root, or from the package where it says so of its rooms."""
    assert (ROOT / path).exists() or (ROOT / "src/hdrgen" / path).exists()


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.stem)
def test_every_page_is_reached_from_the_readme(page):
    assert any(
        target.split("#")[0] == f"docs/{page.name}" for target in links((ROOT / "README.md").read_text())
    )


def test_every_stage_is_in_the_table_and_in_the_pipeline():
    stages = {p.stem for p in (ROOT / "stages").glob("*.py")}
    table = PIPELINE.split("\n## Stages\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == stages


@pytest.mark.parametrize("page", pages(ROOT), ids=lambda path: str(path.relative_to(ROOT)))
def test_tables_are_what_the_figures_say(page):
    """`make tables` would change nothing."""
    text = page.read_text()
    assert with_tables(text, ROOT) == text, "run make tables"


def test_every_table_is_on_a_page():
    shown = {name for page in pages(ROOT) for name in re.findall(r"<!-- table: (.*) -->", page.read_text())}
    assert shown == set(TABLES)
