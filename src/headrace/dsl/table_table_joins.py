"""Joins two tables by their keys. Source: `KTableImpl.doJoin`, `KTableKTableJoinNode`."""

from dataclasses import dataclass

from headrace.base.callables import short_name
from headrace.base.ids import Location
from headrace.dsl.aliases import AnyStore, Name
from headrace.dsl.functions import plain
from headrace.dsl.graph import GraphNode
from headrace.dsl.materialized import Materialized, declared_store
from headrace.dsl.serdes import of_result, refuse_clash
from headrace.dsl.stream_state import Flow, TableState
from headrace.operators.getters import Getter, StoreGetter
from headrace.operators.table_table_join import JoinGetter, Joining, TableJoinResult, TableJoinSide
from headrace.state.spec import Engine
from headrace.topology.assembly import Assembly
from headrace.topology.nodes import ProcessorNode

__all__ = ["joined_tables"]

_PREFIX = "KTABLE-MERGE-"


@dataclass(frozen=True, slots=True)
class _Side:
    """One side's node: its name, the table above it, and what looks this table up for the other side."""

    name: str
    table: str
    getter: Getter


class _TableJoinNode(GraphNode):
    """A join: a node for each side, and the one that is the result, whose name is its own."""

    def __init__(
        self,
        name: str,
        where: Location,
        *,
        joining: Joining,
        this: _Side,
        other: _Side,
        result: TableJoinResult,
        store: Materialized | None,
    ) -> None:
        super().__init__(name, where)
        self.joining = joining
        self.this = this
        self.other = other
        self.result = result
        self.store = store

    def write(self, out: Assembly, engine: Engine) -> None:
        """Add store and processors."""
        calls = short_name(self.joining.joiner)
        for side, met in ((self.this, self.other), (self.other, self.this)):
            operator = TableJoinSide(
                self.joining, met.getter, of_other=side is self.other, send_old=self.result.send_old
            )
            out.add_processor(
                ProcessorNode(side.name, operator, self.where, met.getter.stores, calls), (side.table,)
            )
        stores: tuple[str, ...] = ()
        if self.store is not None:
            out.add_store(self.store.spec(self.name, engine))
            stores = (self.store.name,)
        node = ProcessorNode(self.name, self.result, self.where, stores)
        out.add_processor(node, (self.this.name, self.other.name))


def joined_tables(
    this: TableState,
    other: TableState,
    joiner: object,
    value: object,
    store: AnyStore,
    *,
    name: Name,
    where: Location,
    keeps_this: bool,
    keeps_other: bool,
) -> TableState:
    """Join two tables; return the result. Indices are used up in Java's order: store, result, this side, other side."""
    fn, _ = plain(joiner, "joiner", where, "value", "other")
    one, two = this.flow, other.flow
    graph = one.building.graph
    refuse_clash(one.key, two.key, "key", "the table that it is joined with", where, to_meet=True)
    key, typed = one.key, of_result(fn, value, "value", where)
    declared = declared_store(store, "key_value", where, versions=True)
    made = None
    if declared is not None:
        made = Materialized.of(declared, names=graph.names, prefix=_PREFIX, key=key, value=typed, where=where)
        key, typed = made.key, made.value
    node_name = graph.names.node(name, _PREFIX, where)
    this_name = graph.names.suffixed(name, "-join-this", "KTABLE-JOINTHIS-", where)
    other_name = graph.names.suffixed(name, "-join-other", "KTABLE-JOINOTHER-", where)
    # A row that goes tells that there was a result only by its old value, where no match is needed for one.
    if keeps_this:
        this.send_old_values(force=True)
    if keeps_other:
        other.send_old_values(force=True)
    joining = Joining(fn, keeps_this, keeps_other)
    this_getter, other_getter = this.getter(), other.getter()
    result = TableJoinResult(None if made is None else made.name)
    node = _TableJoinNode(
        node_name,
        where,
        joining=joining,
        this=_Side(this_name, one.name, this_getter),
        other=_Side(other_name, two.name, other_getter),
        result=result,
        store=made,
    )
    graph.add(node, one.node, two.node)
    kept = JoinGetter(joining, this_getter, other_getter) if made is None else StoreGetter(made.name)
    sources = graph.copartition(one.sources, two.sources)
    return TableState(
        Flow(one.building, node_name, node, key, typed, sources),
        result,
        lambda: kept,
        made.name if made is not None and made.queryable else None,
        joined=(this, other),
        history_ms=-1 if made is None else made.versions_ms,
    )
