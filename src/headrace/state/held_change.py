"""A change that suppression holds back, and its bytes: in the rows of the buffer, and in its changelog.

Both have the same value, Kafka's format 3 (header `v`): context of the record that caused the change, value that was
last sent on, value before the change, value after it, and the time by which it leaves. A value is its length in 4 bytes
and its bytes, -1 is none, and -2 in the place of the one before the change says that it was the one last sent on.

Source: `BufferValue`, `ProcessorRecordContext`, `TimeOrderedKeyValueBufferChangelogDeserializationHelper`.
"""

from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class
from typing import Any, NamedTuple

from headrace.base.records import NO_HEADERS, Headers
from headrace.state.buffer.row import ENCODED
from headrace.state.stamped import pack_stamp

__all__ = [
    "VERSION_HEADERS",
    "HeldChange",
    "Stamps",
    "change_headers",
    "decode_change",
    "decode_older_change",
    "decode_stamped_row",
    "encode_change",
    "stamped_row",
    "stamps_of",
    "with_stamps",
]

#: Headers of a change record that holds a value. One that deletes has none.
VERSION_HEADERS: Headers = (("v", b"\x03"),)

#: Further ones in the format with headers: the stamps of the values before.
_PRIOR, _OLD = "vh.prior", "vh.old"

_INT, _LONG = Struct(">i"), Struct(">q")
_pack_int, _pack_long = _INT.pack, _LONG.pack
_pack_place = Struct(">qqi").pack
_pack_counts = Struct(">ii").pack

_ABSENT = _pack_int(-1)
_SAME_AS_PRIOR = -2

#: What Kafka counts of an entry beside its bytes: time in the buffer; timestamp, offset and partition of the record.
_SIZE_BYTES = 8 + 8 + 8 + 4


class Stamps(NamedTuple):
    """The stamps (`state.stamped`) of the value that was last sent on and of the one before; None of no value."""

    prior: bytes | None
    old: bytes | None


class HeldChange:
    """The last update of a key since the buffer has it. While it is sent on, it is the context's `kept`.

    Attributes:
        time: by which it leaves (epoch ms): the key's first one, which later updates do not move.
        prior, old, new: what was last sent on; what the last update replaced; what it put. None is no value.
        value: `new` as an object, or `ENCODED`.
        topic, offset, timestamp, headers: of the record that caused the last update; None and -1 for a punctuation.
        raw: its bytes, once they are made.
        stamps: in the format with headers, the stamps (`state.stamped`) that `prior` and `old` have had; else None.
    """

    __slots__ = (
        "headers", "key", "new", "offset", "old", "prior", "raw", "size_bytes", "stamps", "time", "timestamp", "topic",
        "value",
    )  # fmt: skip

    def __init__(
        self,
        key: bytes,
        time: int,
        prior: bytes | None,
        old: bytes | None,
        new: bytes | None,
        value: Any,
        topic: str | None,
        offset: int,
        timestamp: int,
        headers: Headers,
        raw: bytes | None = None,
        stamps: Stamps | None = None,
    ) -> None:
        self.key = key
        self.time = time
        self.prior = prior
        self.old = old
        self.new = new
        self.value = value
        self.topic = topic
        self.offset = offset
        self.timestamp = timestamp
        self.headers = headers
        self.raw = raw
        self.stamps = stamps
        size_bytes = _SIZE_BYTES + len(key) + len(topic or "") + len(new or b"")  # names of topics are ASCII
        if old is not None:
            size_bytes += len(old)
        is_same = stamps is None or stamps.prior == stamps.old
        if prior is not None and not (prior == old and is_same):
            size_bytes += len(prior)
            if stamps is not None:
                size_bytes += len(stamps.prior or b"")
        if stamps is not None:
            # Kafka's entries hold each value behind its stamp.
            size_bytes += len(stamps.old or b"") + (0 if new is None else len(pack_stamp(timestamp, headers)))
        if headers:
            size_bytes += sum(_characters(name) + len(content or b"") for name, content in headers)
        #: What it weighs against a bound in bytes: Kafka's own estimate, to the byte.
        self.size_bytes = size_bytes


