"""Poison input and failing functions: what each handler's reaction does."""

from collections.abc import Iterator

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.base.rare_warnings import is_worth_a_warning
from headrace.log.port import TopicSpec
from headrace.processor.api import processor
from headrace.stores import KeyValueStore

NUMBERS = hr.Topic("numbers", key=str, value=int)
HALVES = hr.Topic("halves", key=str, value=int)
OTHERS = hr.Topic("others", key=str, value=int)
DEAD = hr.Topic("dead", key=bytes, value=bytes)
COUNTS = stores.key_value("counts", key=str, value=int)


def half(value: int) -> int:
    if value % 2:
        raise ValueError(f"{value} is odd")
    return value // 2


def halving() -> hr.Topology:
    """Two branches below one source: one fails on odd numbers, the other never does."""
    builder = hr.StreamsBuilder()
    numbers = builder.stream(NUMBERS)
    numbers.map_values(half).to(HALVES)
    numbers.to(OTHERS)
    return builder.build()


def test_by_default_a_failing_function_stops_the_application_and_says_where() -> None:
    with testing.TopologyTestDriver(halving()) as driver:
        driver.input(NUMBERS).pipe("a", 4, 0)
        with pytest.raises(hr.ProcessingError) as raised:
            driver.input(NUMBERS).pipe("a", 5, 1)
    error = raised.value
    assert (error.topic, error.partition, error.offset, error.task_id) == ("numbers", 0, 1, "0_0")
    assert "KSTREAM-MAPVALUES-0000000001 (test_failures.py:" in str(error)
    assert "topic 'numbers', partition 0, offset 1" in str(error)
    assert isinstance(error.__cause__, ValueError)
    assert error.__cause__.__traceback__ is not None


def test_record_that_stopped_the_application_is_tried_again_after_a_restart() -> None:
    broken = [True]

    def sometimes(value: int) -> int:
        if broken[0]:
            raise ConnectionError("the database is away")
        return value

    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).map_values(sometimes, value=int).to(HALVES)
    with testing.TopologyTestDriver(builder.build()) as driver:
        with pytest.raises(hr.ProcessingError):
            driver.input(NUMBERS).pipe("a", 5, 1)
        broken[0] = False
        driver.restart()
        assert driver.output(HALVES).read_pairs() == [("a", 5)]


def test_resume_drops_the_record_at_the_failing_node_and_its_siblings_still_get_it() -> None:
    with testing.TopologyTestDriver(
        halving(), processing_exception_handler=lambda failure: hr.Reaction.resume
    ) as driver:
        driver.input(NUMBERS).pipe_all([("a", 1, 0), ("b", 2, 1)])
        assert driver.output(HALVES).read_pairs() == [("b", 1)]
        assert driver.output(OTHERS).read_pairs() == [("a", 1), ("b", 2)]
        assert driver.dropped == 1


def test_retry_reads_the_records_again_until_the_function_succeeds() -> None:
    tries: list[int] = []

    def third_time(value: int) -> int:
        tries.append(value)
        if len(tries) < 3:
            raise ConnectionError("not yet")
        return value

    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).map_values(third_time, value=int).to(HALVES)
    with testing.TopologyTestDriver(
        builder.build(), processing_exception_handler=lambda failure: hr.Reaction.retry
    ) as driver:
        driver.input(NUMBERS).pipe("a", 7, 0)
        assert driver.output(HALVES).read_pairs() == [("a", 7)]
    assert tries == [7, 7, 7]


def test_dead_letter_is_logged_as_one_and_not_as_a_loss(caplog: pytest.LogCaptureFixture) -> None:
    with testing.TopologyTestDriver(
        halving(), processing_exception_handler=lambda failure: hr.Reaction.dead_letter("dead")
    ) as driver:
        driver.input(NUMBERS).pipe("a", 5, 17)
    (message,) = [record.getMessage() for record in caplog.records if record.name == "headrace.failures"]
    assert ": record written to dead-letter topic 'dead', as the process handler says" in message
    assert "topic 'numbers', partition 0, offset 0): ValueError('5 is odd'); 1 so far" in message


