"""`describe()` gives the text that Kafka Streams 4.3.1 gave: names, indices, links, order. The facts are in a file."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace import stores

_FILE = Path(__file__).with_name("describe-4.3.1.txt")
_PARTS = re.split(r"^### (.*)\n", _FILE.read_text(), flags=re.MULTILINE)
FACTS = dict(zip(_PARTS[1::2], (text.rstrip("\n") for text in _PARTS[2::2])))

Build = Callable[[hr.StreamsBuilder], object]


def key(k: str | None, v: Any) -> bytes:
    return v if isinstance(v, bytes) else b""


def value(v: bytes) -> bytes:
    return v


def yes(k: str, v: bytes) -> bool:
    return True


def third(k: str, v: bytes, x: bytes) -> bytes:
    return x


class Nothing(hr.FixedKeyProcessor[str, bytes, bytes]):
    pass


class Pass(hr.Processor[str, bytes, str, bytes]):
    pass


def split(b: hr.StreamsBuilder) -> None:
    b.stream("in").split(name="sp-").branch(yes, name="A").branch(yes).default_branch()
    b.stream("in2").split().branch(yes).no_default_branch()


def merge_process_print(b: hr.StreamsBuilder) -> None:
    stream = b.stream("a")
    merged = stream.merge(b.stream("b")).process_values(Nothing)
    merged.peek(lambda k, v: None).foreach(lambda k, v: None)
    stream.print()


def several_repartitions(b: hr.StreamsBuilder) -> None:
    stream = b.stream("in").select_key(key)
    stream.group_by_key().count()
    stream.group_by_key().reduce(lambda x, y: x)
    stream.join(b.table("t", key=bytes), lambda x, y: x, value=bytes).to("o")


def join_rekeyed(b: hr.StreamsBuilder) -> None:
    b.stream("in").select_key(key).join(b.table("t", key=bytes), lambda x, y: x, name="JN")


def self_join(b: hr.StreamsBuilder) -> None:
    stream = b.stream("l")
    stream.join(stream, lambda x, y: x, within=WITHIN)


def cogroup(b: hr.StreamsBuilder) -> None:
    one, other = b.stream("a").group_by_key(), b.stream("b").group_by_key()
    one.cogroup(third, value=bytes).cogroup(other, third).aggregate(bytes)


def duplicate_source(b: hr.StreamsBuilder) -> None:
    b.stream("in").to("o1")
    b.stream("in").to("o2")


def table_chain(b: hr.StreamsBuilder) -> None:
    b.table("a").filter(yes).map_values(value).to_stream(key).to("o")


def global_table(b: hr.StreamsBuilder) -> None:
    b.global_table("g")
    b.stream("in").to("out")


def named_global_table(b: hr.StreamsBuilder) -> None:
    b.global_table("g", store="G", name="gt")
    b.stream("in").to("out")


def global_store(b: hr.StreamsBuilder, name: str | None = None) -> None:
    b.add_global_store(stores.key_value("S", key=str, value=bytes), "g", Pass, name=name)
    b.stream("in").to("out")


def global_join(b: hr.StreamsBuilder) -> None:
    b.stream("in").join(b.global_table("g"), lambda x, y: x, on=lambda k, v: k)


def named_global_join(b: hr.StreamsBuilder) -> None:
    stream = b.stream("in")
    stream.left_join(b.global_table("g"), lambda x, y: x, on=lambda k, v: k, value=bytes, name="J").to("o")


def rekeyed_global_join(b: hr.StreamsBuilder) -> None:
    stream = b.stream("in").select_key(key)
    joined = stream.join(b.global_table("g"), lambda x, y: x, on=lambda k, v: "", value=bytes)
    joined.group_by_key().count()


WINDOWS = hr.TimeWindows("5ms", grace="0ms")
WITHIN = hr.JoinWindows("5ms", grace="0ms")
SLIDING = hr.SlidingWindows("5ms", grace="0ms")


def suppressed(b: hr.StreamsBuilder, how: hr.Suppressed) -> None:
    b.stream("in").group_by_key().windowed_by(WINDOWS).count().suppress(how).to_stream().to("o")


BUILDERS: dict[str, Build] = {
    "stream.filter.to": lambda b: b.stream("in").filter(yes).to("out"),
    "table noname": lambda b: b.table("in"),
    "table named store": lambda b: b.table("in", store="S"),
    "table Consumed.as": lambda b: b.table("in", name="src"),
    "groupBy.count()": lambda b: b.stream("in").group_by(key).count(),
    "groupBy.count(Mat.with)": lambda b: b.stream("in").group_by(key).count(store=stores.key_value()),
    "groupBy(Grouped.as G).count(Named N)": lambda b: b.stream("in").group_by(key, name="G").count(name="N"),
    "groupBy.count(Mat.as ST)": lambda b: b.stream("in").group_by(key).count(store="ST"),
    "selectKey.toTable": lambda b: b.stream("in").select_key(key).to_table(),
    "ss join": lambda b: b.stream("l").join(b.stream("r"), lambda x, y: x, within=WITHIN),
    "ss leftJoin": lambda b: b.stream("l").left_join(b.stream("r"), lambda x, y: x, within=WITHIN),
    "ss outerJoin": lambda b: b.stream("l").outer_join(b.stream("r"), lambda x, y: x, within=WITHIN),
    "ss outerJoin as J store SJ": lambda b: b.stream("l").outer_join(
        b.stream("r"), lambda x, y: x, within=WITHIN, store="SJ", name="J"
    ),
    "selfjoin opt": self_join,
    "st join": lambda b: b.stream("in").join(b.table("t"), lambda x, y: x),
    "st join rekeyed Joined.as": join_rekeyed,
    "tt join": lambda b: b.table("a").join(b.table("b"), lambda x, y: x),
    "tt leftjoin mat.with": lambda b: b.table("a").left_join(
        b.table("b"), lambda x, y: x, value=bytes, store=stores.key_value()
    ),
    "fk join": lambda b: b.table("a").join(b.table("b", key=bytes), lambda x, y: x, on=value),
    "fk join named FK": lambda b: b.table("a").join(
        b.table("b", key=bytes), lambda x, y: x, on=value, name="FK"
    ),
    "ktable groupBy.reduce": lambda b: (
        b.table("a")
        .group_by(lambda k, v: (v, v), key=bytes, value=bytes)
        .reduce(lambda x, y: x, lambda x, y: x)
    ),
    "win count": lambda b: b.stream("in").group_by_key().windowed_by(WINDOWS).count(),
    "win count Mat.with": lambda b: (
        b.stream("in").group_by_key().windowed_by(WINDOWS).count(store=stores.window())
    ),
    "session agg named": lambda b: (
        b.stream("in")
        .group_by_key()
        .windowed_by(hr.SessionWindows("5ms", grace="0ms"))
        .reduce(lambda x, y: x, name="SR")
    ),
    "win count suppress": lambda b: suppressed(b, hr.until_window_closes()),
    "suppress withName SU": lambda b: suppressed(b, hr.until_window_closes(name="SU")),
    "sliding count Mat.with": lambda b: (
        b.stream("in").group_by_key().windowed_by(SLIDING).count(store=stores.window())
    ),
    "split": split,
    "repartition": lambda b: b.stream("in").repartition().to("o"),
    "repartition named R": lambda b: b.stream("in").repartition(name="R").to("o"),
    "cogroup": cogroup,
    "topics order": lambda b: b.stream(["zeta", "alpha", "beta", "topic-1", "topic-2"]).to(
        lambda k, v, where: "x"
    ),
    "merge/process/print": merge_process_print,
    "ktable filter/mapValues/toStream(mapper)": table_chain,
    "ktable filter(Mat.with)": lambda b: (
        b.table("a").filter(yes, store=stores.key_value()).to_stream().to("o")
    ),
    "ktable filter(Mat.as F)": lambda b: b.table("a").filter(yes, store="F").to_stream().to("o"),
    "repartition-merge none": several_repartitions,
    "repartition-merge all": several_repartitions,
    "stream opts reuse ktable source": lambda b: b.table("in", store="S"),
    "pattern": lambda b: b.stream(hr.Pattern("a.*")).to("o"),
    "duplicate source merged": duplicate_source,
    "transformValues": lambda b: b.table("a").transform_values(Nothing, value=bytes).to_stream().to("o"),
    "globalTable": global_table,
    "globalTable Consumed.as Mat.as": named_global_table,
    "global join inner": global_join,
    "global join left named": named_global_join,
    "global join after selectKey": rekeyed_global_join,
    "addGlobalStore": global_store,
    "addGlobalStore Consumed.as": lambda b: global_store(b, "gs"),
}

OPTIMIZED = {"repartition-merge all", "selfjoin opt", "stream opts reuse ktable source"}


@pytest.mark.parametrize("title", BUILDERS)
def test_topology_is_described_as_kafka_streams_does(title: str) -> None:
    builder = hr.StreamsBuilder(optimize="all" if title in OPTIMIZED else "none")
    BUILDERS[title](builder)
    found = builder.build().describe().rstrip("\n").replace("<function>", "<object>")
    assert found == FACTS[title]


def test_topology_made_by_hand_is_described_as_kafka_streams_does() -> None:
    store = stores.key_value("st", key=str, value=str)
    topology = (
        hr.Topology()
        .add_source("src", "t1", "t2")
        .add_processor("p1", Pass, "src")
        .add_state_store(store, "p1")
        .add_sink("sk", "out", "p1")
        .add_sink("sk2", "out2", "p1", "src")
    )
    assert topology.describe().rstrip("\n") == FACTS["papi"]


def test_every_fact_has_a_builder() -> None:
    assert set(FACTS) == {*BUILDERS, "papi"}