def change_headers(change: HeldChange) -> Headers:
    """Return the headers of the change record that holds it."""
    stamps = change.stamps
    if stamps is None:
        return VERSION_HEADERS
    # What is the same value is written once, and so is its stamp.
    is_same = change.prior == change.old and stamps.prior == stamps.old
    prior = () if change.prior is None or is_same else ((_PRIOR, stamps.prior),)
    return (*VERSION_HEADERS, *prior, *(() if change.old is None else ((_OLD, stamps.old),)))


def stamps_of(change: HeldChange, headers: Headers) -> Stamps:
    """Return the stamps of a change that was restored, by the headers of its record.

    Where an application in the other format has written it, they are not known: then there are no headers, and the time
    is that of the record that caused it. Source: `InMemoryTimeOrderedKeyValueChangeBuffer.toInMemoryEncoding`.
    """
    found = dict(headers)
    unknown = pack_stamp(change.timestamp, NO_HEADERS)
    old = None if change.old is None else found.get(_OLD) or unknown
    if change.prior is None:
        return Stamps(None, old)
    if change.prior == change.old and _PRIOR not in found:
        return Stamps(old, old)
    return Stamps(found.get(_PRIOR) or unknown, old)


def stamped_row(change: HeldChange, raw: bytes) -> bytes:
    """Return the row of a change in the format with headers: its stamps, then the bytes that its record has."""
    stamps = change.stamps or Stamps(None, None)
    return b"".join((*_sized(stamps.prior), *_sized(stamps.old), raw))


def decode_stamped_row(key: bytes, row: bytes) -> HeldChange:
    """Return the change of such a row.

    Raises:
        ValueError: it is none.
    """
    try:
        cursor = _Cursor(row)
        stamps = Stamps(cursor.sized(), cursor.sized())
        raw = cursor.rest()
    except StructError as error:
        raise ValueError(str(error)) from error
    return with_stamps(decode_change(key, raw), stamps)


def with_stamps(change: HeldChange, stamps: Stamps) -> HeldChange:
    """Return a change with the stamps of the values before."""
    return HeldChange(
        change.key, change.time, change.prior, change.old, change.new, change.value, change.topic, change.offset,
        change.timestamp, change.headers, change.raw, stamps,
    )  # fmt: skip


def _characters(text: str) -> int:
    """Count characters as Java does."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def encode_change(change: HeldChange, partition: int) -> bytes:
    """Return the bytes of a change that a record of this partition has caused."""
    topic = (change.topic or "").encode()
    headers = change.headers
    parts = [_pack_place(change.timestamp, change.offset, len(topic)), topic]
    parts.append(_pack_counts(-1 if change.topic is None else partition, len(headers)))
    for name, content in headers:
        encoded = name.encode()
        parts += (_pack_int(len(encoded)), encoded, *_sized(content))
    prior, old = change.prior, change.old
    parts += _sized(prior)
    parts += (_pack_int(_SAME_AS_PRIOR),) if old is not None and old == prior else _sized(old)
    parts += _sized(change.new)
    parts.append(_pack_long(change.time))
    return b"".join(parts)


def _sized(content: bytes | None) -> tuple[bytes, ...]:
    return (_ABSENT,) if content is None else (_pack_int(len(content)), content)


class _Cursor:
    """Reads bytes from the front, and refuses what goes beyond their end."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def integer(self) -> int:
        number: int = _INT.unpack_from(self._data, self._at)[0]
        self._at += _INT.size
        return number

    def long(self) -> int:
        number: int = _LONG.unpack_from(self._data, self._at)[0]
        self._at += _LONG.size
        return number

    def sized(self) -> bytes | None:
        length = self.integer()
        return None if length == -1 else self.take(length)

    def present(self) -> bytes:
        content = self.sized()
        if content is None:
            raise ValueError("what must be there is null")
        return content

    def take(self, length: int) -> bytes:
        end = self._at + length
        if length < 0 or end > len(self._data):
            raise ValueError(f"{length} bytes are said to follow at {self._at} of {len(self._data)}")
        content = self._data[self._at : end]
        self._at = end
        return content

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def end(self) -> None:
        if self._at != len(self._data):
            raise ValueError(f"{len(self._data) - self._at} bytes are left")


