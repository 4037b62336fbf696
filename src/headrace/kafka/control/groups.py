"""Groups of a cluster: their committed offsets, and whether anybody lives in them."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from kafka.protocol.admin import DescribeGroupsRequest, ListGroupsRequest
from kafka.protocol.consumer import OffsetFetchRequest

from headrace.base.ids import TopicPartition
from headrace.kafka.control.admin import Admin, Attempts
from headrace.kafka.control.coordinators import Coordinators
from headrace.kafka.control.errors import ControlRemedy, ControlRequest
from headrace.kafka.net.network import ApiMessage
from headrace.log.port import CommittedOffset

__all__ = ["ControlGroups", "GroupState"]

# Version 10 names topics by id.
_OFFSET_FETCH_NEWEST = 9
_GROUPS_SINCE = 8
_STATES_SINCE = 4


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group as its coordinator sees it.

    Attributes:
        name: Kafka's: Empty, Stable, PreparingRebalance, Dead, …; Dead is a group that does not exist.
        kind: classic, consumer, streams or share; empty where the broker does not say.
        members: how many; None where the broker tells only the state.
        protocol: what its members have agreed on, in a classic group; empty while they have not.
        instances: the members' instance ids, empty for those that have none.
        where: the members as people find them, client ids with hosts.
    """

    name: str
    kind: str = ""
    members: int | None = None
    protocol: str = ""
    instances: tuple[str, ...] = ()
    where: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nobody lives in it."""
        return self.name in {"Dead", "Empty"}


class ControlGroups:
    """Blocking operations on groups, from any thread."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._coordinators = Coordinators(admin)

    def committed(
        self, group: str, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, CommittedOffset]:
        """Return the group's offsets, those of decided transactions only: waits for those that are being decided.

        Raises:
            LogError: the group or a topic may not be described, or nobody answers until the time is over.
        """
        wanted = sorted(set(partitions))
        if not wanted:
            return {}
        attempts = self._admin.begin(f"read the committed offsets of group {group!r}")
        while True:
            version = self._admin.version(attempts, OffsetFetchRequest, newest=_OFFSET_FETCH_NEWEST)
            answer = self._ask_coordinator(attempts, group, _offset_fetch(group, wanted, version))
            if answer is None:
                continue
            found = self._offsets(attempts, group, answer.groups[0] if version >= _GROUPS_SINCE else answer)
            if found is not None:
                return found

    def _offsets(
        self, attempts: Attempts, group: str, answer: Any
    ) -> Mapping[TopicPartition, CommittedOffset] | None:
        """Read an answer; None after one in vain and the wait for the next."""
        found: dict[TopicPartition, CommittedOffset] = {}
        todo = attempts.judge(ControlRequest.OFFSET_FETCH, answer.error_code)
        if todo is ControlRemedy.ABSENT:
            return found
        if todo is not ControlRemedy.TAKE:
            self._retry(attempts, group, answer.error_code, todo)
            return None
        for topic in answer.topics:
            for partition in topic.partitions:
                topic_partition = TopicPartition(topic.name, partition.partition_index)
                todo = attempts.judge(
                    ControlRequest.OFFSET_FETCH, partition.error_code, about=f"partition {topic_partition}"
                )
                if todo in {ControlRemedy.RETRY, ControlRemedy.REFRESH}:
                    self._retry(attempts, group, partition.error_code, todo)
                    return None
                if todo is ControlRemedy.TAKE and partition.committed_offset >= 0:
                    found[topic_partition] = CommittedOffset(
                        partition.committed_offset, partition.metadata or ""
                    )
        return found

    def _retry(self, attempts: Attempts, group: str, code: int, todo: ControlRemedy) -> None:
        if todo is ControlRemedy.REFRESH:
            self._coordinators.forget(group)
        attempts.again(attempts.reason(ControlRequest.OFFSET_FETCH, code))

    def state(self, group: str) -> GroupState:
        """Return who lives in a group, whatever its protocol.

        Raises:
            LogError: the group may not be described, or nobody answers until the time is over.
        """
        attempts = self._admin.begin(f"look up group {group!r}")
        while True:
            answer = self._ask_coordinator(attempts, group, DescribeGroupsRequest(groups=[group]))
            if answer is None:
                continue
            described = answer.groups[0]
            todo = attempts.judge(
                ControlRequest.DESCRIBE_GROUPS,
                described.error_code,
                getattr(described, "error_message", None),
            )
            if todo in {ControlRemedy.RETRY, ControlRemedy.REFRESH}:
                self._retry(attempts, group, described.error_code, todo)
                continue
            if todo is ControlRemedy.TAKE and described.group_state != "Dead":
                return GroupState(
                    described.group_state,
                    "classic",
                    len(described.members),
                    described.protocol_data or "",
                    tuple(each.group_instance_id or "" for each in described.members),
                    tuple(f"{each.client_id} at {each.client_host}" for each in described.members),
                )
            # DescribeGroups knows classic groups alone; the list has all of them.
            return self._listed(attempts, group)

    def _listed(self, attempts: Attempts, group: str) -> GroupState:
        while True:
            version = self._admin.version(attempts, ListGroupsRequest, newest=5)
            request = ListGroupsRequest(version=version, states_filter=[], types_filter=[])
            answer = self._ask_coordinator(attempts, group, request)
            if answer is None:
                continue
            todo = attempts.judge(ControlRequest.LIST_GROUPS, answer.error_code)
            if todo is not ControlRemedy.TAKE:
                self._retry(attempts, group, answer.error_code, todo)
                continue
            for listed in answer.groups:
                if listed.group_id == group and version >= _STATES_SINCE:
                    return GroupState(listed.group_state, (listed.group_type or "").lower())
            return GroupState("Dead")

    def _ask_coordinator(self, attempts: Attempts, group: str, request: ApiMessage) -> ApiMessage | None:
        node_id = self._coordinators.find(attempts, group)
        answer = self._admin.ask(attempts, request, node_id=node_id)
        if answer is None:
            self._coordinators.forget(group)
        return answer


def _offset_fetch(group: str, topic_partitions: Collection[TopicPartition], version: int) -> Any:
    topics: dict[str, list[int]] = defaultdict(list)
    for topic_partition in topic_partitions:
        topics[topic_partition.topic].append(topic_partition.partition)
    if version < _GROUPS_SINCE:
        named = OffsetFetchRequest.OffsetFetchRequestTopic
        wanted = [named(name=name, partition_indexes=numbers) for name, numbers in topics.items()]
        return OffsetFetchRequest(version=version, group_id=group, topics=wanted, require_stable=True)
    one = OffsetFetchRequest.OffsetFetchRequestGroup
    grouped = one.OffsetFetchRequestTopics
    asked = one(
        group_id=group,
        member_id=None,
        member_epoch=-1,
        topics=[grouped(name=name, partition_indexes=numbers) for name, numbers in topics.items()],
    )
    return OffsetFetchRequest(version=version, groups=[asked], require_stable=True)
