"""Suppression from the builder to the records: what it takes, its names and topic, what is looked up, restarts."""

from typing import Any

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.plan.internal_topics import changelog_config

IN = hr.Topic("in", value=str)
OTHER = hr.Topic("other", value=str)
OUT = hr.Topic("out", value=str)
COUNTS = hr.Topic("counts", key=hr.time_windowed(str, "10ms"), value=int)


def final_counts(suppressed: hr.Suppressed) -> hr.Topology:
    builder = hr.StreamsBuilder()
    windows = hr.TimeWindows("10ms", grace="5ms")
    counts = builder.stream(IN).group_by_key().windowed_by(windows).count()
    counts.suppress(suppressed).to_stream().to(COUNTS)
    return builder.build()


def held_back(suppressed: hr.Suppressed) -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.table(IN).suppress(suppressed).to_stream().to(OUT)
    return builder.build()


def test_window_has_one_result() -> None:
    with testing.TopologyTestDriver(final_counts(hr.until_window_closes())) as driver:
        for time in (1, 2, 12, 3, 15):
            driver.input(IN).pipe("a", "x", timestamp=time)
        assert [(str(key), count) for key, count in driver.output(COUNTS).read_pairs()] == [("[a@0/10]", 3)]


def test_table_holds_updates_back_for_a_time() -> None:
    with testing.TopologyTestDriver(held_back(hr.until_time_limit("100ms"))) as driver:
        for value, time in (("one", 0), ("two", 50), ("three", 100)):
            driver.input(IN).pipe("a", value, timestamp=time)
        assert driver.output(OUT).read_pairs() == [("a", "three")]


@pytest.mark.parametrize("lose_state", [False, True])
def test_what_is_held_back_survives_a_restart(lose_state: bool) -> None:
    with testing.TopologyTestDriver(held_back(hr.until_time_limit("100ms"))) as driver:
        driver.input(IN).pipe("a", "one", timestamp=0, headers=[("h", b"1")])
        driver.restart(lose_state=lose_state)
        driver.input(IN).pipe("b", "two", timestamp=100)
        (record,) = driver.output(OUT).read_all()
        assert (record.key, record.value, record.timestamp, record.headers) == ("a", "one", 0, (("h", b"1"),))


def test_what_has_gone_on_does_not_come_back_after_a_restart() -> None:
    with testing.TopologyTestDriver(held_back(hr.until_time_limit("0ms"))) as driver:
        driver.input(IN).pipe("a", "one", timestamp=0)
        driver.restart(lose_state=True)
        driver.input(IN).pipe("b", "two", timestamp=100)
        assert driver.output(OUT).read_pairs() == [("a", "one"), ("b", "two")]


def test_join_looks_up_what_was_last_sent_on() -> None:
    builder = hr.StreamsBuilder()
    held = builder.table(IN).suppress(hr.until_time_limit("100ms"))
    builder.table(OTHER).join(held, lambda other, value: f"{other}+{value}", value=str).to_stream().to(OUT)
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(IN).pipe("a", "one", timestamp=0)
        driver.input(IN).pipe("b", "-", timestamp=100)
        driver.input(IN).pipe("a", "two", timestamp=110)
        driver.input(OTHER).pipe("a", "x", timestamp=120)
        assert driver.output(OUT).read_pairs() == [("a", "x+one")]


def test_names_are_kafka_streams_own() -> None:
    topology = final_counts(hr.until_window_closes())
    assert topology.nodes["KTABLE-SUPPRESS-0000000003"].name
    assert "KTABLE-SUPPRESS-STATE-STORE-0000000004" in topology.stores


def test_name_that_is_given_names_the_store_too_and_uses_up_no_index() -> None:
    topology = final_counts(hr.until_window_closes(name="last"))
    assert "last-store" in topology.stores
    assert "KTABLE-TOSTREAM-0000000003" in topology.nodes


def test_changelog_has_the_properties_that_are_given() -> None:
    topology = held_back(hr.until_time_limit("1s", name="held", logging={"segment.bytes": "1000"}))
    assert changelog_config(topology.stores["held-store"]) == {
        "cleanup.policy": "compact",
        "message.timestamp.type": "CreateTime",
        "segment.bytes": "1000",
    }


