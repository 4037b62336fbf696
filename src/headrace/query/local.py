"""Views over the partitions of a store that this process has; what `Streams.query` hands out."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, Literal, TypeAlias, TypedDict

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

__all__ = ["KeyValueView", "QueryOptions", "SessionView", "WindowView", "local_view", "store_name"]

K = TypeVar("K")
V = TypeVar("V")

#: Asks for the partitions that are here now: partition to its typed store.
Partitions: TypeAlias = Callable[[], Mapping[int, Any]]


class QueryOptions(TypedDict, total=False):
    """How to query. `where` makes no difference while an application is one process; `partitions` leaves others out."""

    where: Literal["all", "local"]
    partitions: Sequence[int]


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


def local_view(
    spec: StoreSpec, partitions: Partitions, how: QueryOptions
) -> (
    ReadOnlyKeyValueStore[Any, Any]
    | ReadOnlyWindowStore[Any, Any]
    | ReadOnlySessionStore[Any, Any]
    | ReadOnlyVersionedStore[Any, Any]
):
    """Make the view of a store's kind."""
    chosen = how.get("partitions")
    if chosen is None:
        wanted = partitions
    else:

        def wanted() -> Mapping[int, Any]:
            present = partitions()
            missing = sorted(set(chosen) - set(present))
            if missing:
                raise StoreUnavailableError(f"store {spec.name!r} has no partition {missing[0]} here")
            return {number: present[number] for number in chosen}

    match spec.kind:
        case "key_value":
            return KeyValueView(wanted)
        case "window":
            return WindowView(wanted)
        case "session":
            return SessionView(wanted)
        case "suppress" | "custom":
            raise unreadable(spec)
        case "versioned":
            return VersionedView(wanted)


class KeyValueView(Generic[K, V]):
    """A `ReadOnlyKeyValueStore` over its partitions.

    A key is looked for in every partition, since a partitioner of the user may have sent it anywhere. Ranges go
    through one partition after another: they are sorted within each, as in Kafka Streams.
    """

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    def get(self, key: K) -> V | None:
        """Return the value of a key, or None."""
        for store in self._partitions().values():
            value: V | None = store.get(key)
            if value is not None:
                return value
        return None

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


class WindowView(Generic[K, V]):
    """A `ReadOnlyWindowStore` over its partitions; see `KeyValueView`."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    def get(self, key: K, start: int) -> V | None:
        """Return the value of the key's window that starts at `start` (epoch ms), or None."""
        for store in self._partitions().values():
            value: V | None = store.get(key, start)
            if value is not None:
                return value
        return None

    def range(
        self, key: K | None = None, *, start: int | None = None, end: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[Windowed[K], V]]:
        """Yield the windows that start from `start` to `end` (epoch ms, both included), of one key or of all."""
        for store in self._partitions().values():
            yield from store.range(key, start=start, end=end, reverse=reverse)


class SessionView(Generic[K, V]):
    """A `ReadOnlySessionStore` over its partitions; see `KeyValueView`."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    def get(self, session: Windowed[K]) -> V | None:
        """Return the value of exactly this session, or None."""
        for store in self._partitions().values():
            value: V | None = store.get(session)
            if value is not None:
                return value
        return None

    def sessions(
        self, key: K | None = None, *, start: int | None = None, end: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[Windowed[K], V]]:
        """Yield the sessions of one key, or of all, that overlap [start, end] (epoch ms, both included)."""
        for store in self._partitions().values():
            yield from store.sessions(key, start=start, end=end, reverse=reverse)


class VersionedView(Generic[K, V]):
    """A `ReadOnlyVersionedStore` over its partitions; see `KeyValueView`."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    def get(self, key: K, as_of: int | None = None) -> tuple[V, int] | None:
        """Return value and timestamp of the version that was valid then, or of the latest one."""
        for store in self._partitions().values():
            found: tuple[V, int] | None = store.get(key, as_of)
            if found is not None:
                return found
        return None

    def history(
        self, key: K, start: int | None = None, end: int | None = None
    ) -> Iterator[tuple[V, int, int | None]]:
        """Yield the versions that were valid at some time from `start` to `end` (epoch ms, both included)."""
        for store in self._partitions().values():
            yield from store.history(key, start, end)
