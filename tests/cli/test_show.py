"""What is shown without running anything: topologies, configuration, help."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command


def test_a_topology_is_shown_as_kafka_describes_it(command: Command, words: Path) -> None:
    ran = command("topology", "show", "words:build")
    assert ran.code == 0
    assert ran.lines[0] == "Topologies:"
    assert "Source: KSTREAM-SOURCE-0000000000 (topics: [lines])" in ran.out


@pytest.mark.parametrize("target", ["words", "words:build", "words.py:build", "words.py", "./words.py:build"])
def test_a_target_is_a_module_or_a_file_with_or_without_a_name(
    command: Command, words: Path, target: str
) -> None:
    assert command("topology", "show", target).out.startswith("Topologies:")


def test_a_target_may_be_a_builder(command: Command, directory: Path) -> None:
    (directory / "made.py").write_text(
        'import headrace as hr\nbuilder = hr.StreamsBuilder()\nbuilder.stream("a").to("b")\n'
    )
    assert command("topology", "show", "made:builder").code == 0
    assert "write made:builder" in command("topology", "show", "made").err


def test_a_topology_is_drawn_and_given_as_json(command: Command, words: Path) -> None:
    assert "KSTREAM-SOURCE-0000000000" in command("topology", "show", "words", "--mermaid").out
    assert isinstance(json.loads(command("topology", "show", "words", "--json").out), dict)


def test_configuration_is_explained_with_origins(
    command: Command, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "shop.toml").write_text('state.dir = "here"\n')
    monkeypatch.setenv("HEADRACE_POLL_MS", "7")
    ran = command("config", "explain", "--config", "shop.toml", "--set", "commit.interval.ms=5")
    rows = {line.split()[0]: line for line in ran.lines}
    assert "here" in rows["state.dir"]
    assert "file shop.toml" in rows["state.dir"]
    assert "environment HEADRACE_POLL_MS" in rows["poll.ms"]
    assert "flag --set" in rows["commit.interval.ms"]
    assert "<required>" in rows["application.id"]


def test_configuration_is_explained_as_json(command: Command) -> None:
    rows = [json.loads(line) for line in command("config", "explain", "--json").lines]
    assert rows[0]["property"] == "application.id"
    assert rows[0].keys() == {"property", "value", "origin", "meaning"}


def test_help_lists_the_commands(command: Command) -> None:
    ran = command("--help")
    assert ran.code == 0
    for name in ("dev", "run", "topology", "topics", "stores", "config", "demo"):
        assert f"  {name} " in ran.out
    for name in ("dev", "run", "demo"):
        assert command(name, "--help").code == 0
