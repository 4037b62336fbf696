"""Where the partitions of one store are: which instances run them and follow them, and where its keys lie."""

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.base.errors import SerializationError, TopologyError
from headrace.engine.store_read import changelog_of
from headrace.engine.task_places import PlannedTasks
from headrace.group.membership import EndpointTasks
from headrace.group.user_data import Endpoint
from headrace.query.key_partition import KeyPlacing
from headrace.query.metadata import store_partitions
from headrace.topology.partitioners import Partitioner

__all__ = ["StorePlaces"]


class StorePlaces:
    """As the group told it at one time. From any thread: it does not change.

    Attributes:
        partitions: those that there are; -1 alone of a global store.
        active: who runs the task of a partition, `standby`: who follows it.
        placing: tells where a key lies; None where nothing does.
    """

    def __init__(
        self,
        planned: PlannedTasks,
        endpoints: Mapping[Endpoint, EndpointTasks],
        application_id: str,
        store: str,
        partitioner: Partitioner | None,
    ) -> None:
        topology = planned.topology
        part = next(
            each for each in topology.subtopologies if any(spec.name == store for spec in each.stores)
        )
        self._application_id = application_id
        self._store = store
        self._planned = planned
        self._topics = [topology.decorate(topic, application_id) for topic in part.source_topics]
        self.is_global = part.is_global
        self.partitions: Sequence[int] = store_partitions(planned, application_id, store)
        self.active: dict[int, list[Endpoint]] = {}
        self.standby: dict[int, list[Endpoint]] = {}
        if not part.is_global:
            for endpoint, has in sorted(endpoints.items()):
                self._enter(self.active, endpoint, has.active)
                self._enter(self.standby, endpoint, has.standby)
        self.placing: KeyPlacing | None
        try:
            self.placing = (
                None if part.is_global else KeyPlacing(planned, application_id, part, store, partitioner)
            )
        except TopologyError:
            self.placing = None  # all are asked

    def _enter(
        self, found: dict[int, list[Endpoint]], endpoint: Endpoint, topics: Mapping[str, Sequence[int]]
    ) -> None:
        for partition in {each for topic in self._topics for each in topics.get(topic, ())}:
            found.setdefault(partition, []).append(endpoint)

    def of_key(self, key: Any) -> Sequence[int]:
        """Return the partitions in which a key may lie: the one where the topology places it first, and mostly alone.

        Raises:
            SerializationError: it is no key of the store.
        """
        if self.placing is None:
            return self.partitions
        try:
            first = self.placing(key)
        except SerializationError:
            if self.placing.is_certain:
                raise
            return self.partitions  # a processor may have put it there nevertheless
        if first not in self.partitions:
            return self.partitions
        if self.placing.is_certain:
            return [first]
        return [first, *(number for number in self.partitions if number != first)]

    def topics_of(self, partition: int) -> frozenset[tuple[str, int]]:
        """Return what the position of a partition is told by: its inputs, and its changelog."""
        changelog = changelog_of(self._planned.topology, self._application_id, self._store, partition)
        inputs: set[Any] = {(topic, partition) for topic in self._topics}
        if self.is_global:
            inputs = {
                (topic, number)
                for topic in self._topics
                for number in range(self._planned.partitions.get(topic, 0))
            }
        return frozenset({*inputs, *([] if changelog is None else [tuple(changelog)])})
