"""MODULE:NAME on the command line: finds the topology that it means."""

import difflib
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from headrace.base.errors import HeadraceError, TopologyError
from headrace.cli.failure import UserCodeError
from headrace.dsl.builder import StreamsBuilder
from headrace.topology.topology import Topology

__all__ = [
    "FoundSink",
    "FoundTopology",
    "TargetError",
    "load",
    "load_runnable",
    "make_file_importable",
    "make_importable",
    "source_file",
]

if TYPE_CHECKING:
    from headrace.sql.sink import Sink

_DEFAULT_NAMES = ("topology", "build")

# What goes on as it is; everything else that the user's module raises comes with their traceback.
_OURS = (HeadraceError, KeyboardInterrupt)


class TargetError(TopologyError):
    """MODULE:NAME does not lead to a topology."""


@dataclass(frozen=True, slots=True)
class FoundTopology:
    """A topology that was found, and the name of its module: the application id where none is set."""

    topology: Topology
    module: str


@dataclass(frozen=True, slots=True)
class FoundSink:
    """A sink that was found, and the name of its module."""

    sink: "Sink[Any, Any]"
    module: str


def load(target: str) -> FoundTopology:
    """Return the topology that `MODULE:NAME` or `path/to/file.py:NAME` means.

    NAME may be a Topology, a StreamsBuilder, or a function that returns either; without it `topology` and `build` are
    tried. The working directory, and that of a file, are importable from then on.

    Raises:
        TargetError: there is no such module or name, or it is no topology.
        TopologyError: the topology is wrong.
        UserCodeError: the module or the function raised something of its own.
    """
    found, shown, module = _found(target)
    return FoundTopology(_topology(found, shown), module)


def load_runnable(target: str) -> FoundTopology | FoundSink:
    """Return what a target means, as `load` does; it may also be an `hr.sql.Sink`, or a function that returns one.

    Raises:
        TargetError, TopologyError, UserCodeError: as `load`.
    """
    found, shown, module = _found(target)
    # Nobody loads SQLAlchemy for a topology: who has a sink has loaded its module.
    sinks = sys.modules.get("headrace.sql.sink")
    if sinks is not None and isinstance(found, sinks.Sink):
        return FoundSink(found, module)
    return FoundTopology(_topology(found, shown), module)


def _found(target: str) -> tuple[Any, str, str]:
    """Return what a target names, called if it is a function, how it is called, and its module's name."""
    module_part, name = _split(target)
    if not module_part:
        raise TargetError(f"{target!r} names no module: write MODULE:NAME, such as shop:topology")
    module = _load_file(Path(module_part)) if _is_path(module_part) else _load_module(module_part)
    found, shown = _find(module, name, module_part)
    return *_called(found, shown), module.__name__.rpartition(".")[2]


def source_file(target: str) -> Path | None:
    """Return the file of the module that a target names, without running it; None where it cannot be told."""
    if _is_path(target):
        return Path(_split(target)[0]).resolve()
    relative = Path(*_split(target)[0].split("."))
    for candidate in (relative.with_suffix(".py"), relative / "__init__.py"):
        if candidate.is_file():
            return candidate.resolve()
    return None


def _is_path(target: str) -> bool:
    module = _split(target)[0]
    return module.endswith(".py") or os.sep in module


def _split(target: str) -> tuple[str, str]:
    """Module and name. The last colon counts: a path may have others."""
    module, colon, name = target.rpartition(":")
    return (module, name) if colon else (target, "")


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise TargetError(f"there is no file {str(path)!r}")
    make_importable(path.resolve().parent)
    # A handler may be named in it, and then it is there already: another copy of it would have other classes.
    present = sys.modules.get(path.stem)
    file: str | None = getattr(present, "__file__", None)
    if present is not None and file is not None and Path(file).resolve() == path.resolve():
        return present
    name = path.stem if present is None else f"headrace_target_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise TargetError(f"{str(path)!r} is no Python file: its name must end with .py")
    module = importlib.util.module_from_spec(spec)
    # Before it runs: dataclasses, pickle and msgspec look their module up by name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, _OURS):
            raise
        raise _failed(error, f"cannot load {path}") from error
    return module


def _load_module(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise TargetError(f"{name!r} is no name of a module: write MODULE:NAME, such as shop:topology")
    make_importable(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            files = sorted(file.stem for file in Path.cwd().glob("*.py"))
            near = difflib.get_close_matches(missing, files, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TargetError(
                f"there is no module {missing!r} (looked in {Path.cwd()} and the environment){hint}"
            ) from None
        raise _failed(error, f"cannot load module {name!r}") from error
    except _OURS:
        raise
    except BaseException as error:
        raise _failed(error, f"cannot load module {name!r}") from error


def make_file_importable(target: str) -> None:
    """Let the module of a target that is a file be imported by its name, as one of the working directory can be."""
    if _is_path(target):
        make_importable(Path(_split(target)[0]).resolve().parent)


def make_importable(directory: Path) -> None:
    """Let modules of a directory be imported, as if Python had been started there."""
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))


def _failed(error: BaseException, attempt: str) -> UserCodeError:
    return UserCodeError(f"{attempt}: {_last_line(error)}")


def _last_line(error: BaseException) -> str:
    return traceback.format_exception_only(error)[-1].strip()


def _find(module: ModuleType, name: str, module_part: str) -> tuple[Any, str]:
    if not name:
        for candidate in _DEFAULT_NAMES:
            if hasattr(module, candidate):
                return getattr(module, candidate), f"{module_part}:{candidate}"
        raise TargetError(f"{module_part!r} has neither topology nor build{_candidates(module)}")
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, [word for word in dir(found) if word[:1] != "_"], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else _candidates(module)
            raise TargetError(f"{module_part!r} has no {name!r}{hint}")
        found = getattr(found, part)
    return found, f"{module_part}:{name}"


def _candidates(module: ModuleType) -> str:
    kinds = (Topology, StreamsBuilder)  # in this order: a builder that has built cannot build again
    names = [name for kind in kinds for name, value in vars(module).items() if isinstance(value, kind)]
    return f": write {module.__name__}:{names[0]}" if names else ": write MODULE:NAME"


def _called(found: Any, shown: str) -> tuple[Any, str]:
    if callable(found) and not isinstance(found, Topology | StreamsBuilder | type):
        try:
            inspect.signature(found).bind()
        except TypeError as error:
            raise TargetError(
                f"{shown} is a function that cannot be called without arguments: {error}"
            ) from None
        except ValueError:
            pass  # a builtin without a signature: the call will tell
        try:
            found = found()
        except _OURS:
            raise
        except BaseException as error:
            raise _failed(error, f"{shown}() failed") from error
        shown += "()"
    return found, shown


def _topology(found: Any, shown: str) -> Topology:
    if isinstance(found, StreamsBuilder):
        return found.build()
    if isinstance(found, Topology):
        return found
    raise TargetError(
        f"{shown} is a {type(found).__qualname__}, not a Topology, a StreamsBuilder, or a function that returns one"
    )
