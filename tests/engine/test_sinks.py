"""Sinks whose records say themselves where they go, as answers go to who has asked: one by one and as a stretch."""

import pytest

from headrace.base.columns import Part, Stretch
from headrace.base.ids import Location
from headrace.base.murmur2 import partition_for
from headrace.engine.collector import RecordCollector
from headrace.log.port import TopicInfo
from headrace.serde.primitives import string
from headrace.topology.nodes import SinkNode
from headrace.topology.partitioners import ToldByValue
from tests.engine.sinks import sink_of

PLACES = {"first": 0, "second": 1, "none": None, "beyond": 7}


def written(partitions: int, values: list[str], *, together: bool) -> tuple[list[list[Part]], list[str]]:
    """What stands in each partition, and what was refused."""
    collector = RecordCollector(lambda topic: TopicInfo(topic, partitions, "id"), lambda: 0)
    node = SinkNode("sink", "out", string, string, Location("test.py", 1), ToldByValue(PLACES.get))
    run, run_together, refused = sink_of(node, collector, lambda error, value: f"{value}: {error}")
    count = len(values)
    stretch = Stretch(["k"] * count, values, list(range(count)), [()] * count, list(range(count)))
    if together:
        run_together(stretch)
    else:
        for key, value, timestamp, headers, _ in stretch.records():
            run(key, value, timestamp, headers)
    return [each.values for each in collector.columns_of("out", partitions)], refused


@pytest.mark.parametrize("together", [False, True])
def test_records_go_to_the_partitions_that_their_values_tell(together: bool) -> None:
    columns, refused = written(2, ["first", "second", "first", "none"], together=together)
    expected: list[list[bytes]] = [[b"first", b"first"], [b"second"]]
    expected[partition_for(b"k", 2)].append(b"none")
    assert columns == expected
    assert refused == []


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("partitions", [1, 2])
def test_a_partition_that_there_is_not_is_one_records_failure(together: bool, partitions: int) -> None:
    columns, refused = written(partitions, ["first", "beyond", "first"], together=together)
    assert columns[0] == [b"first", b"first"]
    assert refused == [
        f"beyond: the partitioner for topic 'out' returned 7, but the topic has partitions 0 to {partitions - 1}; "
        "return one of them, several, or None for the default"
    ]


@pytest.mark.parametrize("together", [False, True])
def test_one_partition_has_all(together: bool) -> None:
    assert written(1, ["first", "none"], together=together) == ([[b"first", b"none"]], [])
