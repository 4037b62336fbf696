"""Being the only instance of an application: a second one is told, and the first one does not suffer."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

import headrace as hr
from headrace.base.errors import AlreadyRunningError, FencedError, LogError
from headrace.kafka.control.membership import Membership
from headrace.kafka.log import KafkaLog
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.streams.config import Config
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from tests.kafka.conftest import NewTopic

pytestmark = pytest.mark.broker

Unique = Callable[[str], str]
Guarantee = Literal["exactly_once_v2", "at_least_once"]
NewLog = Callable[..., KafkaLog]


@pytest.fixture
def new_log(broker: LocalKafka) -> Iterator[NewLog]:
    made: list[KafkaLog] = []

    def make(**properties: object) -> KafkaLog:
        named = broker.client_properties | {
            "heartbeat.interval.ms": 200,
            **{name.replace("_", "."): value for name, value in properties.items()},
        }
        made.append(KafkaLog(ConnectionSettings.of(named), KafkaOptions.of(named)))
        return made[-1]

    yield make
    for log in made:
        log.close()


@pytest.mark.parametrize("guarantee", ["exactly_once_v2", "at_least_once"])
def test_second_instance_is_told_and_the_first_one_goes_on(
    guarantee: Guarantee, broker: LocalKafka, new_topic: NewTopic, unique: Unique, tmp_path: Path
) -> None:
    source, target, name = new_topic(), new_topic(), unique("app")

    def streams(place: str) -> hr.Streams:
        builder = hr.StreamsBuilder()
        builder.stream(hr.Topic(source, value=str)).to(hr.Topic(target, value=str))
        config = Config(
            application_id=name,
            bootstrap_servers=broker.bootstrap_servers,
            state_dir=str(tmp_path / place),
            processing_guarantee=guarantee,
            commit_interval_ms=20,
        )
        return hr.Streams(builder.build(), config)

    with streams("first") as first:
        first.wait_running("20s")
        for number in range(2):
            second = streams("second")
            second.start()
            began = time.monotonic()
            with pytest.raises(
                AlreadyRunningError, match="another instance of the application is alive, process"
            ):
                second.wait("20s")
            assert time.monotonic() - began < 10
            broker.produce_with_java(source, [JavaRecord(b"k", b"%d" % number)])
            found = broker.consume_with_java(target, count=number + 1)
            assert [record.value for record in found] == [b"0", b"1"][: number + 1]
        assert first.state == "running"
    with streams("second") as second:
        second.wait_running("20s")


def test_instance_in_the_same_place_takes_over_at_once_from_one_that_was_killed(
    new_log: NewLog, unique: Unique, tmp_path: Path
) -> None:
    group = unique("group")
    killed = new_log(heartbeat_interval_ms=600_000)  # whoever gives no sign of life is as good as dead
    killed.occupy(group, tmp_path)
    began = time.monotonic()
    new_log().occupy(group, tmp_path)
    assert time.monotonic() - began < 5


def test_instance_whose_place_was_left_behind_asks_anew_whether_the_owner_lives(
    new_log: NewLog, unique: Unique, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = unique("group")
    owner = new_log(session_timeout_ms=6_000)
    owner.occupy(group, tmp_path / "owner")
    with monkeypatch.context() as patched:
        patched.setattr(Membership, "_leave", lambda self: None)  # it dies before it can
        with pytest.raises(AlreadyRunningError):
            new_log(session_timeout_ms=60_000).occupy(group, tmp_path / "other")
    owner.keep_place()
    owner.close()
    new_log().occupy(group, tmp_path / "other")


def test_application_that_is_closed_without_leaving_keeps_its_place_for_the_session(
    broker: LocalKafka, new_log: NewLog, new_topic: NewTopic, unique: Unique, tmp_path: Path
) -> None:
    name, source = unique("app"), new_topic()

    def streams() -> hr.Streams:
        builder = hr.StreamsBuilder()
        builder.stream(hr.Topic(source, value=str)).foreach(lambda key, value: None)
        return hr.Streams(
            builder.build(),
            application_id=name,
            bootstrap_servers=broker.bootstrap_servers,
            state_dir=str(tmp_path),
        )

    def run(*, leave_group: bool) -> None:
        began = time.monotonic()
        one = streams()
        one.start()
        one.wait_running("20s")
        one.close(leave_group=leave_group)
        assert time.monotonic() - began < 10

    run(leave_group=False)
    assert new_log().group_state(name).members == 1
    run(leave_group=True)
    assert new_log().group_state(name).members == 0


def test_instance_elsewhere_waits_for_the_session_of_one_that_was_killed_and_says_so(
    new_log: NewLog, unique: Unique, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    group = unique("group")
    killed = new_log(heartbeat_interval_ms=600_000, session_timeout_ms=3_000)
    killed.occupy(group, tmp_path / "first")
    began = time.monotonic()
    new_log(session_timeout_ms=3_000).occupy(group, tmp_path / "second")
    assert 1 < time.monotonic() - began < 10
    assert f"group '{group}' has a member already (headrace-member at /127.0.0.1)" in caplog.text
    assert "waits until its session is over, 3 s at most (session.timeout.ms)" in caplog.text


def test_instance_that_was_replaced_while_it_slept_cannot_write_any_more(
    new_log: NewLog, unique: Unique, tmp_path: Path
) -> None:
    group = unique("group")
    asleep = new_log(heartbeat_interval_ms=5_000, session_timeout_ms=1_000)
    asleep.occupy(group, tmp_path / "first")
    writer = asleep.writer(group)
    new_log().occupy(group, tmp_path / "second")
    deadline = time.monotonic() + 20
    with pytest.raises(FencedError, match="another instance of the application is alive"):
        while time.monotonic() < deadline:
            writer.send()
            time.sleep(0.05)
    with pytest.raises(FencedError):
        writer.commit({})
    writer.close()


def test_copy_of_a_state_directory_is_another_place(new_log: NewLog, unique: Unique, tmp_path: Path) -> None:
    group = unique("group")
    new_log().occupy(group, tmp_path / "first")
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "instance").write_bytes((tmp_path / "first" / "instance").read_bytes())
    with pytest.raises(AlreadyRunningError):
        new_log().occupy(group, tmp_path / "second")


def test_session_that_the_brokers_do_not_allow_is_told(
    new_log: NewLog, unique: Unique, tmp_path: Path
) -> None:
    with pytest.raises(
        LogError, match=r"INVALID_SESSION_TIMEOUT; set session\.timeout\.ms to what the brokers allow"
    ):
        new_log(session_timeout_ms=10).occupy(unique("group"), tmp_path)
