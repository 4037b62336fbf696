"""Users' processors as nodes: what they forward, see, and may not do."""

from collections.abc import Iterable, Iterator

import pytest

import headrace as hr
from headrace import stores
from headrace.base.ids import Location
from headrace.stores import KeyValueStore
from headrace.testing import TopologyTestDriver
from headrace.topology.plain_stores import plain_store
from headrace.topology.processors import ProcessorOperator
from tests.operators.nodes import Node, Sent

HERE = Location("test.py", 1)
SEEN = stores.key_value("seen", key=str, value=int, engine="memory")


def node_of(supplier: object, *, fixed_key: bool = False, children: tuple[str, ...] = ("child",)) -> Node:
    operator = ProcessorOperator(supplier, name="p", where=HERE, fixed_key=fixed_key)  # type: ignore[arg-type]  # any
    specs = [plain_store(store, HERE, "memory") for store in operator.declared_stores]
    return Node(operator, *specs, children=children)


class Doubling(hr.Processor[str, int, str, int]):
    def process(self, record: hr.Record[str, int]) -> Iterable[hr.Record[str, int]]:
        yield record
        yield record.with_value(record.value * 2).with_timestamp(record.timestamp + 1)


class Routing(hr.Processor[str, int, str, int]):
    def process(self, record: hr.Record[str, int]) -> None:
        self.context.forward(record, to="even" if record.value % 2 == 0 else "odd")


class One(hr.Processor[str, int, str, int]):
    def process(self, record: hr.Record[str, int]) -> hr.Record[str, int]:  # type: ignore[override]  # the mistake
        return record


class TimeTravel(hr.Processor[str, int, str, int]):
    def process(self, record: hr.Record[str, int]) -> None:
        self.context.forward(record.with_timestamp(-1))


class Rename(hr.FixedKeyProcessor[str, int, int]):
    def process(self, record: hr.Record[str, int]) -> None:
        self.context.forward(record.with_key("other"))


class Twice(hr.FixedKeyProcessor[str, int, int]):
    def process(self, record: hr.Record[str, int]) -> list[int]:
        self.context.forward(record.with_value(0))
        return [record.value, record.value]


class Watching(hr.Processor[str, int, str, int]):
    def process(self, record: hr.Record[str, int]) -> None:
        task = self.context._task
        self.seen = (task.timestamp, task.headers)


@hr.processor(SEEN)
def dedupe(record: hr.Record[str, int], seen: KeyValueStore[str, int]) -> Iterator[hr.Record[str, int]]:
    if seen.put_if_absent(record.key, record.value) is None:
        yield record


def test_returned_records_are_forwarded_in_order() -> None:
    node = node_of(Doubling)
    node.send("a", 3, 7)
    assert node.sent == [Sent("a", 3, 7), Sent("a", 6, 8)]


def test_one_record_returned_is_told_to_be_yielded() -> None:
    node = node_of(One)
    node.send("a", 3)
    assert [str(error) for error in node.failures] == [
        "the processor returned a Record: yield it, or return [record]"
    ]


def test_record_is_forwarded_to_one_child() -> None:
    node = node_of(Routing, children=("even", "odd"))
    node.send("a", 3)
    assert (node.children["even"], node.children["odd"]) == ([], [Sent("a", 3, 0)])


def test_negative_timestamp_is_a_failure() -> None:
    node = node_of(TimeTravel)
    node.send("a", 3)
    assert [str(failure) for failure in node.failures] == [
        "a forwarded record has the negative timestamp -1: epoch milliseconds are wanted, as an int, 0 or more"
    ]


def test_fixed_key_processor_cannot_change_the_key() -> None:
    node = node_of(Rename, fixed_key=True)
    node.send("a", 3)
    assert node.sent == []
    assert "cannot change the key (from 'a' to 'other')" in str(node.failures[0])


