"""What a member of a streams group says and hears, between the machine's values and messages of the protocol."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication, InternalTopic, SubtopologyTopics
from headrace.group.members import Roles
from headrace.group.membership import EndpointTasks, GroupStatus
from headrace.group.streams_member import Heartbeat, HeartbeatAnswer
from headrace.kafka.group.streams_messages import StreamsGroupDescribeRequest, StreamsGroupHeartbeatRequest
from headrace.kafka.net.messages import ApiMessage

__all__ = [
    "StreamsIdentity",
    "describe_request",
    "heartbeat_request",
    "leave_request",
    "read_described",
    "read_heartbeat",
    "read_roles",
]

_LEAVING, _LEAVING_FOR_A_WHILE = -1, -2

_STATUSES = {status.value: status for status in GroupStatus}

# No broker takes a group's second topology (4.4.0), whatever its epoch.
_TOPOLOGY_EPOCH = 0

# The broker's default.
_REPLICATION = -1

_Request = StreamsGroupHeartbeatRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsIdentity:
    """What a member says of itself when it joins."""

    group: str
    member_id: str
    process_id: str
    rebalance_timeout_ms: int
    instance_id: str | None = None
    rack: str | None = None
    endpoint: tuple[str, int] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def heartbeat_request(
    heartbeat: Heartbeat,
    identity: StreamsIdentity,
    application: GroupApplication,
    offsets: Mapping[TaskId, int] | None = None,
    ends: Mapping[TaskId, int] | None = None,
) -> ApiMessage:
    """Make a heartbeat. Offsets are None where they have not changed, and for brokers before 4.4, which refuse them."""
    fields: dict[str, Any] = {
        "group_id": identity.group,
        "member_id": identity.member_id,
        "member_epoch": heartbeat.epoch,
        "endpoint_information_epoch": heartbeat.endpoint_epoch,
        "instance_id": identity.instance_id,
        "shutdown_application": heartbeat.stops_application,
        "task_offsets": None if offsets is None else _offsets(offsets),
        "task_end_offsets": None if ends is None else _offsets(ends),
    }
    if heartbeat.joins:
        fields |= _joining(identity, application)
    elif heartbeat.owned is not None:
        fields |= {
            "active_tasks": _tasks(heartbeat.owned.active),
            "standby_tasks": _tasks(heartbeat.owned.standby),
            "warmup_tasks": _tasks(heartbeat.owned.warmup),
        }
    return _Request(**fields)


def leave_request(
    group: str, member_id: str, instance_id: str | None = None, *, is_back_soon: bool = False
) -> ApiMessage:
    """Make the request that ends a membership, whoever sends it. That of a static member may be kept for a while."""
    return _Request(
        group_id=group,
        member_id=member_id,
        member_epoch=_LEAVING_FOR_A_WHILE if is_back_soon else _LEAVING,
        endpoint_information_epoch=-1,
        instance_id=instance_id,
    )


def describe_request(group: str) -> ApiMessage:
    """Make the question what a group has assigned to its members."""
    return StreamsGroupDescribeRequest(group_ids=[group], include_authorized_operations=False)


def _joining(identity: StreamsIdentity, application: GroupApplication) -> Mapping[str, Any]:
    endpoint = None
    if identity.endpoint is not None:
        endpoint = _Request.Endpoint(host=identity.endpoint[0], port=identity.endpoint[1])
    return {
        "rebalance_timeout_ms": identity.rebalance_timeout_ms,
        "process_id": identity.process_id,
        "rack_id": identity.rack,
        "user_endpoint": endpoint,
        "client_tags": _pairs(identity.tags),
        "topology": _Request.Topology(
            epoch=_TOPOLOGY_EPOCH,
            subtopologies=[_subtopology(each) for each in application.subtopologies],
        ),
        # A broker takes none for who joins, and refuses null.
        "active_tasks": [],
        "standby_tasks": [],
        "warmup_tasks": [],
    }


def _subtopology(each: SubtopologyTopics) -> Any:
    made = _Request.Topology.Subtopology
    # Topologies are equal for a broker if all lists are, in their order: Kafka Streams sorts them too.
    sources = sorted(each.source_topics)
    repartitions = sorted(each.repartition_sources, key=lambda topic: topic.name)
    names = [topic.name for topic in repartitions]
    return made(
        subtopology_id=str(each.id),
        source_topics=sources,
        source_topic_regex=[],
        state_changelog_topics=_topics(each.changelogs),
        repartition_sink_topics=sorted(each.repartition_sinks),
        repartition_source_topics=_topics(repartitions),
        copartition_groups=[
            made.CopartitionGroup(
                source_topics=[sources.index(topic) for topic in group if topic in sources],
                source_topic_regex=[],
                repartition_source_topics=[names.index(topic) for topic in group if topic in names],
            )
            for group in each.copartition_groups
        ],
    )


def _topics(topics: Iterable[InternalTopic]) -> list[Any]:
    made = _Request.Topology.Subtopology.TopicInfo
    return [
        made(
            name=topic.name,
            partitions=topic.partitions,
            replication_factor=_REPLICATION,
            topic_configs=_pairs(topic.config, made.KeyValue),
        )
        for topic in sorted(topics, key=lambda topic: topic.name)
    ]


def _pairs(mapping: Mapping[str, str], made: Any = None) -> list[Any]:
    made = made or _Request.KeyValue
    return [made(key=key, value=mapping[key]) for key in sorted(mapping)]


def _tasks(tasks: Iterable[TaskId]) -> list[Any]:
    partitions: dict[int, list[int]] = defaultdict(list)
    for task in sorted(tasks):
        partitions[task.subtopology].append(task.partition)
    return [
        _Request.TaskIds(subtopology_id=str(number), partitions=found) for number, found in partitions.items()
    ]


def _offsets(offsets: Mapping[TaskId, int]) -> list[Any]:
    return [
        _Request.TaskOffset(
            subtopology_id=str(task.subtopology), partition=task.partition, offset=offsets[task]
        )
        for task in sorted(offsets)
    ]


def read_heartbeat(answer: ApiMessage) -> HeartbeatAnswer:
    """Read a good answer to a heartbeat. Statuses of later brokers, which nobody here knows, are left out."""
    return HeartbeatAnswer(
        answer.member_epoch,
        answer.heartbeat_interval_ms,
        None if answer.active_tasks is None else read_roles(answer),
        {
            _STATUSES[each.status_code]: each.status_detail or ""
            for each in answer.status or ()
            if each.status_code in _STATUSES
        },
        answer.endpoint_information_epoch,
        None
        if answer.partitions_by_user_endpoint is None
        else _endpoints(answer.partitions_by_user_endpoint),
    )


def read_described(group: Any, member_id: str) -> Roles | None:
    """Read what a described group has assigned to a member; None where it does not know it."""
    for member in group.members:
        if member.member_id == member_id:
            return read_roles(member.assignment)
    return None


def read_roles(told: Any) -> Roles:
    """Read tasks by their roles."""
    return Roles(
        _read_tasks(told.active_tasks), _read_tasks(told.standby_tasks), _read_tasks(told.warmup_tasks)
    )


def _read_tasks(told: Any) -> frozenset[TaskId]:
    return frozenset(
        TaskId(int(each.subtopology_id), partition) for each in told or () for partition in each.partitions
    )


def _endpoints(told: Iterable[Any]) -> Mapping[tuple[str, int], EndpointTasks]:
    """Unite the entries of an endpoint: there is one for each member of a process."""
    active: dict[tuple[str, int], dict[str, set[int]]] = {}
    standby: dict[tuple[str, int], dict[str, set[int]]] = {}
    for each in told:
        at = (each.user_endpoint.host, each.user_endpoint.port)
        for found, partitions in ((active, each.active_partitions), (standby, each.standby_partitions)):
            topics = found.setdefault(at, {})
            for topic in partitions:
                topics.setdefault(topic.topic, set()).update(topic.partitions)
    return {at: EndpointTasks(_sorted(active[at]), _sorted(standby[at])) for at in sorted(active)}


def _sorted(topics: Mapping[str, set[int]]) -> Mapping[str, tuple[int, ...]]:
    return {topic: tuple(sorted(topics[topic])) for topic in sorted(topics)}
