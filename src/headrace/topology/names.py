"""Which names nodes and stores may have, since they become names of topics."""

import re

from headrace.base.errors import TopologyError
from headrace.base.ids import Location

__all__ = ["check_name"]

_LENGTH_MAX = 249
_LEGAL = re.compile(r"[a-zA-Z0-9._-]+")


def check_name(name: str, kind: str, where: Location) -> str:
    """Return the name if it is legal.

    Raises:
        TopologyError: it is empty, a dot or two, longer than 249 characters, or has others than letters, digits,
            `.`, `_` and `-`.

    Source: Kafka Streams' `Named.validate`.
    """
    if not isinstance(name, str):
        raise TopologyError(f"{where}: the name of a {kind} must be text, found {name!r}")
    if not name:
        wrong = "is empty"
    elif name in {".", ".."}:
        wrong = "cannot be a dot or two"
    elif len(name) > _LENGTH_MAX:
        wrong = f"has {len(name)} characters, and at most {_LENGTH_MAX} are possible"
    elif not _LEGAL.fullmatch(name):
        wrong = "may only have letters, digits, '.', '_' and '-', because topics are named after it"
    else:
        return name
    raise TopologyError(f"{where}: the name {name!r} of a {kind} {wrong}; choose another one")
