"""Tables whose values a processor replaces: what it is given, what it may give, its stores, and who looks it up."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

import headrace as hr
from headrace import stores, testing

IN = hr.Topic("in", value=str)
OTHER = hr.Topic("other", value=str)
OUT = hr.Topic("out", value=str)
SEEN = stores.key_value("seen", key=str, value=int)
KEPT = stores.key_value("kept", key=str, value=str)
UNCACHED = stores.key_value("kept", key=str, value=str, caching=False)


class Numbered(hr.FixedKeyProcessor[str, str, str]):
    """Puts the number of a key's updates behind its value; deletions count too, and stay deletions."""

    stores = (SEEN,)

    def init(self) -> None:
        self._seen = self.context.store(SEEN)

    def process(self, record: hr.Record[str, str]) -> Iterator[str]:
        number = (self._seen.get(record.key) or 0) + 1
        self._seen.put(record.key, number)
        if record.value is not None:
            yield f"{record.value}{number}"


def giving(*values: Any) -> Any:
    """Make a processor that gives the same for every record."""

    class Giving(hr.FixedKeyProcessor[str, str, str]):
        def process(self, record: hr.Record[str, str]) -> list[str]:
            return list(values)

    return Giving


def results(builder: hr.StreamsBuilder, *steps: tuple[hr.Topic[str, str], str, str | None]) -> list[Any]:
    with testing.TopologyTestDriver(builder.build()) as driver:
        for number, (topic, key, value) in enumerate(steps):
            driver.input(topic).pipe(key, value, timestamp=number)
        return driver.output(OUT).read_pairs()


@pytest.mark.parametrize("store", [KEPT, None])
def test_processor_is_given_every_update_and_deletion_and_keeps_what_it_likes(store: Any) -> None:
    builder = hr.StreamsBuilder()
    builder.table(IN).transform_values(Numbered, store=store).to_stream().to(OUT)
    steps = ((IN, "a", "x"), (IN, "a", None), (IN, "a", "y"))
    assert results(builder, *steps) == [("a", "x1"), ("a", None), ("a", "y3")]


def test_its_store_and_the_result_come_back_after_a_crash() -> None:
    builder = hr.StreamsBuilder()
    table = builder.table(IN).transform_values(Numbered, store=KEPT)
    table.to_stream().to(OUT)
    assert table.store_name == "kept"
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(IN).pipe("a", "x")
        driver.restart()
        assert driver.store(KEPT).get("a") == "x1"
        driver.input(IN).pipe("a", "y")
        assert driver.store(SEEN).get("a") == 2
        assert driver.output(OUT).read_pairs() == [("a", "x1"), ("a", "y2")]


def test_time_and_headers_of_the_update_are_the_records() -> None:
    class Told(hr.FixedKeyProcessor[str, str, str]):
        def process(self, record: hr.Record[str, str]) -> list[str]:
            where = self.context.metadata
            return [f"{record.timestamp} {record.headers} {where and where.offset}"]

    builder = hr.StreamsBuilder()
    builder.table(IN).transform_values(Told, value=str).to_stream().to(OUT)
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(IN).pipe("a", "x", timestamp=7, headers=(("h", b"1"),))
        assert driver.output(OUT).read_pairs() == [("a", "7 (('h', b'1'),) 0")]


def test_group_takes_out_what_the_processor_gives_for_the_old_value() -> None:
    class Upper(hr.FixedKeyProcessor[str, str, str]):
        def process(self, record: hr.Record[str, str]) -> list[str]:
            return [] if record.value is None else [record.value.upper()]

    builder = hr.StreamsBuilder()
    table = builder.table(IN).transform_values(Upper)
    grouped = table.group_by(lambda key, value: (value, key), key=str, value=str)
    grouped.count().map_values(str, value=str).to_stream().to(OUT)
    steps = ((IN, "a", "x"), (IN, "a", "y"))
    assert results(builder, *steps) == [("X", "1"), ("X", "0"), ("Y", "1")]


