"""kill -9 at any moment, and at every step of the commit: nothing lost, nothing doubled, nothing rebuilt."""

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from headrace.testing import LocalKafka
from tests.budget import IS_LONG, some
from tests.faults import application, plain
from tests.faults.site import SHORT_SESSION, Site

KILLS = int(os.environ.get("FAULT_KILLS", "15"))
#: A start on a cluster takes 2 s: `make faults` kills as often there as on a file.
KILLS_ON_KAFKA = int(os.environ.get("FAULT_KILLS", "6"))
STEPS = ["flush", "drain", "transaction", "state", "next task", "end"]

#: Records that a kill may leave between a store and its changelog: what one commit can hold, not the history.
GAP_RECORDS_MAX = 30_000


@pytest.mark.process
@pytest.mark.timeout(900 + 60 * KILLS)
def test_killed_at_random_moments_nothing_is_lost_doubled_or_rebuilt(
    site: Site, request: pytest.FixtureRequest
) -> None:
    kills = KILLS if site.servers is None else KILLS_ON_KAFKA
    seed = int(os.environ.get("FAULT_SEED", "20240229"))
    moments = random.Random(seed)
    feed = plain.Feed(site, seed)
    killed_while_working = 0
    for _ in range(kills):
        feed.write(moments.randrange(500, 2_500))
        process = plain.start(site)
        plain.wait_until_running(site, process)
        time.sleep(moments.uniform(0.0, 0.25))  # the moment of the kill is what is tested
        killed_while_working += process.poll() is None
        process.kill()
        process.communicate()
    feed.write(1_000)
    plain.drain(site)
    feed.close()
    assert killed_while_working == kills
    plain.check(site, feed.written)
    if site.servers is not None:
        check_by_java(site, request.getfixturevalue("kafka"))
    restored = plain.restored_records(site)
    assert all(count <= GAP_RECORDS_MAX for count, _ in restored)
    assert sum(count for count, _ in restored) < plain.changelog_records(site) // 2


def check_by_java(site: Site, kafka: LocalKafka) -> None:
    """What Kafka's own consumer takes for committed is what `check` has compared."""
    for topic in (application.COPY, application.COUNTED, application.FINAL):
        read = [(each.key, each.value, each.timestamp) for each in kafka.consume_with_java(topic.name)]
        assert Counter(read) == Counter(plain.read_topic(site, topic.name))


@pytest.mark.process
@pytest.mark.timeout(900)
@pytest.mark.parametrize("step", STEPS)
def test_stopped_at_a_step_of_the_commit_the_next_start_goes_on_exactly_there(
    tmp_path: Path, step: str
) -> None:
    stop_at([f"{step}:{occurrence}" for occurrence in some((1, 2, 3), 2)], Site(tmp_path))


@pytest.mark.broker
@pytest.mark.process
@pytest.mark.timeout(900)
def test_stopped_on_a_cluster_at_each_step_of_the_commit_the_next_start_goes_on_exactly_there(
    tmp_path: Path, kafka: LocalKafka
) -> None:
    stop_at(
        [f"{step}:{1 + place % 3}" for place, step in enumerate(STEPS)],
        Site(tmp_path, kafka.bootstrap_servers),
    )


def stop_at(steps: Sequence[str], site: Site) -> None:
    """Let the application kill itself at one step after the other, then go on to the end."""
    feed = plain.Feed(site, seed=7)
    for step in steps:
        feed.write(4_000)
        process = plain.start(site, "--stop-at", step)
        process.communicate(timeout=300)
        assert process.returncode == -signal.SIGKILL, step
    plain.drain(site)
    feed.close()
    plain.check(site, feed.written)


@pytest.mark.broker
@pytest.mark.process
@pytest.mark.timeout(900)
def test_killed_twice_and_without_its_disk_an_application_of_an_older_kafka_goes_on(
    older_kafka: LocalKafka, tmp_path: Path
) -> None:
    site = Site(tmp_path, older_kafka.bootstrap_servers, properties=SHORT_SESSION)
    feed = plain.Feed(site, seed=8)
    for stop in ("transaction:1", "state:2"):
        feed.write(4_000)
        process = plain.start(site, "--stop-at", stop)
        process.communicate(timeout=300)
        assert process.returncode == -signal.SIGKILL
    shutil.rmtree(tmp_path / "state")
    plain.drain(site)
    feed.close()
    plain.check(site, feed.written)
    check_by_java(site, older_kafka)


@pytest.mark.process
@pytest.mark.timeout(900)
def test_power_loss_that_takes_what_was_not_synced_is_caught_up_from_the_changelog(tmp_path: Path) -> None:
    """RocksDB's WAL is not synced, so a power loss may cut it anywhere; SQLite's is, at every commit."""
    cuts = random.Random(11)
    feed = plain.Feed(Site(tmp_path), seed=11)
    for _ in range(6 if IS_LONG else 4):
        feed.write(4_000)
        process = plain.start(Site(tmp_path))
        plain.wait_until_running(Site(tmp_path), process)
        time.sleep(cuts.uniform(0.05, 0.3))
        process.kill()
        process.communicate()
        for wal in sorted((tmp_path / "state").rglob("*.log")):
            size = wal.stat().st_size
            if wal.name[:-4].isdigit() and size:
                os.truncate(wal, cuts.randrange(size))
    plain.drain(Site(tmp_path))
    feed.close()
    plain.check(Site(tmp_path), feed.written)


@pytest.mark.process
@pytest.mark.timeout(900)
def test_deleted_store_is_restored_from_its_changelog(site: Site) -> None:
    feed = plain.Feed(site, seed=3)
    feed.write(10_000)
    plain.drain(site)
    shutil.rmtree(site.folder / "state")
    plain.drain(site)
    feed.close()
    plain.check(site, feed.written)
    assert all(whole for _, whole in plain.restored_records(site))
