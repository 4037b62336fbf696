"""What stands for a large value that has not changed: PostgreSQL does not log it, and Debezium says so, by type.

Source: observed of Debezium 3.6.1. Text, JSON and XML have the placeholder itself, bytea its bytes (base64 in JSON),
hstore an object, arrays of text and JSON a list of it; arrays of whole numbers and dates have the numbers of its bytes,
and arrays of UUIDs one that is made of it. Arrays of floats and of numerics have null, which cannot be told from a null
in the database.
"""

import json
from base64 import b64encode
from hashlib import md5
from typing import Any
from uuid import UUID

__all__ = ["Unavailable"]


class Unavailable:
    """Tells these marks. `placeholder` is the connector's `unavailable.value.placeholder`."""

    def __init__(self, placeholder: str) -> None:
        data = placeholder.encode()
        named = UUID(bytes=md5(data, usedforsecurity=False).digest(), version=3)
        self._data = data
        self._texts = frozenset(
            {
                placeholder,
                b64encode(data).decode(),
                json.dumps({placeholder: placeholder}, separators=(",", ":")),
            }
        )
        self._lists: tuple[list[Any], ...] = ([placeholder], list(data), [str(named)])
        self._lengths = frozenset(map(len, self._lists))

    def is_mark(self, value: object) -> bool:
        """Whether a value, as JSON or Avro has it, stands for one that has not changed."""
        if isinstance(value, str):
            return value in self._texts
        if isinstance(value, list):
            return len(value) in self._lengths and value in self._lists
        if isinstance(value, bytes):
            return value == self._data
        return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in self._texts