def test_join_asks_a_processor_of_its_own_with_the_rows_time_and_no_record() -> None:
    made: list[Any] = []

    class Told(hr.FixedKeyProcessor[str, str, str]):
        stores = (SEEN,)

        def init(self) -> None:
            made.append(self)
            self._seen = self.context.store(SEEN)

        def process(self, record: hr.Record[str, str]) -> list[str]:
            where = self.context.metadata
            return [f"{record.value}@{record.timestamp}/{where and where.topic}/{self._seen.get(record.key)}"]

    builder = hr.StreamsBuilder()
    table = builder.table(IN).transform_values(Told)
    builder.stream(OTHER).join(table, lambda one, two: two, value=str).to(OUT)
    steps = ((IN, "a", "x"), (OTHER, "a", ""), (OTHER, "unknown", ""))
    assert results(builder, *steps) == [("a", "x@0/None/None"), ("unknown", "None@-1/None/None")]
    assert len(made) == 2


def test_wall_clock_punctuation_runs() -> None:
    ticks: list[int] = []

    class Ticking(hr.FixedKeyProcessor[str, str, str]):
        def init(self) -> None:
            self.context.schedule("1s", ticks.append, on="wall")

        def process(self, record: hr.Record[str, str]) -> list[str]:
            return [record.value]

    builder = hr.StreamsBuilder()
    builder.table(IN).transform_values(Ticking).to_stream().to(OUT)
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.advance("2s")
    assert ticks == [2000]


WRONG: dict[str, tuple[Any, str]] = {
    "two values": (giving("x", "y"), "a row of a table has one value, and the processor gave 2: yield one"),
    "a text for values": (
        type("T", (Numbered,), {"process": lambda self, record: "x"}),
        "yield each, or return a list",
    ),
    "a number for values": (
        type("N", (Numbered,), {"process": lambda self, record: 1}),
        "yield each, or return a list",
    ),
    "a failure": (type("F", (Numbered,), {"process": lambda self, record: 1 / 0}), "division by zero"),
    "forwarding": (
        type("S", (Numbered,), {"process": lambda self, record: self.context.forward(record)}),
        r"a row of a table has one value: return it in a list, .* to_stream\(\).process_values",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_it_may_not_do_fails_at_the_record(case: str) -> None:
    processor, told = WRONG[case]
    builder = hr.StreamsBuilder()
    builder.table(IN).transform_values(processor, value=str).to_stream().to(OUT)
    with testing.TopologyTestDriver(builder.build()) as driver, pytest.raises(hr.ProcessingError) as error:
        driver.input(IN).pipe("a", "x")
    assert error.match("KTABLE-TRANSFORMVALUES-0000000003")
    assert re.search(told, str(error.value.__cause__))


def test_no_values_and_none_delete() -> None:
    for processor in (giving(), giving(None)):
        builder = hr.StreamsBuilder()
        builder.table(IN).transform_values(processor, store=UNCACHED).to_stream().to(OUT)
        assert results(builder, (IN, "a", "x")) == [("a", None)]


def test_what_is_no_processor_of_values_is_refused_where_it_is_written() -> None:
    table: Any = hr.StreamsBuilder().table(IN)
    with pytest.raises(
        hr.TopologyError, match=r"test_transform_values.py:\d+\): it got a Numbered object, and every"
    ):
        table.transform_values(Numbered())
    with pytest.raises(hr.TopologyError, match="is not a function that makes a processor"):
        table.transform_values(lambda key, value: value)
    with pytest.raises(hr.TopologyError, match="expected a declared store or its name, found 3"):
        table.transform_values(Numbered, 3)


def test_store_without_a_name_keeps_nothing_and_tells_the_values_serde() -> None:
    builder = hr.StreamsBuilder()
    table = builder.table(IN).transform_values(
        lambda: giving("x")(), store=stores.key_value(key=str, value=str)
    )
    table.to_stream().to(OUT)
    topology = builder.build()
    assert table.store_name is None
    assert not topology.stores
    assert "KTABLE-TOSTREAM-0000000004" in topology.nodes


def test_unknown_value_is_an_error_only_where_its_bytes_are_needed() -> None:
    builder = hr.StreamsBuilder()
    builder.table(IN).transform_values(lambda: giving("x")()).to_stream().to("out")
    with pytest.raises(hr.TopologyError, match=r"^KSTREAM-SINK-0000000005 .* needs the serde of its value"):
        builder.build()