def decode_change(key: bytes, data: bytes) -> HeldChange:
    """Return the change of bytes in format 3.

    Raises:
        ValueError: they are none.
    """
    try:
        cursor = _Cursor(data)
        place = _read_place(cursor)
        prior = cursor.sized()
        length = cursor.integer()
        if length == _SAME_AS_PRIOR:
            old = prior
        else:
            old = None if length == -1 else cursor.take(length)
        new = cursor.sized()
        time = cursor.long()
        cursor.end()
    except StructError as error:
        raise ValueError(str(error)) from error
    return _change(key, time, prior, old, new, place, raw=data)


def decode_older_change(
    key: bytes,
    data: bytes,
    version: bytes | None,
    prior: bytes | None,
    of_record: tuple[str, int, int, Headers],
) -> HeldChange:
    """Return the change of bytes in format 0 (no version in the header), 1 or 2.

    `prior` is what was last sent on before the change that is held of the key already, which formats 0 and 1 do not
    say; `of_record` are topic, offset, timestamp and headers of the change record, which stand for a context in format
    0. What says format 2 may have format 3: some versions of Kafka Streams have written that (2.4.0, 2.4.1, 2.5.0).

    Raises:
        ValueError: they are none.
    """
    try:
        match version:
            case b"\x02":
                try:
                    return _decode_format_2(key, data)
                except (ValueError, StructError):
                    return decode_change(key, data)
            case b"\x01":
                cursor = _Cursor(data)
                time = cursor.long()
                place = _read_place(cursor)
                old, new = _both(cursor.present())
                cursor.end()
            case None:
                cursor = _Cursor(data)
                time, place = cursor.long(), of_record
                old, new = _both(cursor.rest())
            case _:
                raise ValueError(f"its format is {version.hex()}, which is not known")
    except StructError as error:
        raise ValueError(str(error)) from error
    return _change(key, time, old if prior is None else prior, old, new, place)


def _decode_format_2(key: bytes, data: bytes) -> HeldChange:
    cursor = _Cursor(data)
    place = _read_place(cursor)
    old, new = _both(cursor.present())
    prior, time = cursor.sized(), cursor.long()
    cursor.end()
    return _change(key, time, prior, old, new, place)


def _change(
    key: bytes,
    time: int,
    prior: bytes | None,
    old: bytes | None,
    new: bytes | None,
    place: tuple[str, int, int, Headers],
    raw: bytes | None = None,
) -> HeldChange:
    topic, offset, timestamp, headers = place
    value = None if new is None else ENCODED
    return HeldChange(key, time, prior, old, new, value, topic or None, offset, timestamp, headers, raw)


def _read_place(cursor: _Cursor) -> tuple[str, int, int, Headers]:
    """Read topic, offset, timestamp and headers; the partition is that of the task."""
    timestamp, offset = cursor.long(), cursor.long()
    topic = cursor.present().decode()
    cursor.integer()
    count = cursor.integer()
    headers = [(cursor.present().decode(), cursor.sized()) for _ in range(count)]
    return topic, offset, timestamp, tuple(headers) if headers else NO_HEADERS


def _both(data: bytes) -> tuple[bytes | None, bytes | None]:
    cursor = _Cursor(data)
    old, new = cursor.sized(), cursor.sized()
    cursor.end()
    return old, new