def test_without_logging_there_is_no_changelog() -> None:
    with testing.TopologyTestDriver(
        held_back(hr.until_time_limit("1s", name="held", logging=False))
    ) as driver:
        driver.input(IN).pipe("a", "one")
        assert "test-held-store-changelog" not in driver.log.topics()


def test_full_buffer_says_what_to_do() -> None:
    with testing.TopologyTestDriver(final_counts(hr.until_window_closes(max_records=1))) as driver:
        driver.input(IN).pipe("a", "x", timestamp=1)
        with pytest.raises(
            hr.ProcessingError, match=r"holds back 2 keys of at most 1, in task 0_0: raise the bound"
        ):
            driver.input(IN).pipe("b", "x", timestamp=2)


@pytest.mark.parametrize("make", [lambda table: table, lambda table: table.filter(lambda key, value: True)])
def test_windows_that_close_need_a_table_of_windows(make: Any) -> None:
    builder = hr.StreamsBuilder()
    table = make(builder.table(IN))
    with pytest.raises(
        hr.TopologyError, match=r"test_suppress\.py:\d+: until_window_closes\(\) needs a table of windows"
    ):
        table.suppress(hr.until_window_closes())


def test_windows_are_found_above_filters_mappings_and_joins() -> None:
    builder = hr.StreamsBuilder()
    grouped = builder.stream(IN).group_by_key()
    short = grouped.windowed_by(hr.TimeWindows("10ms", grace="5ms")).count()
    long = grouped.windowed_by(hr.TimeWindows("10ms", grace="20ms")).count()
    both = short.filter(lambda key, count: True).join(long, lambda one, two: one + two, value=int)
    both.suppress(hr.until_window_closes()).to_stream().to(COUNTS)
    with testing.TopologyTestDriver(builder.build()) as driver:
        for time in (1, 15, 29, 30):
            driver.input(IN).pipe("a", "x", timestamp=time)
        # The longer grace counts; the join sends an update for each side.
        assert [str(key) for key, _ in driver.output(COUNTS).read_pairs()] == ["[a@0/10]"]


def test_windows_that_were_grouped_by_another_key_are_none() -> None:
    builder = hr.StreamsBuilder()
    counts = builder.stream(IN).group_by_key().windowed_by(hr.TimeWindows("10ms", grace="0ms")).count()
    regrouped = counts.group_by(lambda key, count: (key.key, count), key=str, value=int).count()
    with pytest.raises(
        hr.TopologyError, match=r"needs a table of windows, which KTABLE-AGGREGATE-\d+ is not"
    ):
        regrouped.suppress(hr.until_window_closes())


def test_something_else_is_told_what_to_write() -> None:
    table = hr.StreamsBuilder().table(IN)
    wrong: Any = "5m"
    with pytest.raises(
        hr.TopologyError, match=r"suppress\(\) takes hr.until_window_closes\(\) or hr.until_time_limit"
    ):
        table.suppress(wrong)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"limit": 5}, TypeError, 'limit=5 has no unit: write "5ms"'),
        ({"max_records": 2.5}, TypeError, "max_records=2.5 is no bound"),
        ({"max_records": True}, TypeError, "max_records=True is no bound"),
        ({"max_bytes": -1}, ValueError, "max_bytes=-1 is negative"),
        ({"when_full": "stop"}, ValueError, "when_full='stop' is wrong: write 'emit' or 'shutdown'"),
        ({"logging": "no"}, ValueError, "logging='no' is wrong"),
    ],
)
def test_argument_that_makes_no_sense_is_told(
    arguments: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        hr.until_time_limit(**{"limit": "5m", **arguments})


def test_what_is_held_back_cannot_be_read_as_a_store() -> None:
    topology = held_back(hr.until_time_limit("1s", name="held"))
    handle = stores.key_value("held-store", key=str, value=str)
    with testing.TopologyTestDriver(topology) as driver:
        for store in ("held-store", handle):
            with pytest.raises(hr.TopologyError, match=r"'held-store' .* has what suppress\(\) holds back"):
                driver.store(store)
