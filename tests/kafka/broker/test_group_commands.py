"""`headrace groups` on real brokers, beside applications that run, in both protocols."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from tests.cli.conftest import Command
from tests.kafka.broker.counting import KEYS, PARTITIONS, wait_for
from tests.kafka.broker.test_instances import (  # noqa: F401 - a fixture
    Instances,
    Protocol,
    instances,
    tasks_of,
)
from tests.kafka.java.both_sides import java_applications
from tests.kafka.java.test_sharing_with_java import INPUTS

pytestmark = pytest.mark.broker

both = pytest.mark.parametrize("protocol", ["classic", "streams"])

Shown = Callable[..., str]


@pytest.fixture
def shown(command: Command) -> Shown:
    """Run a command that must not fail; returns its output."""

    def run(*arguments: str) -> str:
        ran = command(*arguments)
        assert ran.code == 0, ran.err
        return ran.out

    return run


def described(shown: Shown, group: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shown("groups", "describe", group, "--json"))
    return found


@both
def test_members_are_shown_with_their_tasks_and_copies(
    instances: Instances,  # noqa: F811
    protocol: Protocol,
    shown: Shown,
) -> None:
    one, other = (instances.start(place, protocol, standbys=1) for place in ("one", "other"))
    wait_for(lambda: len(tasks_of(one)) == len(tasks_of(other)) == PARTITIONS // 2)
    (listed,) = [
        json.loads(line)
        for line in shown("groups", "list", "--json").splitlines()
        if json.loads(line)["group"] == instances.name
    ]
    assert (listed["protocol"], listed["members"]) == (protocol, 2)
    found = described(shown, instances.name)
    assert {frozenset(member["active"]) for member in found["members"]} == {
        frozenset(tasks_of(one)),
        frozenset(tasks_of(other)),
    }
    if protocol == "classic":  # with the other one, it is the group's property that decides
        wait_for(lambda: all(len(each["standby"]) == 1 for each in described(shown, instances.name)["tasks"]))
    text = shown("groups", "describe", instances.name)
    assert text.startswith(f"group {instances.name}: {protocol}, Stable")
    assert f"0_0   {instances.source}-0" in text


@pytest.mark.parametrize("guarantee", ["exactly_once_v2", "at_least_once"])
@both
def test_who_has_caught_up_lags_by_nothing_although_markers_follow(
    instances: Instances,  # noqa: F811
    protocol: Protocol,
    guarantee: Any,
    shown: Shown,
) -> None:
    one = instances.start("one", protocol, guarantee)
    one.wait_running("30s")
    instances.send(2)
    wait_for(lambda: instances.counted() == instances.sent)
    wait_for(lambda: left_to(shown, instances.name) == {(0, 0)})
    one.close()
    # Records that nobody will see, and the marker that says so, in each partition.
    gone = [JavaRecord(b"k", b"x", partition=number) for number in range(PARTITIONS)]
    instances.broker.produce_with_java(
        instances.source, gone, transactional_id=f"{instances.name}-aborted", end="abort"
    )
    wait_for(lambda: left_to(shown, instances.name) == {(2, 0)})
    instances.send(1)
    # Records that count, on both sides of such that do not.
    instances.broker.produce_with_java(
        instances.source, gone, transactional_id=f"{instances.name}-aborted", end="abort"
    )
    instances.send(1)
    after = described(shown, instances.name)
    assert after["members"] == []
    assert sum(each["lag"] for each in after["partitions"]) == 2 * len(KEYS)
    rows = [json.loads(line) for line in shown("lag", instances.name, "--json").splitlines()]
    assert sum(row["lag"] for row in rows) == 2 * len(KEYS)
    assert all(row["is_exact"] and row["age_ms"] >= 0 for row in rows)


def left_to(shown: Shown, group: str) -> set[tuple[int, int]]:
    """What is left in each partition: in offsets, which other tools show, and as lag."""
    partitions = described(shown, group)["partitions"]
    assert len(partitions) == PARTITIONS
    return {(each["end"] - each["committed"], each["lag"]) for each in partitions}


@both
def test_a_dead_members_tasks_are_taken_over_at_once_when_it_is_removed(
    instances: Instances,  # noqa: F811
    protocol: Protocol,
    shown: Shown,
) -> None:
    one, other = (instances.start(place, protocol, session_ms=30_000) for place in ("one", "other"))
    wait_for(lambda: len(tasks_of(one)) == len(tasks_of(other)) == PARTITIONS // 2)
    had = tasks_of(one)
    one.close(leave_group=False)  # as if it were killed
    (dead,) = [each for each in described(shown, instances.name)["members"] if set(each["active"]) == had]
    shown("groups", "remove", instances.name, dead["member"])
    wait_for(lambda: len(tasks_of(other)) == PARTITIONS, seconds=15)
    assert len(described(shown, instances.name)["members"]) == 1


def test_groups_of_others_are_listed_only_when_they_are_asked_for(
    broker: LocalKafka, new_topic: Callable[..., str], unique: Callable[[str], str], shown: Shown
) -> None:
    from confluent_kafka import Consumer, TopicPartition

    group = unique("consumer")
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": group})
    consumer.commit(offsets=[TopicPartition(new_topic(), 0, 0)], asynchronous=False)
    consumer.close()
    assert group not in shown("groups", "list")
    assert group in shown("groups", "list", "--all")


#: Sub-topologies of `Applications.java`, with how many partitions they read.
PARTS = {0: 2, 1: 2, 2: 2, 3: 4}


@pytest.mark.process
@pytest.mark.timeout(300)
def test_members_of_kafka_streams_are_shown_with_their_tasks_copies_endpoints_and_lags(
    broker: LocalKafka, unique: Callable[[str], str], tmp_path: Path, shown: Shown
) -> None:
    name, source = unique("app"), unique("in")
    for topic in (*(f"{source}-{each}" for each in INPUTS), f"{source}-out"):
        broker.create_topic(topic, partitions=2)

    found: dict[str, Any] = {}

    def is_shared() -> bool:
        if name in shown("groups", "list"):
            found.update(described(shown, name))
        return (
            found.get("state") == "Stable"  # else they tell nothing
            and {each["endpoint"] for each in found["members"]} == {"host-1:1", "host-2:2"}
            and all(each["active"] and each["standby"] for each in found["members"])
            and {len(each["active"]) for each in found["tasks"]} == {1}
        )

    with java_applications(broker) as java:
        for number in (1, 2):
            own = (
                "group.protocol=classic",
                "num.standby.replicas=1",
                f"application.server=host-{number}:{number}",
            )
            java.begin("sharing", name, str(tmp_path / str(number)), source, f"{source}-out", *own)
        wait_for(is_shared, seconds=120)
        assert len({each["process"] for each in found["members"]}) == 2
        # Those without a store have nothing to follow.
        assert {each["task"]: len(each["standby"]) for each in found["tasks"]} == {
            f"{part}_{number}": int(part in (1, 2))
            for part, count in PARTS.items()
            for number in range(count)
        }
        broker.produce_with_java(f"{source}-more", [JavaRecord(b"k", b"v", partition=1)])
        wait_for(lambda: is_shared() and {each["lag"] for each in found["tasks"]} == {0})
        wait_for(lambda: "; standby " in shown("groups", "describe", name))


def test_the_lag_of_a_group_that_is_not_there_is_a_failure(
    command: Command, unique: Callable[[str], str]
) -> None:
    ran = command("lag", name := unique("nobody"))
    assert (ran.code, ran.out) == (1, "")
    assert f"there is no group '{name}'; `headrace groups list --all` has those there are" in ran.err
