"""The typed ends of a topology under test: times, values, pairs, partitions; and what the driver tells of it all."""

import pytest

import headrace as hr
from headrace import stores, testing

WORDS = hr.Topic("words", value=str)
COUNTS = hr.Topic("counts", value=int)
ECHO = hr.Topic("echo", value=str)
KEPT = stores.key_value("kept", key=str, value=int)
SPREAD = hr.Topic("words", value=str, partitions=3)


def counting(words: hr.Topic[str, str] = WORDS) -> hr.Topology:
    builder = hr.StreamsBuilder()
    stream = builder.stream(words)
    stream.to(ECHO)
    stream.group_by(lambda key, word: word).count(store=KEPT).to_stream().to(COUNTS)
    return builder.build()


def test_topic_with_a_time_of_its_own_moves_it_with_each_record_without_one() -> None:
    with testing.TopologyTestDriver(counting(), start=5) as driver:
        words = driver.input(WORDS, start=100, advance="10ms")
        words.pipe("k", "a")
        words.pipe("k", "b")
        words.pipe("k", "c", timestamp=7)
        words.advance("1s")
        words.pipe_value("d")
        assert [record.timestamp for record in driver.output(ECHO).read_all()] == [100, 110, 7, 1_120]


def test_topic_without_a_time_of_its_own_has_none_to_move() -> None:
    with (
        testing.TopologyTestDriver(counting()) as driver,
        pytest.raises(hr.StateError, match=r"write driver\.input\(TOPIC, start=0\)"),
    ):
        driver.input(WORDS).advance("1s")


def test_lists_of_pairs_and_values_have_times_from_a_start_on() -> None:
    with testing.TopologyTestDriver(counting()) as driver:
        words, echo = driver.input(WORDS), driver.output(ECHO)
        words.pipe_all([("k", "a"), ("k", "b")], start=10, advance="5ms")
        words.pipe_values(["c", "d"], start=50, advance="1ms")
        words.pipe_record(hr.Record("k", "e", 3, (("h", b"1"),)))
        found = echo.read_all()
        assert [(record.key, record.value, record.timestamp) for record in found] == [
            ("k", "a", 10), ("k", "b", 15), (None, "c", 50), (None, "d", 51), ("k", "e", 3),
        ]  # fmt: skip
        assert found[-1].headers == (("h", b"1"),)


def test_output_is_read_by_values_and_pairs() -> None:
    with testing.TopologyTestDriver(counting()) as driver:
        driver.input(WORDS).pipe_values(["a", "b", "a", "b"])
        counts = driver.output(COUNTS)
        assert counts.read_value() == 1
        assert counts.read_pair() == ("b", 1)
        assert counts.read_values() == [2, 2]
        with pytest.raises(IndexError):
            counts.read_value()


def test_record_goes_to_the_partition_that_is_named() -> None:
    with testing.TopologyTestDriver(counting(SPREAD), partitions=3) as driver:
        words = driver.input(SPREAD)
        for partition in (2, 0):
            words.pipe("same key", str(partition), partition=partition)
        words.pipe_raw(b"same key", b"x", partition=1)
        assert [(p, value) for p, _, _, value, *_ in driver.log.records("words")] == [
            (0, b"0"),
            (1, b"x"),
            (2, b"2"),
        ]
        with pytest.raises(ValueError, match="cannot go to partition 3: there are 3, from 0 on"):
            words.pipe("k", "x", partition=3)


def test_output_of_one_partition_is_read_by_itself() -> None:
    echo = hr.Topic("echo", value=str, partitions=2)
    builder = hr.StreamsBuilder()
    builder.stream(WORDS).to(echo, partitioner=lambda topic, key, value, count: int(value))
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(WORDS).pipe_values(["0", "1", "0"])
        assert [record.value for record in driver.output(echo).read_all(partition=1)] == ["1"]
        assert driver.output(echo).read_values() == ["0", "0"]


def test_driver_tells_what_was_written_and_what_stores_there_are() -> None:
    with testing.TopologyTestDriver(counting()) as driver:
        assert driver.produced_topics == []
        driver.input(WORDS).pipe("k", "a")
        assert driver.produced_topics == ["counts", "echo", "test-kept-changelog", "test-kept-repartition"]
        assert list(driver.stores) == ["kept"]
        assert driver.stores["kept"].get("a") == 1


def test_topic_that_is_read_and_written_counts_as_written() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(WORDS).filter(lambda key, word: word == "a").map_values(lambda word: "b", value=str).to(
        WORDS
    )
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(WORDS).pipe("k", "x")
        assert driver.produced_topics == []
        driver.input(WORDS).pipe("k", "a")
        assert driver.produced_topics == ["words"]
