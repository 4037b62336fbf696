"""Offsets of a cluster's partitions: where they begin and end, what lies at a time, and dropping their beginning."""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kafka.protocol.admin import DeleteRecordsRequest
from kafka.protocol.consumer import ListOffsetsRequest

from headrace.base.errors import LogError
from headrace.base.ids import TopicPartition
from headrace.kafka.control.admin import Admin, Attempts
from headrace.kafka.control.errors import ControlRemedy, ControlRequest
from headrace.log.admission import unknown_topic

__all__ = ["EARLIEST", "LATEST", "ControlOffsets"]

_log = logging.getLogger(__name__)

#: In place of a timestamp: the first offset that still exists, and the one behind the last.
EARLIEST, LATEST = -2, -1

_READ_COMMITTED, _READ_UNCOMMITTED = 1, 0
_NONE = -1


class ControlOffsets:
    """Blocking operations on partitions, from any thread."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._has_warned = False

    def find(
        self, attempt: str, timestamps: Mapping[TopicPartition, int], *, committed: bool
    ) -> Mapping[TopicPartition, int]:
        """Return for each partition the first offset at or after a time (epoch ms), -1 if there is none, or its ends.

        `attempt` reads like 'find the end of'.

        Raises:
            UnknownTopicError: no such topic or partition.
            LogError: a partition may not be described, or has no leader until the time is over.
        """
        left = dict(timestamps)
        found: dict[TopicPartition, int] = {}
        if not left:
            return found
        attempts = self._admin.begin(f"{attempt} {_named(left)}")
        while left:
            reasons: list[str] = []
            for leader, topic_partitions in self._leaders(attempts, attempt, left).items():
                reasons += self._ask(
                    attempts,
                    leader,
                    {topic_partition: left[topic_partition] for topic_partition in topic_partitions},
                    found,
                    committed,
                )
            left = {
                topic_partition: timestamp
                for topic_partition, timestamp in left.items()
                if topic_partition not in found
            }
            if left:
                attempts.again(reasons[0] if reasons else "a partition has no leader")
        return found

    def _leaders(
        self, attempts: Attempts, attempt: str, topic_partitions: Collection[TopicPartition]
    ) -> Mapping[int, Sequence[TopicPartition]]:
        """Return the partitions by leader; those without one are left out."""
        names = sorted({topic_partition.topic for topic_partition in topic_partitions})
        topics = self._admin.metadata(attempts, names)
        leaders: dict[int, list[TopicPartition]] = defaultdict(list)
        for topic_partition in topic_partitions:
            topic = topics.get(topic_partition.topic)
            if topic is None:
                raise unknown_topic(attempt, topic_partition.topic)
            if topic_partition.partition not in topic.partitions:
                raise unknown_topic(attempt, topic_partition.topic, topic_partition.partition)
            leader = topic.partitions[topic_partition.partition].leader
            if leader >= 0:
                leaders[leader].append(topic_partition)
        return leaders

    def _ask(
        self,
        attempts: Attempts,
        leader: int,
        timestamps: Mapping[TopicPartition, int],
        found: dict[TopicPartition, int],
        committed: bool,
    ) -> list[str]:
        """Fill `found`; return why it is not all of them."""
        isolation = _READ_COMMITTED if committed else _READ_UNCOMMITTED
        answer = self._admin.ask(attempts, _list_offsets(timestamps, isolation), node_id=leader)
        if answer is None:
            return [f"broker {leader} does not answer"]
        reasons: list[str] = []
        for topic in answer.topics:
            for partition in topic.partitions:
                topic_partition = TopicPartition(topic.name, partition.partition_index)
                code = partition.error_code
                todo = attempts.judge(ControlRequest.LIST_OFFSETS, code, about=f"partition {topic_partition}")
                if todo is ControlRemedy.TAKE:
                    found[topic_partition] = partition.offset
                else:
                    reasons.append(
                        attempts.reason(ControlRequest.LIST_OFFSETS, code, f"partition {topic_partition}")
                    )
        return reasons

    def delete_before(self, before: Mapping[TopicPartition, int]) -> None:
        """Drop records below these offsets. A hint: what fails is warned of once, or comes with the next call."""
        if not before:
            return
        attempts = self._admin.begin(f"delete records of {_named(before)}")
        try:
            for leader, topic_partitions in self._leaders(attempts, "delete records of", before).items():
                request = _delete_records(
                    {topic_partition: before[topic_partition] for topic_partition in topic_partitions},
                    attempts.left_ms,
                )
                answer = self._admin.ask(attempts, request, node_id=leader)
                for topic in () if answer is None else answer.topics:
                    for partition in topic.partitions:
                        topic_partition = TopicPartition(topic.name, partition.partition_index)
                        if (
                            attempts.judge(ControlRequest.DELETE_RECORDS, partition.error_code)
                            is ControlRemedy.WARN
                        ):
                            self._warn(
                                attempts.reason(
                                    ControlRequest.DELETE_RECORDS,
                                    partition.error_code,
                                    f"partition {topic_partition}",
                                )
                            )
        except LogError as error:
            self._warn(str(error))

    def _warn(self, reason: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            _log.warning("processed records stay until retention takes them: %s", reason)


def _named(topic_partitions: Collection[TopicPartition]) -> str:
    listed = sorted(topic_partitions)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return f"{'partition' if len(listed) == 1 else 'partitions'} {', '.join(map(str, listed[:3]))}{more}"


def _by_topic(topic_partitions: Collection[TopicPartition]) -> Mapping[str, Sequence[TopicPartition]]:
    topics: dict[str, list[TopicPartition]] = defaultdict(list)
    for topic_partition in topic_partitions:
        topics[topic_partition.topic].append(topic_partition)
    return topics


def _list_offsets(timestamps: Mapping[TopicPartition, int], isolation: int) -> Any:
    topic = ListOffsetsRequest.ListOffsetsTopic
    partition = topic.ListOffsetsPartition
    topics = [
        topic(
            name=name,
            partitions=[
                partition(
                    partition_index=topic_partition.partition,
                    current_leader_epoch=_NONE,
                    timestamp=timestamps[topic_partition],
                )
                for topic_partition in topic_partitions
            ],
        )
        for name, topic_partitions in _by_topic(timestamps).items()
    ]
    return ListOffsetsRequest(replica_id=_NONE, isolation_level=isolation, topics=topics)


def _delete_records(before: Mapping[TopicPartition, int], timeout_ms: int) -> Any:
    topic = DeleteRecordsRequest.DeleteRecordsTopic
    partition = topic.DeleteRecordsPartition
    topics = [
        topic(
            name=name,
            partitions=[
                partition(partition_index=topic_partition.partition, offset=before[topic_partition])
                for topic_partition in topic_partitions
            ],
        )
        for name, topic_partitions in _by_topic(before).items()
    ]
    # Before the request itself times out, which would close the connection.
    return DeleteRecordsRequest(topics=topics, timeout_ms=max(1, min(10_000, timeout_ms // 2)))
