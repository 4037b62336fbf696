"""The test driver, as its users meet it."""

from collections.abc import Callable
from datetime import timedelta

import pytest

import headrace as hr
from headrace import stores, testing

WORDS = hr.Topic("words", key=str, value=str)
COUNTS = hr.Topic("counts", key=str, value=int)
KEPT = stores.key_value("kept", key=str, value=int)


def counting() -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.stream(WORDS).group_by(lambda key, word: word).count(store=KEPT).to_stream().to(COUNTS)
    return builder.build()


def test_each_record_is_processed_to_the_end_before_pipe_returns() -> None:
    with testing.TopologyTestDriver(counting()) as driver:
        driver.input(WORDS).pipe("x", "a", 7)
        assert driver.output(COUNTS).read() == hr.Record("a", 1, 7)
        assert driver.store(KEPT).get("a") == 1


def test_each_record_of_an_output_is_read_once() -> None:
    with testing.TopologyTestDriver(counting()) as driver:
        driver.input(WORDS).pipe_all([("x", "a"), ("x", "b", 3), hr.Record("x", "a", 4)])
        assert len(driver.output(COUNTS)) == 3
        assert driver.output(COUNTS).read().key == "a"
        assert driver.output(COUNTS).read_pairs() == [("b", 1), ("a", 2)]
        assert driver.output(COUNTS).read_all() == []
        with pytest.raises(IndexError, match="nothing \\(more\\) was written to topic 'counts'"):
            driver.output(COUNTS).read()


def test_table_of_an_output_has_the_last_value_of_each_key() -> None:
    with testing.TopologyTestDriver(counting()) as driver:
        driver.input(WORDS).pipe_all([("x", "a"), ("x", "b"), ("x", "a")])
        assert driver.output(COUNTS).read_table() == {"a": 2, "b": 1}


def test_record_without_a_timestamp_gets_the_drivers_wall_clock() -> None:
    with testing.TopologyTestDriver(counting(), start=1_000) as driver:
        driver.advance("2s")
        driver.input(WORDS).pipe("x", "a")
        assert driver.output(COUNTS).read().timestamp == 3_000


def test_name_alone_is_no_topic() -> None:
    with testing.TopologyTestDriver(counting()) as driver:
        for ask in (driver.input, driver.output):
            with pytest.raises(hr.TopologyError, match=r"a topic is asked for as a Topic, .*, found 'words'"):
                ask("words")  # type: ignore[arg-type]  # which is the mistake


@pytest.mark.parametrize("lose_state", [False, True])
def test_restart_brings_the_stores_back(lose_state: bool) -> None:
    with testing.TopologyTestDriver(counting()) as driver:
        driver.input(WORDS).pipe_all([("x", "a"), ("x", "a")])
        driver.restart(lose_state=lose_state)
        driver.input(WORDS).pipe("x", "a")
        assert driver.store(KEPT).get("a") == 3
        assert driver.output(COUNTS).read_pairs() == [("a", 1), ("a", 2), ("a", 3)]


def test_wall_clock_punctuation_runs_when_the_clock_is_advanced() -> None:
    ticks: list[int] = []

    class Ticking(hr.Processor[str, str, str, str]):
        def init(self) -> None:
            self.context.schedule("10s", ticks.append, on="wall")

        def process(self, record: hr.Record[str, str]) -> None:
            pass

    builder = hr.StreamsBuilder()
    builder.stream(WORDS).process(Ticking, key=str, value=str)
    with testing.TopologyTestDriver(builder.build(), start=5_000) as driver:
        driver.advance("9s")
        driver.advance(timedelta(seconds=2))
        driver.input(WORDS).pipe("x", "a")
    assert ticks == [16_000]


def test_with_partitions_a_key_stays_in_its_own_and_its_store_is_asked_for_by_partition() -> None:
    with testing.TopologyTestDriver(counting(), partitions=3) as driver:
        driver.input(WORDS).pipe_all([("x", word) for word in "abcdef"])
        found = [dict(driver.store(KEPT, partition=partition).all()) for partition in range(3)]
        assert sorted(word for store in found for word in store) == list("abcdef")
        assert all(store != {} for store in found)
        assert driver.output(COUNTS).read_table() == dict.fromkeys("abcdef", 1)


