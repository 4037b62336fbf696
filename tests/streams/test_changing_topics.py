"""Topics that change while an application runs: what comes is read, what goes is told, nothing is lost or doubled."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import pytest

import headrace as hr
from headrace import stores
from headrace.base.columns import Columns
from headrace.base.errors import InternalTopicLostError, LogError, UnknownTopicError
from headrace.base.ids import TopicPartition
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import TopicSpec
from tests.streams.waiting import until

SEEN = stores.key_value("seen", key=str, value=int)


class Place:
    """An embedded log, and applications on it that look at the topics all the time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = EmbeddedLog.open(directory / "shop.db")

    def streams(self, topology: hr.Topology) -> hr.Streams:
        return hr.Streams(
            topology,
            application_id="app",
            embedded_path=str(self.directory / "shop.db"),
            state_dir=str(self.directory / "state"),
            commit_interval_ms=20,
            properties={"metadata.max.age.ms": 20},
        )

    def write(self, topic: str, keys: Iterable[str], partition: int = 0) -> None:
        columns = Columns()
        for key in keys:
            columns.append(key.encode(), b"v", 0, ())
        writer = self.log.writer("feed")
        writer.append(topic, partition, columns)
        writer.commit({})
        writer.close()

    def read(self, topic: str) -> list[tuple[int, bytes | None]]:
        if topic not in self.log.topics():
            return []
        count = self.log.topics()[topic].partitions
        ends = self.log.end_offsets([TopicPartition(topic, partition) for partition in range(count)])
        reader = self.log.reader()
        reader.assign(dict.fromkeys(ends, 0))
        found: list[tuple[int, bytes | None]] = []
        while any(reader.position(partition) < end for partition, end in ends.items()):
            found += [(chunk.partition, key) for chunk in reader.poll(0) for key in chunk.keys]
        reader.close()
        return sorted(found, key=repr)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.log.close()


def copying(
    source: str | hr.Pattern, *, offset_reset: Literal["earliest", "latest"] = "earliest"
) -> hr.Topology:
    builder = hr.StreamsBuilder()
    stream = builder.stream(source, key=str, value=str, offset_reset=offset_reset)
    stream.to(hr.Topic("out", value=str))
    return builder.build()


def test_topic_that_newly_matches_a_pattern_is_read_from_its_beginning(place: Place) -> None:
    place.log.create_topics([TopicSpec("in-1", 1)])
    place.write("in-1", ["a"])
    with place.streams(copying(hr.Pattern("in-.*"))) as streams:
        until(lambda: place.read("out") == [(0, b"a")])
        place.log.create_topics([TopicSpec("in-2", 2)])
        place.write("in-2", ["b"], 0)
        place.write("in-2", ["c"], 1)
        place.write("in-1", ["d"])
        until(lambda: len(place.read("out")) == 4)
        streams.wait_running("20s")
        until(lambda: (status := streams.status()) is not None and status.records == 4)
    assert place.read("out") == [(0, b"a"), (0, b"b"), (0, b"c"), (0, b"d")]


def test_what_comes_while_the_application_runs_is_read_although_it_starts_at_the_end(place: Place) -> None:
    place.log.create_topics([TopicSpec("in-1", 1)])
    place.write("in-1", ["old"])
    with place.streams(copying(hr.Pattern("in-.*"), offset_reset="latest")) as streams:
        streams.wait_running("20s")
        place.log.create_topics([TopicSpec("in-2", 1)])
        place.write("in-2", ["new"])
        until(lambda: place.read("out") == [(0, b"new")])
    with place.streams(copying(hr.Pattern("in-.*"), offset_reset="latest")) as streams:
        streams.wait_running("20s")
    assert place.read("out") == [(0, b"new")]


def test_topic_of_a_pattern_may_go(place: Place) -> None:
    place.log.create_topics([TopicSpec("in-1", 1), TopicSpec("in-2", 1)])
    place.write("in-2", ["a"])
    with place.streams(copying(hr.Pattern("in-.*"))):
        until(lambda: place.read("out") == [(0, b"a")])
        place.log.delete_topics(["in-2"])
        place.write("in-1", ["b"])
        until(lambda: place.read("out") == [(0, b"a"), (0, b"b")])


def test_source_that_is_deleted_ends_the_application_with_the_reason(place: Place) -> None:
    place.log.create_topics([TopicSpec("in", 1)])
    with (
        pytest.raises(UnknownTopicError, match=r"topic 'in' .* was deleted while the application ran"),
        place.streams(copying("in")) as streams,
    ):
        streams.wait_running("20s")
        place.log.delete_topics(["in"])
        streams.wait("20s")


