"""What is in the packages: checked by the tools of their kind, and by what headrace promises of its own."""

import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath

__all__ = ["TWINE", "audit", "contents", "described"]

#: Versions before 7 do not know the metadata that hatchling writes by now.
TWINE = "twine@7.0.0"
_AUDITWHEEL = "auditwheel@6.8.2"

#: 1.4 MB in all: modules 1.2 MB (of which docstrings and comments are a third), the archive's own lists of 740 names
#: 0.13 MB, the page of the server 30 KB, templates, a dashboard and schemas 20 KB. What is much more is a mistake.
_PURE_BYTES_MAX = 1_600_000

#: Files beside modules and what installers want: the page, templates of projects, schemas, alerts, the Java of tests.
_KINDS = frozenset({".py", ".typed", ".js", ".css", ".html", ".svg", ".tmpl", ".json", ".yml", ".java"})

_COMPILED = re.compile(r"\.(so|pyd|dylib|dll|a|o)(\.|$)")

#: What a wheel for musl may ask of the system. Its loader takes the name for itself.
_MUSL_LIBRARIES = frozenset({"libc.so"})

Say = Callable[[str], None]
Tool = Callable[[Sequence[str]], None]


def contents(wheel: Path) -> list[str]:
    """Return what is wrong with the wheel of headrace: something compiled, of no kind that is ours, or too much."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    found = [
        f"{wheel.name} has {name}: compiled code is headrace-native's"
        for name in names
        if _COMPILED.search(name)
    ]
    found += [
        f"{wheel.name} has {name}, which is of no kind that belongs there"
        for name in names
        if ".dist-info/" not in name and PurePath(name).suffix not in _KINDS and not _COMPILED.search(name)
    ]
    if not wheel.name.endswith("-py3-none-any.whl"):
        found.append(f"{wheel.name} is for some platforms only")
    if wheel.stat().st_size > _PURE_BYTES_MAX:
        found.append(f"{wheel.name} has {wheel.stat().st_size} bytes, more than {_PURE_BYTES_MAX}")
    return found


def audit(wheel: Path, run: Tool, say: Say) -> None:
    """Show what a wheel of headrace-native asks of a system, and fail where its name promises less.

    `auditwheel` reads what a wheel for musl names, `libc.so`, from this machine, where that is a script of a linker's
    (findings/auditwheel_reads_a_linker_script_for_musl.sh). So those are read here.
    """
    if "manylinux" in wheel.name:
        run(["auditwheel", _AUDITWHEEL, "show", str(wheel)])
    elif "musllinux" in wheel.name:
        needed = _needed(wheel)
        if needed is None:
            say(f"{wheel.name}: not looked into, there is no readelf (binutils)")
        elif needed - _MUSL_LIBRARIES:
            raise SystemExit(
                f"{wheel.name} asks for {sorted(needed)}: of a system with musl only libc.so is sure"
            )
        else:
            say(f"{wheel.name}: asks for {', '.join(sorted(needed))}")
    else:
        say(f"{wheel.name}: nothing here looks into wheels of its platform")


def described(files: Sequence[Path]) -> Iterator[str]:
    """Yield a line for each file, with its size."""
    width = max(len(each.name) for each in files)
    for each in files:
        yield f"{each.name:<{width}}  {each.stat().st_size:>9,} bytes"


def _needed(wheel: Path) -> set[str] | None:
    if shutil.which("readelf") is None:
        return None
    with zipfile.ZipFile(wheel) as archive:
        (library,) = [name for name in archive.namelist() if name.endswith(".so")]
        with tempfile.TemporaryDirectory() as directory:
            file = archive.extract(library, directory)
            shown = subprocess.run(["readelf", "--dynamic", "--wide", file], capture_output=True, check=True)
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", shown.stdout.decode()))