def test_store_of_several_partitions_is_read_as_one_and_written_by_partition() -> None:
    with testing.TopologyTestDriver(counting(), partitions=3) as driver:
        driver.input(WORDS).pipe_all([("x", word) for word in "abcdef"])
        assert dict(driver.store(KEPT).all()) == dict.fromkeys("abcdef", 1)
        assert driver.store("kept").get("d") == 1
        with pytest.raises(hr.TopologyError, match=r"has 3 partitions, .* driver.store\(..., partition=0\)"):
            driver.store(KEPT).put("a", 7)
        with pytest.raises(hr.TopologyError, match=r"store 'kept' has no partition 3; it has 0, 1, 2"):
            driver.store(KEPT, partition=3)


def test_store_of_one_partition_is_written_without_naming_it() -> None:
    with testing.TopologyTestDriver(counting()) as driver:
        driver.store(KEPT).put("a", 7)
        driver.input(WORDS).pipe("x", "a")
        assert driver.store(KEPT).get("a") == 8


def test_handle_of_another_kind_or_type_is_refused() -> None:
    with testing.TopologyTestDriver(counting()) as driver:
        with pytest.raises(
            hr.TopologyError, match=r"is a key-value store, and is asked for as a window store"
        ):
            driver.store(stores.window("kept", key=str, value=int))
        with pytest.raises(
            hr.TopologyError, match=r"has values of int64, and is asked for with string: declare"
        ):
            driver.store(stores.key_value("kept", key=str, value=str))
        with pytest.raises(hr.TopologyError, match=r"has keys of string, and is asked for with int64"):
            driver.store(stores.key_value("kept", key=int, value=int))
        assert dict(driver.store(stores.key_value("kept")).all()) == {}


def test_output_topic_that_is_not_there_is_named_with_those_that_are() -> None:
    with (
        testing.TopologyTestDriver(counting()) as driver,
        pytest.raises(hr.TopologyError, match=r"does not write topic 'cuonts'; there are counts, .*, words"),
    ):
        driver.output(hr.Topic("cuonts"))


def test_output_topic_may_come_with_its_first_record() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(WORDS).to(lambda key, value, metadata: f"of-{value}", value=str)
    with testing.TopologyTestDriver(builder.build()) as driver:
        later = driver.output(hr.Topic("of-a", value=str))
        assert later.read_all() == []
        driver.input(WORDS).pipe("x", "a")
        assert later.read_pairs() == [("x", "a")]


def test_dead_letter_topic_may_come_with_its_first_record() -> None:
    with testing.TopologyTestDriver(counting(), errors_dead_letter_queue_topic_name="dead") as driver:
        assert driver.output(hr.Topic("dead")).read_all() == []
    with testing.TopologyTestDriver(
        counting(), processing_exception_handler=lambda failure: hr.Reaction.dead_letter("dead")
    ) as driver:
        assert driver.output(hr.Topic("dead")).read_all() == []


def test_topic_or_store_that_is_not_there_is_named_with_those_that_are() -> None:
    with testing.TopologyTestDriver(counting()) as driver:
        with pytest.raises(hr.TopologyError, match=r"does not read topic 'wrods'; it reads .*words"):
            driver.input(hr.Topic("wrods"))
        with pytest.raises(hr.TopologyError, match=r"no store 'gone'.*it has kept"):
            driver.store(stores.key_value("gone", key=str, value=int))


def test_topic_of_the_applications_own_is_none_that_is_piped_into() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(hr.Topic("words", value=str)).repartition(name="again").to(hr.Topic("out", value=str))
    with (
        testing.TopologyTestDriver(builder.build()) as driver,
        pytest.raises(hr.TopologyError, match=r"does not read topic 'again-repartition'; it reads words$"),
    ):
        driver.input(hr.Topic("again-repartition", value=str))


def test_closed_driver_says_so() -> None:
    driver = testing.TopologyTestDriver(counting())
    driver.close()
    driver.close()
    with pytest.raises(hr.StateError, match="the test driver is closed"):
        driver.advance("1s")


