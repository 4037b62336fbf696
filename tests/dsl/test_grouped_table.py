"""Tables grouped anew, from the builder to the records: names, serdes, repartition topics, results."""

import logging
from typing import Any

import pytest

import headrace as hr
from headrace import stores, testing

STOCK = hr.Topic("stock", value=str)  # article -> shelf
SHELVES = hr.Topic("shelves", value=int)
PRICES = hr.Topic("prices", value=int)
COUNTS = stores.key_value("counts", key=str, value=int)


def shelf(article: str, place: str) -> tuple[str, str]:
    return place, article


def parity(article: str, price: int) -> tuple[str, int]:
    return "odd" if price % 2 else "even", price


def plus(sum: int, price: int) -> int:
    return sum + price


def minus(sum: int, price: int) -> int:
    return sum - price


def shelves_counted() -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.table(STOCK).group_by(shelf).count(store=COUNTS).to_stream().to(SHELVES)
    return builder.build()


def test_row_that_moves_counts_in_its_new_group_alone() -> None:
    with testing.TopologyTestDriver(shelves_counted()) as driver:
        driver.input(STOCK).pipe_all([("pen", "A"), ("ink", "A"), ("pen", "B"), ("ink", None)])
        assert driver.output(SHELVES).read_pairs() == [("A", 1), ("A", 2), ("A", 1), ("B", 1), ("A", 0)]
        assert driver.store(COUNTS).get("B") == 1


def test_groups_come_back_after_a_crash() -> None:
    with testing.TopologyTestDriver(shelves_counted()) as driver:
        driver.input(STOCK).pipe("pen", "A")
        driver.restart()
        driver.input(STOCK).pipe("pen", "B")
        assert driver.output(SHELVES).read_table() == {"A": 0, "B": 1}


def test_update_within_a_group_never_shows_the_group_without_the_row() -> None:
    builder = hr.StreamsBuilder()
    builder.table(PRICES).group_by(parity).reduce(plus, minus).to_stream().to(SHELVES)
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(PRICES).pipe_all([("a", 1), ("b", 3), ("a", 5)])
        assert driver.output(SHELVES).read_pairs() == [("odd", 1), ("odd", 4), ("odd", 8)]


def test_aggregate_takes_its_serde_from_the_class_that_makes_the_first_one() -> None:
    builder = hr.StreamsBuilder()
    grouped = builder.table(PRICES).group_by(parity)
    table = grouped.aggregate(float, lambda k, v, sum: sum + v / 2, lambda k, v, sum: sum - v / 2)
    table.to_stream().to("halves")
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(PRICES).pipe_all([("a", 1), ("a", None)])
        assert driver.output(hr.Topic("halves", value=float)).read_pairs() == [("odd", 0.5), ("odd", 0.0)]


def test_grouping_groups_of_another_grouping() -> None:
    builder = hr.StreamsBuilder()
    counted = builder.table(STOCK).group_by(shelf).count()
    counted.group_by(lambda place, count: ("all", count), key=str, value=int).reduce(
        plus, minus
    ).to_stream().to(SHELVES)
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(STOCK).pipe_all([("pen", "A"), ("ink", "B"), ("cup", "B"), ("pen", "B")])
        assert driver.output(SHELVES).read_table() == {"all": 3}


def test_key_and_value_of_groups_come_from_the_store_where_nobody_else_says_them() -> None:
    builder = hr.StreamsBuilder()
    builder.table(PRICES).group_by(lambda article, price: (article[:1], price)).reduce(
        plus, minus, store=stores.key_value("sums", key=str, value=int)
    )
    builder.build()


def test_value_of_groups_that_nobody_says_is_an_error_of_build() -> None:
    builder = hr.StreamsBuilder()
    builder.table(PRICES).group_by(lambda article, price: (article[:1], price), key=str).count()
    with pytest.raises(
        hr.TopologyError, match=r"^KSTREAM-SINK-0000000005 .* needs the serde of its value, .*write `value="
    ):
        builder.build()


