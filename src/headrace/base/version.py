"""The version of headrace that is installed."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

__all__ = ["headrace_version"]


@cache
def headrace_version() -> str:
    """Return it; `0+unknown` where headrace runs from its source, without being installed."""
    try:
        return version("headrace")
    except PackageNotFoundError:
        return "0+unknown"
