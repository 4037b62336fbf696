"""What is said of operators and names that are not there; what a type checker sees is in tests/typing."""

import copy
from typing import Any

import pytest

import headrace as hr
from headrace import stores
from headrace.base.foreign_names import INSTEAD, STORES_INSTEAD
from headrace.dsl.advice import _INSTEAD
from headrace.testing import TopologyTestDriver


def things() -> dict[str, Any]:
    builder = hr.StreamsBuilder()
    stream, table = builder.stream("in"), builder.table("rows")
    grouped = stream.group_by_key()
    return {
        "StreamsBuilder": builder,
        "KStream": stream,
        "KTable": table,
        "KGroupedStream": grouped,
        "KGroupedTable": table.group_by(lambda key, value: (value, key)),
        "TimeWindowedKStream": grouped.windowed_by(hr.TimeWindows("1m", grace="0s")),
        "CogroupedKStream": grouped.cogroup(lambda key, value, total: total),
        "BranchedKStream": stream.split(),
        "GlobalKTable": builder.global_table("g"),
    }


#: Every operator of Kafka Streams 4.3 that is not there, in Java's spelling.
MISSING = {
    "KStream": ["transform", "transformValues", "through", "branch", "suppress", "cogroup"],
    "KTable": [
        "queryableStoreName",
    ],
    "KGroupedTable": ["cogroup", "windowedBy"],
    "GlobalKTable": ["queryableStoreName"],
    "TimeWindowedKStream": ["emitStrategy", "suppress"],
}

#: Some that are there, in Java's spelling.
RENAMED = {
    "KStream": [
        "flatMapValues",
        "groupByKey",
        "selectKey",
        "toTable",
        "leftJoin",
        "outerJoin",
        "filterNot",
        "processValues",
    ],
    "KTable": ["toStream", "transformValues", "mapValues", "filterNot", "groupBy", "leftJoin", "outerJoin"],
    "KGroupedStream": ["windowedBy"],
    "BranchedKStream": ["defaultBranch", "noDefaultBranch"],
    "StreamsBuilder": ["addStateStore", "globalTable", "addGlobalStore"],
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in MISSING.items() for name in names]
)
def test_operator_that_is_missing_says_what_to_use_instead(kind: str, name: str) -> None:
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    for spelt in (name, snake):
        with pytest.raises(AttributeError, match=f"^{kind} has no '{spelt}': .{{10,}}"):
            getattr(things()[kind], spelt)


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in RENAMED.items() for name in names]
)
def test_operator_in_javas_spelling_is_told_in_pythons(kind: str, name: str) -> None:
    with pytest.raises(AttributeError, match=f"^{kind} has no '{name}': write [a-z_]+$"):
        getattr(things()[kind], name)


def test_misspelt_operator_is_told_the_nearest() -> None:
    with pytest.raises(AttributeError) as caught:
        things()["KStream"].filtr
    assert str(caught.value) == "KStream has no 'filtr'; did you mean filter?"


def test_nothing_is_said_instead_of_what_is_there() -> None:
    for kind, thing in things().items():
        assert [name for name in _INSTEAD.get(kind, {}) if name in dir(thing)] == []
    assert [name for name in INSTEAD if name in hr.__all__] == []
    assert [name for name in STORES_INSTEAD if name in stores.__all__] == []


def test_names_that_are_not_there_are_still_not_there() -> None:
    assert not hasattr(things()["KStream"], "transform")
    assert not hasattr(hr, "Materialized")
    copy.copy(things()["KStream"])


@pytest.mark.parametrize(
    ("module", "name", "said"),
    [
        (hr, "TumblingWindow", "write hr.TimeWindows(size, grace=…)"),
        (hr, "StreamJoined", "hr.JoinStores(…)"),
        (hr, "Consumed", "hr.Topic(name, key=…, value=…)"),
        (hr, "Materialized", "stores.key_value(name, key=…, value=…)"),
        (hr, "KafkaStreams", "hr.Streams(topology"),
        (hr, "TopologyTestDriver", "from headrace.testing import TopologyTestDriver"),
        (hr, "Kstream", "did you mean KStream?"),
        (stores, "persistentSessionStore", "stores.session(name, retention=…, …)"),
        (stores, "persistentKeyValueStore", "stores.key_value(name, …)"),
        (stores, "keyvalue", "did you mean key_value?"),
    ],
)
def test_name_of_java_says_what_to_write_instead(module: Any, name: str, said: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(module, name)
    assert str(caught.value).startswith(f"{module.__name__} has no '{name}'")
    assert said in str(caught.value)


def test_import_of_a_name_that_is_not_there_is_told_as_well() -> None:
    with pytest.raises(ImportError, match=r"write hr\.TimeWindows"):
        exec("from headrace import TumblingWindow")
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        exec("from headrace import Nothing")
    exec("from headrace import StreamsBuilder, engine, testing")


def test_driver_in_javas_words_is_told_in_ours() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").to("out")
    with TopologyTestDriver(builder.build()) as driver:
        ends: Any = (driver, driver.input(hr.Topic("in")), driver.output(hr.Topic("out")))
        for end, name, said in zip(
            ends,
            ("createInputTopic", "pipeInput", "readKeyValue"),
            ("write input(TOPIC)", "write pipe(key, value, timestamp)", "write read_pair()"),
        ):
            with pytest.raises(AttributeError) as caught:
                getattr(end, name)
            assert str(caught.value).endswith(said)


def test_topology_in_javas_words_is_told_in_ours() -> None:
    topology: Any = hr.Topology()
    with pytest.raises(AttributeError, match=r"^Topology has no 'addSource': write add_source$"):
        topology.addSource
    with pytest.raises(AttributeError, match=r"write connect_processor_and_state_stores$"):
        topology.connectProcessorAndStateStores
    with pytest.raises(AttributeError, match="it is a topology already"):
        topology.build


def test_table_is_merged_as_a_stream() -> None:
    parts = things()
    with pytest.raises(
        hr.TopologyError, match=r"a stream is merged with a stream, .*; to_stream\(\) makes one"
    ):
        parts["KStream"].merge(parts["KTable"])
