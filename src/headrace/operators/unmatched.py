"""Records of a left or outer join that have no match yet: both sides keep them in one store, in the order of time.

Source: `KStreamKStreamJoin.emitNonJoinedOuterRecords`. A record goes once its window has closed, on both sides' time:
`stream time > timestamp + wait`, where a record of the left stream waits for `after` and grace, one of the right for
`before` and grace. What is due is looked for on a record that is as late as any before it, and no more often than the
wall clock allows. `oldest` then says from when on it is worth a look; it is not always the oldest record's time, and
some wait longer for it than they must: so it is in Kafka Streams, and decides which results come first.

After a silence of the input, if the join has an idle time, all go that wait, as if stream time had passed the end of
each wait. It has not: records that come then may wait as before. But what has closed takes no match any more, so that
no record leaves alone and in a pair. Up to which time that is so is committed with the offsets.
"""

from collections.abc import Callable, Iterator
from typing import Any

from headrace.base.records import NO_HEADERS, Headers
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
        closed_ms: records whose wait was over before (epoch ms, stream time) have closed in a silence; -1 before one.
    """

    __slots__ = (
        "_closed_name",
        "_first",
        "_joined",
        "_left",
        "_left_wait_ms",
        "_metadata",
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
        "closed_ms",
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
        *,
        closes_when_idle: bool,
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
        self._metadata, self._closed_name = wiring.context.processor_metadata, f"{store.spec.name}-idle"
        self.closed_ms = self._metadata.get(self._closed_name, -1) if closes_when_idle else -1
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

    def is_any_waiting(self) -> bool:
        """Whether a record waits for a match."""
        return next(self._waiting(), None) is not None

    def close(self, forward: Forward, failed: Failed) -> None:
        """Forward all that waits: nothing has come for so long."""
        rows = list(self._waiting())
        places = [unpack_place(row_key) for row_key, _ in rows]
        self.closed_ms = 1 + max(time + self._wait_ms(is_left) for time, is_left in places)
        self._metadata[self._closed_name] = self.closed_ms
        self.oldest, self._first = _NONE, _NEVER
        for (row_key, row), (time, _) in zip(rows, places):
            self._forward(row_key, row, NO_HEADERS, forward, failed)
            # Stream time is not where the wait ends, and a log takes no record from the future.
            self._store.put_encoded(row_key, ENCODED, None, max(self.stream_time, time))

    def _waiting(self) -> Iterator[tuple[bytes, bytes]]:
        rows: Iterator[tuple[bytes, bytes]] = self._store.encoded(pack_place(max(self._first, 0), False))
        return rows

    def _wait_ms(self, is_left: bool) -> int:
        return self._left_wait_ms if is_left else self._right_wait_ms

    def _take_due(self) -> list[tuple[bytes, bytes]]:
        """Return the rows that are due, and note what `oldest` is then.

        The look ends where nothing of either side can be due any more; it ends behind the first *entry* that tells so,
        and that entry's time is `oldest`.
        """
        due = []
        self.oldest = _NONE
        left_is_open = right_is_open = False
        first_open = _NEVER
        for row_key, row in self._waiting():
            time, is_left = unpack_place(row_key)
            self.oldest = time
            if left_is_open and right_is_open:
                break
            if time + self._wait_ms(is_left) < self.stream_time:
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
