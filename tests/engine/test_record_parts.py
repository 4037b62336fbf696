"""What user code makes of a record's parts: what no log can hold fails in the node that made it; a handler decides."""

import enum
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.base.columns import Chunk, Columns
from headrace.base.ids import TopicPartition
from headrace.log.embedded.log import EmbeddedLog
from headrace.processor.api import processor

IN = hr.Topic("in", key=str, value=str)
OUT = hr.Topic("out", key=str, value=str)
DEAD = hr.Topic("dead", key=bytes, value=bytes)
COUNTS = stores.key_value("counts", key=str, value=int)


class _Number:
    """A whole number that is no int, as numpy's are."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __index__(self) -> int:
        return self._number


class _Name(enum.StrEnum):
    OUT = "out"


def _changing(change: Callable[[hr.Record[str, str]], Any]) -> hr.Topology:
    """Forwards 'good' as it is, and the rest as it is changed."""

    @processor()
    def changed(record: hr.Record[str, str]) -> Iterator[hr.Record[str, str]]:
        yield record if record.value == "good" else change(record)

    builder = hr.StreamsBuilder()
    builder.stream(IN).process(changed, name="changed", key=str, value=str).to(OUT)
    return builder.build()


def _with(**parts: Any) -> Callable[[hr.Record[str, str]], Any]:
    def change(record: hr.Record[str, str]) -> Any:
        given: dict[str, Any] = {"timestamp": record.timestamp, "headers": record.headers} | parts
        return hr.Record(record.key, record.value, given["timestamp"], given["headers"])

    return change


_WRONG: list[tuple[Callable[[hr.Record[str, str]], Any], str]] = [
    (_with(timestamp=1.5), "has the timestamp 1.5, of type float"),
    (_with(timestamp=True), "has the timestamp True, of type bool"),
    (_with(timestamp=None), "has the timestamp None, of type NoneType"),
    (_with(timestamp="5"), "has the timestamp '5', of type str"),
    (_with(timestamp=-1), "has the negative timestamp -1"),
    (_with(timestamp=2**63), "has the timestamp 9223372036854775808, beyond 64 bits"),
    (_with(headers=(("trace", "abc"),)), r"header 'trace' with the value 'abc': .*; write \.encode\(\)"),
    (_with(headers=[("trace", 5)]), "header 'trace' with the value 5: bytes or None"),
    (_with(headers=((b"trace", b"1"),)), "a header whose name is b'trace': a text is wanted"),
    (_with(headers=((None, b"1"),)), "a header whose name is None"),
    (_with(headers=(("\ud800", b"1"),)), "a header whose name is no valid text"),
    (_with(headers=(("trace", b"1", b"2"),)), "a pair is wanted"),
    (_with(headers=("trace",)), "has the header 'trace': a pair is wanted"),
    (_with(headers={"trace": b"1"}), r"write tuple\(headers\.items\(\)\)"),
    (_with(headers=None), "has the headers None"),
    (_with(headers="trace"), "has the headers 'trace'"),
    (
        lambda record: record.with_headers({"trace": b"1"}),  # type: ignore[arg-type]
        "has the header 'trace': a pair is wanted",
    ),
    (lambda record: ("a", "b"), r"a Record is to be forwarded, found \('a', 'b'\)"),
    (lambda record: None, "a Record is to be forwarded, found None"),
]


@pytest.mark.parametrize(("change", "found"), _WRONG)
def test_wrong_part_of_a_forwarded_record_fails_in_the_node_that_forwards_it(
    change: Callable[[hr.Record[str, str]], Any], found: str
) -> None:
    with testing.TopologyTestDriver(_changing(change)) as driver:
        with pytest.raises(hr.ProcessingError, match=found) as raised:
            driver.input(IN).pipe("a", "bad", 3)
        assert "changed (test_record_parts.py:" in str(raised.value)
        assert "topic 'in', partition 0, offset 0" in str(raised.value)


@pytest.mark.parametrize(("change", "found"), _WRONG)
def test_record_with_a_wrong_part_is_dropped_alone(
    change: Callable[[hr.Record[str, str]], Any], found: str
) -> None:
    with testing.TopologyTestDriver(
        _changing(change), processing_exception_handler=lambda failure: hr.Reaction.resume
    ) as driver:
        driver.input(IN).pipe_all([("a", "good", 1), ("a", "bad", 2), ("a", "good", 3)])
        assert [record.timestamp for record in driver.output(OUT).read_all()] == [1, 3]
        assert driver.dropped == 1


@pytest.mark.parametrize(
    ("change", "timestamp", "headers"),
    [
        (_with(timestamp=2**63 - 1), 2**63 - 1, ()),
        (_with(timestamp=_Number(7)), 7, ()),
        (_with(headers=[["trace", bytearray(b"1")]]), 3, (("trace", b"1"),)),
        (_with(headers=(("trace", memoryview(b"12")[1:]),)), 3, (("trace", b"2"),)),
        (_with(headers=((_Name.OUT, None),)), 3, (("out", None),)),
        (_with(headers=[]), 3, ()),
    ],
)
def test_parts_that_mean_the_same_are_taken(
    change: Callable[[hr.Record[str, str]], Any], timestamp: int, headers: hr.Headers
) -> None:
    with testing.TopologyTestDriver(_changing(change)) as driver:
        driver.input(IN).pipe("a", "other", 3)
        record = driver.output(OUT).read()
        assert (record.timestamp, record.headers) == (timestamp, headers)
        assert all(type(name) is str and type(value) in (bytes, type(None)) for name, value in record.headers)


def test_wrong_header_from_a_fixed_key_processor_fails_there_too() -> None:
    class Tagging(hr.FixedKeyProcessor[str, str, str]):
        def process(self, record: hr.Record[str, str]) -> None:
            self.context.forward(record.with_headers((("trace", 5),)))  # type: ignore[arg-type]

    builder = hr.StreamsBuilder()
    builder.stream(IN).process_values(Tagging, value=str).to(OUT)
    with (
        testing.TopologyTestDriver(builder.build()) as driver,
        pytest.raises(hr.ProcessingError, match="header 'trace' with the value 5"),
    ):
        driver.input(IN).pipe("a", "v", 0)


def test_wrong_header_on_the_way_to_a_repartition_topic_leaves_the_embedded_log_readable(
    tmp_path: Path,
) -> None:
    @processor()
    def tagged(record: hr.Record[str, str]) -> Iterator[hr.Record[str, str]]:
        yield record.with_headers([("trace", "abc" if record.value == "bad" else b"abc")])  # type: ignore[list-item]

    builder = hr.StreamsBuilder()
    (
        builder.stream(IN)
        .process(tagged, key=str, value=str)
        .group_by(lambda key, value: value, key=str)
        .count(store=COUNTS)
        .to_stream()
        .to(hr.Topic("counted", value=int))
    )
    path = tmp_path / "log.db"
    log = EmbeddedLog.open(path)
    with hr.Streams(
        builder.build(),
        application_id="parts",
        embedded_path=str(path),
        state_dir=str(tmp_path / "state"),
        commit_interval_ms=10,
        processing_exception_handler=lambda failure: hr.Reaction.resume,
    ) as streams:
        streams.wait_running("20s")
        columns = Columns()
        for value in (b"good", b"bad", b"good"):
            columns.append(b"a", value, 0, ())
        writer = log.writer("test")
        writer.append("in", 0, columns)
        writer.commit({})
        writer.close()
        reader = log.reader()
        reader.assign({TopicPartition("counted", 0): 0})
        chunks: list[Chunk] = []
        while not chunks:
            chunks = reader.poll(1_000)
        reader.close()
    log.close()
    assert (list(chunks[0].keys), list(chunks[0].values)) == ([b"good"], [(2).to_bytes(8, "big")])


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (1.5, "what the extractor returned has the timestamp 1.5, of type float"),
        (True, "of type bool"),
        (None, "of type NoneType"),
        (2**63, "beyond 64 bits"),
    ],
)
def test_wrong_timestamp_from_an_extractor_is_the_processing_handlers(result: Any, found: str) -> None:
    seen: list[tuple[str, str, int]] = []

    def resume(failure: hr.Failure) -> hr.Reaction:
        seen.append((failure.stage, failure.node.split(" ")[0], failure.offset))
        return hr.Reaction.resume

    builder = hr.StreamsBuilder()
    stream = builder.stream(IN, timestamp=lambda record, before: result if record.value == "bad" else 7)
    stream.to(OUT)
    topology = builder.build()
    with testing.TopologyTestDriver(topology, processing_exception_handler=resume) as driver:
        driver.input(IN).pipe_all([("a", "good", 1), ("a", "bad", 2), ("a", "good", 3)])
        assert [record.timestamp for record in driver.output(OUT).read_all()] == [7, 7]
    assert seen == [("process", "KSTREAM-SOURCE-0000000000", 1)]
    with (
        testing.TopologyTestDriver(topology) as driver,
        pytest.raises(hr.ProcessingError, match=f"topic 'in', partition 0, offset 0.*{found}"),
    ):
        driver.input(IN).pipe("a", "bad", 1)


def test_record_without_a_timestamp_is_the_processing_handlers() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(IN).to(OUT)
    with testing.TopologyTestDriver(
        builder.build(),
        processing_exception_handler=lambda failure: hr.Reaction.dead_letter("dead"),
    ) as driver:
        driver.input(IN).pipe_raw(b"a", b"v", -1)
        assert driver.output(OUT).read_all() == []
        assert driver.output(DEAD).read().value == b"v"


@pytest.mark.parametrize(
    ("chosen", "stage"),
    [
        (0.0, "produce"),
        (-1, "produce"),
        (True, "produce"),
        ("0", "produce"),
        ({0, 7}, "produce"),
        ({0, "x"}, "produce"),
        (object(), "produce"),
        (KeyError("mine"), "process"),
    ],
)
def test_impossible_partition_is_a_handlers(chosen: Any, stage: str) -> None:
    stages: list[str] = []

    def resume(failure: hr.Failure) -> hr.Reaction:
        stages.append(failure.stage)
        return hr.Reaction.resume

    def choose(topic: str, key: str, value: str, count: int) -> Any:
        if value == "good":
            return None
        if isinstance(chosen, Exception):
            raise chosen
        return chosen

    builder = hr.StreamsBuilder()
    builder.stream(IN).to(OUT, partitioner=choose)
    with testing.TopologyTestDriver(
        builder.build(), processing_exception_handler=resume, production_exception_handler=resume
    ) as driver:
        driver.input(IN).pipe_all([("a", "good", 1), ("a", "bad", 2), ("a", "good", 3)])
        assert [record.timestamp for record in driver.output(OUT).read_all()] == [1, 3]
        assert driver.dropped == 1
    assert stages == [stage]


def test_record_for_which_a_partitioner_chooses_no_partition_counts_as_dropped() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(IN).to(OUT, partitioner=lambda topic, key, value, count: ())
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(IN).pipe("a", "v", 0)
        assert driver.output(OUT).read_all() == []
        assert driver.dropped == 1


def test_whole_number_of_another_class_is_a_partition() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(IN).to(OUT, partitioner=lambda topic, key, value, count: _Number(1))  # type: ignore[arg-type, return-value]
    with testing.TopologyTestDriver(builder.build(), partitions=2) as driver:
        driver.input(IN).pipe("a", "v", 0)
        assert [row[0] for row in driver.log.records("out")] == [1]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (None, "the topic that the function chose, None, must be text, and is of type NoneType"),
        (b"out", "b'out', must be text, and is of type bytes"),
        ("", "'', is empty"),
        ("..", "cannot be a dot or two"),
        ("new orders", "'new orders', may only have letters, digits"),
        ("ö", "'ö', may only have letters"),
        ("x" * 250, "has 250 characters, and at most 249 are possible"),
    ],
)
def test_wrong_name_from_a_chooser_of_topics_is_the_processing_handlers(name: Any, found: str) -> None:
    builder = hr.StreamsBuilder()
    builder.stream(IN).to(lambda key, value, metadata: name if value == "bad" else "out", key=str, value=str)
    topology = builder.build()
    with testing.TopologyTestDriver(
        topology, processing_exception_handler=lambda failure: hr.Reaction.resume
    ) as driver:
        driver.input(IN).pipe_all([("a", "good", 1), ("a", "bad", 2), ("a", "good", 3)])
        assert [record.timestamp for record in driver.output(OUT).read_all()] == [1, 3]
    with (
        testing.TopologyTestDriver(topology) as driver,
        pytest.raises(hr.ProcessingError, match=f"topic 'in', partition 0, offset 0.*{found}"),
    ):
        driver.input(IN).pipe("a", "bad", 1)


def test_member_of_an_enumeration_names_a_topic() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(IN).to(lambda key, value, metadata: _Name.OUT, key=str, value=str)
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(IN).pipe("a", "v", 0)
        assert driver.output(OUT).read().value == "v"


def test_dead_letter_to_a_wrong_name_stops_and_says_so() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(IN).map_values(lambda value: str(1 / 0), value=str).to(OUT)
    with (
        testing.TopologyTestDriver(
            builder.build(),
            processing_exception_handler=lambda failure: hr.Reaction.dead_letter("dead letters"),
        ) as driver,
        pytest.raises(hr.ProcessingError, match="'dead letters', may only have letters"),
    ):
        driver.input(IN).pipe("a", "v", 0)


@pytest.mark.parametrize(
    ("timestamp", "headers", "found"),
    [
        (1.5, (), "the record for topic 'in' has the timestamp 1.5"),
        (2**63, (), "beyond 64 bits"),
        (-2, (), "negative timestamp -2"),
        (0, (("trace", "abc"),), "the record for topic 'in' has the header 'trace' with the value 'abc'"),
        (0, {"trace": b"1"}, "has a mapping as headers"),
    ],
)
def test_driver_refuses_to_pipe_parts_that_no_log_can_hold(timestamp: Any, headers: Any, found: str) -> None:
    builder = hr.StreamsBuilder()
    builder.stream(IN).to(OUT)
    with testing.TopologyTestDriver(builder.build()) as driver:
        with pytest.raises((TypeError, ValueError), match=found):
            driver.input(IN).pipe("a", "v", timestamp, headers)
        driver.input(IN).pipe("a", "v", 0, [("trace", bytearray(b"1"))])  # type: ignore[list-item]
        assert driver.output(OUT).read().headers == (("trace", b"1"),)


def test_window_start_that_is_no_time_fails_in_the_processor_that_puts_it() -> None:
    windows = stores.window("windows", key=str, value=int, size="1s", retention="1h")

    @processor(windows)
    def put(record: hr.Record[str, str], store: stores.WindowStore[str, int]) -> list[hr.Record[str, str]]:
        store.put(record.key, 1, {"float": 1.5, "negative": -1, "huge": 2**63}[record.value])  # type: ignore[arg-type]
        return []

    builder = hr.StreamsBuilder()
    builder.stream(IN).process(put, key=str, value=str).to(OUT)
    errors: list[str] = []

    def resume(failure: hr.Failure) -> hr.Reaction:
        errors.append(str(failure.error).split(":")[0])
        return hr.Reaction.resume

    with testing.TopologyTestDriver(builder.build(), processing_exception_handler=resume) as driver:
        driver.input(IN).pipe_all([("a", "float", 0), ("a", "negative", 1), ("a", "huge", 2)])
    assert errors == [
        "a window of store 'windows' has the timestamp 1.5, of type float",
        "a window of store 'windows' has the negative timestamp -1",
        "a window of store 'windows' has the timestamp 9223372036854775808, beyond 64 bits",
    ]
