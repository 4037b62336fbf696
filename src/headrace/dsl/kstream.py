"""Streams of records: the operators of `KStream`, named and linked as Kafka Streams does. Source: `KStreamImpl`."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, overload

from typing_extensions import TypeVar

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.advice import no_operator
from headrace.dsl.aliases import Name, Partitioner, TableStore, TopicChooser
from headrace.dsl.functions import (
    WithKey,
    element_of,
    optional_plain,
    pair_of,
    placing,
    plain,
    result_annotation,
)
from headrace.dsl.graph import GraphProcessor, GraphSink
from headrace.dsl.kgrouped import Grouping, KGroupedStream
from headrace.dsl.ktable import KTable, made_of_stream
from headrace.dsl.materialized import Materialized, declared_store
from headrace.dsl.processing import processor_node
from headrace.dsl.repartitioning import new_repartition
from headrace.dsl.serdes import (
    Typed,
    agreed,
    either,
    given,
    merged,
    of_annotation,
    of_result,
    refuse_clash,
)
from headrace.dsl.stream_state import Flow
from headrace.operators.stateless import (
    Branch,
    Filter,
    FlatMap,
    FlatMapValues,
    Foreach,
    Map,
    MapValues,
    Only,
    PassThrough,
    Peek,
    Print,
    SelectKey,
)
from headrace.operators.stream_table_join import StreamTableJoin
from headrace.processor.api import FixedKeyProcessorSupplier, ProcessorSupplier
from headrace.serde.serde import SerdeOf
from headrace.state.declaration import Store
from headrace.topology.locations import caller
from headrace.topology.names import check_name
from headrace.topology.topics import Topic, Writable

__all__ = ["BranchedKStream", "KStream"]

K = TypeVar("K")
V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)
K2 = TypeVar("K2")
V2 = TypeVar("V2")
VO = TypeVar("VO")
R = TypeVar("R")
T = TypeVar("T")


class KStream(Generic[K, V_co]):
    """A stream of records. Each method adds a node and returns what flows out of it; nothing runs yet.

    Functions get null keys and values as they are. `name=` names the node, `key=` and `value=` are the serdes of the
    result.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_operator(self, name)

    # ── one record in, one or none out ───────────────────────────────────────────────────────────────────────────

    def filter(self, predicate: Callable[[K, V_co], object], *, name: Name = None) -> "KStream[K, V_co]":
        """Keep records for which the predicate is true."""
        where = caller()
        fn, _ = plain(predicate, "predicate", where, "key", "value")
        return KStream(self._flow.then_stateless(name, "KSTREAM-FILTER-", where, Filter(fn)))

    def filter_not(self, predicate: Callable[[K, V_co], object], *, name: Name = None) -> "KStream[K, V_co]":
        """Keep records for which the predicate is not true."""
        where = caller()
        fn, _ = plain(predicate, "predicate", where, "key", "value")
        return KStream(self._flow.then_stateless(name, "KSTREAM-FILTER-", where, Filter(fn, negate=True)))

    def only(self, type: type[T], *, name: Name = None) -> "KStream[K, T]":
        """Keep records whose value is of a class: a filter whose result has that type."""
        where = caller()
        if not isinstance(type, _TYPE):
            raise TopologyError(f"{where}: only() takes a class, found {type!r}")
        return KStream(self._flow.then_stateless(name, "KSTREAM-FILTER-", where, Only(type)))

    def select_key(
        self, selector: Callable[[K, V_co], K2], *, key: SerdeOf[K2] = None, name: Name = None
    ) -> "KStream[K2, V_co]":
        """Replace the key. What needs equal keys together repartitions after it."""
        return self._select_key(selector, key, name, caller())

    def _select_key(self, selector: object, key: object, name: Name, where: Location) -> "KStream[Any, Any]":
        fn, _ = plain(selector, "selector", where, "key", "value")
        flow = self._flow.then_stateless(
            name,
            "KSTREAM-KEY-SELECT-",
            where,
            SelectKey(fn),
            key=of_result(fn, key, "key", where),
            needs_repartition=True,
        )
        flow.node.changes_key = True
        return KStream(flow)

    def map(
        self,
        mapper: Callable[[K, V_co], tuple[K2, V2]],
        *,
        key: SerdeOf[K2] = None,
        value: SerdeOf[V2] = None,
        name: Name = None,
    ) -> "KStream[K2, V2]":
        """Replace key and value by the pair that the function returns."""
        where = caller()
        fn, _ = plain(mapper, "mapper", where, "key", "value")
        key_annotation, value_annotation = pair_of(result_annotation(fn))
        return self._mapped(
            Map(fn), "KSTREAM-MAP-", fn, key, value, key_annotation, value_annotation, name, where
        )

    @overload  # list first: pyright keeps Literal types in Iterable[tuple[...]]
    def flat_map(
        self,
        mapper: Callable[[K, V_co], list[tuple[K2, V2]]],
        *,
        key: SerdeOf[K2] = None,
        value: SerdeOf[V2] = None,
        name: Name = None,
    ) -> "KStream[K2, V2]": ...
    @overload
    def flat_map(
        self,
        mapper: Callable[[K, V_co], Iterable[tuple[K2, V2]]],
        *,
        key: SerdeOf[K2] = None,
        value: SerdeOf[V2] = None,
        name: Name = None,
    ) -> "KStream[K2, V2]": ...
    def flat_map(
        self,
        mapper: Callable[[K, V_co], Iterable[tuple[Any, Any]]],
        *,
        key: Any = None,
        value: Any = None,
        name: Name = None,
    ) -> "KStream[Any, Any]":
        """Replace a record by any number of pairs."""
        where = caller()
        fn, _ = plain(mapper, "mapper", where, "key", "value", yields=True)
        key_annotation, value_annotation = pair_of(element_of(result_annotation(fn)))
        return self._mapped(
            FlatMap(fn), "KSTREAM-FLATMAP-", fn, key, value, key_annotation, value_annotation, name, where
        )

    def _mapped(
        self,
        operator: Map | FlatMap,
        prefix: str,
        fn: Callable[..., Any],
        key: object,
        value: object,
        key_annotation: object,
        value_annotation: object,
        name: Name,
        where: Location,
    ) -> "KStream[Any, Any]":
        flow = self._flow.then_stateless(
            name,
            prefix,
            where,
            operator,
            key=given(key, "key", where) or of_annotation(key_annotation, fn, "key"),
            value=given(value, "value", where) or of_annotation(value_annotation, fn, "value"),
            needs_repartition=True,
        )
        flow.node.changes_key = True
        return KStream(flow)

    def map_values(
        self,
        mapper: Callable[[V_co], V2] | WithKey[K, [V_co], V2],
        *,
        value: SerdeOf[V2] = None,
        name: Name = None,
    ) -> "KStream[K, V2]":
        """Replace the value; the key stays, and so does the partition."""
        where = caller()
        fn, with_key = plain(mapper, "mapper", where, "value", keyed=True)
        flow = self._flow.then_stateless(
            name,
            "KSTREAM-MAPVALUES-",
            where,
            MapValues(fn, with_key=with_key),
            value=of_result(fn, value, "value", where),
        )
        flow.node.changes_value = True
        return KStream(flow)

    def flat_map_values(
        self,
        mapper: Callable[[V_co], Iterable[V2]] | WithKey[K, [V_co], Iterable[V2]],
        *,
        value: SerdeOf[V2] = None,
        name: Name = None,
    ) -> "KStream[K, V2]":
        """Replace the value by any number of values; the key stays, and so does the partition."""
        where = caller()
        fn, with_key = plain(mapper, "mapper", where, "value", yields=True, keyed=True)
        serde = given(value, "value", where) or of_annotation(element_of(result_annotation(fn)), fn, "value")
        flow = self._flow.then_stateless(
            name, "KSTREAM-FLATMAPVALUES-", where, FlatMapValues(fn, with_key=with_key), value=serde
        )
        flow.node.changes_value = True
        return KStream(flow)

    # ── looking at records ───────────────────────────────────────────────────────────────────────────────────────

    def peek(self, action: Callable[[K, V_co], object], *, name: Name = None) -> "KStream[K, V_co]":
        """Call a function with each record, and pass it on."""
        where = caller()
        fn, _ = plain(action, "action", where, "key", "value")
        return KStream(self._flow.then_stateless(name, "KSTREAM-PEEK-", where, Peek(fn)))

    def foreach(self, action: Callable[[K, V_co], object], *, name: Name = None) -> None:
        """Call a function with each record, the last to see it."""
        where = caller()
        fn, _ = plain(action, "action", where, "key", "value")
        self._flow.then_stateless(name, "KSTREAM-FOREACH-", where, Foreach(fn))

    def print(
        self,
        label: str | None = None,
        *,
        file: str | None = None,
        format: Callable[[K, V_co], str] | None = None,
        name: Name = None,
    ) -> None:
        """Write each record as a line `[label]: key, value`, to standard output or to the end of a file.

        The label is this stream's node if none is given; `format` makes what stands behind it.
        """
        where = caller()
        format = optional_plain(format, "format", where, "key", "value")
        operator = Print(self._flow.name if label is None else label, file, format)
        self._flow.then_stateless(name, "KSTREAM-PRINTER-", where, operator)

    # ── several streams ──────────────────────────────────────────────────────────────────────────────────────────

    def merge(self, other: "KStream[K2, V2]", *, name: Name = None) -> "KStream[K | K2, V_co | V2]":
        """Let two streams be one; records keep their order only within each. A serde stays if both have the same."""
        where = caller()
        _check_merged(other, where)
        one, two = self._flow, other._flow
        graph = one.building.graph
        node = GraphProcessor(graph.names.node(name, "KSTREAM-MERGE-", where), where, PassThrough())
        node.is_merge = True
        graph.add(node, one.node, two.node)
        return KStream(
            Flow(
                one.building,
                node.name,
                node,
                merged(one.key, two.key, "key", where),
                merged(one.value, two.value, "value", where),
                one.sources | two.sources,
                one.needs_repartition or two.needs_repartition,
            )
        )

    def split(self, *, name: Name = None) -> "BranchedKStream[K, V_co]":
        """Send each record to the first branch whose predicate is true."""
        where = caller()
        operator = _GrowingBranch()
        return BranchedKStream(self._flow.then_stateless(name, "KSTREAM-BRANCH-", where, operator), operator)

    def split_by(
        self, predicate: Callable[[K, V_co], object], *, name: Name = None
    ) -> "tuple[KStream[K, V_co], KStream[K, V_co]]":
        """Return the records for which the predicate is true, and the others: a split with a default branch."""
        where = caller()
        branched: BranchedKStream[K, V_co] = self.split(name=name)
        return branched._branch(predicate, None, where), branched._default(None, where)

    # ── topics and tables ────────────────────────────────────────────────────────────────────────────────────────

    def repartition(
        self,
        *,
        partitions: int | None = None,
        partitioner: Partitioner[K, V_co] = None,
        key: SerdeOf[K] = None,
        value: SerdeOf[V_co] = None,
        name: Name = None,
    ) -> "KStream[K, V_co]":
        """Lead through an internal topic, so that equal keys share a partition. Null keys are dropped."""
        where = caller()
        if partitions is not None and partitions < 1:
            raise TopologyError(f"{where}: partitions={partitions}: 1 or more is wanted")
        partitioner = placing(partitioner, where)
        flow = self._flow
        graph = flow.building.graph
        base = graph.names.free_node(name, "KSTREAM-REPARTITION-", where)
        key_serde = either(key, flow.key, "key", where)
        value_serde = either(value, flow.value, "value", where)
        node = new_repartition(
            graph.names,
            base,
            key=key_serde,
            value=value_serde,
            where=where,
            is_named=name is not None,
            optimizable=False,
            partitioner=partitioner,
            partitions=partitions,
        )
        return KStream(
            flow.then(
                node,
                key=key_serde,
                value=value_serde,
                sources=frozenset({node.name}),
                needs_repartition=False,
            )
        )

    def to(
        self,
        topic: str | Writable[K, V_co] | TopicChooser[K, V_co],
        *,
        key: SerdeOf[K] = None,
        value: SerdeOf[V_co] = None,
        partitioner: Partitioner[K, V_co] = None,
        name: Name = None,
    ) -> None:
        """Write to a topic: a `Topic` with its serdes, a name, or a function that chooses one for each record."""
        where = caller()
        flow = self._flow
        handle = topic if isinstance(topic, Topic) else None
        target: str | Callable[..., Any]
        if handle is not None:
            target = handle.name
        elif isinstance(topic, str):
            target = topic
        elif callable(topic):
            target, _ = plain(topic, "function that chooses the topic", where, "key", "value", "metadata")
        else:
            raise TopologyError(f"{where}: expected a topic, its name, or a function, found {topic!r}")
        partitioner = placing(partitioner, where)
        key_serde = either(key, flow.key if handle is None else handle.key, "key", where)
        value_serde = either(value, flow.value if handle is None else handle.value, "value", where)
        if handle is not None:
            into = f"topic '{handle.name}'"
            refuse_clash(flow.key if key is None else key_serde, handle.key, "key", into, where)
            refuse_clash(flow.value if value is None else value_serde, handle.value, "value", into, where)
        node = GraphSink(
            flow.building.graph.names.node(name, "KSTREAM-SINK-", where),
            where,
            topic=target,
            key=key_serde,
            value=value_serde,
            partitioner=partitioner,
            partitions=None if handle is None else handle.partitions,
        )
        flow.then(node)

    def to_table(
        self,
        *,
        key: SerdeOf[K] = None,
        value: SerdeOf[V_co] = None,
        store: TableStore[K, V_co] = None,
        name: Name = None,
    ) -> KTable[K, V_co]:
        """Take the stream as a table's updates: null values delete, null keys are dropped.

        Raises:
            TopologyError: `key=` or `value=` is another serde than that which the store is declared with.
        """
        where = caller()
        flow = self._flow
        graph = flow.building.graph
        declared = declared_store(store, "key_value", where)
        if declared is not None:
            agreed(given(key, "key", where), declared.key, "key", declared.name, where)
            agreed(given(value, "value", where), declared.value, "value", declared.name, where)
        node_name = graph.names.node(name, "KSTREAM-TOTABLE-", where)
        made = Materialized.of(
            declared,
            names=graph.names,
            prefix="KSTREAM-TOTABLE-",
            key=either(key, flow.key, "key", where),
            value=either(value, flow.value, "value", where),
            where=where,
        )
        flow = replace(flow, key=made.key, value=made.value)
        if flow.needs_repartition:
            repartition = new_repartition(
                graph.names,
                node_name,
                key=made.key,
                value=made.value,
                where=where,
                is_named=name is not None,
            )
            flow = flow.then(repartition, sources=frozenset({repartition.name}), needs_repartition=False)
        return KTable(made_of_stream(flow, node_name, made, where))

    # ── grouping ─────────────────────────────────────────────────────────────────────────────────────────────────

    def group_by_key(
        self, *, key: SerdeOf[K] = None, value: SerdeOf[V_co] = None, name: Name = None
    ) -> KGroupedStream[K, V_co]:
        """Group by the key that the records have. `name` is that of the repartition topic, if there has to be one."""
        where = caller()
        flow = self._flow
        if name is not None:
            check_name(name, "repartition", where)
        grouped = replace(
            flow, key=either(key, flow.key, "key", where), value=either(value, flow.value, "value", where)
        )
        return KGroupedStream(Grouping(grouped, name))

    def group_by(
        self,
        selector: Callable[[K, V_co], K2],
        *,
        key: SerdeOf[K2] = None,
        value: SerdeOf[V_co] = None,
        name: Name = None,
    ) -> KGroupedStream[K2, V_co]:
        """Group by a new key; what aggregates leads through a repartition topic. `name` is that topic's too."""
        where = caller()
        flow = self._select_key(selector, key, name, where)._flow
        grouped = replace(flow, value=either(value, flow.value, "value", where))
        return KGroupedStream(Grouping(grouped, name))

    # ── joins ────────────────────────────────────────────────────────────────────────────────────────────────────

    def join(
        self,
        other: KTable[K, VO],
        joiner: Callable[[V_co, VO], R] | WithKey[K, [V_co, VO], R],
        *,
        value: SerdeOf[R] = None,
        name: Name = None,
    ) -> "KStream[K, R]":
        """Join each record with the table's present value of its key; without one there is no result.

        Null keys and null values are dropped. The topics on both sides need equal partition counts.
        """
        return self._join(other, joiner, value, name, caller(), left=False)

    def left_join(
        self,
        other: KTable[K, VO],
        joiner: Callable[[V_co, VO | None], R] | WithKey[K, [V_co, VO | None], R],
        *,
        value: SerdeOf[R] = None,
        name: Name = None,
    ) -> "KStream[K, R]":
        """Join each record with the table's present value of its key, or with None. Null values are dropped."""
        return self._join(other, joiner, value, name, caller(), left=True)

    def _join(
        self, other: object, joiner: object, value: object, name: Name, where: Location, *, left: bool
    ) -> "KStream[Any, Any]":
        if not isinstance(other, KTable):
            if isinstance(other, KStream):
                raise TopologyError(
                    f"{where}: a stream is joined with a table here, found a stream: this version has no joins of "
                    "streams; to_table() makes a table of one"
                )
            raise TopologyError(
                f"{where}: a stream is joined with a table here, found {other!r}; builder.table(...) makes one"
            )
        fn, with_key = plain(joiner, "joiner", where, "value", "other", keyed=True)
        if name is not None:
            check_name(name, "node", where)
        table_key = other._state.flow.key
        refuse_clash(
            self._flow.key, table_key, "key", "the table that it is joined with", where, to_meet=True
        )
        flow = self._flow.repartitioned_for_join(name, table_key, where)
        graph = flow.building.graph
        sources = graph.copartition(flow.sources, other._state.flow.sources)
        node_name = graph.names.node(name, "KSTREAM-LEFTJOIN-" if left else "KSTREAM-JOIN-", where)
        getter = other._state.getter()
        operator = StreamTableJoin(getter, fn, with_key=with_key, left=left)
        node = GraphProcessor(node_name, where, operator, uses=getter.stores)
        node.relaxes_null_keys = left
        return KStream(
            flow.then(
                node,
                value=of_result(fn, value, "value", where),
                sources=sources,
                needs_repartition=False,
            )
        )

    # ── processors ───────────────────────────────────────────────────────────────────────────────────────────────

    def process(
        self,
        processor: ProcessorSupplier[K, V_co, K2, V2],
        *stores: str | Store[Any],
        key: SerdeOf[K2] = None,
        value: SerdeOf[V2] = None,
        name: Name = None,
    ) -> "KStream[K2, V2]":
        """Process records with code of your own: the class of a processor, or a function that makes one.

        Stores may be named here, or in the processor's `stores`; a declared one is added too. It never repartitions by
        itself, even if it uses stores: call `repartition()` before it where keys may have changed.

        Raises:
            TopologyError: no processor, or the same object each time.
        """
        where = caller()
        names = self._flow.building.graph.names
        node_name = names.free_node(name, "KSTREAM-PROCESSOR-", where)
        node, fn = processor_node(
            node_name, where, processor, stores, self._flow.building.engine, fixed_key=False
        )
        return KStream(
            self._flow.then(
                node,
                key=_record_part(fn, 0, key, "key", where),
                value=_record_part(fn, 1, value, "value", where),
                needs_repartition=True,
            )
        )

    def process_values(
        self,
        processor: FixedKeyProcessorSupplier[K, V_co, V2],
        *stores: str | Store[Any],
        value: SerdeOf[V2] = None,
        name: Name = None,
    ) -> "KStream[K, V2]":
        """Process records with code of your own that keeps the key, so that nothing needs to be repartitioned.

        Raises:
            TopologyError: no processor, or the same object each time.
        """
        where = caller()
        names = self._flow.building.graph.names
        node_name = names.free_node(name, "KSTREAM-PROCESSVALUES-", where)
        node, fn = processor_node(
            node_name, where, processor, stores, self._flow.building.engine, fixed_key=True
        )
        serde = given(value, "value", where) or of_annotation(element_of(result_annotation(fn)), fn, "value")
        return KStream(self._flow.then(node, value=serde))


