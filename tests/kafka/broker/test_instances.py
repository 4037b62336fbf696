"""Several instances of one application on real brokers: they share the tasks, and nothing is lost or doubled.

Settings that differ from the brokers' and clients' own: sessions of 6 s, or 30 s where none must end, and signs of life
each 200 ms, so that a test need not wait; a first rebalance that waits for nobody (LocalKafka).
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

import headrace as hr
from headrace import stores
from headrace.base.errors import ApplicationStoppedError, HeadraceError
from headrace.base.murmur2 import partition_for
from headrace.kafka.log import KafkaLog
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.streams.config import Config
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from tests.kafka.broker.counting import KEYS, PARTITIONS, Counting, wait_for
from tests.kafka.conftest import NewTopic

pytestmark = pytest.mark.broker

Unique = Callable[[str], str]
Protocol = Literal["classic", "streams"]
Guarantee = Literal["exactly_once_v2", "at_least_once"]


class Instances(Counting):
    """Instances of an application that counts the records of each key."""

    def __init__(self, broker: LocalKafka, folder: Path, name: str, source: str, target: str) -> None:
        super().__init__(broker, name, source, target)
        self.folder = folder
        self.made: list[hr.Streams] = []

    def start(self, place: str, protocol: Protocol, *how: Any, **more: Any) -> hr.Streams:
        streams = self.make(place, protocol, *how, **more)
        streams.start()
        return streams

    def make(
        self,
        place: str,
        protocol: Protocol,
        guarantee: Guarantee = "exactly_once_v2",
        *,
        standbys: int = 0,
        session_ms: int = 6_000,
        threads: int = 1,
        static: str = "",
        server: str = "",
    ) -> hr.Streams:
        builder = hr.StreamsBuilder()
        counts = (
            builder.stream(hr.Topic(self.source, value=str))
            .group_by_key()
            .count(store=stores.key_value("counts", key=str, value=int))
        )
        counts.to_stream().to(hr.Topic(self.target, value=int))
        config = Config(
            application_id=self.name,
            bootstrap_servers=self.broker.bootstrap_servers,
            state_dir=str(self.folder / place),
            processing_guarantee=guarantee,
            group_protocol=protocol,
            commit_interval_ms=50,
            num_standby_replicas=standbys,
            num_stream_threads=threads,
            application_server=server,
            properties={
                "session.timeout.ms": session_ms,
                "heartbeat.interval.ms": 200,
                **({"group.instance.id": static} if static else {}),
            },
        )
        streams = hr.Streams(builder.build(), config)
        self.made.append(streams)
        return streams

    def close(self) -> None:
        for streams in self.made:
            streams.close()


@pytest.fixture
def instances(broker: LocalKafka, new_topic: NewTopic, unique: Unique, tmp_path: Path) -> Iterator[Instances]:
    found = Instances(
        broker, tmp_path, unique("app"), new_topic(partitions=PARTITIONS), new_topic(partitions=PARTITIONS)
    )
    yield found
    found.close()


def tasks_of(streams: hr.Streams) -> set[str]:
    status = streams.status()
    return set() if status is None else {str(task.id) for task in status.tasks if task.state == "running"}


@pytest.mark.parametrize("guarantee", ["exactly_once_v2", "at_least_once"])
@pytest.mark.parametrize("protocol", ["classic", "streams"])
def test_instances_share_the_tasks_and_take_over_from_one_that_leaves(
    instances: Instances, protocol: Protocol, guarantee: Guarantee
) -> None:
    one = instances.start("one", protocol, guarantee)
    one.wait_running("30s")
    instances.send(3)
    other = instances.start("other", protocol, guarantee)
    wait_for(lambda: len(tasks_of(one)) == len(tasks_of(other)) == PARTITIONS // 2)
    assert not tasks_of(one) & tasks_of(other)
    instances.send(3)
    one.close()
    wait_for(lambda: len(tasks_of(other)) == PARTITIONS)
    instances.send(3)
    wait_for(lambda: instances.counted() == instances.sent)


def test_who_follows_a_task_takes_over_without_a_restore_when_its_instance_is_gone(
    instances: Instances,
) -> None:
    one, other = (instances.start(place, "classic", standbys=1) for place in ("one", "other"))
    wait_for(lambda: len(tasks_of(one)) == len(tasks_of(other)) == PARTITIONS // 2)
    instances.send(200)
    wait_for(lambda: instances.counted() == instances.sent)
    wait_for(lambda: has_caught_up(other, followed=PARTITIONS // 2))
    one.close(leave_group=False)  # as if it were killed
    began = time.monotonic()
    wait_for(lambda: len(tasks_of(other)) == PARTITIONS)
    assert time.monotonic() - began < 6 + 10  # the session, and a machine that may be busy
    status = other.status()
    assert status is not None
    assert status.restored <= len(KEYS)  # what came since the standbys' last look, at most
    instances.send(1)
    wait_for(lambda: instances.counted() == instances.sent)


@pytest.mark.parametrize("protocol", ["classic", "streams"])
def test_threads_of_one_instance_share_its_tasks_also_when_they_come_and_go(
    instances: Instances, protocol: Protocol
) -> None:
    one = instances.start("one", protocol, threads=2)
    wait_for(lambda: shares(one) == [2, 2])
    instances.send(3)
    other = instances.start("other", protocol, threads=2)
    wait_for(lambda: shares(one) == shares(other) == [1, 1])
    instances.send(3)
    other.remove_stream_thread("20s")
    wait_for(lambda: sum(shares(one) + shares(other)) == PARTITIONS and len(shares(other)) == 1)
    other.add_stream_thread()
    wait_for(lambda: shares(one) == shares(other) == [1, 1])
    instances.send(3)
    one.close()
    wait_for(lambda: shares(other) == [2, 2])
    instances.send(3)
    wait_for(lambda: instances.counted() == instances.sent)


@pytest.mark.parametrize("protocol", ["classic", "streams"])
def test_threads_that_come_back_to_their_directory_have_its_tasks_at_once_without_a_restore(
    instances: Instances, protocol: Protocol
) -> None:
    one = instances.start("one", protocol, session_ms=30_000, threads=2)
    wait_for(lambda: shares(one) == [2, 2])
    instances.send(3)
    wait_for(lambda: instances.counted() == instances.sent)
    one.close(leave_group=False)  # as if it were killed
    began = time.monotonic()
    again = instances.start("one", protocol, session_ms=30_000, threads=2)
    wait_for(lambda: shares(again) == [2, 2])
    assert time.monotonic() - began < 15  # half of a session, on a machine that may be busy
    status = again.status()
    assert status is not None
    assert status.restored == 0
    instances.send(3)
    wait_for(lambda: instances.counted() == instances.sent)


@pytest.mark.parametrize("protocol", ["classic", "streams"])
def test_an_instance_that_stops_the_application_stops_all_of_it_without_asking_the_others(
    instances: Instances, protocol: Protocol
) -> None:
    asked: list[str] = []

    def stop_all(error: Exception) -> Literal["shutdown_application"]:
        asked.append(str(error))
        return "shutdown_application"

    one, other = (instances.make(place, protocol) for place in ("one", "other"))
    for each in (one, other):
        each.on_uncaught(stop_all)
        each.start()
    wait_for(lambda: len(tasks_of(one)) == len(tasks_of(other)) == PARTITIONS // 2)
    instances.broker.produce_with_java(instances.source, [JavaRecord(b"key", b"\xff")])  # no text
    errors = []
    for each in (one, other):
        with pytest.raises(HeadraceError) as raised:
            each.wait("30s")
        errors.append(raised.value)
    assert len(asked) == 1
    assert {type(error) for error in errors} >= {ApplicationStoppedError}
    assert len({type(error) for error in errors}) == 2
    assert (one.state, other.state) == ("error", "error")


@pytest.mark.parametrize("protocol", ["classic", "streams"])
def test_instances_know_of_each_other_by_application_server_who_has_a_key_also_when_one_has_gone(
    instances: Instances, protocol: Protocol
) -> None:
    hosts = [hr.HostInfo("one", 8081), hr.HostInfo("other", 8082)]
    one = instances.start("one", protocol, server="one:8081", threads=2)
    other = instances.start("other", protocol, server="other:8082", threads=2)
    running = {hosts[0]: one, hosts[1]: other}
    wait_for(lambda: shares(one) == [1, 1] and shares(other) == [1, 1])
    has = {at: partitions_here(each) for at, each in running.items()}
    wait_for(lambda: places(one) == places(other) == has)
    for key in KEYS:
        found = one.query_metadata_for_key("counts", key.decode())
        assert found == other.query_metadata_for_key("counts", key.decode())
        assert found.partition in partitions_here(running[found.active_host])
        assert found.partition == partition_for(key, PARTITIONS)
    one.close()
    wait_for(lambda: places(other) == {hosts[1]: set(range(PARTITIONS))})
    assert {other.query_metadata_for_key("counts", key.decode()).active_host for key in KEYS} == {hosts[1]}
    assert [each.host_info for each in other.streams_metadata_for_store("counts")] == [hosts[1]]


def places(streams: hr.Streams) -> dict[hr.HostInfo, set[int]]:
    return {
        each.host_info: {place.partition for place in each.topic_partitions}
        for each in streams.metadata_for_all_streams_clients()
    }


def partitions_here(streams: hr.Streams) -> set[int]:
    return {int(task.partition("_")[2]) for task in tasks_of(streams)}


def test_instances_without_application_server_are_not_found(instances: Instances) -> None:
    one = instances.start("one", "classic")
    one.wait_running("30s")
    assert one.metadata_for_all_streams_clients() == ()
    with pytest.raises(hr.StoreUnavailableError, match=r"application\.server"):
        one.query_metadata_for_key("counts", "ann")


def test_threads_of_a_static_instance_are_members_of_their_own(instances: Instances) -> None:
    one = instances.start("one", "classic", threads=2, static="shop")
    wait_for(lambda: shares(one) == [2, 2])
    log = KafkaLog(
        ConnectionSettings.of({"bootstrap.servers": instances.broker.bootstrap_servers}), KafkaOptions.of({})
    )
    found = log.groups.describe(instances.name)
    log.close()
    assert found is not None
    assert sorted(str(member.instance_id) for member in found.members) == ["shop-1", "shop-2"]


def test_a_static_thread_that_is_removed_leaves_its_tasks_at_once(instances: Instances) -> None:
    one = instances.start("one", "classic", threads=2, static="shop", session_ms=30_000)
    wait_for(lambda: shares(one) == [2, 2])
    one.remove_stream_thread("20s")
    began = time.monotonic()
    wait_for(lambda: shares(one) == [PARTITIONS])
    assert time.monotonic() - began < 15  # half of a session, on a machine that may be busy


def shares(streams: hr.Streams) -> list[int]:
    return [
        len(each.active_tasks) if each.thread_state == "running" else 0
        for each in streams.metadata_for_local_threads()
    ]


def has_caught_up(streams: hr.Streams, followed: int) -> bool:
    status = streams.status()
    return (
        status is not None
        and len(status.standbys) == followed
        and not any(task.remaining for task in status.standbys)
    )


def test_who_comes_back_to_its_state_directory_has_its_tasks_back_at_once_and_moves_none(
    instances: Instances,
) -> None:
    one = instances.start("one", "classic", session_ms=30_000)
    one.wait_running("30s")
    other = instances.start("other", "classic", session_ms=30_000)
    wait_for(lambda: len(tasks_of(one)) == len(tasks_of(other)) == PARTITIONS // 2)
    had, stays = tasks_of(one), tasks_of(other)
    instances.send(3)
    one.close(leave_group=False)  # as if it were killed
    began = time.monotonic()
    again = instances.start("one", "classic", session_ms=30_000)
    wait_for(lambda: tasks_of(again) == had)
    assert time.monotonic() - began < 15  # half of a session, on a machine that may be busy
    assert tasks_of(other) == stays
    wait_for(lambda: instances.counted() == instances.sent)
