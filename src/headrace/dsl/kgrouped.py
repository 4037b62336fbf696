"""A stream grouped by its keys: counted, reduced, aggregated, with or without windows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NoReturn, overload

from typing_extensions import TypeVar

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.base.records import Windowed
from headrace.dsl.advice import no_operator
from headrace.dsl.aliases import AnyStore, Name, TableStore, WindowedStore
from headrace.dsl.functions import deletions_of, plain, result_annotation
from headrace.dsl.graph import GraphNode, GraphProcessor, Repartition
from headrace.dsl.ktable import KTable
from headrace.dsl.materialized import Materialized, declared_store
from headrace.dsl.repartitioning import new_repartition
from headrace.dsl.serdes import Typed, Unknown, first_known, given, of_annotation
from headrace.dsl.stream_state import Flow, TableOperator, TableState
from headrace.dsl.windows import TimeWindows
from headrace.operators.aggregate import Aggregate, Count, Reduce
from headrace.operators.getters import Getter, StoreGetter, WindowStoreGetter
from headrace.operators.windowed import WindowAggregate, WindowCount, WindowReduce
from headrace.serde.primitives import int64
from headrace.serde.serde import SerdeLike, SerdeOf
from headrace.serde.windowed import TimeWindowedSerde
from headrace.state.declaration import Store
from headrace.state.spec import Kind
from headrace.topology.locations import caller

__all__ = ["KGroupedStream", "TimeWindowedKStream"]

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")

_AGGREGATE = "KSTREAM-AGGREGATE-"
_REDUCE = "KSTREAM-REDUCE-"


@dataclass(slots=True)
class Grouping:
    """A grouped stream's place, and the repartition that its aggregations share if the user named it."""

    flow: Flow
    name: str | None
    repartition: Repartition | None = field(default=None)

    def parent_of(
        self, store: Materialized, where: Location, *, keeps_values: bool
    ) -> tuple[GraphNode, frozenset[str]]:
        """Return the node to aggregate below, and the sources above it, leading through a repartition if needed.

        Source: `GroupedStreamAggregateBuilder`.
        """
        flow = self.flow
        if not flow.needs_repartition:
            flow.building.graph.keyed |= flow.sources
            return flow.node, flow.sources
        graph = flow.building.graph
        made = new_repartition(
            graph.names,
            self.name if self.name is not None else store.name,
            key=flow.key,
            value=flow.value,
            where=where,
            is_named=self.name is not None or store.queryable,
        )
        if self.repartition is None or self.name is None:
            self.repartition = made
        self.repartition.learn(key=store.key, value=store.value if keeps_values else flow.value)
        graph.add(self.repartition, flow.node)
        return self.repartition, frozenset({made.name})

    def aggregated(
        self,
        name: str,
        where: Location,
        operator: TableOperator,
        store: Materialized,
        key: Typed,
        getter: Getter,
        *,
        keeps_values: bool,
        calls: Callable[..., Any] | None,
    ) -> TableState:
        """Add an aggregation; return its table. `keeps_values`: the store's values are of the stream's type."""
        parent, sources = self.parent_of(store, where, keeps_values=keeps_values)
        graph = self.flow.building.graph
        node = GraphProcessor(name, where, operator, stores=(store,), calls=calls)
        graph.add(node, parent)
        flow = Flow(self.flow.building, name, node, key, store.value, sources)
        return TableState(flow, operator, lambda: getter, store.name if store.queryable else None)


class _Step:
    """What an aggregation's call decides before its node is made, in the order in which Java uses up indices."""

    def __init__(
        self,
        grouping: Grouping,
        *,
        prefix: str,
        kind: Kind,
        store: AnyStore,
        value: Typed,
        name: Name,
        where: Location,
        burns_one: bool = False,
    ) -> None:
        names = grouping.flow.building.graph.names
        declared = declared_store(store, kind, where)
        if burns_one and declared is not None and declared.name is None:
            # Java's count(Materialized) without a name uses up one more, which can no longer be changed.
            names.generate(prefix)
        _check_value(declared, value, where)
        self.store = Materialized.of(
            declared, kind=kind, names=names, prefix=prefix, key=grouping.flow.key, value=value, where=where
        )
        self.name = names.node(name, prefix, where)
        # A reduction's results are of the type that its values have, an aggregate's are not.
        self.keeps_values = prefix == _REDUCE


