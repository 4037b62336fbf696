"""The parts of a record that user code makes, checked where it hands them over: timestamp and headers.

What the log cannot take must fail in the node that made it, where a handler can decide about one record; found later,
it would fail a whole transaction, or whoever reads it, for ever. Records that pass through unchanged are not checked.
"""

from collections.abc import Mapping
from typing import Any

from headrace.base.records import NO_HEADERS, Headers

__all__ = ["TIMESTAMP_MAX", "checked_headers", "checked_timestamp"]

#: Logs keep 64 bits. Source: Kafka's record format.
TIMESTAMP_MAX = 2**63 - 1

_MILLISECONDS = "epoch milliseconds are wanted, as an int"


def checked_timestamp(timestamp: Any, whose: str, *, least: int = 0) -> int:
    """Return a timestamp as a plain int. `whose` begins the message of what is raised.

    Raises:
        TypeError: it is no whole number. A numpy integer is one, a bool and a float are not.
        ValueError: it is below `least`, or beyond 64 bits.
    """
    if isinstance(timestamp, bool | float) or not hasattr(timestamp, "__index__"):
        raise TypeError(
            f"{whose} has the timestamp {timestamp!r}, of type {type(timestamp).__name__}: {_MILLISECONDS}"
        )
    number: int = timestamp.__index__()
    if number < least:
        raise ValueError(f"{whose} has the negative timestamp {number}: {_MILLISECONDS}, 0 or more")
    if number > TIMESTAMP_MAX:
        raise ValueError(f"{whose} has the timestamp {number}, beyond 64 bits: {_MILLISECONDS}")
    return number


def checked_headers(headers: object, whose: str) -> Headers:
    """Return headers as a tuple of (text, bytes or None); what can be read as bytes is made bytes.

    Raises:
        TypeError: they are something else.
        ValueError: a name is no valid text.
    """
    if headers is NO_HEADERS:
        return NO_HEADERS
    if isinstance(headers, Mapping):
        raise TypeError(
            f"{whose} has a mapping as headers: write tuple(headers.items()), a name may come twice"
        )
    if not isinstance(headers, list | tuple):
        raise TypeError(f"{whose} has the headers {headers!r}: a tuple of (name, value) pairs is wanted")
    return tuple(_checked_header(header, whose) for header in headers)


def _checked_header(header: object, whose: str) -> tuple[str, bytes | None]:
    if not isinstance(header, list | tuple) or len(header) != 2:
        raise TypeError(f"{whose} has the header {header!r}: a pair is wanted, such as ('trace', b'1')")
    name, value = header
    if not isinstance(name, str):
        raise TypeError(f"{whose} has a header whose name is {name!r}: a text is wanted")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{whose} has a header whose name is no valid text: {error}") from None
    if value is not None and not isinstance(value, bytes | bytearray | memoryview):
        hint = "; write .encode()" if isinstance(value, str) else ""
        raise TypeError(
            f"{whose} has the header {name!r} with the value {value!r}: bytes or None is wanted{hint}"
        )
    # A plain text and plain bytes: encoders know no subclasses, such as the members of an enumeration.
    return str.__str__(name), None if value is None else bytes(value)