def test_dead_letter_carries_the_raw_record_and_what_happened() -> None:
    with testing.TopologyTestDriver(
        halving(),
        processing_exception_handler=lambda failure: hr.Reaction.dead_letter(),
        errors_dead_letter_queue_topic_name="dead",
    ) as driver:
        driver.input(NUMBERS).pipe("a", 5, 17, [("trace", b"x")])
        dead = driver.output(DEAD).read()
        assert (dead.key, dead.value, dead.timestamp) == (b"a", (5).to_bytes(8, "big"), 17)
        headers = dict(dead.headers)
        assert list(headers) == [
            "trace",
            "__streams.errors.exception",
            "__streams.errors.message",
            "__streams.errors.stacktrace",
            "__streams.errors.topic",
            "__streams.errors.partition",
            "__streams.errors.offset",
            "__headrace.errors.node",
            "__headrace.errors.stage",
        ]
        assert headers["__streams.errors.exception"] == b"ValueError"
        assert headers["__streams.errors.message"] == b"5 is odd"
        assert b"in half" in (headers["__streams.errors.stacktrace"] or b"")
        assert headers["__streams.errors.topic"] == b"numbers"
        assert headers["__streams.errors.partition"] == b"0"
        assert headers["__streams.errors.offset"] == b"0"
        assert (headers["__headrace.errors.node"] or b"").startswith(b"KSTREAM-")
        assert headers["__headrace.errors.stage"] == b"process"


def test_dead_letter_is_written_in_the_records_own_transaction() -> None:
    """What is aborted leaves no dead letter behind: here a later record of the same batch stops the worker."""

    def react(failure: hr.Failure) -> hr.Reaction:
        return hr.Reaction.dead_letter("dead") if failure.stage == "deserialize" else hr.Reaction.fail

    with testing.TopologyTestDriver(
        halving(), processing_exception_handler=react, deserialization_exception_handler=react
    ) as driver:
        driver.input(NUMBERS).pipe_raw(b"a", b"poison", 0)
        assert len(driver.output(DEAD)) == 1
        with pytest.raises(hr.ProcessingError):
            driver.input(NUMBERS).pipe("a", 5, 1)
        with pytest.raises(hr.ProcessingError):
            driver.restart()
        assert len(driver.output(DEAD)) == 1


def test_dead_letter_without_a_topic_says_which_property_to_set() -> None:
    with (
        testing.TopologyTestDriver(
            halving(), processing_exception_handler=lambda failure: hr.Reaction.dead_letter()
        ) as driver,
        pytest.raises(hr.ConfigError, match=r"errors\.dead\.letter\.queue\.topic\.name"),
    ):
        driver.input(NUMBERS).pipe("a", 5, 0)


def test_poison_value_goes_to_the_deserialization_handler_with_its_raw_bytes() -> None:
    seen: list[hr.Failure] = []

    def resume(failure: hr.Failure) -> hr.Reaction:
        seen.append(failure)
        return hr.Reaction.resume

    with testing.TopologyTestDriver(halving(), deserialization_exception_handler=resume) as driver:
        numbers = driver.input(NUMBERS)
        numbers.pipe("a", 2, 0)
        numbers.pipe_raw(b"b", b"seven", 1)
        numbers.pipe_raw(b"\xff", (4).to_bytes(8, "big"), 2)
        numbers.pipe("c", 6, 3)
        assert driver.output(HALVES).read_pairs() == [("a", 1), ("c", 3)]
    assert [(failure.stage, failure.offset, failure.key, failure.value) for failure in seen] == [
        ("deserialize", 1, b"b", b"seven"),
        ("deserialize", 2, b"\xff", (4).to_bytes(8, "big")),
    ]
    assert all(isinstance(failure.error, hr.SerializationError) for failure in seen)


