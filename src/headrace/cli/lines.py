"""Records as JSON lines: one record a line, with key, value, timestamp and headers."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from headrace.base.columns import Chunk
from headrace.base.errors import SerializationError
from headrace.base.records import NO_HEADERS, Headers
from headrace.base.wording import shortened, wording
from headrace.cli.moments import moment_ms
from headrace.query.formats import AUTO, FORMATS, Format

__all__ = ["LineError", "LineRecord", "read_line", "shown_headers", "write_chunk"]

_FIELDS = frozenset({"key", "value", "timestamp", "headers", "partition", "topic", "offset"})

#: Kafka keeps times in signed 64 bits.
_TIMESTAMP_MAX = 2**63 - 1

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class LineError(SerializationError):
    """A line is no record: says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class LineRecord:
    """What a line stands for. `partition` is None where the key decides."""

    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Headers
    partition: int | None


def read_line(line: bytes, key: Format, value: Format) -> LineRecord:
    """Return the record of a line. `topic` and `offset` are ignored, so that what was read can be written elsewhere.

    Raises:
        LineError: it is no JSON object, has other fields, or a field of another kind.
    """
    try:
        document = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "; save it as UTF-8, it looks like UTF-16" if b"\0" in line[:4] else ""
        raise LineError(f'it is no JSON: {error}; write {{"key": …, "value": …}}{hint}') from None
    except RecursionError:
        raise LineError(
            "it is nested too deeply: objects and lists in each other, hundreds of them"
        ) from None
    if not isinstance(document, dict):
        raise LineError('it is no object: write {"key": …, "value": …}')
    unknown = sorted(document.keys() - _FIELDS)
    if unknown:
        raise LineError(
            f"it has the field {shortened(unknown[0])}; there are key, value, timestamp, headers and partition"
        )
    return LineRecord(
        _field(document, "key", key),
        _field(document, "value", value),
        _timestamp(document.get("timestamp")),
        _headers(document.get("headers")),
        _partition(document.get("partition")),
    )


def _field(document: Mapping[str, Any], name: str, format: Format) -> bytes | None:
    found = document.get(name)
    if found is None:
        return None
    try:
        return format.read(found)
    except SerializationError as error:
        raise LineError(f"its {name} cannot be written: {error}") from None
    except Exception as error:  # a serde of the user's, and all that does not fit into what it is to be
        raise LineError(f"its {name} cannot be written: {wording(error)}") from None


def _timestamp(found: Any) -> int:
    if found is None:
        return time.time_ns() // 1_000_000
    moment = _moment_ms(found) if isinstance(found, str) else found
    if isinstance(moment, bool) or not isinstance(moment, int) or not 0 <= moment <= _TIMESTAMP_MAX:
        raise LineError(
            f"its timestamp is {shortened(found)}, but must be epoch milliseconds, or a time from 1970 on such as "
            '"2013-01-01T00:00:00Z"'
        )
    return moment


def _moment_ms(text: str) -> int | None:
    try:
        return moment_ms(text)
    except ValueError:
        return None


def _partition(found: Any) -> int | None:
    if found is not None and (isinstance(found, bool) or not isinstance(found, int) or found < 0):
        raise LineError(f"its partition is {shortened(found)}, but must be a number of at least 0")
    return found


def _headers(found: Any) -> Headers:
    if found is None:
        return NO_HEADERS
    pairs = list(found.items()) if isinstance(found, dict) else found
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs
    ):
        raise LineError('its headers are neither {"name": "value"} nor [["name", "value"]]')
    try:
        return tuple((name, None if text is None else AUTO.read(text)) for name, text in pairs)
    except (SerializationError, ValueError, RecursionError) as error:
        raise LineError(f"its headers cannot be written: {error}") from None


def write_chunk(chunk: Chunk, first: int, count: int, key: Format, value: Format) -> bytes:
    """Return the lines of `count` records of a chunk from index `first` on, each with its line break."""
    lines = []
    for index in range(first, first + count):
        raw_key, raw_value = chunk.keys[index], chunk.values[index]
        headers = NO_HEADERS if chunk.headers is None else chunk.headers[index]
        record: dict[str, object] = {
            "topic": chunk.topic,
            "partition": chunk.partition,
            "offset": chunk.offsets[index],
            "timestamp": chunk.timestamps[index],
            "key": None if raw_key is None else key.shown(raw_key, headers),
            "value": None if raw_value is None else value.shown(raw_value, headers),
            "headers": shown_headers(headers),
        }
        try:
            lines.append(_encode(record))
        except (
            RecursionError,
            ValueError,
        ):  # nested as deeply as can just be read, or a number of 5,000 digits
            raw = {"key": _as_base64(raw_key), "value": _as_base64(raw_value)}
            lines.append(_encode(record | raw))
    lines.append(b"")
    return b"\n".join(lines)


def _as_base64(data: bytes | None) -> object:
    return None if data is None else FORMATS["base64"].show(data)


def shown_headers(headers: Headers) -> list[list[object]]:
    """Return headers as they stand on a line: pairs, not an object, since a name may occur twice."""
    return [[name, None if text is None else AUTO.show(text)] for name, text in headers]
