"""Windowed aggregations record by record."""

import pytest

from headrace.base.ids import Location
from headrace.base.records import Window, Windowed
from headrace.operators.fold import COUNT, aggregation, reduction
from headrace.operators.windowed import WindowAggregate, WindowShape
from headrace.serde.primitives import int64, string
from headrace.state.spec import StoreSpec
from tests.operators.nodes import Node, Sent

TUMBLING = WindowShape(10, 10, 0)
HOPPING = WindowShape(10, 5, 0)


def spec(*, caching: bool = False) -> StoreSpec:
    return StoreSpec(
        name="s",
        kind="window",
        timestamped=True,
        key=string,
        value=int64,
        engine="memory",
        caching=caching,
        logging=False,
        where=Location("test.py", 1),
        retention_ms=100_000,
        size_ms=10,
    )


def test_record_counts_in_its_window() -> None:
    node = Node(WindowAggregate(TUMBLING, COUNT, "s"), spec())
    node.send("a", "x", 14)
    assert node.sent == [Sent(Windowed("a", Window(10, 20)), (1, None, True), 14)]


def test_record_counts_in_every_window_that_holds_it() -> None:
    node = Node(WindowAggregate(HOPPING, COUNT, "s"), spec())
    node.send("a", "x", 12)
    assert [sent.key.window for sent in node.sent] == [Window(5, 15), Window(10, 20)]


def test_no_window_starts_before_1970() -> None:
    node = Node(WindowAggregate(HOPPING, COUNT, "s"), spec())
    node.send("a", "x", 2)
    assert [sent.key.window for sent in node.sent] == [Window(0, 10)]


@pytest.mark.parametrize(("stream_time", "late"), [(14, False), (15, True)])
def test_record_is_late_once_stream_time_reaches_end_and_grace(stream_time: int, late: bool) -> None:
    node = Node(WindowAggregate(WindowShape(10, 10, 5), COUNT, "s"), spec())
    node.send("b", "x", stream_time)
    node.send("a", "x", 9)
    assert node.drops == (["expired window"] if late else [])


def test_record_late_for_one_window_counts_in_the_other() -> None:
    node = Node(WindowAggregate(HOPPING, COUNT, "s"), spec())
    node.send("b", "x", 15)
    node.send("a", "x", 12)
    assert node.drops == ["expired window"]
    assert node.sent[-1] == Sent(Windowed("a", Window(10, 20)), (1, None, True), 12)


def test_stream_time_is_of_all_keys_and_null_values_count() -> None:
    node = Node(WindowAggregate(TUMBLING, COUNT, "s"), spec())
    node.send("b", None, 20)
    node.send("a", "x", 5)
    assert [sent.value[0] for sent in node.sent] == [1]
    assert node.drops == ["expired window"]


def test_null_key_is_dropped_and_does_not_move_stream_time() -> None:
    node = Node(WindowAggregate(TUMBLING, COUNT, "s"), spec())
    node.send(None, "x", 100)
    node.send("a", "x", 5)
    assert node.drops == ["null key"]
    assert len(node.sent) == 1


def test_counts_of_hopping_and_tumbling_windows_have_zero_as_first_old_value() -> None:
    for shape in (TUMBLING, WindowShape(10, 9, 0)):
        operator = WindowAggregate(shape, COUNT, "s")
        operator.send_old = True
        node = Node(operator, spec())
        node.send("a", "x", 9)
        assert node.sent[-1].value == (1, 0, True)


def test_reduce_begins_with_the_first_value() -> None:
    node = Node(WindowAggregate(TUMBLING, reduction(lambda aggregate, value: aggregate * value), "s"), spec())
    node.send("a", 3, 1)
    node.send("a", 4, 2)
    assert [sent.value[0] for sent in node.sent] == [3, 12]


def test_aggregate_of_none_deletes_the_window() -> None:
    operator = WindowAggregate(
        TUMBLING, aggregation(int, lambda key, value, sum: None if value is None else sum + value), "s"
    )
    node = Node(operator, spec())
    for value in (3, None, 4):
        node.send("a", value, 1)
    assert [sent.value[0] for sent in node.sent] == [3, None, 4]


def test_cached_window_forwards_its_last_value_when_it_is_flushed() -> None:
    node = Node(WindowAggregate(TUMBLING, COUNT, "s"), spec(caching=True), cache_bytes=1 << 20)
    node.send("a", "x", 1)
    node.send("a", "y", 2)
    node.state.flush()
    assert node.sent == [Sent(Windowed("a", Window(0, 10)), (2, None, True), 2)]
