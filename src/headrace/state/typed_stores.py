"""Stores as user code sees them: keys and values are objects, bytes stay inside.

Processors get the writable classes, queries and other tasks' readers the read-only ones.
"""

from collections.abc import Iterator
from threading import get_ident
from typing import Any, Generic, NoReturn, cast

from typing_extensions import TypeVar

from headrace.base.errors import SerializationError
from headrace.base.records import Window, Windowed
from headrace.processor.context import TaskContext
from headrace.processor.parts import TIMESTAMP_MAX, checked_timestamp
from headrace.serde.serde import Serde, reason_of
from headrace.state.port import KeyValueReads, KeyValueState, WindowReads, WindowState
from headrace.state.spec import StoreSpec

__all__ = [
    "KeyValueStore",
    "ReadOnlyKeyValueStore",
    "ReadOnlyWindowStore",
    "WindowStore",
    "read_only",
    "typed",
]

K = TypeVar("K")
V = TypeVar("V")

#: Kafka Streams cuts window ends off here instead of letting them overflow.
_TIME_MS_MAX = 2**63 - 1


class _Keys(Generic[K]):
    """Keys of one store into bytes and back, with errors that name the store."""

    __slots__ = ("_decode", "_encode", "_serde", "_topic", "store")

    def __init__(self, serde: Serde[K], topic: str, store: str) -> None:
        self._serde = serde
        self._topic = topic
        self.store = store
        self._encode = serde.serializer(topic)
        self._decode = serde.deserializer(topic)

    def to_bytes(self, key: K) -> bytes:
        if key is None:
            raise ValueError(f"a key of store {self.store!r} cannot be None")
        try:
            return self._encode(key)
        except Exception as error:
            raise SerializationError(
                f"cannot serialize a key for store {self.store!r} with {self._serde!r}: "
                f"{reason_of(self._serde, error)}"
            ) from error

    def to_key(self, data: bytes) -> K:
        try:
            return self._decode(data)
        except Exception as error:
            raise SerializationError(
                f"cannot deserialize a key of store {self.store!r} with {self._serde!r}: {error}"
            ) from error


class ReadOnlyKeyValueStore(Generic[K, V]):
    """Read a key-value store. Order and ranges are those of the keys' bytes.

    Iterators show the store as it was when they were made, and may be left unfinished.
    """

    __slots__ = ("_keys", "_state")

    def __init__(self, state: KeyValueReads, keys: "_Keys[K]") -> None:
        self._state = state
        self._keys = keys

    def get(self, key: K) -> V | None:
        """Return the value of a key, None if there is none."""
        found = self._state.get(self._keys.to_bytes(key))
        return None if found is None else cast("V", found[0])

    def range(
        self, start: K | None = None, end: K | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[K, V]]:
        """Iterate over start <= key <= end. None is open."""
        low = None if start is None else self._keys.to_bytes(start)
        high = None if end is None else self._keys.to_bytes(end)
        return self._opened(self._state.range(low, high, reverse))

    def all(self, *, reverse: bool = False) -> Iterator[tuple[K, V]]:
        """Iterate over everything."""
        return self._opened(self._state.range(None, None, reverse))

    def prefix(self, prefix: K) -> Iterator[tuple[K, V]]:
        """Iterate over the keys whose bytes begin with the bytes of `prefix`."""
        return self._opened(self._state.prefix(self._keys.to_bytes(prefix)))

    def approximate_count(self) -> int:
        """Return roughly how many keys there are, without what waits for the commit."""
        return self._state.approximate_count()

    def _opened(self, rows: Iterator[tuple[bytes, Any, int]]) -> Iterator[tuple[K, V]]:
        to_key = self._keys.to_key
        return ((to_key(key), value) for key, value, _ in rows)


