"""A mistake is one clear line and a code that is not zero; a failure of the user's own code is their traceback."""

from pathlib import Path

import pytest

from tests.cli.conftest import Command


def _one_line(command: Command, *arguments: str, code: int = 2) -> str:
    ran = command(*arguments)
    assert ran.code == code, ran.err
    assert ran.out == ""
    assert len(ran.err.splitlines()) == 1, ran.err
    assert "Traceback" not in ran.err
    return ran.err


def test_no_such_module(command: Command) -> None:
    assert "there is no module 'nowhere'" in _one_line(command, "topology", "show", "nowhere:topology")


def test_a_module_beside_the_misspelt_one_is_asked_for(command: Command, words: Path) -> None:
    assert "did you mean 'words'?" in _one_line(command, "topology", "show", "wrods:build")


def test_no_name_says_the_topology_before_its_builder(command: Command, directory: Path) -> None:
    (directory / "both.py").write_text(
        "import headrace as hr\n"
        "builder = hr.StreamsBuilder()\n"
        "builder.stream('a').to('b')\n"
        "shop = builder.build()\n"
    )
    assert "has neither topology nor build: write both:shop" in _one_line(command, "topology", "show", "both")


def test_no_such_file(command: Command) -> None:
    assert "there is no file 'nowhere.py'" in _one_line(command, "topology", "show", "nowhere.py:topology")


def test_no_such_name_says_what_is_near(command: Command, words: Path) -> None:
    assert "'words' has no 'biuld'; did you mean 'build'?" in _one_line(
        command, "topology", "show", "words:biuld"
    )


def test_no_name_and_no_usual_one(command: Command, directory: Path) -> None:
    (directory / "empty.py").write_text("x = 1\n")
    assert "'empty' has neither topology nor build" in _one_line(command, "topology", "show", "empty")


def test_not_a_topology(command: Command, directory: Path) -> None:
    (directory / "other.py").write_text("topology = 5\n")
    assert "other:topology is a int, not a Topology" in _one_line(command, "topology", "show", "other")


def test_a_function_that_wants_arguments(command: Command, directory: Path) -> None:
    (directory / "wants.py").write_text("def build(x): ...\n")
    assert "cannot be called without arguments" in _one_line(command, "topology", "show", "wants")


def test_no_name_of_a_module(command: Command) -> None:
    assert "names no module" in _one_line(command, "topology", "show", ":build")
    _one_line(command, "topology", "show", "..:build")


def test_run_without_a_log(command: Command, words: Path) -> None:
    said = _one_line(command, "run", "words:build")
    assert "no log is named" in said and "--embedded PATH" in said and "--bootstrap-servers HOST:PORT" in said


def test_run_on_brokers_and_on_a_file(command: Command, words: Path) -> None:
    said = _one_line(
        command, "run", "words:build", "--bootstrap-servers", "localhost:9092", "--embedded", "a.db"
    )
    assert "two logs are named, embedded.path (a.db) and bootstrap.servers (localhost:9092): keep one" in said


def test_run_on_an_address_without_a_port(command: Command, words: Path) -> None:
    said = _one_line(command, "run", "words:build", "--bootstrap-servers", "localhost")
    assert "'localhost' is no address: write host:port, such as localhost:9092" in said


def test_dev_on_brokers(command: Command, words: Path) -> None:
    said = _one_line(command, "dev", "words:build", "--bootstrap-servers", "localhost:9092")
    assert "`headrace dev` runs on an embedded log of its own" in said


def test_run_in_a_directory_that_is_not_there(command: Command, words: Path) -> None:
    assert "there is no directory 'no'" in _one_line(
        command, "run", "words:build", "--embedded", "no/shop.db"
    )


def test_run_on_a_directory(command: Command, words: Path, directory: Path) -> None:
    (directory / "data").mkdir()
    assert "a directory: name a file" in _one_line(command, "run", "words:build", "--embedded", "data")


@pytest.mark.parametrize("verb", ["run", "dev"])
def test_an_unknown_property(command: Command, words: Path, verb: str) -> None:
    said = _one_line(command, verb, "words:build", "--embedded", "a.db", "--set", "commit.intervall.ms=5")
    assert "flag --set: there is no property 'commit.intervall.ms'; did you mean commit.interval.ms?" in said


