"""What one instance asks another about one partition of a store, and the answer: MessagePack, keys and values as bytes.

Rows come a page at a time, and whoever asks says behind which row the next page begins: nothing is kept open between
two of them, and the next one may come from another instance.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal, TypeAlias, cast

import msgspec

from headrace.base.errors import SerializationError
from headrace.base.ids import TopicPartition
from headrace.engine.store_read import StoreRead
from headrace.state.buffer.layouts import layout_of
from headrace.state.port import KeyValueReads, SegmentedReads, StoreReads, VersionedReads
from headrace.state.spec import segment_interval_ms

__all__ = [
    "AT_ONCE",
    "Answer",
    "Question",
    "Refused",
    "Row",
    "answered",
    "as_tuples",
    "reached",
    "read_question",
]

#: Of one row: such a read takes less than to hand it to another thread. The others may read a disk for a while.
AT_ONCE = frozenset({"get", "cell", "version", "as_of", "position"})

_ROWS_MAX = 2_000
_BYTES_MAX = 1024 * 1024
_SECONDS_MAX = 1.0

#: Key, slot (its time and its rest: a number of 126 bits is none of MessagePack), value, timestamp, until when; what a
#: kind of question has not is None.
Row: TypeAlias = tuple[bytes | None, tuple[int, int] | None, bytes, int, int | None]
_Found: TypeAlias = tuple[bytes | None, tuple[int, int] | None, Any, int, int | None]


class Question(msgspec.Struct, array_like=True, frozen=True):
    """One question. Which of the fields count goes by `ask`, whose names are those of the methods of `state.port`.

    Attributes:
        after: the row behind which to begin: its key and slot.
        at_least: topic, partition and next offset of each place that has to be reached.
        stale_s: how old the answer may be: what was committed longer ago has to be seen.
        follows: whether a standby may answer.
        within_s: how long is waited for the answer: a page ends at half of it.
    """

    application: str
    store: str
    partition: int
    ask: Literal[
        "get",
        "range",
        "prefix",
        "cell",
        "cells",
        "version",
        "as_of",
        "history",
        "latest",
        "count",
        "position",
    ]
    key: bytes | None = None
    low: bytes | None = None
    high: bytes | None = None
    start: int | None = None
    end: int | None = None
    reverse: bool = False
    after: tuple[bytes | None, tuple[int, int] | None] | None = None
    committed: bool = False
    stale_s: float = 0.0
    at_least: tuple[tuple[str, int, int], ...] = ()
    follows: bool = False
    within_s: float = 2 * _SECONDS_MAX


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """The rows of one page, or why there are none.

    Attributes:
        refusal: why the instance cannot answer now; None where it does.
        has_more: whether there may be rows behind the last one.
        position: as `Question.at_least`; of `ask="position"` alone.
    """

    refusal: str | None = None
    rows: tuple[Row, ...] = ()
    has_more: bool = False
    count: int = 0
    position: tuple[tuple[str, int, int], ...] = ()


class Refused(Exception):  # noqa: N818 - no error: somebody else may answer
    """An instance cannot answer a question now, with the reason."""


_decode = msgspec.msgpack.Decoder(Question).decode


def read_question(data: bytes) -> Question:
    """Read a question's bytes.

    Raises:
        SerializationError: they are none.
    """
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SerializationError(f"this is no question of another instance: {error}") from None


def reached(read: StoreRead, question: Question) -> None:
    """Look whether a store is where the question wants it at least; before the read.

    Raises:
        Refused: it is not there yet.
    """
    if not question.at_least:
        return
    there = read.position()
    for topic, partition, offset in question.at_least:
        if there.get(TopicPartition(topic, partition), -1) < offset:
            raise Refused(f"it has not reached offset {offset} of {topic}-{partition} yet")


def answered(reads: StoreReads, question: Question, encode: Callable[[Any], bytes]) -> Answer:
    """Answer a question with what can be read here.

    Raises:
        StoreUnavailableError: it was closed meanwhile.
        SerializationError: the question is one of another kind of store, or lacks something.
    """
    if question.ask == "count":
        return Answer(count=cast("KeyValueReads", _of_kind(reads, "key_value")).approximate_count())
    deadline = time.monotonic() + min(_SECONDS_MAX, question.within_s / 2)
    rows: list[Row] = []
    size = 0
    found = _found(reads, question)
    for key, slot, value, timestamp, until in islice(found, _ROWS_MAX):
        data = encode(value)
        rows.append((key, slot, data, timestamp, until))
        size += len(data) + len(key or b"")
        if size >= _BYTES_MAX or time.monotonic() > deadline:
            return Answer(rows=tuple(rows), has_more=True)
    return Answer(rows=tuple(rows), has_more=len(rows) == _ROWS_MAX)


def _found(reads: StoreReads, question: Question) -> Iterator[_Found]:
    match question.ask:
        case "get" | "range" | "prefix":
            return _key_values(cast("KeyValueReads", _of_kind(reads, "key_value")), question)
        case "cell" | "cells":
            return _cells(cast("SegmentedReads", _of_kind(reads, "window", "session")), question)
        case _:
            return _versions(cast("VersionedReads", _of_kind(reads, "versioned")), question)


def _of_kind(reads: StoreReads, *kinds: str) -> StoreReads:
    if reads.spec.kind not in kinds:
        raise SerializationError(
            f"store {reads.spec.name!r} is a {reads.spec.kind} store, and is asked as another"
        )
    return reads


def _needed(key: bytes | None) -> bytes:
    if key is None:
        raise SerializationError("the question has no key")
    return key


def _key_values(reads: KeyValueReads, question: Question) -> Iterator[_Found]:
    if question.ask == "get":
        key = _needed(question.key)
        found = reads.get(key)
        if found is not None:
            yield key, None, found[0], found[1], None
        return
    after = None if question.after is None else question.after[0]
    if question.ask == "prefix":
        prefix = _needed(question.key)
        rows = reads.prefix(prefix) if after is None else reads.range(after, None)
    else:
        prefix = b""
        low, high = question.low, question.high
        if after is not None:
            low, high = (low, after) if question.reverse else (after, high)
        rows = reads.range(low, high, question.reverse)
    for key, value, timestamp in rows:
        if not key.startswith(prefix):
            return
        if key != after:
            yield key, None, value, timestamp, None


def _cells(reads: SegmentedReads, question: Question) -> Iterator[_Found]:
    bits = layout_of(reads.spec).rest_bits
    if question.ask == "cell":
        key = _needed(question.key)
        slot = (question.start or 0) << bits | (question.end or 0)
        found = reads.get(key, slot)
        if found is not None:
            yield key, (slot >> bits, slot & ((1 << bits) - 1)), found[0], found[1], None
        return
    is_of_key = question.key is not None
    interval = 1 if is_of_key else segment_interval_ms(reads.spec.retention_ms or 0)

    def place(key: bytes | None, slot: tuple[int, int]) -> tuple[object, ...]:
        # Cells of a key come by slot; those of all keys by segment, key and slot.
        return slot if is_of_key else (slot[0] - slot[0] % interval, key, slot)

    start, end, after = question.start, question.end, None
    if question.after is not None and question.after[1] is not None:
        last = question.after[1]
        after = place(question.after[0], last)
        # What lies before it in its segment is read once more, and left out.
        segment = last[0] - last[0] % interval
        if question.reverse:
            end = min(segment + interval - 1, segment + interval - 1 if end is None else end)
        else:
            start = max(segment, segment if start is None else start)
    for key, slot, value, timestamp in reads.range(question.key, start, end, question.reverse):
        parts = (slot >> bits, slot & ((1 << bits) - 1))
        if after is not None:
            at = place(key, parts)
            if at == after or (at > after) is question.reverse:
                continue
        yield key, parts, value, timestamp, None


def _versions(reads: VersionedReads, question: Question) -> Iterator[_Found]:
    if question.ask == "latest":
        last = None if question.after is None else question.after[0]
        for of, value, since in reads.latest(last):
            if of != last:
                yield of, None, value, since, None
        return
    key = _needed(question.key)
    if question.ask == "version":
        latest = reads.get(key)
        if latest is not None:
            yield key, None, latest[0], latest[1], None
        return
    if question.ask == "as_of":
        found = None if question.start is None else reads.as_of(key, question.start)
        if found is not None:
            yield key, None, *found
        return
    after = None if question.after is None or question.after[1] is None else question.after[1][0]
    start = question.start if after is None else max(after, question.start or 0)
    for value, since, until in reads.history(key, start, question.end):
        if after is None or since > after:
            yield key, (since, 0), value, since, until


def as_tuples(places: Sequence[tuple[TopicPartition, int]]) -> tuple[tuple[str, int, int], ...]:
    """Return places as questions and answers have them."""
    return tuple((place.topic, place.partition, offset) for place, offset in places)
