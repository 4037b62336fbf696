"""Whether all that names a version of headrace names the same one, before anything is built of it."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["disagreements", "release_of", "version_of"]

_HEADING = re.compile(r"^## (\S+)(?: \((.*)\))?$", re.M)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def version_of(root: Path) -> str:
    """Return the version that the checkout is of."""
    version: str = _toml(root / "pyproject.toml")["project"]["version"]
    return version


def release_of(root: Path) -> tuple[str, str]:
    """Return version and state of the newest chapter of the CHANGELOG: a date, or 'not released'."""
    found = _HEADING.search((root / "CHANGELOG.md").read_text())
    return ("", "") if found is None else (found[1], found[2] or "")


def disagreements(root: Path, tag: str | None = None) -> list[str]:
    """Return what is of another version than `pyproject.toml`, one line each, with the place.

    With a tag it is a release: the tag says the version with a `v` before it, and the CHANGELOG the day.
    """
    version = version_of(root)
    found = [
        f"{place} has {said or 'none'}, and pyproject.toml has {version}"
        for place, said in _said(root)
        if said != version
    ]
    codec = _number(root / "src/headrace/base/compiled.py", r"^_INTERFACE = (\d+)$")
    native = _number(root / "native/src/lib.rs", r'module\.add\("INTERFACE", (\d+)\)')
    if codec is None or codec != native:
        found.append(f"headrace wants interface {codec} of headrace-native, which has {native}")
    if tag is not None:
        if tag != f"v{version}":
            found.append(f"the tag is {tag!r}, and pyproject.toml has {version}: it has to be 'v{version}'")
        state = release_of(root)[1]
        if not _DATE.fullmatch(state):
            found.append(f"CHANGELOG.md says {state!r} of {version}: a release has its day, as 2030-01-31")
    return found


def _said(root: Path) -> Iterator[tuple[str, str]]:
    """Yield every place that names the version, and what it says."""
    extras: Mapping[str, list[str]] = _toml(root / "pyproject.toml")["project"]["optional-dependencies"]
    for name in ("native", "all"):
        pins = [each for each in extras[name] if each.startswith("headrace-native")]
        pin = re.match(r"headrace-native==([^;\s]+)", pins[0]) if len(pins) == 1 else None
        yield f"the extra {name!r} of pyproject.toml", pin[1] if pin else ""
    yield "native/pyproject.toml", _toml(root / "native/pyproject.toml")["project"]["version"]
    yield "native/Cargo.toml", _toml(root / "native/Cargo.toml")["package"]["version"]
    for each in _toml(root / "native/Cargo.lock")["package"]:
        if each["name"] == "headrace-native":
            yield "native/Cargo.lock", each["version"]
    yield "CHANGELOG.md", release_of(root)[0]
    cited = re.search(r"^version: (\S+)$", (root / "CITATION.cff").read_text(), re.M)
    yield "CITATION.cff", cited[1] if cited else ""


def _number(file: Path, pattern: str) -> int | None:
    found = re.search(pattern, file.read_text(), re.M)
    return None if found is None else int(found[1])


def _toml(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text())