def test_names_are_kafka_streams_own() -> None:
    builder = hr.StreamsBuilder()
    grouped = builder.table("t", value=str, name="T").group_by(shelf, name="G")
    grouped.count(name="N")
    grouped.reduce(lambda x, y: x, lambda x, y: x, store="S")
    assert builder.build().describe() == (
        "Topologies:\n"
        "   Sub-topology: 0\n"
        "    Source: T-source (topics: [t])\n"
        "      --> T\n"
        "    Processor: T (stores: [t-STATE-STORE-0000000000])\n"
        "      --> G\n"
        "      <-- T-source\n"
        "    Processor: G (stores: [])\n"
        "      --> N-sink\n"
        "      <-- T\n"
        "    Sink: N-sink (topic: G-repartition)\n"
        "      <-- G\n"
        "\n"
        "  Sub-topology: 1\n"
        "    Source: N-source (topics: [G-repartition])\n"
        "      --> KTABLE-REDUCE-0000000010, N\n"
        "    Processor: KTABLE-REDUCE-0000000010 (stores: [S])\n"
        "      --> none\n"
        "      <-- N-source\n"
        "    Processor: N (stores: [KTABLE-AGGREGATE-STATE-STORE-0000000004])\n"
        "      --> none\n"
        "      <-- N-source\n"
        "\n"
    )


def test_internal_names_may_be_asked_for() -> None:
    builder = hr.StreamsBuilder(explicit_names=True)
    builder.table(STOCK, store="stock").group_by(shelf).count()
    with pytest.raises(hr.TopologyError) as raised:
        builder.build()
    assert "KTABLE-AGGREGATE-STATE-STORE-0000000003" in str(raised.value)
    assert "KTABLE-AGGREGATE-STATE-STORE-0000000003-repartition" in str(raised.value)


def test_updates_travel_in_kafka_streams_bytes() -> None:
    builder = hr.StreamsBuilder()
    builder.table(STOCK, store="stock").group_by(shelf).count(store="n")
    with testing.TopologyTestDriver(builder.build(), application_id="app") as driver:
        driver.input(STOCK).pipe_all([("pen", "A"), ("pen", "A"), ("pen", None)])
        records = driver.log.records("app-n-repartition")
    assert [(key, value) for _, _, key, value, _, _ in records] == [
        (b"A", b"pen\x01"),
        (b"A", b"\x06penpen\x02"),
        (b"A", b"pen\x00"),
    ]


def forgetful(key: str, value: int, sum: int) -> int:
    return None if value < 0 else sum + value  # type: ignore[return-value]


def deleting(key: str, value: int, sum: int) -> int | None:
    return sum - value or None


def undone(key: str, value: int, sum: int) -> int:
    return sum - value


@pytest.mark.parametrize(("adder", "subtractor", "told"), [(forgetful, undone, 1), (undone, deleting, 0)])
def test_function_that_returns_none_is_told_of_once_unless_it_says_so(
    adder: Any, subtractor: Any, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    builder = hr.StreamsBuilder()
    builder.table(PRICES).group_by(lambda key, value: ("all", value), key=str, value=int).aggregate(
        int, adder, subtractor
    )
    with testing.TopologyTestDriver(builder.build()) as driver, caplog.at_level(logging.WARNING):
        driver.input(PRICES).pipe_all([("a", 1), ("b", -1), ("c", 2), ("d", -1)])
    messages = [record.getMessage() for record in caplog.records if record.name == "headrace.aggregations"]
    assert len(messages) == told


def test_subtractor_that_was_left_out_is_told_as_python_does() -> None:
    grouped: Any = hr.StreamsBuilder().table(PRICES).group_by(parity)
    with pytest.raises(TypeError, match="subtractor"):
        grouped.reduce(plus)
