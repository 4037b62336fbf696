"""A record cache over a key-value store whose rows expire: they are deleted in it, which leaves with the next flush."""

from collections.abc import Sequence
from typing import Any

from headrace.base.records import NO_HEADERS, Headers
from headrace.processor.context import TaskContext
from headrace.state.buffer.expiring import ExpiringBuffer
from headrace.state.cache import CacheBudget
from headrace.state.cached_key_value import CachedKeyValue
from headrace.state.expiry_queue import ExpiryQueue
from headrace.state.in_place import InPlace
from headrace.state.values import ValueCodec

__all__ = ["CachedExpiring"]


class CachedExpiring(CachedKeyValue):
    """A `KeyValueState` that forwards the last update of each key, of a store with a `ttl`."""

    __slots__ = ("_expiring", "_is_expiring", "_queue")

    def __init__(
        self, below: ExpiringBuffer, codec: ValueCodec, context: TaskContext, budget: CacheBudget
    ) -> None:
        super().__init__(below, codec, context, budget)
        self._timestamped = True
        self._expiring = below
        self._is_expiring = False
        #: The dirty entries; all others are queued below.
        self._queue = ExpiryQueue()

    def resume(self) -> None:
        """Take over the stream time that is committed: see `ExpiringBuffer`."""
        self._expiring.resume()

    def advance(self, timestamp: int) -> None:
        """Take notice of a record's time before the record goes on; delete what has expired by it."""
        below = self._expiring
        below.move_to(timestamp)
        if min(self._queue.oldest, below.next_due) > below.expired_until or self._is_expiring:
            return
        self._is_expiring = True
        try:
            due = self._queue.take(below.expired_until, self._time_here, below.at_once)
            # What is put over a row is queued here.
            due += [found for found in below.take_due(below.at_once) if found[1] not in self._dirty]
            for _, key in sorted(due):
                self._expire(key)
        finally:
            self._is_expiring = False

    def _time_here(self, key: bytes) -> int | None:
        entry = self._dirty.get(key)
        return None if entry is None or entry.row is None else entry.row[1]

    def _expire(self, key: bytes) -> None:
        below, entry = self._expiring, self._dirty.get(key)
        row = below.kept(key) if entry is None else entry.row
        if row is not None and row[1] <= below.expired_until:
            self._set(key, None, row[1] + below.ttl_ms, NO_HEADERS)

    def in_place(self) -> InPlace | None:
        """An entry may have expired, and what is put be queued: None."""
        return None

    def get(self, key: bytes) -> tuple[Any, int] | None:
        """Value and timestamp of a key."""
        return self._alive(super().get(key))

    def get_encoded(self, key: bytes) -> tuple[bytes, int] | None:
        """The bytes of a value and its timestamp; see `KeyValueState`."""
        return self._alive(super().get_encoded(key))

    def get_all_encoded(self, keys: Sequence[bytes]) -> list[tuple[bytes, int] | None]:
        """What `get_encoded` finds for each of the keys."""
        return [self.get_encoded(key) for key in keys]

    def peek(self, key: bytes) -> tuple[Any, int] | None:
        """What `get` finds, leaving no trace. From any thread."""
        return self._alive(super().peek(key))

    def _alive(self, found: tuple[Any, int] | None) -> tuple[Any, int] | None:
        return None if found is None or found[1] <= self._expiring.expired_until else found

    def put(self, key: bytes, value: Any, timestamp: int, headers: Headers) -> int | None:
        """Set or delete, in the cache. What would have expired is dropped: see `ExpiringBuffer.put`."""
        if value is not None and self._expiring.refuses(timestamp):
            return timestamp
        return super().put(key, value, timestamp, headers)

    def _set(self, key: bytes, row: tuple[Any, int] | None, timestamp: int, headers: Headers) -> None:
        super()._set(key, row, timestamp, headers)
        if row is not None:
            self._queue.add(key, row[1])

    def _before(self, key: bytes) -> tuple[Any, int] | None:
        return self._expiring.kept(key)

    def empty(self) -> None:
        """Forget everything, dirty or not."""
        super().empty()
        self._queue.clear()
