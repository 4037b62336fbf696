"""Finds the compiled part, headrace-native, for those who have a twin of what it does in Python.

`HEADRACE_CODEC=native` or `=python` forces one of them; else the compiled one is used where it is installed.
"""

import os
from types import ModuleType

from headrace.base.errors import ConfigError

__all__ = ["compiled", "is_compiled_wanted", "unknown", "wanted"]

_VARIABLE = "HEADRACE_CODEC"

#: Of what headrace-native has; its `INTERFACE` has to be the same.
_INTERFACE = 6


def wanted() -> str:
    """Return what the environment forces: `native`, `python`, or nothing.

    Raises:
        ConfigError: it names something else.
    """
    forced = os.environ.get(_VARIABLE, "")
    if forced not in {"", "native", "python"}:
        raise unknown(forced)
    return forced


def unknown(name: str) -> ConfigError:
    """Say that nothing is called so."""
    return ConfigError(f"{_VARIABLE} is {name!r}: set it to 'native' or 'python', or not at all")


def compiled() -> ModuleType:
    """Return headrace-native.

    Raises:
        ImportError: it is not installed, or of another version.
    """
    import headrace_native

    found = getattr(headrace_native, "INTERFACE", 1)
    if found != _INTERFACE:
        raise ImportError(
            f"headrace-native has interface {found}, and {_INTERFACE} is wanted: install both together"
        )
    return headrace_native


def is_compiled_wanted() -> bool:
    """Whether the compiled part is there, and nobody wants the twins."""
    if wanted() == "python":
        return False
    try:
        compiled()
    except ImportError:  # which the codec tells of, where it matters most
        return False
    return True