@pytest.mark.parametrize("is_made_again", [False, True])
def test_changelog_that_is_deleted_ends_the_application_and_no_worker_makes_it_again(
    place: Place, is_made_again: bool
) -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in", key=str, value=str).group_by_key().count(store=SEEN)
    place.log.create_topics([TopicSpec("in", 1)])
    place.write("in", ["a"])
    streams = place.streams(builder.build())
    answers: list[Literal["replace_thread", "shutdown_client"]] = ["shutdown_client", "replace_thread"]
    streams.on_uncaught(lambda error: answers.pop())
    with pytest.raises(InternalTopicLostError, match="changelog 'app-seen-changelog' was deleted"), streams:
        until(lambda: (status := streams.status()) is not None and status.records == 1)
        place.log.delete_topics(["app-seen-changelog"])
        if is_made_again:
            place.log.create_topics([TopicSpec("app-seen-changelog", 1)])
        streams.wait("20s")
    assert not answers
    assert ("app-seen-changelog" in place.log.topics()) is is_made_again


def test_partitions_of_a_sink_are_all_written_to(place: Place) -> None:
    place.log.create_topics([TopicSpec("in", 1), TopicSpec("out", 1)])
    streams = place.streams(copying("in"))
    states: list[str] = []
    streams.on_state_change(lambda new, old: states.append(new))
    with streams:
        streams.wait_running("20s")
        place.log.delete_topics(["out"])
        place.log.create_topics([TopicSpec("out", 3)])
        until(lambda: states == ["rebalancing", "running", "rebalancing", "running"])
        place.write("in", [f"k{number}" for number in range(40)])
        until(lambda: len(place.read("out")) == 40)
    assert {partition for partition, key in place.read("out")} == {0, 1, 2}


def test_source_of_a_store_that_has_grown_is_an_error_that_warns_of_deleting_the_changelog(
    place: Place,
) -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in", key=str, value=str).group_by_key().count(store=SEEN)
    place.log.create_topics([TopicSpec("in", 1)])
    with pytest.raises(LogError) as caught, place.streams(builder.build()) as streams:
        streams.wait_running("20s")
        place.log.delete_topics(["in"])
        place.log.create_topics([TopicSpec("in", 2)])
        streams.wait("20s")
    assert str(caught.value) == (
        "cannot run with 2 tasks, as many as the inputs have partitions by now: changelog 'app-seen-changelog' has 1, "
        "and holds state that is partitioned by that count. Choose another application.id, under which all inputs are "
        "read again and the state is built anew; or read the input through repartition(partitions=1) from the start. "
        "Do not delete the changelog alone: the state in it would be lost, since what was read before is not read again"
    )


def test_source_before_a_repartition_that_has_grown_is_an_error_with_a_way_to_keep_the_state(
    place: Place,
) -> None:
    def counting(partitions: int | None) -> hr.Topology:
        builder = hr.StreamsBuilder()
        stream = builder.stream("in", key=str, value=str).repartition(name="by", partitions=partitions)
        stream.group_by_key().count(store=SEEN)
        return builder.build()

    place.log.create_topics([TopicSpec("in", 1)])
    place.write("in", ["a"])
    with place.streams(counting(None)) as streams:
        streams.wait_running("20s")
        until(lambda: streams.query(SEEN).get("a") == 1)
    place.log.delete_topics(["in"])
    place.log.create_topics([TopicSpec("in", 2)])
    with (
        pytest.raises(LogError, match=r"To keep its count, .* write repartition\(partitions=1\) there"),
        place.streams(counting(None)) as streams,
    ):
        streams.wait("20s")
    place.write("in", ["a"], 1)
    with place.streams(counting(1)) as streams:
        streams.wait_running("20s")
        until(lambda: streams.query(SEEN).get("a") == 2)


def test_pattern_does_not_match_what_the_application_writes_for_itself(place: Place) -> None:
    def counting() -> hr.Topology:
        builder = hr.StreamsBuilder()
        builder.stream(hr.Pattern(".*"), key=str, value=str).group_by_key().count(store=SEEN)
        return builder.build()

    place.log.create_topics([TopicSpec("in", 1)])
    place.write("in", ["a"])
    for _ in range(2):
        with place.streams(counting()) as streams:
            streams.wait_running("20s")
            until(lambda: streams.query(SEEN).get("a") == 1)
