"""What is too slow and what is too full: a function that takes longer than its group waits, and a disk without room."""

import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

import headrace as hr
from headrace import stores
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from tests.faults import plain
from tests.faults.site import Site


@pytest.mark.broker
@pytest.mark.timeout(120)
@pytest.mark.parametrize("protocol", ["classic", "streams"])
def test_function_slower_than_max_poll_interval_costs_its_instance_the_tasks_and_no_record(
    kafka: LocalKafka,
    tmp_path: Path,
    protocol: Literal["classic", "streams"],
    caplog: pytest.LogCaptureFixture,
) -> None:
    kafka.create_topic("in", 2)
    kafka.create_topic("out", 2)
    is_slow = threading.Event()
    is_slow.set()

    def linger(key: str, value: str) -> None:
        if value == "slow" and is_slow.is_set():
            is_slow.clear()
            time.sleep(4)  # longer than max.poll.interval.ms, which is what is tested

    def streams(place: str) -> hr.Streams:
        builder = hr.StreamsBuilder()
        seen = builder.stream(hr.Topic("in", value=str)).peek(linger).group_by_key()
        counts = seen.count(store=stores.key_value("counts", key=str, value=int))
        counts.to_stream().to(hr.Topic("out", value=int))
        return hr.Streams(
            builder.build(),
            application_id="slow",
            state_dir=str(tmp_path / place),
            properties={
                "bootstrap.servers": kafka.bootstrap_servers,
                "group.protocol": protocol,
                "commit.interval.ms": 50,
                "max.poll.interval.ms": 1_500,
                "session.timeout.ms": 6_000,
                "heartbeat.interval.ms": 200,
            },
        )

    sent: Counter[bytes] = Counter()

    def send(value: bytes) -> None:
        keys = [b"key%d" % number for number in range(10)]
        kafka.produce_with_java("in", [JavaRecord(key, value) for key in keys])
        sent.update(keys)

    def is_counted() -> bool:
        found = {
            record.key: int.from_bytes(record.value or b"", "big")
            for record in kafka.consume_with_java("out")
        }
        return found == sent

    with streams("one") as one, streams("other") as other:
        for each in (one, other):
            each.wait_running("30s")
        for value in (b"quick", b"slow", b"quick"):
            send(value)
            until(is_counted)
        assert not is_slow.is_set()
        assert {one.state, other.state} <= {"running", "rebalancing"}
    assert "longer than max.poll.interval.ms" in caplog.text


@pytest.mark.process
@pytest.mark.timeout(300)
def test_disk_that_is_full_is_the_reason_and_costs_no_record(site: Site) -> None:
    """A limit on the size of files stands for it."""
    feed = plain.Feed(site, seed=31)
    feed.write(2_000)
    process = plain.start(site, "--file-size-max", "100000")
    process.communicate(timeout=200)
    assert process.returncode not in (0, -signal.SIGKILL)
    # SQLite tells a limit from a full disk.
    assert re.search("the disk is full|file size limits", (site.folder / "errors.log").read_text())
    plain.drain(site)
    feed.close()
    plain.check(site, feed.written)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.1)
