"""The table of Kafka Streams' names: all of them are in it, and every name of ours in it is there."""

from pathlib import Path

import pytest

from docs.made.api import found
from docs.made.kafka_streams import names_of_ours, table

#: Made once by `javap`; its first lines say how.
_LIST = Path(__file__).parent / "kafka_streams_4.4.0.txt"


@pytest.fixture(scope="module")
def java() -> dict[str, list[str]]:
    lines = [line for line in _LIST.read_text().splitlines() if not line.startswith("#")]
    return {name: methods.split() for name, _, methods in (line.partition(":") for line in lines)}


def test_each_class_of_kafka_streams_is_in_the_table_once(java: dict[str, list[str]]) -> None:
    assert len(java) == 276
    assert sorted(each.name for each in table()) == sorted(java)


def test_each_method_of_kafka_streams_is_in_the_table(java: dict[str, list[str]]) -> None:
    missing = []
    for each in table():
        told = {name for names, _ in each.methods for name in names}
        if "*" not in told:
            missing += [f"{each.name}.{method}" for method in java[each.name] if method not in told]
    assert missing == []


def test_the_table_has_no_method_that_kafka_streams_lacks_or_twice(java: dict[str, list[str]]) -> None:
    for each in table():
        told = [name for names, _ in each.methods for name in names if name != "*"]
        assert [name for name in told if name not in java[each.name]] == [], each.name
        assert len(told) == len(set(told)), each.name


def test_each_name_of_ours_in_the_table_is_there() -> None:
    texts = [text for each in table() for text in (each.ours, *(ours for _, ours in each.methods))]
    names = {name for text in texts for name in names_of_ours(text)}
    assert len(names) > 250
    assert sorted(name for name in names if not found(name)) == []


def test_a_name_that_is_not_there_is_not_found() -> None:
    assert found("KStream.filter")
    assert found("stores.StoreContext")
    assert not found("KStream.filtre")
    assert not found("Strems")
