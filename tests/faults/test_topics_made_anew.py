"""Topics that are deleted, made again, cut off, compacted or left with nothing but markers: what becomes of state."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

import headrace as hr
from headrace import stores
from headrace.base.columns import Columns
from headrace.base.errors import LogError
from headrace.base.ids import TaskId, TopicPartition
from headrace.engine.clock import SystemClock
from headrace.engine.options import EngineOptions
from headrace.engine.worker_building import build_worker
from headrace.group.application import GroupApplication
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from tests.engine.scripted_membership import ScriptedMembership
from tests.kafka.java.both_sides import kafka_log

pytestmark = [pytest.mark.broker, pytest.mark.timeout(900)]

#: A log cleaner that does not wait, so that compaction happens while a test looks.
EAGER = {"log.cleaner.backoff.ms": "100"}


#: Records of a topic that is compacted alone cannot be deleted (DeleteRecords).
MAY_BE_CUT = {"cleanup.policy": "compact,delete"}


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

    def topology(self) -> hr.Topology:
        builder = hr.StreamsBuilder()
        counts = builder.stream(hr.Topic(self.source, value=str)).group_by(lambda key, value: key)
        counts.count(store=stores.key_value("counts", key=str, value=int)).to_stream().to(
            hr.Topic(self.target, value=int)
        )
        return builder.build()

    def streams(self, place: str = "state") -> hr.Streams:
        return hr.Streams(
            self.topology(),
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

    def end_of_changelog(self) -> int:
        place = TopicPartition(self.changelog, 0)
        with kafka_log(self.kafka) as log:
            return log.end_offsets([place])[place]

    def cut(self, offset: int) -> None:
        """Delete what the changelog has before an offset."""
        place = TopicPartition(self.changelog, 0)
        with kafka_log(self.kafka) as log:
            log.delete_records({place: offset})
            until(lambda: log.beginning_offsets([place])[place] == offset)

    def wait_counted(self) -> None:
        until(lambda: self.counted() == self.sent)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


def restored(streams: hr.Streams) -> int:
    """How many records of changelogs it has read."""
    status = streams.status()
    assert status is not None
    return status.restored


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
        caplog.clear()
        with caplog.at_level("INFO", "headrace.offsets"), site.streams():
            site.wait_counted()
        assert (
            f"has committed nothing of {site.source}-0: reading starts at 0, as the reset policy"
            in caplog.text
        )
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


@pytest.mark.parametrize("is_made_again", [True, False])
def test_changelog_that_was_deleted_while_nobody_ran_takes_the_state_with_it_and_that_is_said(
    site: Site, is_made_again: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with site.streams():
        site.send(b"a", b"a", b"b")
        site.wait_counted()
    site.kafka.delete_topic(site.changelog)
    if is_made_again:
        site.kafka.create_topic(site.changelog, 1, {"cleanup.policy": "compact"})
    with site.streams():
        site.send(b"a")
        until(lambda: site.counted() == {b"a": 1, b"b": 1})
    assert "store 'counts' is rebuilt from its changelog: its changelog is another topic now" in caplog.text
    # The new one is as good as the old one was.
    with site.streams() as streams:
        site.send(b"a")
        until(lambda: site.counted() == {b"a": 2, b"b": 1})
        assert restored(streams) == 0


def test_repartition_topic_that_was_deleted_while_nobody_ran_is_made_anew_and_that_is_said(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    said = f"repartition topic '{site.repartition}' is made anew"
    with site.streams():
        site.send(b"a", b"b")
        site.wait_counted()
    with site.streams() as streams:
        streams.wait_running("30s")
    assert said not in caplog.text  # neither for a new application, nor for one whose topics are there
    site.kafka.delete_topic(site.repartition)
    with site.streams():
        site.send(b"a")
        site.wait_counted()
    assert said in caplog.text


def test_changelog_that_is_cut_off_up_to_where_its_store_stands_costs_nothing(site: Site) -> None:
    site.kafka.create_topic(site.changelog, 1, MAY_BE_CUT)
    with site.streams():
        site.send(b"a", b"b")
        site.wait_counted()
        site.cut(site.end_of_changelog())
        site.send(b"a")
        site.wait_counted()
    site.cut(site.end_of_changelog())
    with site.streams() as streams:
        site.send(b"a", b"b")
        site.wait_counted()
        assert restored(streams) == 0


def test_store_that_its_changelog_was_cut_off_beyond_has_what_is_left_and_that_is_said(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.kafka.create_topic(site.changelog, 1, MAY_BE_CUT)
    with site.streams():
        site.send(b"a", b"b")
        site.wait_counted()
    with site.streams("another"):
        site.send(b"b")
        site.wait_counted()
        beyond = site.end_of_changelog()
        site.send(b"c", b"c")
        site.wait_counted()
    site.cut(beyond)
    with site.streams():
        site.send(b"a", b"c")
        until(lambda: site.counted() == {b"a": 1, b"b": 2, b"c": 3})
    assert f"is before the changelog's start {beyond}" in caplog.text
    # Whoever restores all of it has the same.
    with site.streams("a third"):
        site.send(b"a", b"c")
        until(lambda: site.counted() == {b"a": 2, b"b": 2, b"c": 4})


def test_standby_that_its_changelog_was_cut_off_beyond_while_it_follows_has_what_is_left(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.kafka.create_topic(site.changelog, 1, MAY_BE_CUT)
    counting = TaskId(1, 0)
    memberships: list[ScriptedMembership] = []

    def joined(application: GroupApplication) -> ScriptedMembership:
        memberships.append(ScriptedMembership(application))
        return memberships[-1]

    with kafka_log(site.kafka) as log, site.streams():
        site.send(b"a", b"b")
        site.wait_counted()
        follower = build_worker(
            site.topology(),
            log,
            EngineOptions.of({}),
            application_id=site.name,
            state_dir=site.folder / "follower" / site.name,
            clock=SystemClock(),
            join=joined,
        )

        def has_followed() -> bool:
            follower.step(10)
            return follower.standby_lags() == {counting: {"counts": 0}}

        follower.open()
        memberships[-1].tell_tasks(standby=[counting])
        until(has_followed)
        for key in (b"b", b"a"):  # a fetch that is under way brings the first one
            site.send(key)
            site.wait_counted()
        beyond = site.end_of_changelog()
        site.send(b"c", b"c")
        site.wait_counted()
        site.cut(beyond)
        until(lambda: has_followed() and "retention has overtaken it" in caplog.text)
        follower.close()
    with site.streams("follower"):
        site.send(b"a", b"c")
        until(lambda: site.counted() == {b"a": 1, b"b": 2, b"c": 3})


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