def test_poison_value_is_found_even_where_nobody_looks_at_values() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).group_by_key().count(store=COUNTS)
    with (
        testing.TopologyTestDriver(builder.build()) as driver,
        pytest.raises(hr.ProcessingError, match="read"),
    ):
        driver.input(NUMBERS).pipe_raw(b"a", b"poison", 0)


def test_value_that_a_sink_cannot_write_goes_to_the_production_handler() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).map_values(lambda value: "text" if value == 3 else value, value=int).to(HALVES)  # type: ignore[arg-type, return-value]
    stages: list[str] = []

    def resume(failure: hr.Failure) -> hr.Reaction:
        stages.append(failure.stage)
        return hr.Reaction.resume

    with testing.TopologyTestDriver(builder.build(), production_exception_handler=resume) as driver:
        driver.input(NUMBERS).pipe_all([("a", 2, 0), ("a", 3, 1), ("a", 4, 2)])
        assert driver.output(HALVES).read_pairs() == [("a", 2), ("a", 4)]
    assert stages == ["serialize"]


def test_partition_out_of_range_goes_to_the_production_handler() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).to(HALVES, partitioner=lambda topic, key, value, count: value)
    stages: list[str] = []

    def resume(failure: hr.Failure) -> hr.Reaction:
        stages.append(failure.stage)
        return hr.Reaction.resume

    with testing.TopologyTestDriver(builder.build(), production_exception_handler=resume) as driver:
        driver.input(NUMBERS).pipe_all([("a", 0, 0), ("a", 9, 1)])
        assert driver.output(HALVES).read_pairs() == [("a", 0)]
    assert stages == ["produce"]


def test_handler_that_fails_itself_stops_the_application_with_its_own_error() -> None:
    def broken(failure: hr.Failure) -> hr.Reaction:
        raise KeyError("handler")

    with testing.TopologyTestDriver(halving(), processing_exception_handler=broken) as driver:
        with pytest.raises(hr.ProcessingError, match="the handler itself failed") as raised:
            driver.input(NUMBERS).pipe("a", 5, 0)
        assert isinstance(raised.value.__cause__, KeyError)


def test_handler_that_answers_nothing_is_told_what_to_return() -> None:
    with (
        testing.TopologyTestDriver(halving(), processing_exception_handler=lambda failure: None) as driver,  # type: ignore[arg-type, return-value]
        pytest.raises(hr.ProcessingError, match=r"return Reaction\.fail"),
    ):
        driver.input(NUMBERS).pipe("a", 5, 0)


def test_failure_below_a_forwarding_processor_is_decided_once_and_by_the_node_that_failed() -> None:
    nodes: list[str] = []

    def resume(failure: hr.Failure) -> hr.Reaction:
        nodes.append(failure.node.split(" ")[0])
        return hr.Reaction.resume

    @processor()
    def twice(record: hr.Record[str, int]) -> Iterator[hr.Record[str, int]]:
        yield record
        yield record.with_value(record.value + 1)

    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).process(twice, name="twice").map_values(half, name="half").to(HALVES)
    with testing.TopologyTestDriver(builder.build(), processing_exception_handler=resume) as driver:
        driver.input(NUMBERS).pipe("a", 5, 0)
        assert driver.output(HALVES).read_pairs() == [("a", 3)]
    assert nodes == ["half"]


def test_null_value_that_surprises_a_function_is_named_as_a_tombstone() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).map_values(lambda value: value.bit_length(), value=int).to(HALVES)
    with (
        testing.TopologyTestDriver(builder.build()) as driver,
        pytest.raises(hr.ProcessingError, match="the value was null: a tombstone"),
    ):
        driver.input(NUMBERS).pipe("a", None, 0)


