"""Streams of records: the operators of `KStream`, named and linked as Kafka Streams does. Source: `KStreamImpl`."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, overload

from typing_extensions import TypeVar

from headrace.base.durations import Duration
from headrace.base.errors import TopologyError
from headrace.dsl.advice import no_operator
from headrace.dsl.aliases import LateTo, Name, Partitioner, Predicate, TableStore, TopicChooser
from headrace.dsl.branching import BranchedKStream, GrowingBranch
from headrace.dsl.destinations import kept_as_table, repartitioned, write_to
from headrace.dsl.expressed import of_record
from headrace.dsl.functions import WithKey, WithKeys, optional_plain, plain
from headrace.dsl.global_tables import GlobalKTable
from headrace.dsl.grouping import Grouping
from headrace.dsl.join_stores import JoinStores
from headrace.dsl.joins import joined
from headrace.dsl.kgrouped import KGroupedStream
from headrace.dsl.ktable import KTable
from headrace.dsl.mappings import (
    flat_mapped,
    flat_mapped_values,
    mapped,
    mapped_async,
    mapped_batches,
    mapped_values,
    with_new_key,
)
from headrace.dsl.merging import check_merged, merged_with
from headrace.dsl.processing import processed, processed_values
from headrace.dsl.resequencing import resequenced
from headrace.dsl.serdes import either
from headrace.dsl.stream_state import Flow
from headrace.dsl.windows import JoinWindows
from headrace.expressions.expression import Expression
from headrace.operators.stateless import Filter, Foreach, Only, Peek, Print
from headrace.processor.api import FixedKeyProcessorSupplier, ProcessorSupplier
from headrace.serde.serde import SerdeLike, SerdeOf
from headrace.state.declaration import Store
from headrace.topology.locations import caller
from headrace.topology.names import check_name
from headrace.topology.topics import Writable

__all__ = ["KStream"]

K = TypeVar("K")
V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)
K2 = TypeVar("K2")
V2 = TypeVar("V2")
VO = TypeVar("VO")
KG = TypeVar("KG")
VG = TypeVar("VG")
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

    def filter(self, predicate: Predicate[K, V_co], *, name: Name = None) -> "KStream[K, V_co]":
        """Keep records for which the predicate is true."""
        where = caller()
        fn = of_record(predicate, "predicate", where, self._flow)
        return KStream(self._flow.then_stateless(name, "KSTREAM-FILTER-", where, Filter(fn), calls=fn))

    def filter_not(self, predicate: Predicate[K, V_co], *, name: Name = None) -> "KStream[K, V_co]":
        """Keep records for which the predicate is not true."""
        where = caller()
        fn = of_record(predicate, "predicate", where, self._flow)
        return KStream(
            self._flow.then_stateless(name, "KSTREAM-FILTER-", where, Filter(fn, negate=True), calls=fn)
        )

    def only(self, type: type[T], *, name: Name = None) -> "KStream[K, T]":
        """Keep records whose value is of a class: a filter whose result has that type."""
        where = caller()
        if not isinstance(type, _TYPE):
            raise TopologyError(f"{where}: only() takes a class, found {type!r}")
        return KStream(self._flow.then_stateless(name, "KSTREAM-FILTER-", where, Only(type), calls=type))

    def select_key(
        self,
        selector: Callable[[K, V_co], K2] | Expression[K2],
        *,
        key: SerdeOf[K2] = None,
        name: Name = None,
    ) -> "KStream[K2, V_co]":
        """Replace the key. What needs equal keys together repartitions after it."""
        return KStream(with_new_key(self._flow, selector, key=key, name=name, where=caller()))

    def map(
        self,
        mapper: Callable[[K, V_co], tuple[K2, V2]],
        *,
        key: SerdeOf[K2] = None,
        value: SerdeOf[V2] = None,
        name: Name = None,
    ) -> "KStream[K2, V2]":
        """Replace key and value by the pair that the function returns."""
        return KStream(mapped(self._flow, mapper, key=key, value=value, name=name, where=caller()))

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
        return KStream(flat_mapped(self._flow, mapper, key=key, value=value, name=name, where=caller()))

    @overload
    def map_values(
        self,
        mapper: Expression[Any] | Mapping[str, object],
        *,
        value: SerdeLike[V2],
        name: Name = None,
    ) -> "KStream[K, V2]": ...
    @overload
    def map_values(
        self, mapper: Mapping[str, object], *, value: None = None, name: Name = None
    ) -> "KStream[K, dict[str, Any]]": ...
    @overload
    def map_values(
        self,
        mapper: Callable[[V_co], V2] | WithKey[K, [V_co], V2] | Expression[V2],
        *,
        value: SerdeOf[V2] = None,
        name: Name = None,
    ) -> "KStream[K, V2]": ...
    def map_values(self, mapper: object, *, value: Any = None, name: Name = None) -> "KStream[K, Any]":
        """Replace the value; the key stays, and so does the partition.

        A dictionary of expressions makes one of their results: `map_values({"id": hr.col("id")})`.
        """
        return KStream(mapped_values(self._flow, mapper, value=value, name=name, where=caller()))

    def flat_map_values(
        self,
        mapper: Callable[[V_co], Iterable[V2]] | WithKey[K, [V_co], Iterable[V2]],
        *,
        value: SerdeOf[V2] = None,
        name: Name = None,
    ) -> "KStream[K, V2]":
        """Replace the value by any number of values; the key stays, and so does the partition."""
        return KStream(flat_mapped_values(self._flow, mapper, value=value, name=name, where=caller()))

    # ── looking at records ───────────────────────────────────────────────────────────────────────────────────────

    def peek(self, action: Callable[[K, V_co], object], *, name: Name = None) -> "KStream[K, V_co]":
        """Call a function with each record, and pass it on."""
        where = caller()
        fn, _ = plain(action, "action", where, "key", "value", acts=True)
        return KStream(self._flow.then_stateless(name, "KSTREAM-PEEK-", where, Peek(fn), calls=fn))

    def map_values_batch(
        self,
        mapper: Callable[[list[V_co]], Sequence[V2]],
        *,
        batch_max: int = 1000,
        value: SerdeOf[V2] = None,
        name: Name = None,
    ) -> "KStream[K, V2]":
        """Replace values by those that one call returns for many: as many as it is given, in the same order.

        For what is quicker in bulk, such as a model or a look-up of several ids. What came together is mapped together,
        in calls of `batch_max` values at most, and then goes on in its order, each with its own timestamp. A call that
        fails is made again for each value alone, and only those that fail then go to the processing handler.
        """
        return KStream(
            mapped_batches(self._flow, mapper, batch_max=batch_max, value=value, name=name, where=caller())
        )

    def map_values_async(
        self,
        mapper: Callable[[V_co], Awaitable[V2]] | WithKey[K, [V_co], Awaitable[V2]],
        *,
        concurrency: int = 64,
        timeout: Duration | None = None,
        value: SerdeOf[V2] = None,
        name: Name = None,
    ) -> "KStream[K, V2]":
        """Replace values by what an async function makes of each, up to `concurrency` calls side by side.

        For calls of services. What came together is awaited together, all of it on one event loop in a thread of its
        own, and then goes on in its order, each with its own timestamp; nothing is pending when offsets are committed.
        The slowest call is waited for: give a `timeout`, after which a call is cancelled and goes to the processing
        handler alone, as does one that fails. After a crash, calls are made again.
        """
        return KStream(
            mapped_async(
                self._flow,
                mapper,
                concurrency=concurrency,
                timeout=timeout,
                value=value,
                name=name,
                where=caller(),
            )
        )

    def foreach(self, action: Callable[[K, V_co], object], *, name: Name = None) -> None:
        """Call a function with each record, the last to see it."""
        where = caller()
        fn, _ = plain(action, "action", where, "key", "value", acts=True)
        self._flow.then_stateless(name, "KSTREAM-FOREACH-", where, Foreach(fn), calls=fn)

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
        self._flow.then_stateless(name, "KSTREAM-PRINTER-", where, operator, calls=format)

    # ── several streams ──────────────────────────────────────────────────────────────────────────────────────────

    def merge(self, other: "KStream[K2, V2]", *, name: Name = None) -> "KStream[K | K2, V_co | V2]":
        """Let two streams be one; records keep their order only within each. A serde stays if both have the same."""
        where = caller()
        check_merged(self._flow, other, where)
        return KStream(merged_with(self._flow, other._flow, name=name, where=where))

    def split(self, *, name: Name = None) -> "BranchedKStream[K, V_co]":
        """Send each record to the first branch whose predicate is true."""
        where = caller()
        operator = GrowingBranch()
        return BranchedKStream(self._flow.then_stateless(name, "KSTREAM-BRANCH-", where, operator), operator)

    def split_by(
        self, predicate: Predicate[K, V_co], *, name: Name = None
    ) -> "tuple[KStream[K, V_co], KStream[K, V_co]]":
        """Return the records for which the predicate is true, and the others: a split with a default branch."""
        where = caller()
        branched: BranchedKStream[K, V_co] = self.split(name=name)
        return branched._branch(predicate, None, where), branched._default(None, where)

    def resequence(
        self,
        by: Callable[[V_co], int] | WithKey[K, [V_co], int] | Literal["timestamp"],
        *,
        within: Duration,
        first: int | None = None,
        max_records: int = 100_000,
        max_bytes: int | None = None,
        on_gap: Callable[[K, int, int], object] | None = None,
        idle: Duration | None = None,
        late_to: LateTo[K, V_co] = None,
        store: TableStore[K, int] = None,
        name: Name = None,
    ) -> "KStream[K, V_co]":
        """Put the records of each key in order: by the number that a function gives them, or by their timestamps.

        By numbers, which go up by one, a record goes on once all before it have; one that is missing is waited for.
        After `within` it is a gap: it is warned of, `on_gap(key, first, last)` is told, and those that wait go on. The
        first record of a key begins its sequence, unless `first` is its number. By `"timestamp"`, where nobody can
        tell whether one is missing, each record waits `within`.

        Time is stream time, the highest timestamp of the records that have come here, in each partition: the last ones
        wait for later ones. With `idle`, all waits end when no record has come for so long by the wall clock, as in
        `KGroupedStream.windowed_by`. What comes too late, or has the number of another, is dropped, and goes to the
        topic of `late_to` if there is one. If more than `max_records` wait in a task, or more than `max_bytes`, the
        longest wait ends early. Records keep their timestamps and headers. Null keys are dropped.

        The next number of each key stands in `store`; give it a `ttl` if keys come and go.

        Raises:
            TopologyError: an argument is impossible, or has no use with the others.
            TypeError: `within` or `idle` is a bare number.
        """
        return KStream(
            resequenced(
                self._flow,
                by,
                within=within,
                first=first,
                max_records=max_records,
                max_bytes=max_bytes,
                on_gap=on_gap,
                idle=idle,
                late_to=late_to,
                store=store,
                name=name,
                where=caller(),
            )
        )

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
        return KStream(
            repartitioned(
                self._flow, partitions, partitioner, key=key, value=value, name=name, where=caller()
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
        write_to(self._flow, topic, partitioner, key=key, value=value, name=name, where=caller())

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
        return KTable(kept_as_table(self._flow, store, key=key, value=value, name=name, where=caller()))

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
        selector: Callable[[K, V_co], K2] | Expression[K2],
        *,
        key: SerdeOf[K2] = None,
        value: SerdeOf[V_co] = None,
        name: Name = None,
    ) -> KGroupedStream[K2, V_co]:
        """Group by a new key; what aggregates leads through a repartition topic. `name` is that topic's too."""
        where = caller()
        flow = with_new_key(self._flow, selector, key=key, name=name, where=where)
        grouped = replace(flow, value=either(value, flow.value, "value", where))
        return KGroupedStream(Grouping(grouped, name))

    # ── joins ────────────────────────────────────────────────────────────────────────────────────────────────────

    @overload
    def join(
        self,
        other: KTable[K, VO],
        joiner: Callable[[V_co, VO], R] | WithKey[K, [V_co, VO], R],
        *,
        grace: Duration | None = None,
        value: SerdeOf[R] = None,
        name: Name = None,
    ) -> "KStream[K, R]": ...
    @overload
    def join(
        self,
        other: "KStream[K, VO]",
        joiner: Callable[[V_co, VO], R] | WithKey[K, [V_co, VO], R],
        *,
        within: JoinWindows,
        store: str | JoinStores | None = None,
        late_to: LateTo[K, V_co | VO] = None,
        value: SerdeOf[R] = None,
        name: Name = None,
    ) -> "KStream[K, R]": ...
    @overload
    def join(
        self,
        other: GlobalKTable[KG, VG],
        joiner: Callable[[V_co, VG], R] | WithKey[K, [V_co, VG], R] | WithKeys[K, KG, [V_co, VG], R],
        *,
        on: Callable[[K, V_co], KG | None] | Expression[KG],
        value: SerdeOf[R] = None,
        name: Name = None,
    ) -> "KStream[K, R]": ...
    def join(
        self,
        other: object,
        joiner: object,
        *,
        grace: object = None,
        on: object = None,
        within: object = None,
        store: object = None,
        late_to: object = None,
        value: object = None,
        name: Name = None,
    ) -> "KStream[K, Any]":
        """Join each record with what a table has now, or with the records of another stream around it.

        Without a match there is no result. A table is looked up by the record's key: null keys and null values are
        dropped, and the topics on both sides need equal partition counts. A global table is looked up by the key that
        `on` selects of key and value, None for none; the joiner may take both keys (`with_keys`). Two streams join each
        pair of records `within` windows once, when the second of them comes; the result has the higher timestamp.
        A record that comes when its window and the grace are over meets what is still there, but is not kept for what
        is to come; with `late_to=` it goes to that topic as well (of both sides), as in `KGroupedStream.windowed_by`.

        A table of versions is looked up as of the record's own time; with `grace`, the record waits so long (of stream
        time) for versions that are late.
        """
        return KStream(
            joined(
                self._flow,
                other,
                joiner,
                value,
                name=name,
                where=caller(),
                left=False,
                grace=grace,
                on=on,
                within=within,
                store=store,
                late_to=late_to,
            )
        )

    @overload
    def left_join(
        self,
        other: KTable[K, VO],
        joiner: Callable[[V_co, VO | None], R] | WithKey[K, [V_co, VO | None], R],
        *,
        grace: Duration | None = None,
        value: SerdeOf[R] = None,
        name: Name = None,
    ) -> "KStream[K, R]": ...
    @overload
    def left_join(
        self,
        other: "KStream[K, VO]",
        joiner: Callable[[V_co, VO | None], R] | WithKey[K, [V_co, VO | None], R],
        *,
        within: JoinWindows,
        store: str | JoinStores | None = None,
        late_to: LateTo[K, V_co | VO] = None,
        idle: Duration | None = None,
        value: SerdeOf[R] = None,
        name: Name = None,
    ) -> "KStream[K, R]": ...
    @overload
    def left_join(
        self,
        other: GlobalKTable[KG, VG],
        joiner: Callable[[V_co, VG | None], R]
        | WithKey[K, [V_co, VG | None], R]
        | WithKeys[K, KG | None, [V_co, VG | None], R],
        *,
        on: Callable[[K, V_co], KG | None] | Expression[KG],
        value: SerdeOf[R] = None,
        name: Name = None,
    ) -> "KStream[K, R]": ...
    def left_join(
        self,
        other: object,
        joiner: object,
        *,
        grace: object = None,
        on: object = None,
        within: object = None,
        store: object = None,
        late_to: object = None,
        idle: object = None,
        value: object = None,
        name: Name = None,
    ) -> "KStream[K, Any]":
        """Join as `join` does, and what has no match with None. Null values are dropped.

        With another stream, a record without a match has its result once its window and the grace are over, by the
        stream time of both sides; one with a null key has it at once. Stream time moves with records: with `idle`,
        all that wait have their results when no record of either side has come for so long by the wall clock, as in
        `KGroupedStream.windowed_by`. They are joined with nothing then that comes later, also after a restart.
        """
        return KStream(
            joined(
                self._flow,
                other,
                joiner,
                value,
                name=name,
                where=caller(),
                left=True,
                grace=grace,
                on=on,
                within=within,
                store=store,
                late_to=late_to,
                idle=idle,
            )
        )

    def outer_join(
        self,
        other: "KStream[K, VO]",
        joiner: Callable[[V_co | None, VO | None], R] | WithKey[K, [V_co | None, VO | None], R],
        *,
        within: JoinWindows,
        store: str | JoinStores | None = None,
        late_to: LateTo[K, V_co | VO] = None,
        idle: Duration | None = None,
        value: SerdeOf[R] = None,
        name: Name = None,
    ) -> "KStream[K, R]":
        """Join with another stream as `left_join` does, and its records without a match with None as well."""
        return KStream(
            joined(
                self._flow,
                other,
                joiner,
                value,
                name=name,
                where=caller(),
                left=True,
                outer=True,
                within=within,
                store=store,
                late_to=late_to,
                idle=idle,
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
        return KStream(
            processed(self._flow, processor, stores, key=key, value=value, name=name, where=caller())
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
        return KStream(
            processed_values(self._flow, processor, stores, value=value, name=name, where=caller())
        )


_TYPE = type
