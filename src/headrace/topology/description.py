"""A topology for people and tools: Kafka Streams' `describe()` text, a Mermaid graph, plain data."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from headrace.topology.grouping import SubTopology
from headrace.topology.nodes import Node, ProcessorNode, SinkNode, SourceNode

__all__ = ["as_mermaid", "as_text", "java_hash_order", "to_plain"]


def as_text(
    subtopologies: Sequence[SubTopology],
    nodes: Mapping[str, Node],
    parents: Mapping[str, tuple[str, ...]],
    children: Mapping[str, tuple[str, ...]],
) -> str:
    """Return the text of Kafka Streams' `TopologyDescription`.

    Nodes come by size of the tree below them, then by name. Java sorts neighbours by the sizes it has so far, while it
    goes through the nodes in hash order; so do we, to give the same text.
    """
    text = ["Topologies:\n "]
    for subtopology in subtopologies:
        sizes, above, below = _neighbours(subtopology, parents, children)
        suffix = " for global store (will not generate tasks)" if subtopology.is_global else ""
        text.append(f"  Sub-topology: {subtopology.id}{suffix}\n")
        for name in sorted(subtopology.nodes, key=lambda name: (-sizes[name], name)):
            node = nodes[name]
            after = f"      --> {', '.join(below[name]) or 'none'}\n"
            before = f"      <-- {', '.join(above[name]) or 'none'}\n"
            if isinstance(node, SourceNode):
                topics = (
                    f"[{', '.join(java_hash_order(node.topics))}]" if node.pattern is None else node.pattern
                )
                text.append(f"    Source: {name} (topics: {topics})\n{after}")
            elif isinstance(node, SinkNode):
                to = f"topic: {node.topic}" if isinstance(node.topic, str) else "extractor class: <function>"
                text.append(f"    Sink: {name} ({to})\n{before}")
            else:
                text.append(
                    f"    Processor: {name} (stores: [{', '.join(java_hash_order(node.stores))}])\n{after}{before}"
                )
        if not subtopology.is_global:
            text.append("\n")
    return "".join(text)


def _neighbours(
    subtopology: SubTopology, parents: Mapping[str, tuple[str, ...]], children: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, int], dict[str, list[str]], dict[str, list[str]]]:
    sizes = dict.fromkeys(subtopology.nodes, 1)
    above: dict[str, list[str]] = {name: [] for name in subtopology.nodes}
    below: dict[str, list[str]] = {name: [] for name in subtopology.nodes}

    def grow(name: str, by: int) -> None:
        sizes[name] += by
        for parent in above[name]:
            grow(parent, by)

    for name in java_hash_order(subtopology.nodes):
        for parent in parents[name]:
            _insert(above[name], parent, sizes)
            _insert(below[parent], name, sizes)
            grow(parent, sizes[name])
    return sizes, above, below


def _insert(names: list[str], name: str, sizes: Mapping[str, int]) -> None:
    # A tree set compares only along one path down; for a handful of neighbours, whose sizes were compared when they
    # came, walking from the front gives the same place.
    for position, other in enumerate(names):
        if (-sizes[name], name) < (-sizes[other], other):
            names.insert(position, name)
            return
    names.append(name)


def java_hash_order(names: Iterable[str]) -> list[str]:
    """Return names in the order in which Java's `HashSet` would iterate over them."""
    unique = list(dict.fromkeys(names))
    capacity = 16
    while len(unique) > capacity * 3 // 4:
        capacity *= 2
    # Within a bucket the order is that of insertion; `sorted` keeps it.
    return sorted(unique, key=lambda name: _spread(name) & (capacity - 1))


def _spread(name: str) -> int:
    code = 0
    for unit in name.encode("utf-16-be").hex(" ", 2).split():
        code = (31 * code + int(unit, 16)) & 0xFFFFFFFF
    return code ^ (code >> 16)