def test_topology_that_feeds_itself_without_end_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.testing.driver._TURNS_MAX", 50)
    builder = hr.StreamsBuilder()
    builder.stream(WORDS).to(WORDS)
    with (
        testing.TopologyTestDriver(builder.build()) as driver,
        pytest.raises(hr.StateError, match="does not come to rest"),
    ):
        driver.input(WORDS).pipe("x", "a")


def test_run_pipes_everything_and_returns_what_came_out_by_topic() -> None:
    assert testing.run(counting(), {WORDS: [("x", "a", 1), ("x", "a", 2)]}) == {
        "counts": [hr.Record("a", 1, 1), hr.Record("a", 2, 2)]
    }


def test_fixture_makes_drivers_that_close_with_the_test(
    topology_driver: Callable[..., testing.TopologyTestDriver],
) -> None:
    driver = topology_driver(counting(), partitions=2)
    driver.input(WORDS).pipe("x", "a")
    assert driver.output(COUNTS).read_pairs() == [("a", 1)]


def test_windowed_key_is_piped_where_the_key_in_it_belongs() -> None:
    hourly = hr.Topic("hourly", key=hr.time_windowed(str, "1h"), value=int)
    builder = hr.StreamsBuilder()
    builder.stream(hourly).to("out", key=hr.time_windowed(str, "1h"), value=int)
    with testing.TopologyTestDriver(builder.build(), partitions=5) as driver:
        for hour in range(10):
            window = hr.Window(hour * 3_600_000, (hour + 1) * 3_600_000)
            driver.input(hourly).pipe(hr.Windowed("k", window), 1, 0)
        assert len({record[0] for record in driver.log.records("hourly")}) == 1


def gathering(*beside: str) -> hr.Topology:
    builder = hr.StreamsBuilder()
    stream = builder.stream(hr.Pattern("in-.*"), key=str, value=str)
    for topic in beside:
        stream = stream.merge(builder.stream(hr.Topic(topic, key=str, value=str)))
    stream.to("gathered")
    return builder.build()


GATHERED = hr.Topic("gathered", key=str, value=str)


def test_topics_of_a_pattern_are_there_when_they_are_first_asked_for() -> None:
    with testing.TopologyTestDriver(gathering()) as driver:
        output = driver.output(GATHERED)
        first = driver.input(hr.Topic("in-a", key=str, value=str))
        first.pipe("k", "1", timestamp=1)
        driver.input(hr.Topic("in-b", key=str, value=str, partitions=3)).pipe("k", "2", timestamp=2)
        first.pipe("k", "3", timestamp=3)
        assert [record.value for record in output.read_all()] == ["1", "2", "3"]
        assert driver.log.topics()["in-b"].partitions == 3


def test_topic_that_no_pattern_matches_is_refused() -> None:
    with (
        testing.TopologyTestDriver(gathering("words")) as driver,
        pytest.raises(
            hr.TopologyError, match=r"does not read topic 'out'; it reads words, what matches in-\.\*"
        ),
    ):
        driver.input(hr.Topic("out", key=str, value=str))


def test_a_pattern_may_wait_for_its_first_topic_while_others_are_read() -> None:
    with testing.TopologyTestDriver(gathering("words")) as driver:
        driver.input(WORDS).pipe("k", "v")
        driver.input(hr.Topic("in-a", key=str, value=str)).pipe("k", "w")
        assert driver.output(GATHERED).read_pairs() == [("k", "v"), ("k", "w")]
        driver.restart()
        driver.input(WORDS).pipe("k", "x")
        assert driver.output(GATHERED).read_pairs() == [("k", "x")]


def test_what_a_topology_writes_is_read_by_no_pattern_until_it_is_asked_for() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(hr.Pattern(".*"), key=str, value=str).map_values(str.upper, value=str).to("in-loud")
    loud = hr.Topic("in-loud", key=str, value=str)
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(WORDS).pipe("k", "v")
        assert driver.output(loud).read_pairs() == [("k", "V")]
