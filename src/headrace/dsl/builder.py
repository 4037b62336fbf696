"""Where a topology begins: sources, tables, stores, and `build()`."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, overload

from typing_extensions import TypeVar

from headrace.base.errors import TopologyError
from headrace.base.foreign_arguments import advising, read_arguments
from headrace.base.ids import Location
from headrace.dsl.advice import no_operator
from headrace.dsl.aliases import AnyStore, Extractor, Name, Reset, TableStore
from headrace.dsl.functions import extracting
from headrace.dsl.graph import Graph, GraphStore, StreamSource, TableSourceNode
from headrace.dsl.kstream import KStream
from headrace.dsl.ktable import KTable
from headrace.dsl.materialized import Materialized, declared_store
from headrace.dsl.rewrites import (
    merge_repartition_topics,
    merge_sources,
    relax_null_keys,
    reuse_source_topics,
)
from headrace.dsl.serdes import given
from headrace.dsl.stream_state import Building, Flow, source_table
from headrace.dsl.unused import tell_of_unused
from headrace.operators.table import TableSource
from headrace.serde.primitives import raw, string
from headrace.serde.serde import Serde, SerdeOf
from headrace.state.declaration import Store
from headrace.state.spec import Engine
from headrace.topology.locations import caller
from headrace.topology.names import check_name
from headrace.topology.plain_stores import plain_store
from headrace.topology.topics import Pattern, Topic
from headrace.topology.topology import Topology

__all__ = ["StreamsBuilder"]

K = TypeVar("K")
V = TypeVar("V")
KD = TypeVar("KD", default=str)
VD = TypeVar("VD", default=bytes)

#: Instead of what others give to a table.
_STORE_ARGUMENTS = {"materialized": "store=, with a name or a declared store", "store_name": "store="}

_RESETS = frozenset({"earliest", "latest", "none"})

_REWRITES = frozenset({"reuse.ktable.source.topics", "merge.repartition.topics", "single.store.self.join"})


class StreamsBuilder:
    """Describes a topology. Makes no IO; `build()` gives the result, once.

    `optimize`: "all", "none", or a set of Kafka's names: `reuse.ktable.source.topics`, `merge.repartition.topics`,
    `single.store.self.join` (which has nothing to do yet). `explicit_names=True` refuses stores and internal topics
    with generated names. `engine` is where stores live that do not say it.

    Raises:
        TopologyError: an argument has an impossible value.
    """

    def __init__(
        self,
        *,
        optimize: Literal["none", "all"] | frozenset[str] = "none",
        explicit_names: bool = False,
        engine: Literal["rocksdb", "memory"] = "rocksdb",
    ) -> None:
        if engine not in ("rocksdb", "memory"):
            raise TopologyError(f"engine={engine!r}: 'rocksdb' or 'memory' is wanted")
        self._rewrites = _rewrites(optimize)
        self._explicit_names = explicit_names
        self._engine: Engine = engine
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
        handles = [] if pattern is not None else _handles(topic, key, value, where)
        timestamp = extracting(timestamp, where)
        _check_reset(offset_reset, where)
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
        declared = declared_store(store, "key_value", where)
        if not isinstance(topic, str | Topic):
            raise TopologyError(f"{where}: a table is read from one topic, found {topic!r}")
        if isinstance(topic, str) and declared is not None:
            key, value = key or declared.key, value or declared.value
        (handle,) = _handles(topic, key, value, where)
        timestamp = extracting(timestamp, where)
        _check_reset(offset_reset, where)
        materialized = Materialized.of(
            declared,
            names=graph.names,
            prefix=f"{handle.name}-",
            key=handle.key,
            value=handle.value,
            where=where,
        )
        if declared is not None and (materialized.key, materialized.value) != (handle.key, handle.value):
            raise TopologyError(
                f"{where}: topic '{handle.name}' has {handle.key!r} and {handle.value!r}, store '{materialized.name}' "
                f"has {materialized.key!r} and {materialized.value!r}: a table is kept as it is read"
            )
        names = graph.names
        source = names.node(None if name is None else f"{name}-source", "KSTREAM-SOURCE-", where)
        table_name = names.node(name, "KTABLE-SOURCE-", where)
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
        return KTable(source_table(flow, operator, materialized.name))

    if not TYPE_CHECKING:  # which says so itself
        stream = advising(read_arguments())(stream)
        table = advising(read_arguments() | _STORE_ARGUMENTS)(table)

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
        relax_null_keys(graph)
        tell_of_unused(graph)
        topology = Topology.built(graph.write(self._engine))
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


def _check_reset(reset: object, where: Location) -> None:
    """Refuse what is no reset policy: the start would fail, or begin somewhere else than was meant."""
    if reset is None or (isinstance(reset, str) and reset in _RESETS):
        return
    if isinstance(reset, timedelta) and reset >= timedelta(0):
        return
    raise TopologyError(
        f"{where}: offset_reset={reset!r} does not exist: write 'earliest', 'latest', 'none', or how far back to "
        "begin, as a timedelta of 0 or more"
    )


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


def _handles(topic: object, key: object, value: object, where: Location) -> list[Topic[Any, Any]]:
    """Return handles for what a source names."""
    topics = (
        [topic] if isinstance(topic, str | Topic) else list(topic) if isinstance(topic, Sequence) else None
    )
    if not topics:
        raise TopologyError(f"{where}: expected a topic, several, or a Pattern, found {topic!r}")
    key_serde: Serde[Any] = given(key, "key", where) or string
    value_serde: Serde[Any] = given(value, "value", where) or raw
    handles = []
    for each in topics:
        if isinstance(each, Topic):
            if key is not None or value is not None:
                raise TopologyError(f"{where}: {each!r} has serdes already: leave key= and value= out")
            handles.append(each)
        elif isinstance(each, str):
            handles.append(Topic(each, key=key_serde, value=value_serde))
        else:
            raise TopologyError(f"{where}: expected the name of a topic, or a Topic, found {each!r}")
    first = handles[0]
    for other in handles[1:]:
        if (other.key, other.value) != (first.key, first.value):
            raise TopologyError(
                f"{where}: {first!r} and {other!r} have different serdes; read each on its own and merge() the streams"
            )
    return handles