_TYPE = type


def _record_part(fn: Callable[..., Any], index: int, spec: object, part: Any, where: Location) -> Typed:
    """Return the serde of the records that a processor's function is declared to return."""
    explicit = given(spec, part, where)
    if explicit is not None:
        return explicit
    arguments = getattr(element_of(result_annotation(fn)), "__args__", ())
    return of_annotation(arguments[index] if len(arguments) == 2 else None, fn, part)


def _check_merged(other: object, where: Location) -> None:
    if not isinstance(other, KStream):
        hint = "; to_stream() makes one of a table" if isinstance(other, KTable) else ""
        raise TopologyError(f"{where}: a stream is merged with a stream, found {other!r}{hint}")


class _GrowingBranch:
    """A `Branch` whose predicates and children are added until the topology is built."""

    def __init__(self) -> None:
        self.predicates: list[Callable[[Any, Any], object]] = []
        self.children: list[str] = []
        self.compile = Branch(self.predicates, self.children).compile


class BranchedKStream(Generic[K, V]):
    """A stream on its way into branches. Made by `split`; ends with `default_branch` or `no_default_branch`.

    A branch is named after the split, followed by its `name` or its number. The dictionary at the end has those names.
    """

    def __init__(self, flow: Flow, operator: _GrowingBranch) -> None:
        self._flow = flow
        self._operator = operator
        self._has_ended = False
        self._streams: dict[str, KStream[K, V]] = {}

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_operator(self, name)

    def branch(
        self,
        predicate: Callable[[K, V], object],
        *,
        name: Name = None,
        then: Callable[[KStream[K, V]], object] | None = None,
    ) -> Self:
        """Add a branch for records for which the predicate is true, and none before was.

        `then` gets the branch's stream; the dictionary has what it returns, if that is a stream.
        """
        where = caller()
        then = optional_plain(then, "function behind then=", where, "stream")
        self._keep(self._branch(predicate, name, where), then)
        return self

    def default_branch(
        self, *, name: Name = None, then: Callable[[KStream[K, V]], object] | None = None
    ) -> dict[str, KStream[K, V]]:
        """Add a branch for all other records; return the streams by name."""
        where = caller()
        then = optional_plain(then, "function behind then=", where, "stream")
        self._keep(self._default(name, where), then)
        return self._streams

    def no_default_branch(self) -> dict[str, KStream[K, V]]:
        """Drop all other records; return the streams by name."""
        self._end(caller())
        return self._streams

    def _branch(self, predicate: object, name: Name, where: Location) -> KStream[K, V]:
        fn, _ = plain(predicate, "predicate", where, "key", "value")
        if self._has_ended:
            raise TopologyError(f"{where}: the split has ended; add branches before its default branch")
        self._operator.predicates.append(fn)
        return self._child(name if name is not None else str(len(self._operator.predicates)), where)

    def _default(self, name: Name, where: Location) -> KStream[K, V]:
        self._end(where)
        return self._child(name if name is not None else "0", where)

    def _end(self, where: Location) -> None:
        if self._has_ended:
            raise TopologyError(f"{where}: the split has ended already; it has one default branch at most")
        self._has_ended = True

    def _child(self, suffix: str, where: Location) -> KStream[K, V]:
        flow = self._flow
        child = check_name(f"{flow.name}{suffix}", "branch", where)
        self._operator.children.append(child)
        # Java uses an index up for a name that is never generated.
        flow.building.graph.names.generate("")
        return KStream(flow.then(GraphProcessor(child, where, PassThrough())))

    def _keep(self, stream: KStream[K, V], then: Callable[[KStream[K, V]], object] | None) -> None:
        kept = stream if then is None else then(stream)
        if isinstance(kept, KStream):
            self._streams[stream._flow.name] = kept
