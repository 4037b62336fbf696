"""What a member of a streams group says and hears: values into messages and back, in both versions."""

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication, InternalTopic, SubtopologyTopics
from headrace.group.members import Roles
from headrace.group.membership import EndpointTasks, GroupStatus
from headrace.group.streams_member import Heartbeat, HeartbeatAnswer
from headrace.kafka.group import schemas, streams_messages
from headrace.kafka.group.streams_messages import (
    StreamsGroupDescribeResponse,
    StreamsGroupHeartbeatRequest,
    StreamsGroupHeartbeatResponse,
)
from headrace.kafka.group.streams_wire import (
    StreamsIdentity,
    describe_request,
    heartbeat_request,
    leave_request,
    read_described,
    read_heartbeat,
)
from headrace.testing.local_kafka.jars import KAFKA_VERSION, fetch_jars

A, B, C = TaskId(0, 0), TaskId(0, 1), TaskId(1, 0)
IDENTITY = StreamsIdentity(
    group="app",
    member_id="m",
    process_id="p",
    rebalance_timeout_ms=300_000,
    instance_id="i",
    endpoint=("host", 65_000),
    tags={"zone": "a", "cluster": "k"},
)
APPLICATION = GroupApplication(
    (
        SubtopologyTopics(id=0, source_topics=frozenset({"in"}), repartition_sinks=frozenset({"app-by"})),
        SubtopologyTopics(
            id=1,
            source_topics=frozenset({"users", "more"}),
            repartition_sources=(
                InternalTopic("app-by", {"retention.ms": "-1", "cleanup.policy": "delete"}, 4),
            ),
            changelogs=(InternalTopic("app-z", {"cleanup.policy": "compact"}), InternalTopic("app-a")),
            copartition_groups=(("users", "more", "app-by"),),
            is_stateful=True,
        ),
    ),
    (A, B, C),
    {"in": 2, "users": 4, "more": 1, "app-by": 4},
)
JOIN = Heartbeat(0, True, Roles(), -1, False)


def through_bytes(message: Any, version: int) -> dict[str, Any]:
    found = type(message).decode(message.encode(version=version), version=version)
    plain: dict[str, Any] = found.to_dict()
    return plain


@pytest.mark.parametrize("version", [0, 1])
def test_a_join_says_who_one_is_and_all_lists_in_order(version: int) -> None:
    said = through_bytes(heartbeat_request(JOIN, IDENTITY, APPLICATION), version)
    topology = said.pop("topology")
    assert said == {
        "group_id": "app",
        "member_id": "m",
        "member_epoch": 0,
        "endpoint_information_epoch": -1,
        "instance_id": "i",
        "rack_id": None,
        "rebalance_timeout_ms": 300_000,
        "active_tasks": [],
        "standby_tasks": [],
        "warmup_tasks": [],
        "process_id": "p",
        "user_endpoint": {"host": "host", "port": 65_000},
        "client_tags": [{"key": "cluster", "value": "k"}, {"key": "zone", "value": "a"}],
        "task_offsets": None,
        "task_end_offsets": None,
        "shutdown_application": False,
    }
    first, second = topology["subtopologies"]
    assert topology["epoch"] == 0
    assert first == {
        "subtopology_id": "0",
        "source_topics": ["in"],
        "source_topic_regex": [],
        "state_changelog_topics": [],
        "repartition_sink_topics": ["app-by"],
        "repartition_source_topics": [],
        "copartition_groups": [],
    }
    assert second["source_topics"] == ["more", "users"]
    assert second["state_changelog_topics"] == [
        {"name": "app-a", "partitions": 0, "replication_factor": -1, "topic_configs": []},
        {
            "name": "app-z",
            "partitions": 0,
            "replication_factor": -1,
            "topic_configs": [{"key": "cleanup.policy", "value": "compact"}],
        },
    ]
    assert second["repartition_source_topics"] == [
        {
            "name": "app-by",
            "partitions": 4,
            "replication_factor": -1,
            "topic_configs": [
                {"key": "cleanup.policy", "value": "delete"},
                {"key": "retention.ms", "value": "-1"},
            ],
        }
    ]
    assert second["copartition_groups"] == [
        {"source_topics": [1, 0], "source_topic_regex": [], "repartition_source_topics": [0]}
    ]


