"""Lets two streams be one. Source: `KStreamImpl.merge`."""

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.graph import GraphProcessor
from headrace.dsl.ktable import KTable
from headrace.dsl.serdes import merged
from headrace.dsl.stream_state import Flow
from headrace.operators.stateless import PassThrough

__all__ = ["check_merged", "merged_with"]


def check_merged(flow: Flow, other: object, where: Location) -> None:
    """Refuse what is no stream.

    Raises:
        TopologyError: it is something else.
    """
    if not isinstance(other, flow.building.stream):
        hint = "; to_stream() makes one of a table" if isinstance(other, KTable) else ""
        raise TopologyError(f"{where}: a stream is merged with a stream, found {other!r}{hint}")


def merged_with(one: Flow, two: Flow, *, name: str | None, where: Location) -> Flow:
    """Add the node below both; return the flow out of it."""
    graph = one.building.graph
    node = GraphProcessor(graph.names.node(name, "KSTREAM-MERGE-", where), where, PassThrough())
    node.is_merge = True
    graph.add(node, one.node, two.node)
    return Flow(
        one.building,
        node.name,
        node,
        merged(one.key, two.key, "key", where),
        merged(one.value, two.value, "value", where),
        one.sources | two.sources,
        one.needs_repartition or two.needs_repartition,
    )
