"""Which instances of an application have which stores, for whoever routes queries between them.

Source: `StreamsMetadata`, `KeyQueryMetadata` and `StreamsMetadataState` of Kafka Streams 4.4.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from headrace.base.errors import StoreUnavailableError
from headrace.base.ids import TaskId, TopicPartition
from headrace.engine.task_places import PlannedTasks
from headrace.group.membership import EndpointTasks
from headrace.group.user_data import Endpoint
from headrace.query.key_partition import KeyPlacing
from headrace.topology.partitioners import Partitioner
from headrace.topology.topology import SubTopology

__all__ = [
    "HostInfo",
    "KeyQueryMetadata",
    "StreamsMetadata",
    "key_metadata",
    "store_partitions",
    "streams_metadata",
    "task_counts",
]

#: Of a global store, all of which every instance has.
_ALL_PARTITIONS = -1


class HostInfo(NamedTuple):
    """Where an instance is reached: its `application.server`."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class StreamsMetadata:
    """One instance.

    Attributes:
        host_info: its `application.server`.
        state_store_names: stores of the tasks that it runs, and global ones.
        topic_partitions: what these tasks read.
        standby_state_store_names: stores of the tasks that it follows.
        standby_topic_partitions: what those that it follows read where they run.
    """

    host_info: HostInfo
    state_store_names: frozenset[str]
    topic_partitions: frozenset[TopicPartition]
    standby_state_store_names: frozenset[str]
    standby_topic_partitions: frozenset[TopicPartition]


@dataclass(frozen=True, slots=True)
class KeyQueryMetadata:
    """Who has a key.

    Attributes:
        active_host: the instance that runs, or restores, the task with the key.
        standby_hosts: those that follow it: what they answer may be a little old.
        partition: of the store; -1 for a global one, which every instance has.
    """

    active_host: HostInfo
    standby_hosts: frozenset[HostInfo]
    partition: int


def streams_metadata(
    planned: PlannedTasks, endpoints: Mapping[Endpoint, EndpointTasks], application_id: str
) -> tuple[StreamsMetadata, ...]:
    """Describe the instances that are known, by their hosts."""
    parts = planned.topology.subtopologies
    everywhere = {store.name for part in parts if part.is_global for store in part.stores}

    def stores(tasks: Iterable[TaskId]) -> frozenset[str]:
        return frozenset(store.name for task in tasks for store in parts[task.subtopology].stores)

    return tuple(
        StreamsMetadata(
            HostInfo(*endpoint),
            stores(_tasks(planned, has.active, application_id)) | everywhere,
            _partitions(has.active),
            stores(_tasks(planned, has.standby, application_id)),
            _partitions(has.standby),
        )
        for endpoint, has in sorted(endpoints.items())
    )


def key_metadata(
    planned: PlannedTasks,
    endpoints: Mapping[Endpoint, EndpointTasks],
    application_id: str,
    store: str,
    key: Any,
    partitioner: Partitioner | None,
) -> KeyQueryMetadata:
    """Find who has a key of a store; each has those of a global store, so that it is the first.

    Raises:
        StoreUnavailableError: nobody is known to have it now.
        TopologyError: nothing says in which partition the key is.
        SerializationError: the key is none of the topic that brings the store its records.
    """
    part = next(each for each in planned.topology.subtopologies if store in _names(each))
    hosts = [HostInfo(*endpoint) for endpoint in sorted(endpoints)]
    if part.is_global:
        if not hosts:
            raise _nobody(f"store {store!r}")
        return KeyQueryMetadata(hosts[0], frozenset(), _ALL_PARTITIONS)
    partition = KeyPlacing(planned, application_id, part, store, partitioner)(key)
    task = TaskId(part.id, partition)
    active = [
        HostInfo(*at) for at, has in endpoints.items() if task in _tasks(planned, has.active, application_id)
    ]
    standby = [
        HostInfo(*at) for at, has in endpoints.items() if task in _tasks(planned, has.standby, application_id)
    ]
    if not active:
        raise _nobody(f"partition {partition} of store {store!r}")
    return KeyQueryMetadata(min(active), frozenset(standby), partition)


def store_partitions(planned: PlannedTasks, application_id: str, store: str) -> Sequence[int]:
    """Return the numbers of a store's partitions, one for each task that has it; -1 alone for a global store."""
    part = next(each for each in planned.topology.subtopologies if store in _names(each))
    return [_ALL_PARTITIONS] if part.is_global else range(_count(planned, application_id, part))


def task_counts(planned: PlannedTasks, application_id: str) -> Mapping[int, int]:
    """Return how many tasks each sub-topology has that is run in tasks, by its number."""
    parts = planned.topology.subtopologies
    return {part.id: _count(planned, application_id, part) for part in parts if not part.is_global}


def _count(planned: PlannedTasks, application_id: str, part: SubTopology) -> int:
    topology = planned.topology
    counts = (
        planned.partitions.get(topology.decorate(topic, application_id), 0) for topic in part.source_topics
    )
    return max(counts, default=0)


def _nobody(what: str) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"no instance is known that has {what}: it may be on its way to one, so try again; an instance is known when "
        "application.server is set for it, to the host:port where others reach it"
    )


def _names(part: SubTopology) -> set[str]:
    return {store.name for store in part.stores}


def _partitions(topics: Mapping[str, Sequence[int]]) -> frozenset[TopicPartition]:
    return frozenset(TopicPartition(topic, each) for topic, found in topics.items() for each in found)


def _tasks(planned: PlannedTasks, topics: Mapping[str, Sequence[int]], application_id: str) -> set[TaskId]:
    """The tasks that read these partitions: each topic is read by one sub-topology."""
    topology = planned.topology
    return {
        TaskId(part.id, partition)
        for part in topology.subtopologies
        if not part.is_global
        for topic in part.source_topics
        for partition in topics.get(topology.decorate(topic, application_id), ())
    }
