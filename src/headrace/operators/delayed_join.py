"""Joins of a stream with a table of versions that wait: late versions have `grace` to come before a record is joined.

Source: `KStreamKTableJoinProcessor`, `RocksDBTimeOrderedKeyValueBuffer`. A record waits in a store of bytes, in which
keys begin with the record's time: 0, 8 bytes of time, key, 4 bytes of a number that tells equal ones apart. Rows and
change records have the value's bytes in the format of suppression (`state.held_change`), with no time to leave by.
"""

from collections.abc import Callable
from struct import Struct
from typing import Any

from headrace.base.errors import StateCorruptionError
from headrace.base.records import Headers
from headrace.operators.delayed_rows import DelayedRows
from headrace.operators.stream_table_join import StreamTableJoin
from headrace.operators.updates import changelog_topic
from headrace.serde.serde import Serde
from headrace.state.buffer.row import ENCODED
from headrace.state.held_change import HeldChange, decode_change, encode_change
from headrace.topology.wiring import Forward, Wiring

__all__ = ["DelayedJoin"]

_pack_time = Struct(">bq").pack
_NUMBER = Struct(">i")
_NUMBER_MAX = 2**31 - 1


class DelayedJoin:
    """Lets each record wait until stream time is `grace_ms` behind it, then joins it, in the order of time.

    Stream time is that of the records that wait. One that is behind it by more than that is joined at once, and so is
    one without a key, which has nothing to wait for. A null value is dropped, and moves no time.
    """

    def __init__(
        self, join: StreamTableJoin, buffer: str, grace_ms: int, *, key: Serde[Any], value: Serde[Any]
    ) -> None:
        self._join = join
        self._buffer = buffer
        self._grace_ms = grace_ms
        self._key = key
        self._value = value

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        join, grace_ms, failed = self._join.compile(wiring), self._grace_ms, wiring.failed
        context = wiring.context
        topic = changelog_topic(wiring, wiring.store(self._buffer))
        to_key, to_value = self._key.serializer(topic), self._value.serializer(topic)
        rows = DelayedRows(wiring.store(self._buffer), context.now_ms)
        let_go = self._releaser(wiring, rows, join)
        # Highest time of a record that has waited; last number given.
        stream_time, number = -1, 0

        def load() -> None:
            nonlocal stream_time, number
            stream_time, number = -1, 0
            for row_key in rows.begin():
                stream_time = int.from_bytes(row_key[1:9], "big")
                number = max(number, *_NUMBER.unpack(row_key[-4:]))

        def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            nonlocal stream_time, number
            if key is None or value is None or timestamp < stream_time - grace_ms:
                join(key, value, timestamp, headers)
                return
            try:
                row_key = _pack_time(0, timestamp) + to_key(key) + _NUMBER.pack(number + 1 & _NUMBER_MAX)
                held = HeldChange(
                    row_key,
                    0,
                    None,
                    None,
                    to_value(value),
                    ENCODED,
                    context.topic,
                    context.offset,
                    timestamp,
                    headers,
                )
                rows.put(row_key, encode_change(held, context.partition), timestamp)
            except BaseException as error:
                failed(error, key, value, timestamp, headers)
                return
            number = number + 1 & _NUMBER_MAX
            stream_time = max(stream_time, timestamp)
            if rows.oldest <= stream_time - grace_ms:
                let_go(stream_time - grace_ms + 1)

        wiring.on_start(load)
        return run

    def _releaser(self, wiring: Wiring, rows: DelayedRows, join: Forward) -> Callable[[int], None]:
        """Make what joins the records that wait and are older than a time, oldest first."""
        context, failed = wiring.context, wiring.failed
        topic = changelog_topic(wiring, wiring.store(self._buffer))
        open_key, open_value = self._key.deserializer(topic), self._value.deserializer(topic)

        def release(row_key: bytes, raw: bytes) -> None:
            try:
                held = decode_change(row_key, raw)
            except ValueError as error:
                raise StateCorruptionError(
                    f"store {self._buffer!r} has a row that is no record: {error}"
                ) from error
            context.kept = held
            context.topic, context.offset = held.topic, held.offset
            context.timestamp, context.headers = held.timestamp, held.headers
            try:
                key, value = open_key(row_key[9:-4]), open_value(held.new or b"")
            except BaseException as error:
                failed(error, None, None, held.timestamp, held.headers)
                return
            join(key, value, held.timestamp, held.headers)

        def let_go(before: int) -> None:
            saved = context.save()
            try:
                for row_key, raw in rows.taken(before):
                    release(row_key, raw)
            finally:
                context.return_to(saved)

        return let_go