class KeyValueStore(ReadOnlyKeyValueStore[K, V]):
    """Read and write a key-value store. Writes have the timestamp of the record being processed.

    Writing raises StateError once the processor is closed, and in a thread that is not its task's.
    """

    __slots__ = ("_context", "_put")

    def __init__(self, state: KeyValueState, keys: "_Keys[K]", context: TaskContext) -> None:
        super().__init__(state, keys)
        self._put = state.put
        self._context = context

    def put(self, key: K, value: V | None) -> None:
        """Set the value of a key; None deletes it."""
        context = self._context
        if get_ident() != context.thread:
            self._refuse("put")
        self._put(self._keys.to_bytes(key), value, context.timestamp, context.headers)

    def put_if_absent(self, key: K, value: V) -> V | None:
        """Set the value of a key that has none. Return the value it has."""
        context = self._context
        if get_ident() != context.thread:
            self._refuse("put")
        data = self._keys.to_bytes(key)
        found = self._state.get(data)
        if found is not None:
            return cast("V", found[0])
        self._put(data, value, context.timestamp, context.headers)
        return None

    def delete(self, key: K) -> V | None:
        """Delete a key. Return the value it had."""
        context = self._context
        if get_ident() != context.thread:
            self._refuse("delete")
        data = self._keys.to_bytes(key)
        found = self._state.get(data)
        self._put(data, None, context.timestamp, context.headers)
        return None if found is None else cast("V", found[0])

    def _refuse(self, attempt: str) -> NoReturn:
        self._context.refuse(f"{attempt} a row of store {self._keys.store!r}")


class ReadOnlyWindowStore(Generic[K, V]):
    """Read a window store. Windows older than its retention, by stream time, cannot be read any more."""

    __slots__ = ("_keys", "_size_ms", "_state")

    def __init__(self, state: WindowReads, keys: "_Keys[K]") -> None:
        self._state = state
        self._keys = keys
        size_ms = state.spec.size_ms
        self._size_ms = 0 if size_ms is None else size_ms

    def get(self, key: K, start: int) -> V | None:
        """Return the value of the window that starts at `start` (epoch ms), None if there is none."""
        found = self._state.get(self._keys.to_bytes(key), start)
        return None if found is None else cast("V", found[0])

    def range(
        self, key: K | None = None, *, start: int | None = None, end: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[Windowed[K], V]]:
        """Iterate over the windows of one key, or of all, that start within [start, end] (epoch ms). None is open."""
        data = None if key is None else self._keys.to_bytes(key)
        to_key, size_ms = self._keys.to_key, self._size_ms
        rows = self._state.range(data, start, end, reverse)
        return (
            (Windowed(to_key(found), Window(begin, min(begin + size_ms, _TIME_MS_MAX))), value)
            for found, begin, value, _ in rows
        )


class WindowStore(ReadOnlyWindowStore[K, V]):
    """Read and write a window store. Writes have the timestamp of the record being processed.

    Writing raises StateError once the processor is closed, and in a thread that is not its task's.
    """

    __slots__ = ("_context", "_put")

    def __init__(self, state: WindowState, keys: "_Keys[K]", context: TaskContext) -> None:
        super().__init__(state, keys)
        self._put = state.put
        self._context = context

    def put(self, key: K, value: V | None, start: int) -> None:
        """Set the value of the window that starts at `start` (epoch ms); None deletes it. Expired ones are dropped."""
        context = self._context
        if get_ident() != context.thread:
            context.refuse(f"put a row of store {self._keys.store!r}")
        if type(start) is not int or not 0 <= start <= TIMESTAMP_MAX:
            start = checked_timestamp(start, f"a window of store {self._state.spec.name!r}")
        self._put(self._keys.to_bytes(key), start, value, context.timestamp, context.headers)


def typed(state: KeyValueState | WindowState, context: TaskContext, application_id: str | None = None) -> Any:
    """Make the user's view of a state: a `KeyValueStore` or a `WindowStore` by its kind.

    Keys are serialised for the changelog topic of `application_id`, the task's own if it is left out.
    """
    keys = _keys(state.spec, application_id or context.application_id)
    if state.spec.kind == "key_value":
        return KeyValueStore[Any, Any](cast("KeyValueState", state), keys, context)  # by its kind
    return WindowStore[Any, Any](cast("WindowState", state), keys, context)  # by its kind


def read_only(state: KeyValueReads | WindowReads, context: TaskContext) -> Any:
    """Make the user's view of a state that is only read: a query's, or a processor's of another task's store."""
    keys = _keys(state.spec, context.application_id)
    if state.spec.kind == "key_value":
        return ReadOnlyKeyValueStore[Any, Any](cast("KeyValueReads", state), keys)  # by its kind
    return ReadOnlyWindowStore[Any, Any](cast("WindowReads", state), keys)  # by its kind


def _keys(spec: StoreSpec, application_id: str) -> _Keys[Any]:
    return _Keys(spec.key, f"{application_id}-{spec.changelog_topic}", spec.name)
