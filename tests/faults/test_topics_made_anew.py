"""Topics that are deleted, made again, compacted or left with nothing but markers, and what becomes of the state."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

import headrace as hr
from headrace import stores
from headrace.base.columns import Columns
from headrace.base.errors import LogError
from headrace.base.ids import TopicPartition
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from tests.kafka.java.both_sides import kafka_log

pytestmark = [pytest.mark.broker, pytest.mark.timeout(900)]

#: A log cleaner that does not wait, so that compaction happens while a test looks.
EAGER = {"log.cleaner.backoff.ms": "100"}


@pytest.fixture(scope="module")
def kafka(local_kafka_is_there: None) -> Iterator[LocalKafka]:
    with LocalKafka(config=EAGER) as kafka:
        yield kafka


class Site:
    """An application that counts records by key behind a repartition, on a broker, and its places."""

    def __init__(self, kafka: LocalKafka, name: str, folder: Path) -> None:
        self.kafka, self.name, self.folder = kafka, name, folder
        self.source, self.target = f"{name}-in", f"{name}-out"
        self.changelog, self.repartition = f"{name}-counts-changelog", f"{name}-counts-repartition"
        self.sent: Counter[bytes] = Counter()
        for topic in (self.source, self.target):
            kafka.create_topic(topic, 1)

    def streams(self, place: str = "state") -> hr.Streams:
        builder = hr.StreamsBuilder()
        counts = builder.stream(hr.Topic(self.source, value=str)).group_by(lambda key, value: key)
        counts.count(store=stores.key_value("counts", key=str, value=int)).to_stream().to(
            hr.Topic(self.target, value=int)
        )
        return hr.Streams(
            builder.build(),
            application_id=self.name,
            state_dir=str(self.folder / place),
            properties={
                "bootstrap.servers": self.kafka.bootstrap_servers,
                "commit.interval.ms": 50,
                "session.timeout.ms": 6_000,
                "heartbeat.interval.ms": 200,
                "metadata.max.age.ms": 300,
            },
        )

    def send(self, *keys: bytes) -> None:
        self.kafka.produce_with_java(self.source, [JavaRecord(key, b"x") for key in keys])
        self.sent.update(keys)

    def counted(self) -> Mapping[bytes, int]:
        """The last count of each key."""
        found = self.kafka.consume_with_java(self.target)
        return {record.key or b"": int.from_bytes(record.value or b"", "big") for record in found}

    def wait_counted(self) -> None:
        until(lambda: self.counted() == self.sent)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


@pytest.fixture
def site(kafka: LocalKafka, tmp_path: Path) -> Site:
    return Site(kafka, f"app{time.time_ns()}", tmp_path)


@pytest.mark.parametrize("is_running", [True, False])
def test_source_that_was_made_again_is_read_from_where_its_reset_policy_says(
    site: Site, is_running: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def replace_source() -> None:
        site.kafka.delete_topic(site.source)
        site.kafka.create_topic(site.source, 1)
        site.send(b"b")

    with site.streams():
        site.send(b"a", b"a", b"b")
        site.wait_counted()
        if is_running:
            replace_source()
            site.wait_counted()
    if not is_running:
        replace_source()
        with site.streams():
            site.wait_counted()
    if is_running:
        assert "was deleted and made again" in caplog.text
        assert "goes on at 0, as the reset policy of KSTREAM-SOURCE-0000000000 says" in caplog.text


@pytest.mark.parametrize("is_made_again", [True, False])
@pytest.mark.parametrize("which", ["changelog", "repartition"])
def test_own_topic_that_vanishes_ends_the_application_with_what_is_lost(
    site: Site, which: str, is_made_again: bool
) -> None:
    topic = {"changelog": site.changelog, "repartition": site.repartition}[which]
    with pytest.raises(LogError, match=f"'{topic}'.* was deleted"), site.streams() as streams:
        site.send(b"a", b"b")
        site.wait_counted()
        site.kafka.delete_topic(topic)
        if is_made_again:
            site.kafka.create_topic(topic, 1)
        streams.wait("30s")
    with site.streams() as streams:
        streams.wait_running("30s")


def test_changelog_with_nothing_but_markers_is_restored(site: Site) -> None:
    site.kafka.create_topic(site.changelog, 1, {"cleanup.policy": "compact"})
    with kafka_log(site.kafka) as log:
        writer = log.writer(f"{site.name}-stranger", f"{site.name}-stranger")
        columns = Columns()
        columns.append(b"a", bytes(16), 1, ())
        writer.append(site.changelog, 0, columns)
        writer.send()
        while not log.end_offsets([TopicPartition(site.changelog, 0)], committed=False)[
            TopicPartition(site.changelog, 0)
        ]:
            writer.send()
        writer.abort()
        writer.close()
    with site.streams() as streams:
        streams.wait_running("30s")
        site.send(b"a")
        site.wait_counted()


def test_changelog_that_was_compacted_restores_what_the_store_had(site: Site) -> None:
    eager = {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.0001"}
    site.kafka.create_topic(site.changelog, 1, eager)
    keys = [b"a", b"b", b"c"]
    with site.streams():
        for _ in range(10):
            site.send(*keys)
            site.wait_counted()
        site.send(b"a")
        until(lambda: len(site.kafka.consume_with_java(site.changelog)) < 15)
    with site.streams("another") as streams:
        streams.wait_running("30s")
        site.send(*keys)
        site.wait_counted()
        status = streams.status()
        assert status is not None
        assert 3 <= status.restored < 20
