"""By what the keys of a store are placed: in which partition of it a key lies follows from the topic above it. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headrace.base.callables import outline
from headrace.topology.nodes import SinkNode, SourceNode
from headrace.topology.partitioners import Partitioner, ToldByValue, WithHeaders
from headrace.topology.topology import Topology

__all__ = ["Placement", "placed_otherwise", "placements"]

_DEFAULT, _OTHERS = "Kafka's default partitioner", "others"


@dataclass(frozen=True, slots=True)
class Placement:
    """What says in which partition a key is.

    Attributes:
        by: the default partitioner, a function, or others, who place it as they like.
        topic: whose producers do; empty where the application writes the topic itself.
    """

    by: str
    topic: str = ""

    def is_that_of(self, other: "Placement") -> bool:
        """Whether keys lie in the same partitions, as far as that is known."""
        # A topic of others is what it is, whatever is declared of it.
        is_same_topic = bool(self.topic) and self.topic == other.topic
        return is_same_topic or (self.by == other.by and self.by != _OTHERS)

    def __str__(self) -> str:
        return f"the producers of '{self.topic}'" if self.by == _OTHERS else self.by


def placements(topology: Topology, users: Sequence[str]) -> tuple[Placement, ...]:
    """Return what places the keys of a store: the topics nearest above the nodes that use it."""
    found: dict[Placement, None] = {}
    seen: set[str] = set()
    waiting = list(users)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        node = topology.nodes[name]
        if isinstance(node, SourceNode):
            for topic in node.topics or (node.pattern or "",):
                found |= dict.fromkeys(_of_topic(topology, topic))
        waiting += topology.parents[name]
    return tuple(sorted(found, key=lambda each: (each.topic, each.by)))


def _of_topic(topology: Topology, topic: str) -> Iterator[Placement]:
    if topic not in topology.repartition_topics:
        yield Placement(_OTHERS if topic in topology.partitioned_otherwise else _DEFAULT, topic)
        return
    for sink in topology.nodes.values():
        if isinstance(sink, SinkNode) and sink.topic == topic:
            yield Placement(_named(sink.partitioner))


def _named(partitioner: Partitioner | None) -> str:
    if partitioner is None or isinstance(partitioner, ToldByValue):
        return _DEFAULT  # answers go back to where keys of that kind lie
    return outline(partitioner.fn if isinstance(partitioner, WithHeaders) else partitioner)


def placed_otherwise(
    old: Sequence[Placement], new: Sequence[Placement], partitions: int | None
) -> Iterator[str]:
    """Say why keys of a store of so many partitions are looked for where their rows are not, if that is so."""
    lost = [each for each in old if not any(each.is_that_of(other) for other in new)]
    if lost and new and partitions != 1:
        made, was = (", ".join(dict.fromkeys(map(str, each))) for each in (new, old))
        yield f"has keys that are placed by {made}, and were by {was}, so that their rows lie in other partitions"
