"""Every block of code in the documentation does what the page says of it.

The Python of a page runs from top to bottom, as one program in an empty folder. What a block prints is the `text` block
that follows it. A block whose first line is the name of a file is that file, which the others import; where it holds
tests, they run. Commands are given to the parsers of their options; files of properties name properties there are.
"""

import ast
import importlib
import io
import json
import re
import shlex
import sys
import tomllib
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
import yaml  # type: ignore[import-untyped]  # it brings no types

import headrace as hr
from headrace import testing
from headrace.cli.main import headrace
from headrace.streams.catalogue import lookup
from tests.docs.blocks import DOCS, NOTES, Block, blocks, pages
from tests.docs.over_time import over_time

PAGES = [page for page in pages() if page.name != "metrics.md"]

#: Programs that commands of ours are shown beside.
OTHERS = {
    "cat",
    "curl",
    "echo",
    "export",
    "kill",
    "kubectl",
    "make",
    "pip",
    "pytest",
    "python",
    "rm",
    "ulimit",
    "cp",
    "source",
}


def of(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_blocks_have_languages_that_are_looked_at_and_notes_that_are_known(page: Path) -> None:
    found = [block for block in blocks(page) if block.language != "over time"]
    known = {"python", "console", "bash", "toml", "yaml", "json", "text", "java", "mermaid", ""}
    assert page.read_text().count("\n```") + page.read_text().startswith("```") == 2 * len(found)
    if page.name != "design.md":  # which draws with plain blocks
        known.remove("")
    directives = [block for block in found if block.language.startswith("{")]
    assert [b.place for b in found if b.language not in known and b not in directives] == []
    assert [b.place for b in found if b.note and b.note not in NOTES] == []


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_programs_run_and_print_what_the_page_shows(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    program = Program(page, monkeypatch)
    printed = ""
    for block in blocks(page):
        if block.language == "text" and block.note != "not output":
            assert printed.rstrip("\n") == block.text.rstrip("\n"), block.place
            printed = ""
        elif block.language == "over time":
            assert over_time(block, program.names) == block.text, block.place
        elif block.language == "python":
            assert printed == "", f"what was printed before {block.place} is not on the page: {printed}"
            printed = program.run(block)
    assert printed == "", f"the last block prints what is not on the page: {printed}"


class Program:
    """The Python of one page."""

    def __init__(self, page: Path, patch: pytest.MonkeyPatch) -> None:
        self._module = ModuleType(f"page_{page.stem.replace('-', '_')}")
        self._patch = patch
        patch.setitem(sys.modules, self._module.__name__, self._module)

    @property
    def names(self) -> dict[str, Any]:
        """What the page has defined so far."""
        return vars(self._module)

    def run(self, block: Block) -> str:
        """Run a block, or look at it where that cannot be. Returns what it printed."""
        tree = ast.parse(block.text, block.place)
        if block.note == "another library":
            return ""
        if block.note == "not run":
            assert unknown_names(tree) == [], block.place
            return ""
        with redirect_stdout(io.StringIO()) as printed:
            if block.file is None:
                code = compile("\n" * (block.line - 1) + block.text, str(block.page), "exec")
                exec(code, vars(self._module))
            else:
                self._file(block.file, block.text)
        return printed.getvalue()

    def _file(self, name: str, text: str) -> None:
        Path(name).write_text(text)
        module = name.removesuffix(".py")
        self._patch.delitem(sys.modules, module, raising=False)
        importlib.invalidate_caches()
        found = importlib.import_module(module)
        self._patch.setitem(sys.modules, module, found)  # and is gone with the test
        vars(self._module).update(
            {key: value for key, value in vars(found).items() if not key.startswith("__")}
        )
        for test in [value for key, value in vars(found).items() if key.startswith("test_")]:
            names = test.__code__.co_varnames[: test.__code__.co_argcount]
            assert set(names) <= {"topology_driver"}, f"{name} asks for fixtures that are not here"
            with ExitStack() as drivers:

                def topology_driver(topology: hr.Topology, drivers: ExitStack = drivers) -> Any:
                    return drivers.enter_context(testing.TopologyTestDriver(topology))

                test(*[topology_driver] * len(names))


def unknown_names(tree: ast.Module) -> list[str]:
    """What the code takes of headrace and is not there: imports, and attributes of `hr`."""
    missing = []
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=names) if module.split(".")[0] == "headrace":
                found = importlib.import_module(module)
                missing += [f"{module}.{each.name}" for each in names if not hasattr(found, each.name)]
            case ast.Attribute(value=ast.Name(id="hr"), attr=name) if not hasattr(hr, name):
                missing.append(f"hr.{name}")
    return missing


def commands(text: str) -> list[list[str]]:
    """The programs of a block with their arguments: each side of a pipe by itself, without redirections."""
    found = []
    lines = text.replace("\\\n", " ").splitlines()
    shown = [line[2:] for line in lines if line.startswith("$ ")]
    for line in shown or [line for line in lines if line and not line.startswith("#")]:
        words = list(shlex.shlex(line, posix=True, punctuation_chars="|&;<>"))
        words = shlex_words(line)
        part: list[str] = []
        for word in [*words, "|"]:
            if word in {"|", "&&", "&", ";"}:
                found += [part] if part else []
                part = []
            else:
                part.append(word)
    return [without_surroundings(part) for part in found]


def shlex_words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    return list(lexer)


def without_surroundings(part: list[str]) -> list[str]:
    while part and re.fullmatch(r"[A-Z_0-9]+=.*", part[0]):
        part = part[1:]
    for at, word in enumerate(part):
        if word in {">", "<", ">>"}:
            return part[:at]
    return part


@pytest.mark.parametrize("page", [each for each in PAGES if each.name != "design.md"], ids=of)
def test_commands_have_options_that_there_are(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks(page):
        if block.language in {"console", "bash"}:
            for program, *arguments in commands(block.text):
                assert program in {"headrace", *OTHERS}, f"{block.place}: {program}"
                if program == "headrace":
                    parse(arguments, block.place)


def parse(arguments: list[str], place: str) -> None:
    """Give arguments to the command that they are for, up to where it would run."""
    for word in arguments:  # files that an option wants to be there
        if re.search(r"\.(toml|lock|json|jsonl|csv)$", word):
            Path(word).parent.mkdir(parents=True, exist_ok=True)
            Path(word).touch()
    try:
        context = headrace.make_context("headrace", list(arguments))
        while isinstance(context.command, click.Group):
            rest = [*context._protected_args, *context.args]
            name, command, rest = context.command.resolve_command(context, rest)
            assert command is not None
            context = command.make_context(name, rest, parent=context)
    except click.exceptions.Exit:
        pass  # --help, --version
    except click.ClickException as error:
        pytest.fail(f"{place}: {shlex.join(arguments)}: {error.format_message()}")


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_files_can_be_read_and_name_properties_there_are(page: Path) -> None:
    for block in blocks(page):
        match block.language:
            case "toml":
                for name in flat(tomllib.loads(block.text)):
                    if block.note != "another file":
                        lookup(name)
            case "yaml":
                list(yaml.safe_load_all(block.text))
            case "json":
                for line in block.text.splitlines() if block.text.startswith('{"') else [block.text]:
                    json.loads(line)


def flat(table: dict[str, Any], prefix: str = "") -> list[str]:
    names = []
    for name, value in table.items():
        names += flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [prefix + name]
    return names


def test_a_command_that_is_wrong_is_found() -> None:
    assert commands("$ echo 'a | b' | headrace topics write x &\nout\n$ A=1 headrace lag > f") == [
        ["echo", "a | b"],
        ["headrace", "topics", "write", "x"],
        ["headrace", "lag"],
    ]
    with pytest.raises(pytest.fail.Exception, match="No such option"):
        parse(["run", "shop:build", "--embeded", "x"], "here")


def test_a_name_that_is_not_there_is_found() -> None:
    tree = ast.parse("import headrace as hr\nfrom headrace import stores\nhr.Strems\nstores")
    assert unknown_names(tree) == ["hr.Strems"]
