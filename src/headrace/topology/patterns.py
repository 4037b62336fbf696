"""Replaces the patterns of sources by the topics that they match."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from headrace.base.errors import TopologyError
from headrace.topology.assembly import Assembly
from headrace.topology.nodes import SourceNode

__all__ = ["matched"]


def matched(
    assembly: Assembly, existing: Iterable[str], otherwise: Callable[[SourceNode], str] | None
) -> Assembly | None:
    """Return a copy whose patterns are replaced; None where there are none. See `Topology.with_topics`.

    Raises:
        TopologyError: two patterns match one topic, or a pattern matches none.
    """
    sources = [node for node in assembly.nodes.values() if isinstance(node, SourceNode)]
    patterns = [node for node in sources if node.pattern is not None]
    if not patterns:
        return None
    candidates = sorted(set(existing) - {topic for node in sources for topic in node.topics})
    copy = assembly.copy()
    readers: dict[str, SourceNode] = {}
    for node in patterns:
        regex = re.compile(node.pattern or "")
        topics = [topic for topic in candidates if regex.fullmatch(topic)]
        if not topics and otherwise is not None:
            topics = [otherwise(node)]
        if not topics:
            raise TopologyError(
                f"{node.name} ({node.where}): no topic matches the pattern {node.pattern!r} (there are: "
                f"{', '.join(candidates) or 'none'}); create the topics first"
            )
        for topic in topics:
            other = readers.setdefault(topic, node)
            if other is not node:
                raise TopologyError(
                    f"topic '{topic}' matches the patterns of {other.name} ({other.where}) and {node.name} "
                    f"({node.where}); a topic can be read by one source only"
                )
        left = node.pattern if otherwise is None else None
        copy.nodes[node.name] = replace(node, topics=tuple(topics), pattern=left)
    return copy
