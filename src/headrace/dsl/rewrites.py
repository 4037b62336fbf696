"""Rewrites of the logical graph before it becomes a topology. Source: `InternalStreamsBuilder`."""

from collections.abc import Callable

from headrace.base.errors import TopologyError
from headrace.dsl.graph import Graph, GraphNode, Repartition, StreamSource, TableSourceNode
from headrace.dsl.repartitioning import new_repartition
from headrace.dsl.serdes import first_known
from headrace.dsl.stream_stream_joins import StreamJoinNode

__all__ = [
    "join_selves_in_one_store",
    "merge_repartition_topics",
    "merge_sources",
    "relax_null_keys",
    "reuse_source_topics",
]


def merge_sources(graph: Graph) -> None:
    """Let streams of the same topics, or of the same pattern, share one source. Done without being asked for.

    Raises:
        TopologyError: topics overlap without being the same, or the same topics are read in two ways.
    """
    by_topic: dict[str, StreamSource] = {}
    by_pattern: dict[str, StreamSource] = {}
    for node in list(graph.root.children):
        if not isinstance(node, StreamSource):
            continue
        if node.pattern is not None:
            main = by_pattern.setdefault(node.pattern, node)
            if main is not node:
                _merge_source(graph, main, node)
            continue
        mains = dict.fromkeys(by_topic[topic] for topic in node.topics if topic in by_topic)
        for main in mains:
            if set(main.topics) != set(node.topics):
                raise TopologyError(
                    f"{main.name} ({main.where}) reads {_listed(main)} and {node.name} ({node.where}) reads "
                    f"{_listed(node)}: sources that overlap must read the same topics"
                )
            _merge_source(graph, main, node)
        if not mains:
            by_topic.update(dict.fromkeys(node.topics, node))


def _listed(node: StreamSource) -> str:
    return ", ".join(f"'{topic}'" for topic in node.topics)


def _merge_source(graph: Graph, main: StreamSource, other: StreamSource) -> None:
    # Java takes the first one's serdes and extractor without a word; the second stream would then get values of a type
    # that it does not expect.
    for what, one, two in (
        ("offset_reset", main.offset_reset, other.offset_reset),
        ("key serdes", main.key, other.key),
        ("value serdes", main.value, other.value),
        ("timestamp=", main.timestamp, other.timestamp),
    ):
        if one != two:
            raise TopologyError(
                f"{main.name} ({main.where}) and {other.name} ({other.where}) read {_listed(main) or main.pattern} "
                f"with different {what} ({one!r}, {two!r}); read it once and use that stream in both places"
            )
    for child in list(other.children):
        other.remove_child(child)
        main.add_child(child)
    graph.root.remove_child(other)
    graph.rename_source(other.name, main.name)


def reuse_source_topics(graph: Graph) -> None:
    """Let tables that are read straight from a topic be restored from it, without a changelog.

    One whose rows expire keeps its own: the topic has not their deletions.
    """
    for node in graph.order:
        if isinstance(node, TableSourceNode) and node.store.declared.ttl_ms is None:
            node.store.source_topic = node.topic


def join_selves_in_one_store(graph: Graph) -> None:
    """Let joins whose sides are one and the same stream do with one store and one processor.

    Of every kind, as in Kafka Streams: a left or outer join of a stream with itself becomes an inner one, since each
    record meets itself.
    """
    for node in graph.order:
        if isinstance(node, StreamJoinNode) and len(node.parents) == 1:
            (parent,) = node.parents
            for child in list(parent.children):
                if child.name == node.other.windowed:
                    parent.remove_child(child)
                    node.is_self_join = True


def relax_null_keys(graph: Graph) -> None:
    """Let null keys pass repartition topics that lead to a left join (KIP-962).

    As in Kafka, the node right above such a join, and all above it, are meant.
    """
    relaxed: set[GraphNode] = set()
    visited: set[GraphNode] = set()

    def visit(node: GraphNode) -> None:
        visited.add(node)
        for child in node.children:
            if child not in visited:
                visit(child)
            if child.relaxes_null_keys or child in relaxed:
                relaxed.add(node)

    visit(graph.root)
    for node in visited:
        if isinstance(node, Repartition):
            node.keeps_null_keys = node in relaxed


def merge_repartition_topics(graph: Graph) -> None:
    """Put one repartition right below a key-changing node, in the place of several further down."""
    for changer, repartitions in _repartitions_by_key_changer(graph).items():
        if repartitions:
            _merge_below(graph, changer, list(repartitions))


def _repartitions_by_key_changer(graph: Graph) -> dict[GraphNode, dict[Repartition, None]]:
    found: dict[GraphNode, dict[Repartition, None]] = {}
    merges: list[GraphNode] = []
    for node in graph.order:
        if node.changes_key:
            found[node] = {}
        elif isinstance(node, Repartition) and node.optimizable:
            changer = _find_above(node, lambda each: each.changes_key)
            # A value that changed in between would be repartitioned as it was before: leave that one alone.
            if changer is not None and changer is _find_above(
                node, lambda each: each.changes_key or each.changes_value
            ):
                found[changer][node] = None
        elif node.is_merge:
            merges.append(node)
    _move_to_merges(found, merges)
    return found


def _move_to_merges(found: dict[GraphNode, dict[Repartition, None]], merges: list[GraphNode]) -> None:
    changers_of: dict[GraphNode, list[GraphNode]] = {}
    for merge in merges:
        changers_of[merge] = [
            changer
            for changer, repartitions in found.items()
            if all(_find_above(each, _is_below(merge)) is not None for each in repartitions)
            and _find_above(merge, _is_below(changer)) is not None
        ]
    moved: dict[GraphNode, None] = {}
    for merge, changers in changers_of.items():
        repartitions: dict[Repartition, None] = {}
        for changer in changers:
            repartitions.update(found[changer])
            moved[changer] = None
        found[merge] = repartitions
    for changer in moved:
        del found[changer]


def _is_below(parent: GraphNode) -> Callable[[GraphNode], bool]:
    return lambda node: parent in node.parents


def _find_above(node: GraphNode, matches: Callable[[GraphNode], bool]) -> GraphNode | None:
    """Return the node itself or the first one above it that matches, depth first."""
    if matches(node):
        return node
    for parent in node.parents:
        found = _find_above(parent, matches)
        if found is not None:
            return found
    return None


def _merge_below(graph: Graph, changer: GraphNode, repartitions: list[Repartition]) -> None:
    first = repartitions[0]
    merged = new_repartition(
        graph.names,
        first.topic,
        key=first_known(*(each.key for each in repartitions)),
        value=first_known(*(each.value for each in repartitions)),
        where=first.where,
        is_named=True,
    )
    graph.order.append(merged)
    # Written right after the key-changing node, before everything that was below it.
    merged.priority = changer.priority
    for replaced in repartitions:
        merged.learn(key=replaced.key_below, value=replaced.value_below)
        child = _find_above(replaced, _is_below(changer))
        # None where what lies between was moved with an earlier one. (Kafka 4.3 fails there with an internal error.)
        if child is not None:
            merged.add_child(child)
            changer.remove_child(child)
        for below in list(replaced.children):
            for parent in list(replaced.parents):
                parent.add_child(below)
        for parent in list(replaced.parents):
            parent.remove_child(replaced)
        for below in list(replaced.children):
            replaced.remove_child(below)
        graph.rename_source(replaced.name, merged.name)
    changer.add_child(merged)
