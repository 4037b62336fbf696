"""Joins a stream with a table. Source: `KStreamImpl.doStreamTableJoin`."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from headrace.base.durations import Duration, milliseconds
from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.byte_stores import byte_store
from headrace.dsl.functions import plain
from headrace.dsl.graph import GraphProcessor
from headrace.dsl.serdes import of_result, refuse_clash, required
from headrace.dsl.stream_state import Flow, TableState
from headrace.operators.delayed_join import DelayedJoin
from headrace.operators.stream_table_join import StreamTableJoin
from headrace.serde.resolve import serde_of_keys
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
    grace: object = None,
) -> Flow:
    """Add a join; return the flow out of it, led through a repartition topic if the keys may have changed.

    With `grace`, records wait so long before they are joined; the table needs versions then.
    """
    fn, with_key = plain(joiner, "joiner", where, "value", "other", keyed=True)
    if name is not None:
        check_name(name, "node", where)
    refuse_clash(flow.key, table.flow.key, "key", "the table that it is joined with", where, to_meet=True)
    flow = flow.repartitioned_for_join(name, table.flow.key, where)
    graph = flow.building.graph
    sources = graph.copartition(flow.sources, table.flow.sources)
    node_name = graph.names.node(name, "KSTREAM-LEFTJOIN-" if left else "KSTREAM-JOIN-", where)
    getter = table.getter()
    join = StreamTableJoin(getter, fn, with_key=with_key, left=left)
    if grace is None:
        node = GraphProcessor(node_name, where, join, uses=getter.stores, calls=fn)
    else:
        if not table.is_versioned:
            raise TopologyError(
                f"{where}: grace= lets records wait for late versions, and table {table.flow.name} has none: keep it "
                "in stores.versioned(name, history=…), or leave grace= out"
            )
        grace_ms = milliseconds(cast("Duration", grace), name="grace")
        if grace_ms > table.versions_ms:
            raise TopologyError(
                f"{where}: records wait for {grace_ms} ms, and the versions of {table.flow.name} go back "
                f"{table.versions_ms} ms: declare its store with a longer history"
            )
        node = _waiting(flow, join, node_name, grace_ms, getter.stores, fn, where)
    node.relaxes_null_keys = left
    return flow.then(
        node, value=of_result(fn, value, "value", where), sources=sources, needs_repartition=False
    )


def _waiting(
    flow: Flow,
    join: StreamTableJoin,
    name: str,
    grace_ms: int,
    uses: Sequence[str],
    calls: Callable[..., Any],
    where: Location,
) -> GraphProcessor:
    buffer = byte_store(flow, f"{name}-Buffer", where)
    key, value = (
        serde_of_keys(required(flow.key, name, where), name, where),
        required(flow.value, name, where),
    )
    operator = DelayedJoin(join, buffer.name, grace_ms, key=key, value=value)
    return GraphProcessor(name, where, operator, stores=(buffer,), uses=uses, calls=calls)
