"""Views over the partitions of a store; what `Streams.query` hands out."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeAlias

from typing_extensions import TypeVar

from headrace.base.errors import StoreUnavailableError, TopologyError
from headrace.base.records import Windowed
from headrace.state.declaration import Store, check_handle, unreadable
from headrace.state.spec import StoreSpec
from headrace.state.typed_key_value import ReadOnlyKeyValueStore
from headrace.state.typed_session import ReadOnlySessionStore
from headrace.state.typed_versioned import ReadOnlyVersionedStore
from headrace.state.typed_window import ReadOnlyWindowStore
from headrace.topology.topology import Topology

__all__ = [
    "KeyValueView",
    "SessionView",
    "VersionedView",
    "WindowView",
    "chosen_of",
    "store_name",
    "view_of",
]

K = TypeVar("K")
V = TypeVar("V")

#: Asks for the partitions that there are now: partition to its typed store.
Partitions: TypeAlias = Callable[[], Mapping[int, Any]]

#: Asks for the typed stores in which a key may lie.
Candidates: TypeAlias = Callable[[Any], Iterable[Any]]


def store_name(topology: Topology, store: Store[Any] | str) -> str:
    """Return the name of a store of the topology.

    Raises:
        TopologyError: the topology has no such store, or has it of another kind or with other serdes than the handle.
    """
    if not isinstance(store, str | Store):
        raise TopologyError(f"a store is asked for by its declaration or its name, found {store!r}")
    name = store if isinstance(store, str) else store.name
    if name is None:
        raise TopologyError("cannot query a store without a name: give it one where it is declared")
    if name not in topology.stores:
        near = difflib.get_close_matches(name, topology.stores, n=1)
        hint = (
            f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(topology.stores)) or 'none'}"
        )
        raise TopologyError(f"the topology has no store {name!r}; {hint}")
    if not isinstance(store, str):
        check_handle(store, topology.stores[name])
    return name


def view_of(
    spec: StoreSpec, partitions: Partitions, candidates: Candidates | None = None
) -> (
    ReadOnlyKeyValueStore[Any, Any]
    | ReadOnlyWindowStore[Any, Any]
    | ReadOnlySessionStore[Any, Any]
    | ReadOnlyVersionedStore[Any, Any]
):
    """Make the view of a store's kind.

    `candidates` gives the partitions in which a key may lie, the likeliest first; without it that is all of them.
    """
    match spec.kind:
        case "key_value":
            return KeyValueView(partitions, candidates)
        case "window":
            return WindowView(partitions, candidates)
        case "session":
            return SessionView(partitions, candidates)
        case "suppress" | "custom":
            raise unreadable(spec)
        case "versioned":
            return VersionedView(partitions, candidates)


def chosen_of(spec: StoreSpec, partitions: Partitions, chosen: Sequence[int]) -> Mapping[int, Any]:
    """Return some of the partitions.

    Raises:
        StoreUnavailableError: one of them is not there.
    """
    present = partitions()
    missing = sorted(set(chosen) - set(present))
    if missing:
        raise StoreUnavailableError(f"store {spec.name!r} has no partition {missing[0]} here")
    return {number: present[number] for number in chosen}


class _View:
    def __init__(self, partitions: Partitions, candidates: Candidates | None = None) -> None:
        self._partitions = partitions
        self._is_placed = candidates is not None
        self._candidates = candidates or (lambda key: partitions().values())

    def _first(self, key: Any, get: Callable[[Any], Any]) -> Any:
        """Return what the first partition has that has anything."""
        for store in self._candidates(key):
            found = get(store)
            if found is not None:
                return found
        return None

    def _those(self, key: Any, rows: Callable[[Any], Iterator[Any]]) -> Iterator[Any]:
        """Yield the rows of a key: where it is known in which partition it is likely to lie, of the first with any."""
        if key is None:
            for store in self._partitions().values():
                yield from rows(store)
            return
        for store in self._candidates(key):
            is_empty = True
            for row in rows(store):
                is_empty = False
                yield row
            if not is_empty and self._is_placed:
                return


class KeyValueView(_View, Generic[K, V]):
    """A `ReadOnlyKeyValueStore` over its partitions.

    A key is looked for in one partition after the other, the likeliest first, and in all of them unless it can lie in
    one alone: a partitioner of the user may have sent it anywhere. Ranges go through one partition after another: they
    are sorted within each, as in Kafka Streams.
    """

    def get(self, key: K) -> V | None:
        """Return the value of a key, or None."""
        found: V | None = self._first(key, lambda store: store.get(key))
        return found

    def range(
        self, start: K | None = None, end: K | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[K, V]]:
        """Yield what lies from `start` to `end`, both included, in the order of the serialised keys."""
        for store in self._partitions().values():
            yield from store.range(start, end, reverse=reverse)

    def all(self, *, reverse: bool = False) -> Iterator[tuple[K, V]]:
        """Yield everything."""
        for store in self._partitions().values():
            yield from store.all(reverse=reverse)

    def prefix(self, prefix: K) -> Iterator[tuple[K, V]]:
        """Yield what begins with the bytes of `prefix`."""
        for store in self._partitions().values():
            yield from store.prefix(prefix)

    def approximate_count(self) -> int:
        """Return roughly how many keys there are."""
        return sum(store.approximate_count() for store in self._partitions().values())


class WindowView(_View, Generic[K, V]):
    """A `ReadOnlyWindowStore` over its partitions; see `KeyValueView`."""

    def get(self, key: K, start: int) -> V | None:
        """Return the value of the key's window that starts at `start` (epoch ms), or None."""
        found: V | None = self._first(key, lambda store: store.get(key, start))
        return found

    def range(
        self, key: K | None = None, *, start: int | None = None, end: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[Windowed[K], V]]:
        """Yield the windows that start from `start` to `end` (epoch ms, both included), of one key or of all."""
        return self._those(key, lambda store: store.range(key, start=start, end=end, reverse=reverse))


class SessionView(_View, Generic[K, V]):
    """A `ReadOnlySessionStore` over its partitions; see `KeyValueView`."""

    def get(self, session: Windowed[K]) -> V | None:
        """Return the value of exactly this session, or None."""
        key = session.key if isinstance(session, Windowed) else None
        found: V | None = self._first(key, lambda store: store.get(session))
        return found

    def sessions(
        self, key: K | None = None, *, start: int | None = None, end: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[Windowed[K], V]]:
        """Yield the sessions of one key, or of all, that overlap [start, end] (epoch ms, both included)."""
        return self._those(key, lambda store: store.sessions(key, start=start, end=end, reverse=reverse))


class VersionedView(_View, Generic[K, V]):
    """A `ReadOnlyVersionedStore` over its partitions; see `KeyValueView`."""

    def get(self, key: K, as_of: int | None = None) -> tuple[V, int] | None:
        """Return value and timestamp of the version that was valid then, or of the latest one."""
        found: tuple[V, int] | None = self._first(key, lambda store: store.get(key, as_of))
        return found

    def history(
        self, key: K, start: int | None = None, end: int | None = None
    ) -> Iterator[tuple[V, int, int | None]]:
        """Yield the versions that were valid at some time from `start` to `end` (epoch ms, both included)."""
        return self._those(key, lambda store: store.history(key, start, end))

    def latest(self) -> Iterator[tuple[K, V, int]]:
        """Yield key, value and timestamp of the latest version of each key."""
        for store in self._partitions().values():
            yield from store.latest()
