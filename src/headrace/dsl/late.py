"""Where late records go: the topic of `late_to=`, written by a sink of its own below each node that finds them late.

The sink is named after its node and takes no index, so that no other name moves when `late_to=` is given.
"""

from dataclasses import dataclass
from typing import Any

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.base.topic_names import topic_name_problem
from headrace.dsl.serdes import Typed, refuse_clash, required
from headrace.topology.nodes import SinkNode
from headrace.topology.topics import Topic

__all__ = ["LateSink", "LateTopic", "late_topic"]


@dataclass(frozen=True, slots=True)
class LateTopic:
    """A topic for late records. `handle` is its declaration, None where it is given by name: then records are written
    with the serdes that they have on their way.
    """

    name: str
    handle: Topic[Any, Any] | None
    where: Location

    def below(self, node: str, key: Typed, value: Typed) -> "LateSink":
        """Return the sink of a node whose records have these serdes.

        Raises:
            TopologyError: the topic is declared with others.
        """
        if self.handle is not None:
            into = f"topic '{self.name}' of late_to="
            refuse_clash(key, self.handle.key, "key", into, self.where)
            refuse_clash(value, self.handle.value, "value", into, self.where)
            key, value = self.handle.key, self.handle.value
        return LateSink(f"{node}-late", self, key, value)


@dataclass(frozen=True, slots=True)
class LateSink:
    """The sink of one node."""

    name: str
    topic: LateTopic
    key: Typed
    value: Typed

    def node(self) -> SinkNode:
        """Return the node.

        Raises:
            TopologyError: a serde is unknown.
        """
        topic, where = self.topic, self.topic.where
        return SinkNode(
            self.name,
            topic.name,
            required(self.key, self.name, where),
            required(self.value, self.name, where),
            where,
            partitions=None if topic.handle is None else topic.handle.partitions,
        )


def late_topic(given: object, where: Location) -> LateTopic | None:
    """Return the topic that `late_to=` means; None where it is not given.

    Raises:
        TopologyError: it is none.
    """
    if given is None:
        return None
    if isinstance(given, Topic):
        return LateTopic(given.name, given, where)
    if not isinstance(given, str):
        raise TopologyError(f"{where}: late_to= takes a topic or its name, found {given!r}")
    problem = topic_name_problem(given)
    if problem is not None:
        raise TopologyError(f"{where}: the topic of late_to=, {given!r}, {problem}")
    return LateTopic(given, None, where)
