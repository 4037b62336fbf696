"""How many records nodes get, where nobody counts them, from what is counted at the ends of a sub-topology.

At level info a stretch of records goes through neighbouring nodes in one loop, which counts nothing: a counter in it
would cost each record something. But sources know what they have read, the writer what it was handed for each topic,
and each node what it has dropped; a node that gives on what it gets has as many as its parents gave it, and what a node
gave is what a child got that has no other parent.
"""

from collections import Counter
from collections.abc import Mapping

from headrace.operators.stateless import (
    Filter,
    Map,
    MapValues,
    Only,
    PassThrough,
    Peek,
    RepartitionFilter,
    SelectKey,
)
from headrace.topology.nodes import ProcessorNode, SinkNode, SourceNode
from headrace.topology.topology import Topology

__all__ = ["records_given"]

#: Give on each record that they get, unless their function fails on it.
_ONE_FOR_ONE = (Map, MapValues, PassThrough, Peek, SelectKey)

#: Give whatever they give to all of their children.
_TO_ALL = (*_ONE_FOR_ONE, Filter, Only, RepartitionFilter)


def records_given(
    topology: Topology,
    counted: Mapping[str, float],
    *,
    dropped: Mapping[str, float],
    written: Mapping[str, float],
) -> Mapping[str, float]:
    """Return what each node was given, of which that is known: counted, or told by its neighbours.

    All are counts, or all are rates: `counted` and `dropped` by node, `written` by topic, by the topology's names; no
    topic that is written by others than sinks.
    """
    given = dict(counted)
    leaving: dict[str, float] = {}
    names = list(topology.nodes)  # parents before children
    sinks = Counter(node.topic for node in topology.nodes.values() if isinstance(node, SinkNode))
    only_below: dict[str, list[str]] = {}
    for child, parents in topology.parents.items():
        if len(parents) == 1:
            only_below.setdefault(parents[0], []).append(child)
    for name in reversed(names):
        node = topology.nodes[name]
        if isinstance(node, SinkNode):
            topic = node.topic
            if name not in given and isinstance(topic, str) and sinks[topic] == 1 and topic in written:
                given[name] = written[topic] + dropped.get(name, 0)
            continue
        below = [given[child] for child in only_below.get(name, ()) if child in given]
        if below and _is(node, _TO_ALL):
            leaving[name] = below[0]
            if name not in given and _is(node, _ONE_FOR_ONE):
                given[name] = below[0] + dropped.get(name, 0)
    for name in names:
        node, parents = topology.nodes[name], topology.parents.get(name, ())
        if name not in given and parents and all(parent in leaving for parent in parents):
            given[name] = sum(leaving[parent] for parent in parents)
        if (
            name in given
            and name not in leaving
            and (isinstance(node, SourceNode) or _is(node, _ONE_FOR_ONE))
        ):
            leaving[name] = max(0, given[name] - dropped.get(name, 0))
    return given


def _is(node: object, kinds: tuple[type, ...]) -> bool:
    return isinstance(node, ProcessorNode) and isinstance(node.operator, kinds)
