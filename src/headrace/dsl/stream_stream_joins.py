"""Joins two streams within windows. Source: `KStreamImplJoin`, `StreamStreamJoinNode`."""

from dataclasses import dataclass
from typing import Any

from headrace.base.callables import short_name
from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.aliases import Name
from headrace.dsl.functions import plain
from headrace.dsl.graph import GraphNode, GraphProcessor
from headrace.dsl.idling import idle_time_ms
from headrace.dsl.join_stores import JoinStores, given_stores, unmatched_spec, window_store
from headrace.dsl.late import late_topic
from headrace.dsl.materialized import Materialized
from headrace.dsl.serdes import first_known, of_result, refuse_clash
from headrace.dsl.stream_state import Flow
from headrace.dsl.windows import JoinWindows
from headrace.operators.silence import Idle
from headrace.operators.stateless import PassThrough
from headrace.operators.stream_stream_join import (
    StreamJoining,
    StreamJoinSide,
    StreamJoinWindow,
    StreamSelfJoin,
)
from headrace.state.declaration import Store
from headrace.state.spec import Engine
from headrace.topology.assembly import Assembly
from headrace.topology.names import check_name
from headrace.topology.nodes import ProcessorNode

__all__ = ["StreamJoinNode", "joined_streams"]


@dataclass(frozen=True, slots=True)
class _Side:
    """One side: the node that keeps its records, the one that joins them, and the store that it keeps them in."""

    windowed: str
    name: str
    store: Materialized


class StreamJoinNode(GraphNode):
    """A join: a node for each side, below the one that keeps its records, and one for the results, the join's own."""

    def __init__(
        self,
        name: str,
        where: Location,
        *,
        joining: StreamJoining,
        this: _Side,
        other: _Side,
        stores: JoinStores,
    ) -> None:
        super().__init__(name, where)
        self.joining = joining
        self.this = this
        self.other = other
        self.stores = stores
        #: Whether one processor and this side's store do for both sides, by the optimiser.
        self.is_self_join = False
        self.relaxes_null_keys = joining.keeps_this or joining.keeps_other

    def write(self, out: Assembly, engine: Engine) -> None:
        """Add the store of what has no match, and the processors."""
        calls = short_name(self.joining.joiner)
        if self.is_self_join:
            store = self.this.store.name
            both = StreamSelfJoin(self.joining, store=store)
            out.add_processor(
                ProcessorNode(self.name, both, self.where, (store,), calls), (self.this.windowed,)
            )
            return
        unmatched: tuple[str, ...] = ()
        if self.joining.unmatched is not None:
            this, other = self.this.store, self.other.store
            unmatched = (self.joining.unmatched,)
            out.add_store(unmatched_spec(*unmatched, self.stores, this, other, node=self.name, engine=engine))
        for side, met in ((self.this, self.other), (self.other, self.this)):
            operator = StreamJoinSide(self.joining, other=met.store.name, of_other=side is self.other)
            uses = (met.store.name, *unmatched)
            out.add_processor(ProcessorNode(side.name, operator, self.where, uses, calls), (side.windowed,))
        merge = ProcessorNode(self.name, PassThrough(), self.where)
        out.add_processor(merge, (self.this.name, self.other.name))


def joined_streams(
    this_flow: Flow,
    other_flow: Flow,
    joiner: object,
    within: object,
    store: object,
    value: object,
    *,
    late_to: object,
    idle: object = None,
    name: Name,
    where: Location,
    keeps_this: bool,
    keeps_other: bool,
) -> Flow:
    """Join two streams; return the flow out of the join.

    Indices are used up in Java's order: repartitions, both windows, both sides, the result.

    Raises:
        TopologyError: windows, stores, keys, the joiner or the idle time do not fit.
    """
    windows, idle_ms = _windows(within, where), idle_time_ms(idle, where)
    fn, with_key = plain(joiner, "joiner", where, "value", "other", keyed=True)
    stores, late_into = given_stores(store, where), late_topic(late_to, where)
    if name is not None:
        check_name(name, "node", where)
    refuse_clash(
        this_flow.key, other_flow.key, "key", "the stream that it is joined with", where, to_meet=True
    )
    left, right = (None, None) if name is None else (f"{name}-left", f"{name}-right")
    one = this_flow.repartitioned_for_join(left, other_flow.key, where)
    two = other_flow.repartitioned_for_join(right, this_flow.key, where)
    graph, key = this_flow.building.graph, first_known(one.key, two.key)
    names, sources = graph.names, graph.copartition(one.sources, two.sources)
    this_windowed, other_windowed = (
        names.suffixed(name, f"-{side}-windowed", "KSTREAM-WINDOWED-", where) for side in ("this", "other")
    )

    def side(which: str, flow: Flow, windowed: str, given: Store[Any] | None, *, is_outer: bool) -> _Side:
        # As in Kafka Streams, a side is an outer one if the *other* side's records have results without it.
        suffix = f"-outer-{which}-join" if is_outer else f"-{which}-join"
        generated = names.generate(f"KSTREAM-{'OUTER' if is_outer else 'JOIN'}{which.upper()}-")
        declared = given or stores.declared(generated, suffix, names)
        kept = window_store(declared, key=key, value=flow.value, span=windows.span, names=names, where=where)
        return _Side(windowed, generated if name is None else name + suffix, kept)

    index = names.next_index
    this = side("this", one, this_windowed, stores.this, is_outer=keeps_other)
    other = side("other", two, other_windowed, stores.other, is_outer=keeps_this)
    unmatched = None
    if keeps_this:
        suffix = "-outer-shared-join" if keeps_other else "-left-shared-join"
        unmatched = stores.unmatched_name(f"KSTREAM-OUTERSHARED-{index:010d}", suffix, names)
    node_name = names.suffixed(name, "-merge", "KSTREAM-MERGE-", where)
    silence = None if idle_ms is None else Idle(idle_ms, is_shared=True)
    joining = StreamJoining(windows.span, fn, with_key, keeps_this, keeps_other, unmatched, silence)
    node = StreamJoinNode(node_name, where, joining=joining, this=this, other=other, stores=stores)
    for flow, each in ((one, this), (two, other)):
        keeping = StreamJoinWindow(each.store.name)
        late = None if late_into is None else late_into.below(each.windowed, key, flow.value)
        graph.add(GraphProcessor(each.windowed, where, keeping, stores=(each.store,), late=late), flow.node)
    graph.add(node, one.node, two.node)
    return Flow(this_flow.building, node_name, node, key, of_result(fn, value, "value", where), sources)


def _windows(within: object, where: Location) -> JoinWindows:
    if isinstance(within, JoinWindows):
        return within
    if within is None:
        raise TopologyError(
            f"{where}: streams are joined within windows: write within=hr.JoinWindows('5m', grace='1m')"
        )
    raise TopologyError(f"{where}: within= takes hr.JoinWindows(difference, grace=…), found {within!r}")
