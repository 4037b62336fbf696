"""Where a topology begins: sources, tables, stores, and `build()`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, overload

from typing_extensions import TypeVar

from headrace.base.errors import TopologyError
from headrace.base.foreign_arguments import GLOBAL_ARGUMENTS, advising, read_arguments
from headrace.base.ids import Location
from headrace.dsl.advice import no_operator
from headrace.dsl.aliases import AnyStore, Extractor, Name, TableStore
from headrace.dsl.change_tables import change_table, refuse_changes
from headrace.dsl.global_tables import GlobalKTable, filled_by_processor, read_globally
from headrace.dsl.graph import Graph, GraphStore, StreamSource, TableSourceNode
from headrace.dsl.kstream import KStream
from headrace.dsl.ktable import KTable
from headrace.dsl.rewrites import (
    join_selves_in_one_store,
    merge_repartition_topics,
    merge_sources,
    relax_null_keys,
    reuse_source_topics,
)
from headrace.dsl.sources import kept, table_nodes
from headrace.dsl.stream_state import Building, Flow, source_table
from headrace.dsl.unused import tell_of_unused
from headrace.operators.table import TableSource
from headrace.processor.api import ProcessorSupplier
from headrace.serde.primitives import raw, string
from headrace.serde.serde import SerdeOf
from headrace.state.declaration import Store
from headrace.topology.arguments import extracting, given
from headrace.topology.locations import caller
from headrace.topology.names import check_name
from headrace.topology.plain_stores import checked_engine, global_store, plain_store
from headrace.topology.sources import Reset, check_reset, handles_of
from headrace.topology.topics import ChangesTopic, Pattern, Topic
from headrace.topology.topology import Topology
from headrace.topology.wrapping import ProcessorWrapper, add_stores_of_wrapper, checked_wrapper

__all__ = ["StreamsBuilder"]

K = TypeVar("K")
V = TypeVar("V")
KD = TypeVar("KD", default=str)
VD = TypeVar("VD", default=bytes)

#: Instead of what others give to a table.
_STORE_ARGUMENTS = {"materialized": "store=, with a name or a declared store", "store_name": "store="}

_REWRITES = frozenset({"reuse.ktable.source.topics", "merge.repartition.topics", "single.store.self.join"})


class StreamsBuilder:
    """Describes a topology. Makes no IO; `build()` gives the result, once.

    `optimize`: "all", "none", or a set of Kafka's names: `reuse.ktable.source.topics`, `merge.repartition.topics`,
    `single.store.self.join`. `explicit_names=True` refuses stores and internal topics
    with generated names. `engine` is where stores live that do not say it. `store_format="headers"` is what Kafka
    Streams calls `dsl.store.format=HEADERS`: changelogs of tables have headers where they delete, those of suppression
    the headers of the values before. Rows are the same either way, and it can be changed later.

    `wrap_processors` is called once for each processor of each task, with its name and what it does with a record, and
    returns a function of a record that is called instead: to trace, to time, to guard. Processors are operators and
    your own, and what follows below runs within. The value of a table's record is (new, old, whether it is the latest).
    One with a method `stores(name)` adds declared stores to processors, and is given them behind the function.

    Raises:
        TopologyError: an argument has an impossible value.
    """

    def __init__(
        self,
        *,
        optimize: Literal["none", "all"] | frozenset[str] = "none",
        explicit_names: bool = False,
        engine: Literal["rocksdb", "memory"] = "rocksdb",
        store_format: Literal["default", "headers"] = "default",
        wrap_processors: ProcessorWrapper | None = None,
    ) -> None:
        if store_format not in ("default", "headers"):
            raise TopologyError(f"store_format={store_format!r}: 'default' or 'headers' is wanted")
        self._wrapper = checked_wrapper(wrap_processors, caller())
        self._rewrites = _rewrites(optimize)
        self._explicit_names = explicit_names
        self._engine = checked_engine(engine)
        self._logs_headers = store_format == "headers"
        self._building = Building(Graph(), engine, KStream)
        self._is_built = False

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_operator(self, name)

    @overload
    def stream(
        self,
        topic: Topic[K, V] | Sequence[Topic[K, V]],
        *,
        timestamp: Extractor[K, V] = None,
        offset_reset: Reset = None,
        name: Name = None,
    ) -> KStream[K, V]: ...
    @overload
    def stream(
        self,
        topic: str | Sequence[str] | Pattern,
        *,
        key: SerdeOf[KD] = None,
        value: SerdeOf[VD] = None,
        timestamp: Extractor[KD, VD] = None,
        offset_reset: Reset = None,
        name: Name = None,
    ) -> KStream[KD, VD]: ...
    def stream(
        self,
        topic: Any,
        *,
        key: Any = None,
        value: Any = None,
        timestamp: Any = None,
        offset_reset: Reset = None,
        name: Name = None,
    ) -> KStream[Any, Any]:
        """Read one topic, several with the same serdes, or all that match a pattern.

        Without `key=` keys are text, without `value=` values are raw bytes; a `Topic` brings its own. `timestamp`
        replaces the records' own timestamps.

        Raises:
            TopologyError: no topic, topics with different serdes, or `key=`/`value=` beside a `Topic`.
        """
        where = caller()
        graph = self._open(where)
        pattern = topic.regex if isinstance(topic, Pattern) else None
        handles = [] if pattern is not None else handles_of(topic, key, value, where)
        refuse_changes(handles, where)
        timestamp = extracting(timestamp, where)
        check_reset(offset_reset, where)
        node_name = graph.names.node(name, "KSTREAM-SOURCE-", where)
        key_serde = handles[0].key if handles else given(key, "key", where) or string
        value_serde = handles[0].value if handles else given(value, "value", where) or raw
        node = StreamSource(
            node_name,
            where,
            topics=tuple(dict.fromkeys(handle.name for handle in handles)),
            pattern=pattern,
            key=key_serde,
            value=value_serde,
            timestamp=timestamp,
            offset_reset=offset_reset,
        )
        graph.add(node)
        for handle in handles:
            self._declare(handle, where)
        return KStream(Flow(self._building, node_name, node, key_serde, value_serde, frozenset({node_name})))

    @overload
    def table(
        self,
        topic: Topic[K, V],
        *,
        store: TableStore[K, V] = None,
        timestamp: Extractor[K, V] = None,
        offset_reset: Reset = None,
        name: Name = None,
    ) -> KTable[K, V]: ...
    @overload
    def table(
        self,
        topic: str,
        *,
        key: SerdeOf[KD] = None,
        value: SerdeOf[VD] = None,
        store: TableStore[KD, VD] = None,
        timestamp: Extractor[KD, VD] = None,
        offset_reset: Reset = None,
        name: Name = None,
    ) -> KTable[KD, VD]: ...
    def table(
        self,
        topic: Any,
        *,
        key: Any = None,
        value: Any = None,
        store: AnyStore = None,
        timestamp: Any = None,
        offset_reset: Reset = None,
        name: Name = None,
    ) -> KTable[Any, Any]:
        """Read a topic as a table: the last value of each key; null values delete, null keys are dropped.

        Its content is kept in a store if the store is named, or if something below needs it.

        Raises:
            TopologyError: `key=`/`value=` beside a `Topic`, or a store of another kind.
        """
        where = caller()
        graph = self._open(where)
        timestamp = extracting(timestamp, where)
        check_reset(offset_reset, where)
        if isinstance(topic, ChangesTopic):
            self._declare(topic, where)
            return KTable(
                change_table(
                    self._building,
                    topic,
                    store=store,
                    timestamp=timestamp,
                    offset_reset=offset_reset,
                    name=name,
                    where=where,
                )
            )
        handle, materialized = kept(topic, key, value, store, graph.names, where, versions=True)
        source, table_name = table_nodes(graph.names, name, where)
        operator = TableSource(materialized.name if materialized.queryable else None)
        node = TableSourceNode(
            table_name,
            where,
            source=source,
            topic=handle.name,
            key=handle.key,
            value=handle.value,
            operator=operator,
            store=materialized,
            timestamp=timestamp,
            offset_reset=offset_reset,
        )
        graph.add(node)
        self._declare(handle, where)
        flow = Flow(self._building, table_name, node, handle.key, handle.value, frozenset({source}))
        return KTable(source_table(flow, operator, materialized))

    @overload
    def global_table(
        self, topic: Topic[K, V], *, store: TableStore[K, V] = None, name: Name = None
    ) -> GlobalKTable[K, V]: ...
    @overload
    def global_table(
        self,
        topic: str,
        *,
        key: SerdeOf[KD] = None,
        value: SerdeOf[VD] = None,
        store: TableStore[KD, VD] = None,
        name: Name = None,
    ) -> GlobalKTable[KD, VD]: ...
    def global_table(
        self, topic: Any, *, key: Any = None, value: Any = None, store: AnyStore = None, name: Name = None
    ) -> GlobalKTable[Any, Any]:
        """Keep all rows of a topic, every partition of it, in each instance: from its beginning, before tasks start.

        A stream joins it by any key that its records select, without a repartition. Null values delete, null keys are
        dropped.

        Raises:
            TopologyError: `key=`/`value=` beside a `Topic`, or a store of another kind.
        """
        where = caller()
        graph = self._open(where)
        handle, materialized = kept(topic, key, value, store, graph.names, where)
        refuse_changes([handle], where)
        made = read_globally(graph, handle, materialized, self._engine, name=name, where=where)
        self._declare(handle, where)
        return made

    if not TYPE_CHECKING:  # which says so itself
        stream = advising(read_arguments())(stream)
        table = advising(read_arguments() | _STORE_ARGUMENTS)(table)
        global_table = advising(_STORE_ARGUMENTS | GLOBAL_ARGUMENTS)(global_table)

    def add_state_store(self, store: Store[Any]) -> Self:
        """Add a store for processors that are connected to it by its name.

        Raises:
            TopologyError: its name or a serde is missing.
        """
        where = caller()
        spec = plain_store(store, where, self._engine)
        check_name(spec.name, "store", where)
        self._open(where).add(GraphStore(spec.name, where, spec))
        return self

    @overload
    def add_global_store(
        self,
        store: Store[Any],
        topic: Topic[K, V],
        processor: ProcessorSupplier[K, V, Any, Any],
        *,
        name: Name = None,
    ) -> Self: ...
    @overload
    def add_global_store(
        self,
        store: Store[Any],
        topic: str,
        processor: ProcessorSupplier[KD, VD, Any, Any],
        *,
        key: SerdeOf[KD] = None,
        value: SerdeOf[VD] = None,
        name: Name = None,
    ) -> Self: ...
    def add_global_store(
        self,
        store: Store[Any],
        topic: Any,
        processor: Any,
        *,
        key: Any = None,
        value: Any = None,
        name: Name = None,
    ) -> Self:
        """Add a store that `processor` fills from all of a topic, in each instance, before tasks start.

        All processors may read it, without being connected. It has no changelog: where its rows are lost, the processor
        gets the topic's records again.

        Raises:
            TopologyError: its name or a serde is missing, or the processor is wrong.
        """
        where = caller()
        graph = self._open(where)
        (handle,) = handles_of(topic, key, value, where)
        spec = global_store(plain_store(store, where, self._engine), handle.name)
        check_name(spec.name, "store", where)
        filled_by_processor(graph, handle, spec, processor, name=name, where=where)
        self._declare(handle, where)
        return self

    def build(self) -> Topology:
        """Finish the topology.

        Raises:
            TopologyError: a serde is missing, names collide, a store is not used, something joined cannot be, or
                it was built already.
        """
        where = caller()
        graph = self._open(where)
        self._is_built = True
        merge_sources(graph)
        if "reuse.ktable.source.topics" in self._rewrites:
            reuse_source_topics(graph)
        if "merge.repartition.topics" in self._rewrites:
            merge_repartition_topics(graph)
        if "single.store.self.join" in self._rewrites:
            join_selves_in_one_store(graph)
        relax_null_keys(graph)
        tell_of_unused(graph)
        assembly = graph.write(self._engine)
        if self._logs_headers:
            assembly.stores = {name: spec.with_headers() for name, spec in assembly.stores.items()}
        add_stores_of_wrapper(self._wrapper, assembly, tuple(assembly.nodes), self._engine)
        topology = Topology.built(assembly, self._wrapper)
        if self._explicit_names:
            graph.names.check_all_given(set(topology.stores), set(topology.repartition_topics))
        topology.validate()
        return topology

    def _open(self, where: Location) -> Graph:
        if self._is_built:
            raise TopologyError(f"{where}: this builder has built its topology; make a new StreamsBuilder")
        return self._building.graph

    def _declare(self, handle: Topic[Any, Any], where: Location) -> None:
        if handle.partitioned_by == "other":
            self._building.graph.partitioned_otherwise.add(handle.name)
        if handle.partitions is not None:
            self._building.graph.declared_partitions.append((handle.name, handle.partitions, where))


def _rewrites(optimize: object) -> frozenset[str]:
    if optimize == "none":
        return frozenset()
    if optimize == "all":
        return _REWRITES
    if isinstance(optimize, frozenset | set) and optimize <= _REWRITES:
        return frozenset(optimize)
    raise TopologyError(
        f"optimize={optimize!r}: 'all', 'none' or a set of {', '.join(sorted(_REWRITES))} is wanted"
    )