def _check_value(declared: Store[Any] | None, value: Typed, where: Location) -> None:
    if declared is None or declared.value is None or isinstance(value, Unknown) or declared.value == value:
        return
    raise TopologyError(
        f"{where}: the result's values have {value!r}, but store '{declared.name}' is declared with {declared.value!r}"
    )


def _aggregate_serde(init: object, fn: Callable[..., Any], value: object, where: Location) -> Typed:
    """Return the serde of an aggregate: given, or of the class that makes the first one, or of an annotation."""
    explicit = given(value, "value", where)
    if explicit is not None:
        return explicit
    by_init = init if isinstance(init, type) else result_annotation(init) if callable(init) else None
    # A class that leaves open what it holds, such as dict, may be told by the aggregator.
    sources = [of_annotation(result_annotation(fn), fn, "value")]
    if callable(init):
        sources.insert(0 if isinstance(init, type) else 1, of_annotation(by_init, init, "value"))
    return first_known(*sources)


class KGroupedStream(Generic[K, V]):
    """A stream whose records with equal keys belong together. Made by `group_by_key` and `group_by`."""

    def __init__(self, grouping: Grouping) -> None:
        self._grouping = grouping

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_operator(self, name)

    def count(self, *, store: TableStore[K, int] = None, name: Name = None) -> "KTable[K, int]":
        """Count the records of each key. Null keys and null values are dropped."""
        where = caller()
        step = _Step(
            self._grouping,
            prefix=_AGGREGATE,
            kind="key_value",
            store=store,
            value=int64,
            name=name,
            where=where,
            burns_one=True,
        )
        return self._table(step, Count(step.store.name), where)

    def reduce(
        self, reducer: Callable[[V, V], V], *, store: TableStore[K, V] = None, name: Name = None
    ) -> "KTable[K, V]":
        """Fold each key's values, all of one type: `reducer(aggregate, value)`; the first value is the first result."""
        where = caller()
        fn, _ = plain(reducer, "reducer", where, "aggregate", "value")
        step = _Step(
            self._grouping,
            prefix=_REDUCE,
            kind="key_value",
            store=store,
            value=self._grouping.flow.value,
            name=name,
            where=where,
        )
        return self._table(step, Reduce(fn, step.store.name, deletions_of(fn)), where, fn)

    @overload
    def aggregate(
        self,
        init: type[A],
        aggregator: Callable[[K, V, A], A | None],
        *,
        value: SerdeOf[A] = None,
        store: TableStore[K, A] = None,
        name: Name = None,
    ) -> "KTable[K, A]": ...
    @overload
    def aggregate(
        self,
        init: Callable[[], A],
        aggregator: Callable[[K, V, A], A | None],
        *,
        value: SerdeLike[A],
        store: TableStore[K, A] = None,
        name: Name = None,
    ) -> "KTable[K, A]": ...
    def aggregate(
        self,
        init: Callable[[], Any],
        aggregator: Callable[[K, V, Any], Any],
        *,
        value: Any = None,
        store: Any = None,
        name: Name = None,
    ) -> "KTable[K, Any]":
        """Fold each key's records into a value of another type: `aggregator(key, value, aggregate)`.

        `init` makes a key's first aggregate; a class is initialiser, type and serde at once. A result of None deletes
        the key. Null keys and null values are dropped.
        """
        where = caller()
        make, _ = plain(init, "initialiser", where)
        fn, _ = plain(aggregator, "aggregator", where, "key", "value", "aggregate")
        step = _Step(
            self._grouping,
            prefix=_AGGREGATE,
            kind="key_value",
            store=store,
            value=_aggregate_serde(init, fn, value, where),
            name=name,
            where=where,
        )
        return self._table(step, Aggregate(make, fn, step.store.name, deletions_of(fn)), where, fn)

    def windowed_by(self, windows: TimeWindows) -> "TimeWindowedKStream[K, V]":
        """Aggregate by windows of time; a result leaves with each update.

        Raises:
            TopologyError: `windows` are none.
        """
        where = caller()
        if not isinstance(windows, TimeWindows):
            raise TopologyError(
                f"{where}: windowed_by() takes windows such as TimeWindows('5m', grace='1m'), found {windows!r}"
            )
        return TimeWindowedKStream(self._grouping, windows)

    def _table(
        self, step: _Step, operator: TableOperator, where: Location, calls: Any = None
    ) -> "KTable[Any, Any]":
        store = step.store
        return KTable(
            self._grouping.aggregated(
                step.name,
                where,
                operator,
                store,
                store.key,
                StoreGetter(store.name),
                keeps_values=step.keeps_values,
                calls=calls,
            )
        )


