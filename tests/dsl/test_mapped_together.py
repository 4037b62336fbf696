"""`map_values_batch` and `map_values_async` as a program writes them."""

from typing import Any

import pytest

import headrace as hr
from headrace import TopologyError
from headrace.testing import TopologyTestDriver

WORDS = hr.Topic("words", key=str, value=str)
LENGTHS = hr.Topic("lengths", key=str, value=int)


def lengths(words: list[str]) -> list[int]:
    return list(map(len, words))


async def length(word: str) -> int:
    return len(word)


def test_serde_comes_from_the_annotation_and_name_from_process_values() -> None:
    builder = hr.StreamsBuilder()
    stream = builder.stream(WORDS)
    stream.map_values_batch(lengths).to(LENGTHS)
    stream.map_values_async(length).to(LENGTHS)
    stream.map_values_async(hr.with_key(lambda key, word: length(key + word)), value=int, name="keyed").to(
        LENGTHS
    )
    topology = builder.build()
    assert [name for name in topology.nodes if "PROCESSVALUES" in name or name == "keyed"] == [
        "KSTREAM-PROCESSVALUES-0000000001",
        "KSTREAM-PROCESSVALUES-0000000003",
        "keyed",
    ]
    with TopologyTestDriver(topology) as driver:
        driver.input(WORDS).pipe("a", "word")
        assert driver.output(LENGTHS).read_pairs() == [("a", 4), ("a", 4), ("a", 5)]


def test_key_stays_so_that_nothing_is_repartitioned() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(WORDS).map_values_async(length).group_by_key().count()
    assert builder.build().repartition_topics == {}


def test_async_function_elsewhere_is_told_where_it_is_awaited() -> None:
    stream: Any = hr.StreamsBuilder().stream(WORDS)
    with pytest.raises(TopologyError, match=r"is an async function, .* or let map_values_async\(\) await it"):
        stream.map_values(length)


@pytest.mark.parametrize("wrong", [0, -1, True, 2.0, "8"])
def test_numbers_of_records_are_checked(wrong: Any) -> None:
    stream = hr.StreamsBuilder().stream(WORDS)
    with pytest.raises(TopologyError, match=r"batch_max=.* is no number of records"):
        stream.map_values_batch(lengths, batch_max=wrong)
    with pytest.raises(TopologyError, match=r"concurrency=.* is no number of records"):
        stream.map_values_async(length, concurrency=wrong)


def test_timeout_is_a_duration() -> None:
    stream = hr.StreamsBuilder().stream(WORDS)
    with pytest.raises(TypeError, match="timeout=3 "):
        stream.map_values_async(length, timeout=3)  # type: ignore[arg-type]


def test_functions_with_other_arguments_are_refused() -> None:
    stream: Any = hr.StreamsBuilder().stream(WORDS)
    with pytest.raises(TopologyError, match=r"called with \(values\)"):
        stream.map_values_batch(lambda key, values: values)
    with pytest.raises(TopologyError, match=r"write hr\.with_key\(\.\.\.\) around it"):
        stream.map_values_async(lambda key, value: length(value))
