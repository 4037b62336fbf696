"""Versioned stores as user code sees them: keys and values are objects, bytes stay inside."""

from collections.abc import Iterator
from threading import get_ident
from typing import Generic, Protocol, cast, runtime_checkable

from typing_extensions import TypeVar

from headrace.base.records import NO_HEADERS
from headrace.processor.context import TaskContext
from headrace.processor.parts import checked_timestamp
from headrace.state.port import VersionedReads, VersionedState
from headrace.state.queried import Queried
from headrace.state.typed_keys import TypedKeys
from headrace.state.typed_window import check_time

__all__ = ["ReadOnlyVersionedStore", "VersionedReadings", "VersionedStore"]

K = TypeVar("K")
V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)


@runtime_checkable
class ReadOnlyVersionedStore(Protocol[K, V_co]):
    """Read a versioned store. A version is valid from its timestamp until the next one's (epoch ms)."""

    def get(self, key: K, as_of: int | None = None) -> tuple[V_co, int] | None:
        """Return value and timestamp of the version that was valid then, or of the latest one; None if there is none.

        What was replaced longer ago than the store's history cannot be read any more.
        """

    def history(
        self, key: K, start: int | None = None, end: int | None = None
    ) -> Iterator[tuple[V_co, int, int | None]]:
        """Iterate over the versions that were valid at some time from `start` to `end`, both included, oldest first.

        Each comes as value, timestamp, and the time until which it was valid; None is *still*.
        """

    def latest(self) -> Iterator[tuple[K, V_co, int]]:
        """Iterate over key, value and timestamp of the latest version of each key, in the order of the keys' bytes."""


class VersionedReadings(Generic[K, V]):
    """A `ReadOnlyVersionedStore` over the state of one task."""

    __slots__ = ("_keys", "_state")

    def __init__(self, state: VersionedReads, keys: TypedKeys[K]) -> None:
        self._state = state
        self._keys = keys

    def get(self, key: K, as_of: int | None = None) -> tuple[V, int] | None:
        """Return value and timestamp of the version that was valid then, or of the latest one; None if there is none.

        What was replaced longer ago than the store's history cannot be read any more.
        """
        data = self._keys.to_bytes(key)
        if as_of is None:
            return cast("tuple[V, int] | None", self._state.get(data))
        self._check(as_of, "as_of")
        found = self._state.as_of(data, as_of)
        return None if found is None else (cast("V", found[0]), found[1])

    def history(
        self, key: K, start: int | None = None, end: int | None = None
    ) -> Iterator[tuple[V, int, int | None]]:
        """Iterate over the versions that were valid at some time from `start` to `end`, both included, oldest first.

        Each comes as value, timestamp, and the time until which it was valid; None is *still*.
        """
        for name, time in (("start", start), ("end", end)):
            if time is not None:
                self._check(time, name)
        return cast(
            "Iterator[tuple[V, int, int | None]]", self._state.history(self._keys.to_bytes(key), start, end)
        )

    def latest(self) -> Iterator[tuple[K, V, int]]:
        """Iterate over key, value and timestamp of the latest version of each key, in the order of the keys' bytes."""
        to_key = self._keys.to_key
        for key, value, timestamp in self._state.latest(None):
            yield to_key(key), cast("V", value), timestamp

    def _check(self, time: int, name: str) -> None:
        if type(time) is not int:
            check_time(time, name, f"versions of store {self._keys.store!r} are read with")


class VersionedStore(VersionedReadings[K, V], Queried[ReadOnlyVersionedStore[K, V]]):
    """Read and write a versioned store.

    Writing raises StateError once the processor is closed, and in a thread that is not its task's.
    """

    __slots__ = ("_context", "_put")

    def __init__(self, state: VersionedState, keys: TypedKeys[K], context: TaskContext) -> None:
        super().__init__(state, keys)
        self._put = state.put
        self._context = context

    def put(self, key: K, value: V | None, timestamp: int) -> int | None:
        """Add a version that is valid from `timestamp` (epoch ms) on; None as value deletes.

        Returns until when it is valid: the next version's timestamp, None if it is the latest. What is older than the
        store's history is dropped, and its own timestamp is returned: it is valid at no time.

        Raises:
            TypeError, ValueError: it is no timestamp.
        """
        context = self._context
        if get_ident() != context.thread:
            context.refuse(f"put a version into store {self._keys.store!r}")
        time = checked_timestamp(timestamp, f"a version of store {self._keys.store!r}")
        return self._put(self._keys.to_bytes(key), value, time, NO_HEADERS)

    def delete(self, key: K, timestamp: int) -> tuple[V, int] | None:
        """Add a version that deletes; return value and timestamp of the one that was valid then, None if none was.

        Raises:
            TypeError, ValueError: it is no timestamp.
        """
        found = self.get(key, checked_timestamp(timestamp, f"a version of store {self._keys.store!r}"))
        self.put(key, None, timestamp)
        return found
