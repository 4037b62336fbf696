"""The metrics of an application on a broker, where transactions leave markers between the records."""

from collections.abc import Callable

import pytest

import headrace as hr
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from tests.kafka.broker.conftest import NewStreams
from tests.kafka.broker.counting import wait_for
from tests.kafka.conftest import NewTopic

pytestmark = pytest.mark.broker

TOPICS = "stream-topic-metrics"


def test_an_application_on_kafka_is_measured_and_its_lag_ends_at_nothing(
    broker: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str], new_streams: NewStreams
) -> None:
    name, source, target = unique("measured"), new_topic(partitions=2), new_topic(partitions=2)
    builder = hr.StreamsBuilder()
    counts = (
        builder.stream(hr.Topic(source, value=str))
        .group_by(lambda key, value: value, key=str)
        .count(store="counts")
    )
    counts.to_stream().to(hr.Topic(target, value=int))
    broker.produce_with_java(
        source, [JavaRecord(b"k%d" % n, b"v%d" % (n % 7), timestamp=n) for n in range(100)]
    )
    with new_streams(builder.build(), name) as streams:
        # Each record from the source, and from the repartition topic, which has the markers of its commits.
        wait_for(lambda: streams.metrics().total("process-total") >= 200)
        repartition, changelog = f"{name}-counts-repartition", f"{name}-counts-changelog"

        def has_no_lag() -> bool:
            found = streams.metrics().find("records-lag", TOPICS)
            topics = {each.tags["topic"] for each in found}
            return topics == {source, repartition} and not any(each.value for each in found)

        def has_written_all() -> bool:
            found = streams.metrics().find("records-produced-total", TOPICS)
            return {each.tags["topic"] for each in found} == {repartition, changelog, target}

        wait_for(has_no_lag)
        wait_for(has_written_all)
        wait_for(lambda: streams.metrics().total("commit-total") >= 1)
        metrics = streams.metrics()
        assert metrics.total("records-produced-total", TOPICS, topic=repartition) >= 100
        for topic in (repartition, changelog, target):
            assert metrics.total("bytes-produced-total", TOPICS, topic=topic) > 0
        assert metrics.total("tasks-assigned-latency-max") > 0
