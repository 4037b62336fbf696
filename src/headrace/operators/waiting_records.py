"""Records that wait for others of their key: their places in memory, themselves in a store of bytes.

A place is a number, and one more that tells equal ones apart. A row's key is the length of the record's key in 4 bytes,
the key, both numbers in 8 and 4 bytes; its value is the record with its context, in the format of suppression
(`state.held_change`), and with the time since which it waits. A start reads all rows.
"""

from bisect import bisect_left, insort
from heapq import heappop, heappush
from struct import Struct
from typing import Any

from headrace.base.errors import StateCorruptionError
from headrace.base.records import Headers
from headrace.operators.updates import changelog_topic
from headrace.serde.serde import Serde
from headrace.state.buffer.row import ENCODED
from headrace.state.expiry_queue import NEVER
from headrace.state.held_change import HeldChange, decode_change, encode_change
from headrace.topology.wiring import Forward, Wiring

__all__ = ["Place", "WaitingRecords"]

#: Where a record stands among those of its key.
Place = tuple[int, int]

_LENGTH = Struct(">I")
_PLACE = Struct(">QI")
_SIGN = 2**63
_NUMBER_MAX = 2**32 - 1


def _row_key(key: bytes, place: Place) -> bytes:
    return _LENGTH.pack(len(key)) + key + _PLACE.pack(place[0] + _SIGN, place[1])


class WaitingRecords:
    """Those of one task, over the store `buffer`.

    Attributes:
        count, size_bytes: of what waits, with its keys.
    """

    def __init__(self, wiring: Wiring, buffer: str, key: Serde[Any], value: Serde[Any]) -> None:
        self._store = wiring.store(buffer)
        self._context = wiring.context
        self._failed = wiring.failed
        topic = changelog_topic(wiring, self._store)
        self.to_key, self._open_key = key.serializer(topic), key.deserializer(topic)
        self._to_value, self._open_value = value.serializer(topic), value.deserializer(topic)
        self._places: dict[bytes, list[Place]] = {}
        #: Since when, key, place: what has left is passed over.
        self._by_time: list[tuple[int, bytes, Place]] = []
        self._number = 0
        self.count = self.size_bytes = 0

    def load(self) -> None:
        """Know what waits in the store."""
        self._places.clear()
        self._by_time.clear()
        self._number = self.count = self.size_bytes = 0
        for row_key, raw, _ in self._store.range(None, None):
            key = row_key[_LENGTH.size : -_PLACE.size]
            number, tie = _PLACE.unpack(row_key[-_PLACE.size :])
            self._number = max(self._number, tie)
            self._enter(key, (number - _SIGN, tie), self._decoded(row_key, raw).time, len(row_key) + len(raw))

    def add(self, key: bytes, number: int, since: int, value: Any, timestamp: int, headers: Headers) -> None:
        """Let the record that is processed wait, behind those of the same number."""
        place = (number, self._number + 1 & _NUMBER_MAX)
        context, row_key = self._context, _row_key(key, place)
        content = None if value is None else self._to_value(value)
        held = HeldChange(
            row_key,
            since,
            None,
            None,
            content,
            ENCODED,
            context.topic,
            context.offset,
            timestamp,
            headers,
        )
        raw = encode_change(held, context.partition)
        self._store.put_encoded(row_key, ENCODED, raw, timestamp)
        self._number = place[1]
        self._enter(key, place, since, len(row_key) + len(raw))

    def _enter(self, key: bytes, place: Place, since: int, size_bytes: int) -> None:
        insort(self._places.setdefault(key, []), place)
        heappush(self._by_time, (since, key, place))
        self.count += 1
        self.size_bytes += size_bytes

    def first(self, key: bytes) -> Place | None:
        """The lowest place of a key; None where none of its records waits."""
        places = self._places.get(key)
        return places[0] if places else None

    def has(self, key: bytes, number: int) -> bool:
        """Whether a record of a number waits."""
        places = self._places.get(key, [])
        at = bisect_left(places, (number, 0))
        return at < len(places) and places[at][0] == number

    def longest(self) -> tuple[int, bytes, Place] | None:
        """Since when the record waits that waits longest, its key and its place."""
        while self._by_time:
            since, key, place = self._by_time[0]
            if self._waits(key, place):
                return since, key, place
            heappop(self._by_time)
        return None

    def _waits(self, key: bytes, place: Place) -> bool:
        places = self._places.get(key, [])
        at = bisect_left(places, place)
        return at < len(places) and places[at] == place

    @property
    def oldest(self) -> int:
        """None waits since before (epoch ms)."""
        return self._by_time[0][0] if self._by_time else NEVER

    @property
    def newest(self) -> int:
        """Since when the record waits that waits shortest, if any does (epoch ms). Looks at all."""
        return max(since for since, key, place in self._by_time if self._waits(key, place))

    def release(self, key: bytes, forward: Forward) -> int:
        """Forward the first record of a key as it came; return its timestamp."""
        places = self._places[key]
        place = places.pop(0)
        if not places:
            del self._places[key]
        row_key = _row_key(key, place)
        row = self._store.entry_row(row_key)
        if row is None:
            raise StateCorruptionError(f"store {self._store.spec.name!r} has lost a record that waits")
        held = self._decoded(row_key, row[0])
        self.count -= 1
        self.size_bytes -= len(row_key) + len(row[0])
        self._store.put_encoded(row_key, ENCODED, None, held.timestamp)
        context = self._context
        saved = context.save()
        context.kept = held
        context.topic, context.offset = held.topic, held.offset
        context.timestamp, context.headers = held.timestamp, held.headers
        try:
            self._forward(key, held, forward)
        finally:
            context.return_to(saved)
        return held.timestamp

    def _forward(self, key: bytes, held: HeldChange, forward: Forward) -> None:
        try:
            named = self.named(key)
            value = None if held.new is None else self._open_value(held.new)
        except BaseException as error:
            self._failed(error, None, None, held.timestamp, held.headers)
            return
        forward(named, value, held.timestamp, held.headers)

    def named(self, key: bytes) -> Any:
        """Return a key of its bytes."""
        return self._open_key(key)

    def _decoded(self, row_key: bytes, raw: bytes) -> HeldChange:
        try:
            return decode_change(row_key, raw)
        except ValueError as error:
            raise StateCorruptionError(
                f"store {self._store.spec.name!r} has a row that is no record: {error}"
            ) from error
