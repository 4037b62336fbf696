"""Joins a stream with a table. Source: `KStreamImpl.doStreamTableJoin`."""

from headrace.base.ids import Location
from headrace.dsl.functions import plain
from headrace.dsl.graph import GraphProcessor
from headrace.dsl.serdes import of_result, refuse_clash
from headrace.dsl.stream_state import Flow, TableState
from headrace.operators.stream_table_join import StreamTableJoin
from headrace.topology.names import check_name

__all__ = ["joined_with_table"]


def joined_with_table(
    flow: Flow,
    table: TableState,
    joiner: object,
    value: object,
    *,
    name: str | None,
    where: Location,
    left: bool,
) -> Flow:
    """Add a join; return the flow out of it, led through a repartition topic if the keys may have changed."""
    fn, with_key = plain(joiner, "joiner", where, "value", "other", keyed=True)
    if name is not None:
        check_name(name, "node", where)
    refuse_clash(flow.key, table.flow.key, "key", "the table that it is joined with", where, to_meet=True)
    flow = flow.repartitioned_for_join(name, table.flow.key, where)
    graph = flow.building.graph
    sources = graph.copartition(flow.sources, table.flow.sources)
    node_name = graph.names.node(name, "KSTREAM-LEFTJOIN-" if left else "KSTREAM-JOIN-", where)
    getter = table.getter()
    operator = StreamTableJoin(getter, fn, with_key=with_key, left=left)
    node = GraphProcessor(node_name, where, operator, uses=getter.stores, calls=fn)
    node.relaxes_null_keys = left
    return flow.then(
        node, value=of_result(fn, value, "value", where), sources=sources, needs_repartition=False
    )
