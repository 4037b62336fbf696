"""How an application is asked for what is in its stores, from its own process and by its other instances."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, overload

from typing_extensions import TypeVar, Unpack

from headrace.base.errors import StoreUnavailableError
from headrace.engine.store_read import StoreRead, changelog_of
from headrace.engine.task_places import TaskPlaces
from headrace.group.membership import UNAVAILABLE
from headrace.query.anywhere import view_anywhere
from headrace.query.asynchronous import (
    AsyncKeyValueView,
    AsyncSessionView,
    AsyncVersionedView,
    AsyncWindowView,
    async_view,
)
from headrace.query.change_opening import change_opener
from headrace.query.changes import Changes
from headrace.query.connections import Connections
from headrace.query.local import chosen_of, store_name, view_of
from headrace.query.metadata import HostInfo
from headrace.query.position import Position
from headrace.query.query_options import QueryOptions, asking_of
from headrace.query.questions import Answer, Question
from headrace.query.routing import Here, Router, StoreRoute, position_of
from headrace.query.table import StoreTable
from headrace.state.declaration import Store, unreadable
from headrace.state.port import StoreReads
from headrace.state.queried import Queried
from headrace.state.typed_key_value import KeyValueStore
from headrace.state.typed_session import SessionStore
from headrace.state.typed_versioned import VersionedStore
from headrace.state.typed_window import WindowStore
from headrace.streams.joining import endpoint_of
from headrace.streams.observed import Observed
from headrace.streams.server_options import SERVER_CA, SERVER_CERTIFICATE, SERVER_PATH, token_of
from headrace.streams.states import FINAL
from headrace.streams.status_text import waiting_text
from headrace.topology.locations import caller
from headrace.topology.partitioners import placing as placing_by

__all__ = ["Asked"]

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")


class Asked(Observed):
    """What `Streams` answers, from any thread. Whoever inherits it starts and stops the threads."""

    @overload
    def query(self, store: Store[Queried[R]], **how: Unpack[QueryOptions]) -> R: ...
    @overload
    def query(self, store: str, **how: Unpack[QueryOptions]) -> Any: ...
    def query(self, store: Store[Any] | str, **how: Unpack[QueryOptions]) -> Any:
        """Return a read-only view of a store over all its partitions, as of now: it also sees what waits for a commit.

        Wherever a partition is, it is asked there: other instances are asked over HTTP, at their `application.server`,
        where they are served (`headrace run --serve`, `hr.server`). A key is looked for where the topology places it.
        What moves meanwhile is followed until the `timeout`, and ranges go through all instances; each page of what
        comes from elsewhere is of its own moment.

        The view stays good: each call on it asks those who have the partitions then.

        Raises:
            TopologyError: the topology has no such store, or options contradict each other.
            StoreUnavailableError: not started, stopped, or, in time, answered by nobody: by the view when it is asked.
        """
        name = store_name(self._topology, store)
        spec, chosen = self._topology.stores[name], how.get("partitions")
        asking = asking_of(how)
        if how.get("where") == "local":

            def here() -> Mapping[int, Any]:
                threads = self._running(f"query store {name!r}")
                try:
                    return threads.query(name, committed=asking.committed)
                except StoreUnavailableError as error:
                    raise StoreUnavailableError(self._router.here.because(str(error))) from None

            return view_of(spec, here if chosen is None else lambda: chosen_of(spec, here, chosen))
        if spec.kind in ("suppress", "custom"):
            raise unreadable(spec)
        return view_anywhere(self._route(name, how), spec, chosen)

    @overload
    def query_async(
        self, store: Store[KeyValueStore[K, V]], **how: Unpack[QueryOptions]
    ) -> AsyncKeyValueView[K, V]: ...
    @overload
    def query_async(
        self, store: Store[WindowStore[K, V]], **how: Unpack[QueryOptions]
    ) -> AsyncWindowView[K, V]: ...
    @overload
    def query_async(
        self, store: Store[SessionStore[K, V]], **how: Unpack[QueryOptions]
    ) -> AsyncSessionView[K, V]: ...
    @overload
    def query_async(
        self, store: Store[VersionedStore[K, V]], **how: Unpack[QueryOptions]
    ) -> AsyncVersionedView[K, V]: ...
    @overload
    def query_async(self, store: str, **how: Unpack[QueryOptions]) -> Any: ...
    def query_async(self, store: Store[Any] | str, **how: Unpack[QueryOptions]) -> Any:
        """Return the async twin of what `query` returns: `await view.get(key)`, `async for row in view.range(…)`.

        Raises: as `query`.
        """
        view = self.query(store, **how)
        return async_view(self._topology.stores[store_name(self._topology, store)].kind, view)

    def table(self, store: Store[Any] | str, **how: Unpack[QueryOptions]) -> StoreTable:
        """Return a store as a table: a notebook shows it, `live()` keeps that up to date, `to_pandas()`, `to_polars()`
        and `to_arrow()` convert it.

        It is made of what `query` returns with the same options, each time anew.

        Raises: as `query`.
        """
        spec = self._topology.stores[store_name(self._topology, store)]
        return StoreTable(spec, self.query(spec.name, **how), self._is_ending)

    def position(self, store: Store[Any] | str, **how: Unpack[QueryOptions]) -> Position:
        """Return how far a store is, as of the last commit: what a later query may ask for with `at_least=`.

        Raises: as `query`, and StoreUnavailableError where a partition is answered for by nobody.
        """
        name = store_name(self._topology, store)
        route = self._route(name, how)
        chosen = how.get("partitions")
        found = Position()
        for partition in route.places().partitions if chosen is None else chosen:
            found |= position_of(route, partition)
        return found

    def watch(self, store: Store[Any] | str, key: Any = None) -> Changes:
        """Return changes of a store as they are committed from now on, wherever its tasks run; of one key, or of all.

        They come from the changelog: as many as that has, which a cache makes fewer. Of a windowed store, those of all
        windows of the key. Iterate over them, in a `with`, or until `close`; they end with the application. To see what
        there was before as well, begin to watch, and then query with `committed=True`.

        Raises:
            TopologyError: the topology has no such store, or it is of a kind that cannot be read.
            SerializationError: the key is of another type.
            StoreUnavailableError: the application does not run, or the store has no changelog.
        """
        name = store_name(self._topology, store)
        spec = self._topology.stores[name]
        opened = change_opener(spec, self._application_id, key)
        attempt = f"watch store {name!r}"
        watcher = self._running(attempt).watcher
        places = self._route(name, {}).places()
        if places.is_global or changelog_of(self._topology, self._application_id, name, 0) is None:
            raise StoreUnavailableError(f"cannot {attempt}: it has no changelog of its own to be read from")
        placing = places.placing
        numbers = places.partitions
        if key is not None and placing is not None and placing.is_certain:
            numbers = [placing(key)]
        partitions = [changelog_of(self._topology, self._application_id, name, number) for number in numbers]
        return watcher.watch([each for each in partitions if each is not None], opened)

    def partitions_of_key(self, store: Store[Any] | str, key: Any) -> Sequence[int]:
        """Return the partitions of a store in which a key may lie, the likeliest first. For the HTTP server.

        It is one where this application has placed the key itself; others may have placed it otherwise.

        Raises:
            TopologyError: the topology has no such store.
            SerializationError: it is no key of the store.
            StoreUnavailableError: the application does not run, or has not looked at its topics yet.
        """
        return self._route(store_name(self._topology, store), {}).places().of_key(key)

    def answer(self, question: Question) -> Answer:
        """Answer another instance of the application with what is here, or say why not. For the HTTP server."""
        return self._router.answer(question)

    def reads_here(self, store: str, partition: int) -> StoreReads | None:
        """Return what can be read of a store's partition, in bytes, where its task runs here. For the HTTP server.

        Raises:
            StoreUnavailableError: the application does not run.
        """
        found = self._active(store, partition, False)
        return None if found is None else found.reads

    def ask_instance(self, host: HostInfo, target: str, *, timeout_s: float) -> bytes:
        """Ask the server of another instance for a document (`target`: path and query). For the HTTP server.

        Raises:
            Refused: there is no answer in time, or it is no document.
        """
        return self._router.connections.get(host, target, timeout_s)

    def _route(self, name: str, how: QueryOptions) -> StoreRoute:
        partitioner = how.get("partitioner")
        asked = None if partitioner is None else placing_by(partitioner, caller())
        return StoreRoute(self._router, name, asking_of(how), asked)

    @cached_property
    def _router(self) -> Router:
        config = self._config
        connections = Connections(
            path=config.get(SERVER_PATH),
            token=token_of(config),
            is_over_tls=config.get(SERVER_CERTIFICATE) is not None,
            ca=config.get(SERVER_CA),
        )
        self._life.listen(lambda new, old: connections.close() if new in FINAL else None)
        here = Here(
            self._active,
            self._followed,
            self._places,
            endpoint_of(config) or UNAVAILABLE,
            self._may_wait,
            self._waits_for,
        )
        return Router(self._topology, self._application_id, here, connections)

    def _is_ending(self) -> bool:
        return self.state not in ("created", "rebalancing", "running")

    def _active(self, store: str, partition: int, committed: bool) -> StoreRead | None:
        return self._running(f"query store {store!r}").read(store, partition, committed=committed)

    def _followed(self, store: str, partition: int) -> StoreRead | None:
        return self._running(f"query store {store!r}").followed(store, partition)

    def _places(self) -> TaskPlaces | None:
        return self._running("query a store").places

    def _waits_for(self) -> str | None:
        state, trouble = self.state, self.trouble
        is_well = trouble is None and state != "rebalancing"
        return None if is_well else waiting_text(state, self.status(), trouble)

    def _may_wait(self) -> bool:
        threads = self._threads
        return threads is not None and not threads.is_own
