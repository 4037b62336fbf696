"""A restore waits for a transaction that somebody has left open, and says so."""

from collections.abc import Callable
from pathlib import Path

import pytest

import headrace as hr
from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.engine.clock import SystemClock
from headrace.engine.options import EngineOptions
from headrace.engine.worker_building import build_worker
from headrace.testing import LocalKafka
from tests.kafka.java.both_sides import kafka_log

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]


class SkippingClock(SystemClock):
    """The machine's clock, some seconds later."""

    skipped = 0.0

    def seconds(self) -> float:
        return super().seconds() + self.skipped


def test_a_restore_behind_an_open_transaction_says_what_it_waits_for(
    broker: LocalKafka, unique: Callable[[str], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, application = unique("input"), unique("waiting")
    changelog = f"{application}-counts-changelog"
    broker.create_topic(source, 1)
    broker.create_topic(changelog, 1, {"cleanup.policy": "compact"})
    builder = hr.StreamsBuilder()
    builder.stream(hr.Topic(source, key=str, value=str)).group_by_key().count(store="counts")
    clock = SkippingClock()
    with kafka_log(broker) as log:
        # Of another transactional id, so that no start of the application ends it.
        stranger = log.writer(unique("stranger"), unique("stranger"))
        columns = Columns()
        columns.append(b"key", bytes(16), 1, ())
        stranger.append(changelog, 0, columns)
        stranger.send()
        topic_partition = TopicPartition(changelog, 0)
        while not log.end_offsets([topic_partition], committed=False)[topic_partition]:
            stranger.send()
        worker = build_worker(
            builder.build(),
            log,
            EngineOptions.of({}),
            application_id=application,
            state_dir=tmp_path,
            clock=clock,
            transactional_id=f"{application}-1",
        )
        worker.open()
        worker.step(0)
        assert "waits at offset" not in caplog.text
        clock.skipped = 31.0
        worker.step(0)
        assert (
            f"task 0_0: the restore of store 'counts' waits at offset 0 of {topic_partition}, which ends at 1"
            in caplog.text
        )
        stranger.abort()
        stranger.close()
        while not all(task.is_running for task in worker.tasks):
            worker.step(10)
        worker.close()