class TimeWindowedKStream(Generic[K, V]):
    """A grouped stream, cut into windows of time. Made by `windowed_by`.

    Null keys are dropped. A record that is late for a window (its end is not after stream time minus grace) is dropped
    for that window.
    """

    def __init__(self, grouping: Grouping, windows: TimeWindows) -> None:
        self._grouping = grouping
        self._windows = windows

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_operator(self, name)

    def count(self, *, store: WindowedStore[K, int] = None, name: Name = None) -> "KTable[Windowed[K], int]":
        """Count the records of each key and window, null values too."""
        where = caller()
        step = self._step(_AGGREGATE, store, int64, name, where, burns_one=True)
        return self._table(step, WindowCount(self._windows.shape, step.store.name), where)

    def reduce(
        self, reducer: Callable[[V, V], V], *, store: WindowedStore[K, V] = None, name: Name = None
    ) -> "KTable[Windowed[K], V]":
        """Fold the values of each key and window: `reducer(aggregate, value)`; null values reach it too."""
        where = caller()
        fn, _ = plain(reducer, "reducer", where, "aggregate", "value")
        step = self._step(_REDUCE, store, self._grouping.flow.value, name, where)
        return self._table(
            step, WindowReduce(self._windows.shape, fn, step.store.name, deletions_of(fn)), where, fn
        )

    @overload
    def aggregate(
        self,
        init: type[A],
        aggregator: Callable[[K, V, A], A | None],
        *,
        value: SerdeOf[A] = None,
        store: WindowedStore[K, A] = None,
        name: Name = None,
    ) -> "KTable[Windowed[K], A]": ...
    @overload
    def aggregate(
        self,
        init: Callable[[], A],
        aggregator: Callable[[K, V, A], A | None],
        *,
        value: SerdeLike[A],
        store: WindowedStore[K, A] = None,
        name: Name = None,
    ) -> "KTable[Windowed[K], A]": ...
    def aggregate(
        self,
        init: Callable[[], Any],
        aggregator: Callable[[K, V, Any], Any],
        *,
        value: Any = None,
        store: Any = None,
        name: Name = None,
    ) -> "KTable[Windowed[K], Any]":
        """Fold the records of each key and window: `aggregator(key, value, aggregate)`; null values reach it too.

        `init` makes a window's first aggregate; a class is initialiser, type and serde at once. A result of None
        deletes the window.
        """
        where = caller()
        make, _ = plain(init, "initialiser", where)
        fn, _ = plain(aggregator, "aggregator", where, "key", "value", "aggregate")
        step = self._step(_AGGREGATE, store, _aggregate_serde(init, fn, value, where), name, where)
        return self._table(
            step, WindowAggregate(self._windows.shape, make, fn, step.store.name, deletions_of(fn)), where, fn
        )

    def _step(
        self,
        prefix: str,
        store: AnyStore,
        value: Typed,
        name: Name,
        where: Location,
        *,
        burns_one: bool = False,
    ) -> _Step:
        step = _Step(
            self._grouping,
            prefix=prefix,
            kind="window",
            store=store,
            value=value,
            name=name,
            where=where,
            burns_one=burns_one,
        )
        windows, made = self._windows, step.store
        if made.size_ms is not None and made.size_ms != windows.size_ms:
            raise TopologyError(
                f"{where}: the windows have a size of {windows.size_ms} ms, but store '{made.name}' is declared with "
                f"{made.size_ms} ms"
            )
        needed = windows.size_ms + windows.grace_ms
        if made.retention_ms is not None and made.retention_ms < needed:
            raise TopologyError(
                f"{where}: store '{made.name}' keeps windows for {made.retention_ms} ms, less than size and grace "
                f"together, {needed} ms: write retention='{needed}ms' or more"
            )
        made.size_ms = windows.size_ms
        made.grace_ms = windows.grace_ms
        made.retention_ms = needed if made.retention_ms is None else made.retention_ms
        return step

    def _table(
        self, step: _Step, operator: TableOperator, where: Location, calls: Any = None
    ) -> "KTable[Any, Any]":
        store = step.store
        key = store.key
        windowed = key if isinstance(key, Unknown) else TimeWindowedSerde(key, self._windows.size_ms)
        return KTable(
            self._grouping.aggregated(
                step.name,
                where,
                operator,
                store,
                windowed,
                WindowStoreGetter(store.name),
                keeps_values=step.keeps_values,
                calls=calls,
            )
        )
