"""Tells of operators whose result nobody uses, when the topology is built.

Every operator gives a new stream. `stream.filter(...)` on a line of its own changes nothing that follows it there,
without an error, and the records that it should keep out go on.
"""

import logging

from headrace.dsl.graph import Graph, GraphProcessor
from headrace.operators.stateless import Filter, FlatMap, FlatMapValues, Map, MapValues, Only, SelectKey

__all__ = ["tell_of_unused"]

_log = logging.getLogger("headrace.topology")

#: What does nothing but give a stream. A function that is handed over to act belongs into peek() or foreach().
_GIVES_A_STREAM = (Filter, FlatMap, FlatMapValues, Map, MapValues, Only, SelectKey)


def tell_of_unused(graph: Graph) -> None:
    """Warn of each operator that leads nowhere."""
    for node in graph.order:
        if (
            isinstance(node, GraphProcessor)
            and isinstance(node.operator, _GIVES_A_STREAM)
            and not node.children
        ):
            _log.warning(
                "%s (%s) leads nowhere: the stream that it gives is not used. Go on from that stream, as in "
                "`stream = stream.filter(...)`; where only the function's own effect is meant, write foreach()",
                node.name, node.where,
            )  # fmt: skip
