"""What coordinators tell of a group and its members, in both protocols, as values."""

from collections.abc import Iterable, Mapping
from typing import Any

from kafka.protocol.consumer import ConsumerProtocolAssignment

from headrace.base.ids import TaskId, TopicPartition
from headrace.group.application import InternalTopic, SubtopologyTopics
from headrace.group.user_data import TaskProgress, UserDataError, read_leader_word, read_member_word
from headrace.kafka.group import java_user_data
from headrace.kafka.group.classic_wire import PROTOCOL, read_told
from headrace.kafka.group.streams_wire import read_roles
from headrace.log.groups import DescribedGroup, DescribedMember

__all__ = ["classic_group", "streams_group"]


def classic_group(told: Any) -> DescribedGroup:
    """Read a group of DescribeGroups. What its members tell each other is understood, headrace's and Kafka Streams'."""
    return DescribedGroup(
        name=told.group_id,
        kind="classic",
        state=told.group_state,
        protocol=told.protocol_data or "",
        was_joined=bool(told.protocol_type),
        members=tuple(_classic_member(each, told.protocol_data or "") for each in told.members),
    )


def _classic_member(told: Any, protocol: str) -> DescribedMember:
    fields: dict[str, Any] = {
        "member_id": told.member_id,
        "instance_id": told.group_instance_id,
        "client_id": told.client_id,
        "host": told.client_host,
    }
    assigned = _decoded(told.member_assignment)
    if assigned is not None:
        fields["partitions"] = tuple(
            sorted(
                TopicPartition(topic.topic, partition)
                for topic in assigned.assigned_partitions
                for partition in topic.partitions
            )
        )
    given = b"" if assigned is None else bytes(assigned.user_data or b"")
    try:
        if protocol == PROTOCOL:
            word = read_member_word(read_told(told.member_metadata))
            fields |= {"process_id": word.process_id, "endpoint": word.endpoint, "progress": word.progress}
            if assigned is not None:
                fields["roles"] = read_leader_word(given).roles
        elif protocol == java_user_data.PROTOCOL:
            fields |= java_user_data.read_subscription(read_told(told.member_metadata))._asdict()
            if assigned is not None:
                fields["roles"] = java_user_data.read_assignment(given)
    except (UserDataError, ValueError, IndexError):
        pass  # of a later version: what is left of it can be shown
    return DescribedMember(**fields)


def _decoded(assignment: Any) -> Any:
    if not assignment:
        return None
    try:
        return ConsumerProtocolAssignment.decode(bytes(assignment))
    except (ValueError, IndexError):
        return None  # of a protocol that is no consumer's


def streams_group(told: Any) -> DescribedGroup:
    """Read a group of StreamsGroupDescribe."""
    topology = told.topology
    return DescribedGroup(
        name=told.group_id,
        kind="streams",
        was_joined=True,
        state=told.group_state,
        epoch=told.group_epoch,
        assignment_epoch=told.assignment_epoch,
        subtopologies=tuple(_subtopology(each) for each in (topology and topology.subtopologies) or ()),
        members=tuple(_streams_member(each) for each in told.members),
    )


def _streams_member(told: Any) -> DescribedMember:
    endpoint = told.user_endpoint
    return DescribedMember(
        member_id=told.member_id,
        instance_id=told.instance_id,
        client_id=told.client_id,
        host=told.client_host,
        rack=told.rack_id,
        process_id=told.process_id,
        endpoint=None if endpoint is None else (endpoint.host, endpoint.port),
        epoch=told.member_epoch,
        roles=read_roles(told.assignment),
        target=read_roles(told.target_assignment),
        progress=_progress(told),
    )


def _progress(told: Any) -> Mapping[TaskId, TaskProgress]:
    ends = _offsets(told.task_end_offsets)
    return {
        task: TaskProgress(offset, max(offset, ends[task]))
        for task, offset in _offsets(told.task_offsets).items()
        if task in ends
    }


def _offsets(told: Iterable[Any]) -> Mapping[TaskId, int]:
    return {TaskId(int(each.subtopology_id), each.partition): each.offset for each in told}


def _subtopology(told: Any) -> SubtopologyTopics:
    changelogs = _topics(told.state_changelog_topics)
    return SubtopologyTopics(
        id=int(told.subtopology_id),
        source_topics=frozenset(told.source_topics),
        repartition_sources=_topics(told.repartition_source_topics),
        repartition_sinks=frozenset(told.repartition_sink_topics),
        changelogs=changelogs,
        is_stateful=bool(changelogs),
    )


def _topics(told: Iterable[Any]) -> tuple[InternalTopic, ...]:
    return tuple(
        InternalTopic(each.name, {pair.key: pair.value for pair in each.topic_configs or ()}, each.partitions)
        for each in told
    )
