"""Streams that are put in order, from the builder to the records: restarts, names, and what is told of mistakes."""

from dataclasses import dataclass
from typing import Any

import pytest

import headrace as hr
from headrace import stores, testing


@dataclass
class Step:
    number: int
    what: str = ""


IN = hr.Topic("in", value=Step)
OUT = hr.Topic("out", value=Step)
LATE = hr.Topic("late", value=Step)


def ordered(**arguments: Any) -> hr.Topology:
    builder = hr.StreamsBuilder()
    given: dict[str, Any] = {"by": lambda step: step.number, "within": "1m", "late_to": LATE, **arguments}
    builder.stream(IN).resequence(**given).to(OUT)
    return builder.build()


def pipe(driver: testing.TopologyTestDriver, *records: tuple[str, int, int]) -> list[tuple[str | None, int]]:
    for key, number, timestamp in records:
        driver.input(IN).pipe(key, Step(number), timestamp=timestamp, headers=(("n", b"%d" % number),))
    return [(each.key, each.value.number) for each in driver.output(OUT).read_all() if each.value is not None]


@pytest.mark.parametrize("lose_state", [False, True])
def test_what_waits_survives_a_restart_with_all_that_it_came_with(lose_state: bool) -> None:
    with testing.TopologyTestDriver(ordered()) as driver:
        assert pipe(driver, ("a", 1, 0), ("a", 3, 2), ("b", 5, 3)) == [("a", 1), ("b", 5)]
        driver.restart(lose_state=lose_state)
        driver.input(IN).pipe("a", Step(2), timestamp=1)
        read = [(each.value, each.timestamp, each.headers) for each in driver.output(OUT).read_all()]
        assert read == [(Step(2), 1, ()), (Step(3), 2, (("n", b"3"),))]


@pytest.mark.parametrize("lose_state", [False, True])
def test_a_wait_goes_on_after_a_restart_and_what_was_late_stays_so(lose_state: bool) -> None:
    gaps: list[Any] = []
    with testing.TopologyTestDriver(ordered(on_gap=lambda *gap: gaps.append(gap))) as driver:
        pipe(driver, ("a", 1, 0), ("a", 3, 10), ("b", 1, 60_000))
        driver.restart(lose_state=lose_state)
        assert pipe(driver, ("b", 2, 60_009)) == [("b", 2)]
        assert pipe(driver, ("b", 3, 60_010)) == [("b", 3), ("a", 3)]
        driver.restart(lose_state=lose_state)
        assert pipe(driver, ("a", 2, 60_011), ("a", 4, 60_012)) == [("a", 4)]
        assert [each.value for each in driver.output(LATE).read_all()] == [Step(2)]
    assert gaps == [("a", 2, 2)]


@pytest.mark.parametrize("lose_state", [False, True])
def test_by_time_a_restart_takes_nothing_that_was_late(lose_state: bool) -> None:
    with testing.TopologyTestDriver(ordered(by="timestamp")) as driver:
        pipe(driver, ("a", 1, 100_000), ("a", 2, 50_000))
        driver.restart(lose_state=lose_state)
        assert pipe(driver, ("a", 3, 40_000), ("a", 4, 45_000), ("b", 5, 160_000)) == [
            ("a", 4),
            ("a", 2),
            ("a", 1),
        ]
        assert [each.value for each in driver.output(LATE).read_all()] == [Step(3)]


def test_next_numbers_stand_in_a_store_that_may_forget_keys() -> None:
    following = stores.key_value("following", key=str, value=int, ttl="1h")
    with testing.TopologyTestDriver(ordered(store=following)) as driver:
        pipe(driver, ("a", 1, 0), ("a", 2, 1))
        assert driver.store(following).get("a") == 3
        assert pipe(driver, ("b", 1, 7_200_000), ("a", 7, 7_200_000)) == [("b", 1), ("a", 7)]


def test_what_waits_for_a_key_that_is_forgotten_goes_on_before_what_comes_next() -> None:
    following = stores.key_value("following", key=str, value=int, ttl="1m")
    with testing.TopologyTestDriver(ordered(store=following, within="1h")) as driver:
        assert pipe(driver, ("a", 1, 0), ("a", 5, 10), ("b", 1, 600_000), ("a", 6, 600_000)) == [
            ("a", 1),
            ("b", 1),
            ("a", 5),
            ("a", 6),
        ]


def test_a_handler_drops_a_record_without_a_number_alone() -> None:
    topology = ordered(by=lambda step: 10 // step.number)
    with testing.TopologyTestDriver(topology, processing_exception_handler=hr.log_and_continue) as driver:
        assert pipe(driver, ("a", 0, 0), ("a", 1, 1)) == [("a", 1)]
        assert driver.dropped == 1


def test_new_keys_lead_through_a_repartition_topic() -> None:
    builder = hr.StreamsBuilder()
    stream = builder.stream(IN).select_key(lambda key, step: step.what, key=str)
    stream.resequence(lambda step: step.number, within="1m", name="in-order").to(OUT)
    topology = builder.build()
    assert list(topology.repartition_topics) == ["in-order-repartition"]
    assert set(topology.stores) == {"in-order-waiting", "in-order-next"}


def test_names_are_generated_and_asked_for_where_all_have_to_be_given() -> None:
    assert set(ordered().stores) == {
        "KSTREAM-RESEQUENCE-0000000001-waiting",
        "KSTREAM-RESEQUENCE-0000000001-next",
    }
    builder = hr.StreamsBuilder(explicit_names=True)
    builder.stream(IN).resequence(lambda step: step.number, within="1m").to(OUT)
    with pytest.raises(hr.TopologyError, match="KSTREAM-RESEQUENCE-0000000001-next"):
        builder.build()


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"by": "time"}, hr.TopologyError, "function of by="),
        ({"by": lambda: 1}, hr.TopologyError, "function of by="),
        (
            {"by": "timestamp", "first": 1},
            hr.TopologyError,
            "first= is of numbers, and timestamps have no gaps",
        ),
        ({"by": "timestamp", "on_gap": print}, hr.TopologyError, "on_gap= is of numbers"),
        ({"by": "timestamp", "store": "s"}, hr.TopologyError, "store= is of numbers"),
        ({"within": "0s"}, hr.TopologyError, "within='0s' would wait for nothing"),
        ({"within": 60}, TypeError, "within=60 has no unit"),
        ({"first": "1"}, hr.TopologyError, "first='1': an int is wanted"),
        ({"max_records": 0}, hr.TopologyError, "max_records=0: an int of 1 or more"),
        ({"max_bytes": 1.5}, hr.TopologyError, "max_bytes=1.5: an int of 1 or more"),
        ({"on_gap": lambda key: None}, hr.TopologyError, "the on_gap"),
        ({"store": stores.key_value("s", value=str)}, hr.TopologyError, "store 's'"),
        ({"store": stores.window("s")}, hr.TopologyError, "is a window store"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        ordered(**arguments)
