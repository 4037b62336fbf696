"""Records of a left or outer join that have no match yet: both sides keep them in one store, in the order of time.

Source: `KStreamKStreamJoin.emitNonJoinedOuterRecords`. A record goes once its window has closed, on both sides' time:
`stream time > timestamp + wait`, where a record of the left stream waits for `after` and grace, one of the right for
`before` and grace. What is due is looked for on a record that is as late as any before it, and no more often than the
wall clock allows. `oldest` then says from when on it is worth a look; it is not always the oldest record's time, and
some wait longer for it than they must: so it is in Kafka Streams, and decides which results come first.
"""

from collections.abc import Callable
from typing import Any

from headrace.base.records import Headers
from headrace.operators.updates import changelog_topic
from headrace.serde.unmatched import (
    PLACE_BYTES,
    entries_of,
    entry_count,
    pack_place,
    unpack_place,
    with_entry,
)
from headrace.state.buffer.row import ENCODED
from headrace.topology.wiring import Failed, Forward, Wiring

__all__ = ["UnmatchedRecords"]

#: `oldest` where no record is known to wait. So low that the next look is due, as the overflow of a sum makes it in
#: Kafka Streams.
_NONE = -(2**62)

#: Later than any record.
_NEVER = 2**63 - 1


class UnmatchedRecords:
    """What both sides of a join know together in one task.

    Attributes:
        stream_time: highest timestamp of both sides, whatever became of the record (epoch ms).
        oldest: see the module.
    """

    __slots__ = (
        "_first",
        "_joined",
        "_left",
        "_left_wait_ms",
        "_next_look_ms",
        "_now_ms",
        "_open_key",
        "_open_left",
        "_open_right",
        "_pause_ms",
        "_right",
        "_right_wait_ms",
        "_store",
        "_topic",
        "_values",
        "oldest",
        "stream_time",
    )

    def __init__(
        self,
        wiring: Wiring,
        store: Any,
        joined: Callable[[Any, Any, Any], Any],
        left_wait_ms: int,
        right_wait_ms: int,
    ) -> None:
        topic, values = changelog_topic(wiring, store), store.spec.value
        self._store = store
        self._topic, self._values = topic, values
        self._joined = joined
        self._left_wait_ms, self._right_wait_ms = left_wait_ms, right_wait_ms
        self._left, self._open_left = values.left.serializer(topic), values.left.deserializer(topic)
        self._right, self._open_right = values.right.serializer(topic), values.right.deserializer(topic)
        self._open_key = store.spec.key.inner.deserializer(topic)
        self._now_ms, self._pause_ms = wiring.context.now_ms, wiring.context.join_emit_interval_ms
        self._next_look_ms = 0
        self.stream_time = -1
        # Of a store that was filled before: Kafka Streams looks it through first, which comes to the same.
        found = next(store.encoded(b""), None)
        self.oldest = _NONE if found is None else unpack_place(found[0])[0]
        #: No row is older: what is deleted leaves marks in RocksDB, which a look from the beginning would go through.
        self._first = _NEVER if found is None else self.oldest

    def add(self, key: bytes, timestamp: int, is_left: bool, value: Any) -> None:
        """Let a record wait for a match, behind others of its side, key and time."""
        row_key = pack_place(timestamp, is_left) + key
        try:
            raw = (self._left if is_left else self._right)(value)
        except Exception:
            raw = (self._values.left if is_left else self._values.right).serialize(
                self._topic, value
            )  # with words
        before = self._store.entry_row(row_key) if timestamp >= self._first else None
        row = with_entry(None if before is None else before[0], is_left, raw)
        self._store.put_encoded(row_key, ENCODED, row, timestamp)
        if timestamp < self.oldest or self.oldest == _NONE:
            self.oldest = timestamp
        self._first = min(self._first, timestamp)

    def remove(self, key: bytes, time: int, is_left: bool, timestamp: int) -> None:
        """Forget the records of a side, key and time, which have a match at `timestamp`."""
        if time >= self._first:
            row_key = pack_place(time, is_left) + key
            if self._store.entry_row(row_key) is not None:
                self._store.put_encoded(row_key, ENCODED, None, timestamp)

    def emit(self, wait_ms: int, timestamp: int, headers: Headers, forward: Forward, failed: Failed) -> None:
        """Forward what is due, with the headers of the record that is processed, if it may be looked for.

        `wait_ms` is the wait of the side that asks.
        """
        if self.oldest == _NONE and wait_ms <= 0:
            return
        now = self._now_ms()
        if now < self._next_look_ms:
            return
        self._next_look_ms = now + self._pause_ms
        for row_key, row in self._take_due():
            self._forward(row_key, row, headers, forward, failed)
            self._store.put_encoded(row_key, ENCODED, None, timestamp)

    def _take_due(self) -> list[tuple[bytes, bytes]]:
        """Return the rows that are due, and note what `oldest` is then.

        The look ends where nothing of either side can be due any more; it ends behind the first *entry* that tells so,
        and that entry's time is `oldest`.
        """
        due = []
        self.oldest = _NONE
        left_is_open = right_is_open = False
        first_open = _NEVER
        for row_key, row in self._store.encoded(pack_place(max(self._first, 0), False)):
            time, is_left = unpack_place(row_key)
            self.oldest = time
            if left_is_open and right_is_open:
                break
            if time + (self._left_wait_ms if is_left else self._right_wait_ms) < self.stream_time:
                due.append((row_key, row))
                continue
            first_open = min(first_open, time)
            left_is_open, right_is_open = left_is_open or is_left, right_is_open or not is_left
            if left_is_open and right_is_open and entry_count(row) > 1:
                break
        self._first = first_open
        return due

    def _forward(
        self, row_key: bytes, row: bytes, headers: Headers, forward: Forward, failed: Failed
    ) -> None:
        timestamp, _ = unpack_place(row_key)
        key: Any = None
        for is_left, raw in entries_of(row):
            value: Any = None
            try:
                key = self._open_key(row_key[PLACE_BYTES:])
                if is_left:
                    value = self._open_left(raw)
                    result = self._joined(key, value, None)
                else:
                    value = self._open_right(raw)
                    result = self._joined(key, None, value)
            except BaseException as error:
                # The record that waited is dropped, not the one that is processed.
                failed(error, key, value, timestamp, headers)
                continue
            forward(key, result, timestamp, headers)