def test_a_heartbeat_says_what_is_owned_only_where_it_is_to() -> None:
    owned = Roles(frozenset({B, A, C}), frozenset(), frozenset({C}))
    said = through_bytes(heartbeat_request(Heartbeat(3, False, owned, 7, True), IDENTITY, APPLICATION), 0)
    assert said["active_tasks"] == [
        {"subtopology_id": "0", "partitions": [0, 1]},
        {"subtopology_id": "1", "partitions": [0]},
    ]
    assert said["standby_tasks"] == []
    assert said["warmup_tasks"] == [{"subtopology_id": "1", "partitions": [0]}]
    assert said["topology"] is None
    assert said["process_id"] is None
    assert said["endpoint_information_epoch"] == 7
    assert said["shutdown_application"] is True
    quiet = through_bytes(heartbeat_request(Heartbeat(3, False, None, 7, False), IDENTITY, APPLICATION), 0)
    assert [quiet["active_tasks"], quiet["standby_tasks"], quiet["warmup_tasks"]] == [None, None, None]


def test_offsets_are_said_by_task() -> None:
    message = heartbeat_request(JOIN, IDENTITY, APPLICATION, {C: 7, A: 1 << 40}, {})
    said = through_bytes(message, 1)
    assert said["task_offsets"] == [
        {"subtopology_id": "0", "partition": 0, "offset": 1 << 40},
        {"subtopology_id": "1", "partition": 0, "offset": 7},
    ]
    assert said["task_end_offsets"] == []


def test_a_membership_ends_for_good_or_for_a_while() -> None:
    for is_back_soon, epoch in ((False, -1), (True, -2)):
        said = leave_request("app", "m", "i", is_back_soon=is_back_soon)
        assert (said.member_id, said.instance_id, said.member_epoch) == ("m", "i", epoch)


def test_the_bytes_of_a_heartbeat_are_those_of_the_protocol() -> None:
    message = heartbeat_request(
        Heartbeat(3, False, Roles(frozenset({A})), 7, False),
        StreamsIdentity(group="g", member_id="m", process_id="p", rebalance_timeout_ms=1),
        APPLICATION,
    )
    assert message.encode(version=0).hex(" ") == (
        "02 67 02 6d 00 00 00 03 00 00 00 07 "  # group, member, epoch, endpoint epoch
        "00 00 ff ff ff ff ff "  # instance, rack, rebalance timeout, topology
        "02 02 30 02 00 00 00 00 00 01 01 "  # active, standby, warm-up
        "00 ff 00 00 00 00 00"  # process, endpoint, tags, offsets, ends, shutdown, tagged fields
    )


def answer(version: int, **fields: Any) -> HeartbeatAnswer:
    told = StreamsGroupHeartbeatResponse(
        member_id="m", member_epoch=4, heartbeat_interval_ms=5000, endpoint_information_epoch=2, status=[]
    )
    for name, value in fields.items():
        setattr(told, name, value)
    return read_heartbeat(StreamsGroupHeartbeatResponse.decode(told.encode(version=version), version=version))


@pytest.mark.parametrize("version", [0, 1])
def test_an_answer_without_news_has_none(version: int) -> None:
    assert answer(version) == HeartbeatAnswer(4, 5000, None, {}, 2, None)


@pytest.mark.parametrize("version", [0, 1])
def test_an_answer_tells_roles_statuses_and_endpoints(version: int) -> None:
    made = StreamsGroupHeartbeatResponse
    entry = made.EndpointToPartitions

    def of(host: str, active: list[int], standby: list[int]) -> Any:
        topic = made.EndpointToPartitions.TopicPartition
        return entry(
            user_endpoint=made.EndpointToPartitions.Endpoint(host=host, port=9),
            active_partitions=[topic(topic="in", partitions=active)],
            standby_partitions=[topic(topic="in", partitions=standby)],
        )

    found = answer(
        version,
        active_tasks=[made.TaskIds(subtopology_id="0", partitions=[0, 1])],
        standby_tasks=[made.TaskIds(subtopology_id="1", partitions=[0])],
        warmup_tasks=[],
        status=[
            made.Status(status_code=5, status_detail="soon"),
            made.Status(status_code=99, status_detail="?"),
        ],
        partitions_by_user_endpoint=[of("b", [3], []), of("a", [0], [2]), of("b", [1], [])],
    )
    assert found.roles == Roles(frozenset({A, B}), frozenset({C}))
    assert found.statuses == {GroupStatus.ASSIGNMENT_DELAYED: "soon"}
    assert found.endpoints == {
        ("a", 9): EndpointTasks({"in": (0,)}, {"in": (2,)}),
        ("b", 9): EndpointTasks({"in": (1, 3)}, {"in": ()}),
    }