def test_error_that_has_nothing_to_do_with_a_null_is_told_without_one() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).map_values(lambda value: int("x", "base"), value=int).to(HALVES)  # type: ignore[call-overload]
    with (
        testing.TopologyTestDriver(builder.build()) as driver,
        pytest.raises(hr.ProcessingError) as raised,
    ):
        driver.input(NUMBERS).pipe("a", None, 0)
    assert "null" not in str(raised.value)
    assert "tombstone" not in str(raised.value)


def test_handler_that_fails_is_not_excused_by_a_null_value() -> None:
    def broken(failure: hr.Failure) -> hr.Reaction:
        return failure.value.decode()  # type: ignore[union-attr, return-value]  # the mistake under test

    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).map_values(lambda value: value + 1, value=int).to(HALVES)
    with (
        testing.TopologyTestDriver(builder.build(), processing_exception_handler=broken) as driver,
        pytest.raises(hr.ProcessingError, match="the handler itself failed on it") as raised,
    ):
        driver.input(NUMBERS).pipe("a", None, 0)
    assert "tombstone" not in str(raised.value)


def test_null_that_a_node_above_has_made_is_not_called_a_tombstone() -> None:
    builder = hr.StreamsBuilder()
    stream = builder.stream(NUMBERS).map_values(lambda value: None, value=int)  # type: ignore[arg-type, return-value]
    stream.map_values(lambda value: value.bit_length(), value=int).to(HALVES)
    with (
        testing.TopologyTestDriver(builder.build()) as driver,
        pytest.raises(
            hr.ProcessingError, match="the value is None here, but was not null when it was read"
        ) as raised,
    ):
        driver.input(NUMBERS).pipe("a", 1, 0)
    assert "tombstone" not in str(raised.value)


def test_null_of_a_deleted_row_is_not_called_a_tombstone_when_a_cache_lets_go_of_it() -> None:
    builder = hr.StreamsBuilder()
    counts = (
        builder.stream(NUMBERS)
        .group_by_key()
        .aggregate(int, lambda key, value, total: value or None, store=COUNTS)
    )
    counts.to_stream().map_values(lambda value: value.bit_length(), value=int).to(HALVES)
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(NUMBERS).pipe("a", 1, 0)
        with pytest.raises(hr.ProcessingError, match="could not process a record") as raised:
            driver.input(NUMBERS).pipe("a", 0, 1)
    assert "null" not in str(raised.value)


def _dead_lettering(**topic: str) -> testing.TopologyTestDriver:
    driver = testing.TopologyTestDriver(
        halving(), processing_exception_handler=lambda failure: hr.Reaction.dead_letter("dead")
    )
    driver.log.create_topics(
        [TopicSpec("dead", 1, {name.replace("_", "."): text for name, text in topic.items()})]
    )
    return driver


@pytest.mark.parametrize(
    ("topic", "key", "found"),
    [
        ({"cleanup_policy": "compact"}, None, "takes no record without a key"),
        ({"max_message_bytes": "500"}, "a", "and the topic takes 500"),
    ],
)
def test_dead_letter_that_its_topic_does_not_take_stops_the_application_and_says_both_reasons(
    topic: dict[str, str], key: str | None, found: str
) -> None:
    with _dead_lettering(**topic) as driver:
        with pytest.raises(
            hr.ProcessingError, match=f"5 is odd; and no dead letter can be written: .*{found}"
        ):
            driver.input(NUMBERS).pipe(key, 5, 0)
        assert driver.output(DEAD).read_all() == []


def test_dead_letter_of_a_record_from_the_future_is_written_as_of_now() -> None:
    with _dead_lettering(message_timestamp_after_max_ms="3600000") as driver:
        driver.input(NUMBERS).pipe_all([("a", 5, 3_600_000), ("a", 7, 3_600_001)])
        assert [record.timestamp for record in driver.output(DEAD).read_all()] == [3_600_000, 0]


