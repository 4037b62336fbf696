"""Symbols of enumerations: what stands for a member in Avro."""

import enum
import re
from collections.abc import Mapping
from typing import Final

__all__ = ["NAME", "symbol_of"]

#: A name in Avro.
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def symbol_of(cls: type[enum.Enum]) -> Mapping[str, enum.Enum]:
    """Return the members of an enumeration by their symbols: their values, where all are names, else their names."""
    values = [member.value for member in cls]
    if all(isinstance(value, str) and NAME.fullmatch(value) for value in values):
        return {str(member.value): member for member in cls}
    return {member.name: member for member in cls}
