"""`headrace new`: projects that pass their own checks, run as their README says, and take nobody's place."""

import json
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import requires
from pathlib import Path

import pytest

from headrace import __version__
from headrace.cli.new import TAKEN, TEMPLATES
from tests.cli.conftest import Command, Process
from tests.streams.waiting import until

#: What comes out of each template's own input, as (topic, key, value).
RESULTS: Mapping[str, Sequence[tuple[str, str, object]]] = {
    "wordcount": [("word-counts", "be", 2), ("word-counts", "question", 1)],
    "orders": [
        ("to-ship", "ada", {"order": {"customer": "ada", "product": "pen", "quantity": 10}, "total": 25.0}),
        (
            "to-approve",
            "bob",
            {"order": {"customer": "bob", "product": "desk", "quantity": 3}, "total": 1200.0},
        ),
        (
            "rejected-orders",
            "eve",
            {"order": {"customer": "eve", "product": "yacht", "quantity": 1}, "reason": "no such product"},
        ),
    ],
    "fraud": [
        ("fraud-alerts", "card-1", "1010.00 in ten minutes"),
        ("fraud-alerts", "card-2", "a new country: US"),
    ],
}

Checked = Callable[..., None]


@pytest.fixture(scope="module")
def checked() -> Checked:
    """Run a module of Python's in a project, and fail with what it said."""
    # Of all of them, and of the next run: what takes long is headrace itself.
    mypy_cache = Path(__file__).parents[2] / ".cache" / "mypy-projects"

    def check(project: Path, *arguments: str) -> None:
        if arguments[0] == "mypy":
            arguments = (*arguments, "--cache-dir", str(mypy_cache))
        ran = subprocess.run(
            [sys.executable, "-m", *arguments], cwd=project, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr

    return check


@pytest.mark.process
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_project_passes_its_own_checks(
    command: Command, directory: Path, checked: Checked, template: str
) -> None:
    assert command("new", "my-shop", "--template", template).code == 0
    project = directory / "my-shop"
    checked(project, "pytest", "-q", "-p", "no:cacheprovider")
    checked(project, "mypy", "--strict")
    checked(project, "ruff", "check")
    checked(project, "ruff", "format", "--check")


@pytest.fixture
def process() -> Iterator[Callable[..., Process]]:
    """Start a command in a directory; it is killed when the test ends."""
    started: list[Process] = []

    def start(directory: Path, *arguments: str) -> Process:
        started.append(Process(directory, arguments))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.mark.process
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_project_runs_as_its_readme_says(
    command: Command,
    directory: Path,
    process: Callable[..., Process],
    monkeypatch: pytest.MonkeyPatch,
    template: str,
) -> None:
    command("new", "my-shop", "--template", template)
    project = directory / "my-shop"
    commands = re.findall(r"^\$ headrace (.*)$", (project / "README.md").read_text(), re.M)
    assert commands[0] == "dev my_shop"
    application = process(project, *commands[0].split())
    application.wait_for("running: ")
    monkeypatch.chdir(project)
    for each in [each for each in commands if " < " in each]:
        words, _, file = each.partition(" < ")
        ran = command(*words.split(), stdin=(project / file).read_text())
        assert ran.code == 0, ran.err

    def has_come(topic: str, key: str, value: object) -> bool:
        lines = command("topics", "read", topic, "--app", "my_shop").lines
        return (key, value) in [(line["key"], line["value"]) for line in map(json.loads, lines)]

    for topic, key, value in RESULTS[template]:
        until(partial(has_come, topic, key, value))
    for each in [each for each in commands if each.startswith("stores get ")]:
        assert command(*each.split()).code == 0
    application.signal(signal.SIGTERM)
    assert application.end().code == 0


def test_a_project_is_named_after_itself_everywhere(command: Command, directory: Path) -> None:
    ran = command("new", "Shop-2")
    assert (ran.code, ran.out) == (0, "")
    files = sorted(file.relative_to(directory).as_posix() for file in directory.rglob("*") if file.is_file())
    assert files == [
        "Shop-2/.dockerignore",
        "Shop-2/.gitignore",
        "Shop-2/Dockerfile",
        "Shop-2/README.md",
        "Shop-2/input/lines.jsonl",
        "Shop-2/pyproject.toml",
        "Shop-2/shop_2.py",
        "Shop-2/tests/test_shop_2.py",
    ]
    for file in files:
        assert not re.search(r"@[A-Z]+@", (directory / file).read_text()), file
    assert tomllib.loads((directory / "Shop-2/pyproject.toml").read_text())["project"]["name"] == "Shop-2"


def test_a_project_depends_on_versions_that_keep_its_interface(command: Command, directory: Path) -> None:
    command("new", "shop")
    project = tomllib.loads((directory / "shop/pyproject.toml").read_text())["project"]
    major, minor = __version__.split(".")[:2]
    assert project["dependencies"] == [f"headrace[native,server]>={major}.{minor},<{major}.{int(minor) + 1}"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "begin with a letter"),
        ("1shop", "begin with a letter"),
        ("shop-", "end with a letter or a digit"),
        ("sh op", "use letters, digits, '-' and '_'"),
        ("../shop", "it is a path"),
        ("läden", "use letters, digits, '-' and '_'"),
        ("s" * 65, "take at most 64"),
        ("class", "'class' is a word of Python's own"),
        ("json", "it would hide the module 'json'"),
        ("Kafka", "it would hide the module 'kafka'"),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_made(
    command: Command, directory: Path, name: str, said: str
) -> None:
    ran = command("new", name)
    assert ran.code == 2
    assert f"cannot make project {name!r}" in ran.err
    assert said in ran.err
    assert list(directory.iterdir()) == []


def test_what_headrace_needs_is_no_name_of_a_project() -> None:
    needed = [line for line in requires("headrace") or [] if "extra ==" not in line]
    names = {re.split(r"[^a-zA-Z0-9_-]", line)[0] for line in needed}
    assert len(names) > 5
    assert {{"kafka-python": "kafka"}.get(name, name.replace("-", "_")) for name in names} <= TAKEN


def test_a_directory_that_is_there_stays_as_it_is(command: Command, directory: Path) -> None:
    (directory / "shop").mkdir()
    (directory / "shop/notes.txt").write_text("mine")
    ran = command("new", "shop")
    assert ran.code == 2
    assert f"{directory / 'shop'} exists, and stays as it is" in ran.err
    assert [file.name for file in (directory / "shop").iterdir()] == ["notes.txt"]


def test_a_file_or_a_link_to_nowhere_is_not_replaced(command: Command, directory: Path) -> None:
    (directory / "shop").write_text("mine")
    (directory / "stall").symlink_to(directory / "nowhere")
    assert [command("new", name).code for name in ("shop", "stall")] == [2, 2]
    assert (directory / "shop").read_text() == "mine"
    assert not (directory / "nowhere").exists()


def test_a_template_that_is_not_there_is_told_with_those_that_are(command: Command, directory: Path) -> None:
    ran = command("new", "shop", "--template", "chess")
    assert ran.code == 2
    assert "'chess' is not one of 'wordcount', 'orders', 'fraud'" in ran.err
