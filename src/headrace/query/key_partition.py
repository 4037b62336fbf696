"""In which partition of a store a key lies: where the records that reach the store are placed."""

from collections.abc import Iterable
from typing import Any

from headrace.base.errors import TopologyError
from headrace.base.murmur2 import partition_for
from headrace.engine.collector import check_partition
from headrace.engine.task_places import PlannedTasks
from headrace.serde.resolve import serde_of_keys
from headrace.serde.windowed import WindowedSerde
from headrace.topology.nodes import ProcessorNode, SinkNode, SourceNode
from headrace.topology.partitioners import Partitioner, ToldByValue, asking
from headrace.topology.processors import ProcessorOperator
from headrace.topology.topology import SubTopology, Topology

__all__ = ["KeyPlacing"]


class KeyPlacing:
    """Finds partitions of a store, as the topic above it that has the most of them is written, or by a `partitioner`.

    A partitioner is asked without a value and without headers.

    Attributes:
        is_certain: whether a key that lies in a partition lies in no other: the application itself has placed it, and
            the store has the keys of its records. Processors put what they like, and so do other producers.

    Raises:
        TopologyError: others place the topic's keys.

    Source: `StreamsMetadataState.getKeyQueryMetadataForKey`.
    """

    def __init__(
        self,
        planned: PlannedTasks,
        application_id: str,
        part: SubTopology,
        store: str,
        partitioner: Partitioner | None,
    ) -> None:
        topology = planned.topology
        source, topic = _placed_by(planned, application_id, part, store)
        self._store = store
        self._topic = topology.decorate(topic, application_id)
        self._count = planned.partitions[self._topic]
        sinks = [
            node for node in topology.nodes.values() if isinstance(node, SinkNode) and node.topic == topic
        ]
        declared = next((sink.partitioner for sink in sinks if sink.partitioner is not None), None)
        chosen = partitioner or (None if isinstance(declared, ToldByValue) else declared)
        if chosen is None and topic in topology.partitioned_otherwise:
            raise TopologyError(
                f"cannot tell where a key of store {store!r} is: others place the keys of topic {topic!r}; say how "
                "they do, with partitioner="
            )
        self._chosen = None if chosen is None else asking(chosen, self._topic, self._count)
        self._serde = serde_of_keys(source.key, source.name, source.where)
        self.is_certain = (
            self._topic != topic and partitioner is None and not _is_filled_freely(topology, store)
        )

    def __call__(self, key: Any) -> int:
        """Return the partition of a key.

        Raises:
            TopologyError: the key is None, or the partitioner says no partition, or several.
            SerializationError: it cannot be a key of the topic.
            ProductionError: the partitioner names a partition that there is not.
        """
        if key is None:
            raise TopologyError(f"a key of store {self._store!r} is asked for, found None")
        at = None if self._chosen is None else self._chosen(key, None, ())
        if isinstance(at, Iterable):
            several = sorted({check_partition(self._topic, each, self._count) for each in at})
            if len(several) != 1:
                raise TopologyError(
                    f"the partitioner of topic {self._topic!r} sends the key to {len(several)} partitions: it lies in "
                    "one of them, or in each"
                )
            return several[0]
        if at is not None:
            return check_partition(self._topic, at, self._count)
        serde = self._serde
        if isinstance(serde, WindowedSerde):  # placed without its window, as a sink does
            return partition_for(serde.inner.serialize(self._topic, key.key), self._count)
        return partition_for(serde.serialize(self._topic, key), self._count)


def _is_filled_freely(topology: Topology, store: str) -> bool:
    """Whether a processor of the user's may put rows into a store."""
    return any(
        isinstance(node, ProcessorNode)
        and store in node.stores
        and isinstance(node.operator, ProcessorOperator)
        for node in topology.nodes.values()
    )


def _placed_by(
    planned: PlannedTasks, application_id: str, part: SubTopology, store: str
) -> tuple[SourceNode, str]:
    """Return the topic, and who reads it, that tells where keys lie: the one with the most partitions."""
    topology = planned.topology
    sources = _above(topology, store) or part.sources
    told = {
        node.topic
        for node in topology.nodes.values()
        if isinstance(node, SinkNode) and isinstance(node.partitioner, ToldByValue)
    }

    def weight(found: tuple[SourceNode, str]) -> tuple[int, bool]:
        # Answers of a foreign-key join lie where their row does, which its own topic tells by the key.
        return planned.partitions[topology.decorate(found[1], application_id)], found[1] not in told

    return max(((source, topic) for source in sources for topic in source.topics), key=weight)


def _above(topology: Topology, store: str) -> list[SourceNode]:
    """Return the sources whose records reach a store."""
    waiting = [
        name
        for name, node in topology.nodes.items()
        if isinstance(node, ProcessorNode) and store in node.stores
    ]
    seen: dict[str, None] = {}
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen[name] = None
            waiting += topology.parents.get(name, ())
    nodes = (topology.nodes[name] for name in topology.nodes if name in seen)
    return [node for node in nodes if isinstance(node, SourceNode)]
