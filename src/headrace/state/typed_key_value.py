"""Key-value stores as user code sees them: keys and values are objects, bytes stay inside."""

from collections.abc import Iterator
from threading import get_ident
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, cast, runtime_checkable

from typing_extensions import TypeVar

from headrace.processor.context import TaskContext
from headrace.state.port import KeyValueReads, KeyValueState
from headrace.state.queried import Queried
from headrace.state.typed_keys import TypedKeys, only_read

__all__ = ["KeyValueReadings", "KeyValueStore", "ReadOnlyKeyValueStore"]

K = TypeVar("K")
V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)


@runtime_checkable
class ReadOnlyKeyValueStore(Protocol[K, V_co]):
    """Read a key-value store. Order and ranges are those of the keys' bytes.

    Iterators show the store as it was when they were made, and may be left unfinished.
    """

    def get(self, key: K) -> V_co | None:
        """Return the value of a key, None if there is none."""

    def range(
        self, start: K | None = None, end: K | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[K, V_co]]:
        """Iterate over start <= key <= end. None is open."""

    def all(self, *, reverse: bool = False) -> Iterator[tuple[K, V_co]]:
        """Iterate over everything."""

    def prefix(self, prefix: K) -> Iterator[tuple[K, V_co]]:
        """Iterate over the keys whose bytes begin with the bytes of `prefix`."""

    def approximate_count(self) -> int:
        """Return roughly how many keys there are, without what waits for the commit."""


class KeyValueReadings(Generic[K, V]):
    """A `ReadOnlyKeyValueStore` over the state of one task."""

    __slots__ = ("_keys", "_state")

    def __init__(self, state: KeyValueReads, keys: TypedKeys[K]) -> None:
        self._state = state
        self._keys = keys

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise only_read(self, name)

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


class KeyValueStore(KeyValueReadings[K, V], Queried[ReadOnlyKeyValueStore[K, V]]):
    """Read and write a key-value store. Writes have the timestamp of the record being processed.

    Writing raises StateError once the processor is closed, and in a thread that is not its task's.
    """

    __slots__ = ("_context", "_put")

    def __init__(self, state: KeyValueState, keys: TypedKeys[K], context: TaskContext) -> None:
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