def test_an_impossible_value(command: Command, words: Path) -> None:
    said = _one_line(command, "run", "words:build", "--embedded", "a.db", "--set", "commit.interval.ms=soon")
    assert said.endswith(
        "commit.interval.ms is 'soon', but must be milliseconds of at least 1, or a duration such as '5s'\n"
    )


def test_a_property_without_a_value(command: Command, words: Path) -> None:
    assert "has no '='" in _one_line(
        command, "run", "words:build", "--embedded", "a.db", "--set", "commit.interval.ms"
    )


def test_a_configuration_that_is_not_there(command: Command, words: Path) -> None:
    said = _one_line(command, "run", "words:build", "--embedded", "a.db", "--config", "none.toml")
    assert "cannot read the configuration none.toml" in said


def test_dev_where_its_directory_cannot_be_made(command: Command, words: Path, directory: Path) -> None:
    (directory / ".headrace").write_text("")
    assert "cannot make .headrace for the log of `headrace dev`: File exists" in _one_line(
        command, "dev", "words:build"
    )


def test_a_file_that_is_no_log(command: Command, words: Path, directory: Path) -> None:
    (directory / "a.db").write_text("hello " * 1000)
    assert "the file is not an embedded log" in _one_line(
        command, "topics", "list", "--embedded", "a.db", code=1
    )


def test_an_unknown_option_and_command(command: Command) -> None:
    assert "--colour" in _one_line(command, "run", "--colour")
    assert "No such command 'walk'" in _one_line(command, "walk")
    assert "Missing argument 'MODULE:NAME'" in _one_line(command, "run")


def test_looking_at_a_log_that_is_not_there_makes_none(command: Command, directory: Path) -> None:
    assert "there is no embedded log 'a.db'" in _one_line(command, "topics", "list", "--embedded", "a.db")
    assert "no log is named" in _one_line(command, "topics", "list")
    assert list(directory.iterdir()) == []


def test_a_topology_that_is_wrong(command: Command, directory: Path) -> None:
    (directory / "wrong.py").write_text(
        "import headrace as hr\n"
        "def build():\n"
        "    builder = hr.StreamsBuilder()\n"
        "    builder.stream('a').map_values(lambda value: len(value)).to('b')\n"
        "    return builder.build()\n"
    )
    assert "wrong.py:4" in _one_line(command, "topology", "show", "wrong")


def test_a_module_that_fails_is_shown_with_its_own_frames(command: Command, directory: Path) -> None:
    (directory / "fails.py").write_text("def build():\n    return 1 / 0\n")
    ran = command("topology", "show", "fails")
    assert ran.code == 1
    assert ran.err.startswith("Traceback")
    assert 'fails.py", line 2, in build' in ran.err
    assert "headrace/cli" not in ran.err
    assert ran.err.splitlines()[-1] == "headrace: fails:build() failed: ZeroDivisionError: division by zero"


def test_a_module_that_misses_another_is_shown(command: Command, directory: Path) -> None:
    (directory / "needs.py").write_text("import not_there_at_all\n")
    ran = command("topology", "show", "needs")
    assert ran.code == 1
    assert 'needs.py", line 1' in ran.err
    assert "cannot load module 'needs': ModuleNotFoundError" in ran.err
    assert "importlib" not in ran.err


@pytest.mark.parametrize("target", ["broken", "broken.py"])
def test_a_syntax_error_shows_its_line_and_nothing_of_the_import(
    command: Command, directory: Path, target: str
) -> None:
    (directory / "broken.py").write_text("def build(:\n")
    ran = command("topology", "show", target)
    assert ran.code == 1
    assert ran.err.count("  File ") == 1, ran.err
    assert 'broken.py", line 1' in ran.err


def test_bytes_that_cannot_be_read_are_one_line_without_a_traceback(command: Command, words: Path) -> None:
    log = ("--embedded", "a.db")
    command("topics", "create", "lines", *log)
    command("topics", "write", "lines", *log, stdin='{"value": {"base64": "/w=="}}\n')
    ran = command("run", "words:build", *log, "--quiet")
    assert ran.code == 1
    assert len(ran.err.splitlines()) == 1, ran.err
    assert "could not read a record: topic 'lines', partition" in ran.err
