"""Records that brokers refuse: judged before they are written, or told by it; the handler decides about each."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported, as its documentation says
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

import headrace as hr
from headrace.streams.config import Config
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from tests.kafka.conftest import NewTopic

pytestmark = pytest.mark.broker

_ANY = {"message.timestamp.after.max.ms": str(2**63 - 1)}
_HOUR = 3_600_000
Guarantee = Literal["exactly_once_v2", "at_least_once"]


def _alter(broker: LocalKafka, topic: str, name: str, value: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result()


def _written(broker: LocalKafka, topic: str) -> list[bytes | None]:
    """Keys of a topic with four different ones; at least once, some may be there twice."""
    count = 4
    while True:
        keys = [record.key for record in broker.consume_with_java(topic, count=count)]
        if len(set(keys)) == 4:
            return keys
        count += 1


@pytest.mark.parametrize("guarantee", ["exactly_once_v2", "at_least_once"])
@pytest.mark.parametrize("is_known", [True, False])
def test_record_that_the_broker_refuses_is_dropped_alone(
    broker: LocalKafka,
    new_topic: NewTopic,
    unique: Callable[[str], str],
    tmp_path: Path,
    guarantee: Guarantee,
    is_known: bool,
) -> None:
    """Where the limit is not known, it came while the application was running."""
    source, target = new_topic(1, _ANY), new_topic(1, {} if is_known else _ANY)
    seen: list[tuple[str, int]] = []

    def resume(failure: hr.Failure) -> hr.Reaction:
        seen.append((failure.stage, failure.offset))
        return hr.Reaction.resume

    builder = hr.StreamsBuilder()
    builder.stream(hr.Topic(source, value=str)).to(hr.Topic(target, value=str))
    config = Config(
        application_id=unique("app"),
        bootstrap_servers=broker.bootstrap_servers,
        state_dir=str(tmp_path),
        processing_guarantee=guarantee,
        commit_interval_ms=50,
        production_exception_handler=resume,
    )
    now = int(time.time() * 1000)
    late = now + 3 * _HOUR
    with hr.Streams(builder.build(), config) as streams:
        streams.wait_running("20s")
        broker.produce_with_java(source, [JavaRecord(b"0", b"v", timestamp=now)])
        assert [record.key for record in broker.consume_with_java(target, count=1)] == [b"0"]
        if not is_known:
            _alter(broker, target, "message.timestamp.after.max.ms", str(_HOUR))
        broker.produce_with_java(
            source,
            [
                JavaRecord(b"1", b"v", timestamp=now),
                JavaRecord(b"2", b"v", timestamp=late),
                JavaRecord(b"3", b"v", timestamp=now),
                JavaRecord(b"4", b"v", timestamp=late),
                JavaRecord(b"5", b"v", timestamp=now),
            ],
        )
        keys = _written(broker, target)
    if guarantee == "exactly_once_v2":
        assert keys == [b"0", b"1", b"3", b"5"]
    assert set(keys) == {b"0", b"1", b"3", b"5"}
    assert sorted(set(seen)) == [("produce", 2), ("produce", 4)]
