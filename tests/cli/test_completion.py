"""What a shell is told that may come next."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

import headrace as hr
from headrace.cli.main import headrace
from tests.cli.conftest import Command


def _completed(*words: str) -> list[str]:
    """Complete the last word."""
    shell = ShellComplete(headrace, {}, "headrace", "_HEADRACE_COMPLETE")
    return [item.value for item in shell.get_completions(list(words[:-1]), words[-1])]


@pytest.fixture
def log(command: Command, words: Path) -> None:
    """An embedded log with an input and a changelog."""
    for topic in ("lines", "words-counts-changelog", "other-counts-changelog"):
        command("topics", "create", topic, "--embedded", "words.db")


def test_commands_and_options() -> None:
    assert _completed("to") == ["top", "topics", "topology"]
    assert _completed("topics", "re") == ["read"]
    assert _completed("run", "--log") == ["--log-level", "--log-format"]
    assert _completed("run", "--log-format", "") == ["text", "json"]
    assert _completed("run", "wor") == []


def test_topics_of_the_log_that_is_named(log: None) -> None:
    assert _completed("topics", "read", "--embedded", "words.db", "l") == ["lines"]
    assert _completed("topics", "write", "--embedded", "words.db", "")[0] == "lines"


def test_stores_of_the_application_that_is_named(log: None) -> None:
    assert _completed("stores", "get", "--app", "words:build", "--embedded", "words.db", "") == ["counts"]
    assert _completed("stores", "dump", "--application-id", "words", "--embedded", "words.db", "c") == [
        "counts"
    ]
    assert _completed("stores", "dump", "--application-id", "none", "--embedded", "words.db", "") == []


@pytest.mark.parametrize(
    "options",
    [(), ("--embedded", "nothing.db"), ("--bootstrap-servers", "127.0.0.1:1"), ("--set", "nonsense=1")],
)
def test_where_no_log_can_be_looked_at_nothing_is_told(
    directory: Path, options: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    assert _completed("topics", "read", *options, "") == []
    assert capfd.readouterr() == ("", "")
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_of_a_shell(command: Command, shell: str) -> None:
    ran = command("completion", shell)
    assert ran.code == 0
    assert f"_HEADRACE_COMPLETE={shell}_complete" in ran.out


@pytest.mark.process
def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    line = (
        'eval "$(headrace completion bash)"\n'
        'COMP_WORDS=(headrace topo); COMP_CWORD=1; _headrace_completion headrace; echo "${COMPREPLY[@]}"\n'
    )
    program = f"#!/bin/sh\nexec '{sys.executable}' -m headrace.cli \"$@\"\n"
    (tmp_path / "headrace").write_text(program)
    (tmp_path / "headrace").chmod(0o755)
    ran = subprocess.run(
        ["bash", "-c", line],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "topology\n"


def test_version(command: Command) -> None:
    assert command("--version").out == f"headrace {hr.__version__}\n"
    assert hr.__version__ == "0.1.0"