def test_record_that_a_sinks_topic_does_not_take_goes_to_the_production_handler() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).to(HALVES)
    seen: list[tuple[str, int]] = []

    def resume(failure: hr.Failure) -> hr.Reaction:
        seen.append((failure.stage, failure.offset))
        return hr.Reaction.resume

    log_properties = {"message.timestamp.after.max.ms": "3600000"}
    with testing.TopologyTestDriver(builder.build(), production_exception_handler=resume) as driver:
        driver.log.delete_topics(["halves"])
        driver.log.create_topics([TopicSpec("halves", 1, log_properties)])
        driver.restart()
        driver.input(NUMBERS).pipe_all([("a", 1, 0), ("a", 2, 3_600_001), ("a", 3, 3_600_000)])
        assert driver.output(HALVES).read_pairs() == [("a", 1), ("a", 3)]
    assert seen == [("produce", 1)]


def test_failing_punctuation_is_decided_by_the_processing_handler_without_a_record() -> None:
    seen: list[tuple[str, int, bytes | None]] = []

    def resume(failure: hr.Failure) -> hr.Reaction:
        seen.append((failure.topic, failure.offset, failure.value))
        return hr.Reaction.resume

    class Ticking(hr.Processor[str, int, str, int]):
        def init(self) -> None:
            self.context.schedule("1s", self.tick, on="wall")

        def process(self, record: hr.Record[str, int]) -> None:
            self.context.forward(record)

        def tick(self, now: int) -> None:
            raise ValueError("tick")

    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).process(Ticking, key=str, value=int).to(HALVES)
    with testing.TopologyTestDriver(builder.build(), processing_exception_handler=resume) as driver:
        driver.advance("1s")
        driver.input(NUMBERS).pipe("a", 1, 0)
        assert driver.output(HALVES).read_pairs() == [("a", 1)]
    assert seen == [("", -1, None)]


def test_store_whose_value_cannot_be_written_leaves_the_record_to_the_processing_handler() -> None:
    @processor(COUNTS)
    def wrong(record: hr.Record[str, int], counts: KeyValueStore[str, int]) -> list[hr.Record[str, int]]:
        counts.put(record.key, "three" if record.value == 3 else record.value)  # type: ignore[arg-type]
        return [record]

    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).process(wrong).to(HALVES)
    with testing.TopologyTestDriver(
        builder.build(), processing_exception_handler=lambda failure: hr.Reaction.resume
    ) as driver:
        driver.input(NUMBERS).pipe_all([("a", 1, 0), ("a", 3, 1)])
        assert driver.store(COUNTS).get("a") == 1
        assert driver.output(HALVES).read_pairs() == [("a", 1)]


def test_warnings_about_dropped_records_grow_rare() -> None:
    assert [seen for seen in range(1, 10_001) if is_worth_a_warning(seen)] == [
        1,
        2,
        3,
        10,
        100,
        1_000,
        10_000,
    ]


@pytest.mark.parametrize("kind", [hr.StateError, hr.UnknownTopicError, hr.LogError, hr.TopologyError])
def test_errors_of_ours_that_a_function_raises_itself_are_its_own(kind: type[Exception]) -> None:
    """It may call another application, or a log of its own: that says nothing of this one's."""

    def ask(value: int) -> int:
        if value % 2:
            raise kind("the other application is away")
        return value

    def topology() -> hr.Topology:
        builder = hr.StreamsBuilder()
        builder.stream(NUMBERS).map_values(ask).to(HALVES)
        return builder.build()

    with (
        testing.TopologyTestDriver(topology()) as driver,
        pytest.raises(hr.ProcessingError, match=r"topic 'numbers', partition 0, offset 0.*is away"),
    ):
        driver.input(NUMBERS).pipe("a", 5, 1)
    with testing.TopologyTestDriver(
        topology(), processing_exception_handler=lambda failure: hr.Reaction.resume
    ) as driver:
        driver.input(NUMBERS).pipe_all([("a", 5, 1), ("a", 6, 2)])
        assert driver.output(HALVES).read_pairs() == [("a", 6)]