def as_mermaid(
    subtopologies: Sequence[SubTopology], nodes: Mapping[str, Node], children: Mapping[str, tuple[str, ...]]
) -> str:
    """Return a Mermaid flow chart: topics, nodes and stores, a box for each sub-topology."""
    ids: dict[tuple[str, str], str] = {}

    def identity(kind: str, name: str) -> str:
        return ids.setdefault((kind, name), f"{kind}{len(ids)}")

    lines = ["flowchart TD"]
    edges: list[str] = []
    for subtopology in subtopologies:
        what = "Global store" if subtopology.is_global else "Sub-topology"
        lines.append(f'  subgraph sub{subtopology.id}["{what} {subtopology.id}"]')
        for name in subtopology.nodes:
            node = nodes[name]
            here = identity("n", name)
            lines.append(f'    {here}["{_box(node)}"]')
            edges.extend(f"  {here} --> {identity('n', child)}" for child in children[name])
            if isinstance(node, SourceNode):
                for topic in node.topics or (node.pattern or "",):
                    edges.append(f"  {identity('t', topic)} --> {here}")
            elif isinstance(node, SinkNode):
                to = node.topic if isinstance(node.topic, str) else "chosen for each record"
                edges.append(f"  {here} --> {identity('t', to)}")
            else:
                edges.extend(f"  {here} --- {identity('s', store)}" for store in node.stores)
        lines.extend(
            f'    {identity("s", spec.name)}[("{_label(spec.name)}")]' for spec in subtopology.stores
        )
        lines.append("  end")
    lines.extend(f'  {here}(["{_label(name)}"])' for (kind, name), here in ids.items() if kind == "t")
    return "\n".join([*lines, *edges]) + "\n"


def _box(node: Node) -> str:
    """Say what a node is: its name, the user's function, and where it was declared."""
    calls = node.calls if isinstance(node, ProcessorNode) else ""
    where = "" if node.where.line == 0 else str(node.where)
    return "<br/>".join(_label(each) for each in (node.name, calls, where) if each)


def _label(name: str) -> str:
    return name.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")


def to_plain(
    subtopologies: Sequence[SubTopology],
    nodes: Mapping[str, Node],
    parents: Mapping[str, tuple[str, ...]],
    children: Mapping[str, tuple[str, ...]],
) -> dict[str, Any]:
    """Return the topology as data that JSON can hold."""
    return {"subtopologies": [_plain_subtopology(each, nodes, parents, children) for each in subtopologies]}


def _plain_subtopology(
    subtopology: SubTopology,
    nodes: Mapping[str, Node],
    parents: Mapping[str, tuple[str, ...]],
    children: Mapping[str, tuple[str, ...]],
) -> dict[str, Any]:
    plain_nodes = []
    for name in subtopology.nodes:
        node = nodes[name]
        plain: dict[str, Any] = {"name": name, "declared": str(node.where)}
        if isinstance(node, SourceNode):
            plain |= {"kind": "source", "topics": list(node.topics), "pattern": node.pattern}
        elif isinstance(node, SinkNode):
            plain |= {"kind": "sink", "topic": node.topic if isinstance(node.topic, str) else None}
        else:
            plain |= {"kind": "processor", "stores": list(node.stores), "calls": node.calls}
        plain_nodes.append(plain | {"parents": list(parents[name]), "children": list(children[name])})
    return {
        "id": subtopology.id,
        "is_global": subtopology.is_global,
        "nodes": plain_nodes,
        "stores": [
            {
                "name": spec.name,
                "kind": spec.kind,
                "engine": spec.engine,
                "logging": spec.logging,
                "caching": spec.caching,
                "changelog": spec.global_topic
                or spec.source_topic
                or (spec.changelog_topic if spec.logging else None),
                "retention_ms": spec.retention_ms,
                "size_ms": spec.size_ms,
            }
            for spec in subtopology.stores
        ],
    }
