"""`headrace new`: makes a project that runs, with its tests, of a template that lies in `templates`."""

import keyword
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from headrace import __version__
from headrace.base.errors import ConfigError

__all__ = ["TAKEN", "TEMPLATES", "command"]

#: What each template counts, prices or watches, in one line; it is the project's description.
TEMPLATES: Mapping[str, str] = {
    "wordcount": "Counts words, as they come.",
    "orders": "Prices orders, and sends each where it belongs.",
    "fraud": "Tells of cards that are used too often, for too much, or in a new country.",
}

#: Modules that a project of this name would hide from itself: those of headrace, of what it imports, and of the tools
#: that the project is checked with.
TAKEN = frozenset(
    {
        "build",
        "click",
        "cramjam",
        "google",
        "google_crc32c",
        "hatchling",
        "headrace",
        "headrace_native",
        "kafka",
    }
    | {
        "mmh3",
        "msgspec",
        "mypy",
        "opentelemetry",
        "pip",
        "prometheus_client",
        "pytest",
        "rich",
        "rocksdict",
        "ruff",
    }
    | {"starlette", "tests", "typing_extensions", "uvicorn"}
)

# A name of a distribution, of which a module's name follows, and an application's id, and names of topics from that.
_NAME = re.compile(r"[a-zA-Z](?:[a-zA-Z0-9_-]*[a-zA-Z0-9])?")
_NAME_LENGTH_MAX = 64

_SUFFIX = ".tmpl"

#: Where a file of a template goes, if not where it lies. None is no file of its own: its text goes into others.
_PLACES: Mapping[str, str | None] = {
    "gitignore": ".gitignore",
    "dockerignore": ".dockerignore",
    "topology.py": "@MODULE@.py",
    "test_topology.py": "tests/test_@MODULE@.py",
    "about.md": None,
    "try.md": None,
    "topics.txt": None,
}


@click.command("new")
@click.argument("name")
@click.option(
    "--template",
    type=click.Choice(list(TEMPLATES)),
    default="wordcount",
    show_default=True,
    help="; ".join(f"{name}: {text.rstrip('.').lower()}" for name, text in TEMPLATES.items()) + ".",
)
def command(name: str, template: str) -> None:
    """Make a project in a new directory NAME: a topology, its tests, and what packs and runs it.

    Nothing that is there is overwritten. The README in it has the next two commands.
    """
    module = _module_of(name)
    texts = dict(_texts(name, module, template))
    directory = Path(name)
    try:
        directory.mkdir()
    except FileExistsError:
        raise ConfigError(
            f"cannot make project {name!r}: {directory.absolute()} exists, and stays as it is; give another name, or "
            "move it away"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"cannot make project {name!r} in {Path.cwd()}: {error.strerror or error}"
        ) from None
    try:
        for place, text in texts.items():
            path = directory / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)  # we have made it, just now
        raise
    click.echo(f"made {name} with {len(texts)} files:", err=True)
    for place in sorted(texts):
        click.echo(f"  {name}/{place}", err=True)
    click.echo(f"next: cd {name}, and what its README.md says", err=True)


def _module_of(name: str) -> str:
    """Return the name of the module in a project of this name.

    Raises:
        ConfigError: a project cannot have that name.
    """
    refused = f"cannot make project {name!r}:"
    if "/" in name or "\\" in name:
        raise ConfigError(
            f"{refused} it is a path; go to the directory that it is to lie in, and give the name alone"
        )
    if not _NAME.fullmatch(name) or len(name) > _NAME_LENGTH_MAX:
        raise ConfigError(
            f"{refused} use letters, digits, '-' and '_', begin with a letter, end with a letter or a digit, and take "
            f"at most {_NAME_LENGTH_MAX}"
        )
    module = name.lower().replace("-", "_")
    if keyword.iskeyword(module):
        raise ConfigError(
            f"{refused} {module!r} is a word of Python's own, and no name of a module; give another one"
        )
    if module in TAKEN or module in sys.stdlib_module_names:
        raise ConfigError(f"{refused} it would hide the module {module!r}, which it needs; give another name")
    return module


def _texts(name: str, module: str, template: str) -> Iterator[tuple[str, str]]:
    """Yield the files of a project, as paths in it and texts."""
    room = files("headrace.cli").joinpath("templates")
    own = dict(_files(room.joinpath(template)))
    words = {
        "NAME": name,
        "MODULE": module,
        "SUMMARY": TEMPLATES[template],
        "RANGE": _range(__version__),
        "ABOUT": own["about.md"].strip(),
        "TRY": own["try.md"].strip(),
        "TOPICS": "\n".join(
            f"$ headrace topics create {topic} --partitions 4 --bootstrap-servers broker:9092"
            for topic in own["topics.txt"].split()
        ),
    }
    for place, text in [*_files(room.joinpath("shared")), *own.items()]:
        goes_to = _PLACES.get(place, place)
        if goes_to is not None:
            yield _filled(goes_to, words), _filled(text, words)


def _files(directory: Traversable, below: str = "") -> Iterator[tuple[str, str]]:
    """Yield the files of a template by their paths, without the suffix that keeps them from being taken for code."""
    for each in directory.iterdir():
        place = below + each.name.removesuffix(_SUFFIX)
        if each.is_dir():
            yield from _files(each, f"{place}/")
        elif each.name.endswith(_SUFFIX):
            yield place, each.read_text(encoding="utf-8")


def _filled(text: str, words: Mapping[str, str]) -> str:
    """Put words in their places; those that stand within others come first, in the order of the mapping reversed."""
    for word in reversed(list(words)):
        text = text.replace(f"@{word}@", words[word])
    return text


def _range(version: str) -> str:
    """Return the versions that a project made by this one goes on with.

    >>> _range("0.1.0"), _range("2.3.4")
    ('>=0.1,<0.2', '>=2.3,<3')
    """
    major, minor = version.split(".")[:2]
    return f">={major}.{minor},<{f'0.{int(minor) + 1}' if major == '0' else int(major) + 1}"