def test_an_empty_list_is_an_assignment_of_nothing() -> None:
    assert answer(0, active_tasks=[], standby_tasks=[], warmup_tasks=[]).roles == Roles()


def test_a_described_group_tells_what_a_member_was_assigned() -> None:
    made = StreamsGroupDescribeResponse
    group_made = made.DescribedGroup
    member_made = group_made.Member
    nothing = member_made.Assignment(active_tasks=[], standby_tasks=[], warmup_tasks=[])
    task_ids = member_made.Assignment.TaskIds
    mine = member_made.Assignment(
        active_tasks=[task_ids(subtopology_id="0", partitions=[1])], standby_tasks=[], warmup_tasks=[]
    )

    def member(name: str, assignment: Any) -> Any:
        return member_made(
            member_id=name,
            member_epoch=1,
            client_id="",
            client_host="",
            topology_epoch=0,
            process_id="",
            client_tags=[],
            task_offsets=[],
            task_end_offsets=[],
            assignment=assignment,
            target_assignment=nothing,
            is_classic=False,
        )

    described = made(
        groups=[
            group_made(
                error_code=0,
                group_id="app",
                group_state="Stable",
                group_epoch=1,
                assignment_epoch=1,
                members=[member("other", nothing), member("m", mine)],
            )
        ]
    )
    (group,) = made.decode(described.encode(version=0), version=0).groups
    assert read_described(group, "m") == Roles(frozenset({B}))
    assert read_described(group, "nobody") is None
    assert describe_request("app").group_ids == ["app"]


def _versions(text: str) -> range:
    """`1`, `0-1` and `1+`, as schemas write them."""
    first, _, last = text.rstrip("+").partition("-")
    return range(int(first), (99 if text.endswith("+") else int(last or first)) + 1)


def _fields(fields: list[dict[str, Any]], structs: dict[str, Any], version: int) -> Iterator[tuple[str, ...]]:
    """What the bytes of a message depend on, in their order."""
    for each in fields:
        if version not in _versions(each["versions"]):
            continue
        yield each["name"], each["type"], each.get("nullableVersions", ""), str(each.get("default", ""))
        inner = each.get("fields") or structs.get(each["type"].removeprefix("[]"))
        if inner:
            yield from (("  " + name, *rest) for name, *rest in _fields(inner, structs, version))
            yield ("end",)


@pytest.mark.broker  # Kafka's own schemas are in the jars of a broker
@pytest.mark.parametrize(
    ("name", "version"),
    [
        (name, version)
        for name in streams_messages.__all__
        for version in range(getattr(streams_messages, name).max_version + 1)
    ],
)
def test_our_schemas_say_what_kafkas_own_do(name: str, version: int, local_kafka_is_there: None) -> None:
    (jar,) = fetch_jars(KAFKA_VERSION).rglob(f"kafka-clients-{KAFKA_VERSION}.jar")
    with zipfile.ZipFile(jar) as jars:
        text = jars.read(f"common/message/{name}.json").decode()
    theirs = json.loads(re.sub(r"(?m)//.*$", "", text))
    ours = json.loads((Path(next(iter(schemas.__path__))) / f"{name}.json").read_text())

    def all_of(schema: dict[str, Any]) -> list[tuple[str, ...]]:
        structs = {each["name"]: each["fields"] for each in schema.get("commonStructs", [])}
        return list(_fields(schema["fields"], structs, version))

    assert all_of(ours) == all_of(theirs)
    assert (ours["apiKey"], ours["flexibleVersions"]) == (theirs["apiKey"], theirs["flexibleVersions"])
    assert isinstance(getattr(streams_messages, name), type(StreamsGroupHeartbeatRequest))