def test_fixed_key_processor_forwards_and_returns_values() -> None:
    node = node_of(Twice, fixed_key=True)
    node.send("a", 3, 9)
    assert node.sent == [Sent("a", 0, 9), Sent("a", 3, 9), Sent("a", 3, 9)]


def test_function_gets_its_stores() -> None:
    node = node_of(dedupe)
    for value in (1, 2):
        node.send("a", value)
    assert node.sent == [Sent("a", 1, 0)]


def test_context_has_the_records_time_and_headers_while_it_is_processed() -> None:
    made: list[Watching] = []

    def supplier() -> Watching:
        made.append(Watching())
        return made[-1]

    node = node_of(supplier)
    node.send("a", 1, 42, (("h", b"1"),))
    assert made[-1].seen == (42, (("h", b"1"),))
    assert (node.context.timestamp, node.context.headers) == (-1, ())


def test_each_task_gets_a_processor_of_its_own() -> None:
    operator = ProcessorOperator(Watching, name="p", where=HERE)
    one, two = Node(operator), Node(operator)
    assert one.closes[0].__self__ is not two.closes[0].__self__  # type: ignore[attr-defined]  # bound methods


@pytest.mark.parametrize(("interval", "on"), [("0ms", "stream"), ("1s", "sundial")])
def test_impossible_schedules_are_refused(interval: str, on: str) -> None:
    class Scheduling(hr.Processor[str, int, str, int]):
        def init(self) -> None:
            self.context.schedule(interval, print, on=on)  # type: ignore[arg-type]  # the mistake

    with pytest.raises(ValueError, match="is wanted"):
        node_of(Scheduling)


class Asking(hr.Processor[str, int, str, int]):
    def __init__(self, handle: object) -> None:
        self.handle = handle

    def init(self) -> None:
        self.context.store(self.handle)  # type: ignore[arg-type]  # any


@pytest.mark.parametrize(
    ("handle", "said"),
    [
        (
            stores.window("seen", key=str, value=int),
            "is a key-value store, and is asked for as a window store",
        ),
        (stores.key_value("seen", key=str, value=str), "has values of int64, and is asked for with string"),
    ],
)
def test_store_is_not_handed_out_as_another_kind_or_type(handle: object, said: str) -> None:
    builder = hr.StreamsBuilder()
    stream = builder.stream(hr.Topic("numbers", value=int))
    stream.process(lambda: Asking(handle), SEEN, key=str, value=int)
    with pytest.raises(hr.TopologyError, match=said):
        TopologyTestDriver(builder.build())


@hr.processor(SEEN)
def keep(record: hr.Record[str, int], seen: KeyValueStore[str, int]) -> Iterator[hr.Record[str, int]]:
    seen.put(record.key, record.value)
    yield record


@hr.processor(SEEN)
def recall(record: hr.Record[str, int], seen: KeyValueStore[str, int]) -> Iterator[hr.Record[str, int]]:
    yield record.with_value(seen.get(record.key) or 0)


def test_processors_share_the_store_that_they_both_declare() -> None:
    numbers, questions = hr.Topic("numbers", value=int), hr.Topic("questions", value=int)
    answers = hr.Topic("answers", value=int)
    builder = hr.StreamsBuilder()
    builder.stream(numbers).process(keep)
    builder.stream(questions).process(recall, key=str, value=int).to(answers)
    with TopologyTestDriver(builder.build()) as driver:
        driver.input(numbers).pipe("a", 7)
        driver.input(questions).pipe("a", 0)
        assert driver.output(answers).read_pairs() == [("a", 7)]


def test_two_declarations_of_one_name_are_refused_where_they_differ() -> None:
    other = stores.key_value("seen", key=str, value=str)
    builder = hr.StreamsBuilder()
    stream = builder.stream(hr.Topic("numbers", value=int))
    stream.process(Doubling, SEEN, key=str, value=int)
    stream.process(Doubling, other, key=str, value=int)
    with pytest.raises(hr.TopologyError, match="there are two stores named 'seen'"):
        builder.build()
