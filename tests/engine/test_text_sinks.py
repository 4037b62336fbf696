"""Sinks of text on a writer that takes some: what stays text, what becomes bytes, and what is refused all the same."""

from typing import Any

import pytest

import headrace as hr
from headrace.base.columns import Part, Stretch
from headrace.base.ids import Location
from headrace.engine.collector import RecordCollector
from headrace.log.limits import RecordLimits
from headrace.log.port import TopicInfo
from headrace.topology.nodes import SinkNode
from tests.engine.sinks import sink_of


class _Colour(str):
    __slots__ = ()


def written(
    keys: list[Any],
    values: list[Any],
    *,
    takes_text: bool = True,
    partitions: int = 1,
    limits: RecordLimits | None = None,
    value: hr.Serde[Any] = hr.string,
) -> tuple[list[tuple[Part, Part]], list[str]]:
    """The rows of all partitions, and what was refused."""
    info = TopicInfo("out", partitions, "id", {}, limits or RecordLimits())
    collector = RecordCollector(lambda topic: info, lambda: 0, takes_text=takes_text)
    node = SinkNode("sink", "out", hr.string, value, Location("test.py", 1))
    _, run_together, refused = sink_of(node, collector, lambda error, _: f"{type(error).__name__}: {error}")
    count = len(keys)
    run_together(Stretch(keys, values, [0] * count, [()] * count, range(count)))
    columns = collector.columns_of("out", partitions)
    return [row for each in columns for row in zip(each.keys, each.values)], refused


def test_text_in_ascii_is_handed_over_as_it_is() -> None:
    assert written(["a", None], ["1", None]) == ([("a", "1"), (None, None)], [])
    assert written([None], [None]) == ([(None, None)], [])


def test_a_writer_that_takes_none_gets_bytes() -> None:
    assert written(["a"], ["1"], takes_text=False) == ([(b"a", b"1")], [])


def test_other_characters_become_bytes_and_so_does_what_another_serde_writes() -> None:
    assert written(["a", "b"], ["1", "é"]) == ([("a", b"1"), ("b", "é".encode())], [])
    assert written(["a"], ["1"], value=hr.json(str)) == ([("a", b'"1"')], [])


def test_text_of_a_class_of_its_own_is_text() -> None:
    assert written(["a"], [_Colour("red")]) == ([("a", "red")], [])


def test_keys_that_choose_their_partition_are_bytes() -> None:
    rows, refused = written(["a", "b", None], ["1", "2", "3"], partitions=3)
    assert (sorted(rows, key=lambda row: str(row[1])), refused) == (
        [(b"a", "1"), (b"b", "2"), (None, "3")],
        [],
    )


@pytest.mark.parametrize("takes_text", [True, False])
@pytest.mark.parametrize("wrong", ["\ud800", 5, b"1"])
def test_what_cannot_be_written_is_refused_alone_with_the_same_words(wrong: object, takes_text: bool) -> None:
    rows, refused = written(["a", "b"], [wrong, "2"], takes_text=takes_text)
    assert rows == [(b"b", b"2")]
    (error,) = refused
    assert error.startswith(
        "SerializationError: cannot serialize for topic 'out': string expects text in UTF-8, found "
    )


@pytest.mark.parametrize("takes_text", [True, False])
def test_text_that_is_too_large_is_refused_alone(takes_text: bool) -> None:
    limits = RecordLimits(bytes_max=10_000)
    rows, refused = written(["a", "b"], ["v" * 9_950, "2"], limits=limits, takes_text=takes_text)
    assert rows == [(b"b", b"2")]
    (error,) = refused
    assert "it has 10,033 bytes, and the topic takes 10,000" in error
    rows, refused = written(["a", "b"], ["v" * 2_900] * 2, limits=limits, takes_text=takes_text)
    assert [len(value or "") for _, value in rows] == [2_900, 2_900]
    assert refused == []
