"""Pairs of topologies, the one that ran and the one that goes on, with what that is said to cost."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import headrace as hr
from headrace import stores
from headrace.base.murmur2 import partition_for
from headrace.plan.verdicts import Verdict
from headrace.stores import KeyValueStore, Stamped

ORPHANS, REBUILDS, NEW = Verdict.ORPHANS, Verdict.REBUILDS, Verdict.NEW_APPLICATION

IN = hr.Topic("in", value=str, partitions=2)
OTHER = hr.Topic("other", value=str, partitions=2)
PLACED_BY_OTHERS = hr.Topic("in", value=str, partitions=2, partitioned_by="other")

Declare = Callable[[hr.StreamsBuilder], object]


@dataclass(frozen=True)
class Pair:
    """What ran, what goes on, and every verdict that is not *safe*, by what it is said of."""

    before: hr.Topology
    after: hr.Topology
    costs: Mapping[str, Verdict] = field(default_factory=dict)
    #: Rows of stores where they are neither those of all records nor those of the last ones, and rightly so.
    kept: Mapping[str, list[Any]] = field(default_factory=dict)


def made(declare: Declare, **options: Any) -> hr.Topology:
    builder = hr.StreamsBuilder(**options)
    declare(builder)
    return builder.build()


def kv(name: str | None = "c", **options: Any) -> Any:
    return stores.key_value(name, key=str, value=int, **options)


def counted(store: Any = None, **options: Any) -> hr.Topology:
    return made(lambda builder: builder.stream(IN).group_by_key().count(store=store or kv(**options)))


def summed(type: type, store: str = "c") -> hr.Topology:
    """Add up the lengths of values, as another type each time."""

    def add(key: str, value: str, total: Any) -> Any:
        return type(total) + type(len(value))

    declared = stores.key_value(store, key=str, value=type)
    return made(lambda builder: builder.stream(IN).group_by_key().aggregate(type, add, store=declared))


def by_length(key: Any) -> hr.Topology:
    declared = stores.key_value("c", key=key, value=int)
    return made(
        lambda builder: (
            builder.stream(IN)
            .group_by(lambda name, value: key(len(value)), key=key, name="lengths")
            .count(store=declared)
        )
    )


def total_of(*, with_words: bool = False, default: Any = 0, letters: Any = int) -> hr.Topology:
    """Keep a dataclass of one name, whose fields differ."""
    fields: list[Any] = [("letters", letters)]
    if with_words:
        fields.append(
            ("words", int) if default is None else ("words", int, dataclasses.field(default=default))
        )
    total = dataclasses.make_dataclass("Total", fields)

    def add(key: str, value: str, so_far: Any) -> Any:
        return dataclasses.replace(so_far, letters=letters(float(so_far.letters) + len(value)))

    def begin() -> Any:
        return total(letters(0), 0) if with_words and default is None else total(letters(0))

    declared = stores.key_value("c", key=str, value=total)
    return made(
        lambda builder: builder.stream(IN).group_by_key().aggregate(begin, add, value=total, store=declared)
    )


def windowed(windows: Any, store: Any = None, **options: Any) -> hr.Topology:
    declared = store or stores.window("c", key=str, value=int)
    return made(
        lambda builder: (
            builder.stream(IN).group_by_key().windowed_by(windows, **options).count(store=declared)
        )
    )


def minutes(size: str = "1m", grace: str = "1h", **options: Any) -> Any:
    return hr.TimeWindows(size, grace=grace, **options)


def sessions(gap: str, grace: str = "1h") -> hr.Topology:
    return windowed(hr.SessionWindows(gap, grace=grace), stores.session("c", key=str, value=int))


@hr.processor(stores.key_value("c", key=str, value=int))
def plain(record: hr.Record[str, str], rows: KeyValueStore[str, int]) -> Iterable[hr.Record[str, str]]:
    rows.put(record.key, (rows.get(record.key) or 0) + 1)
    return ()


@hr.processor(stores.key_value("c", key=str, value=int, headers=True))
def stamped(
    record: hr.Record[str, str], rows: KeyValueStore[str, Stamped[int]]
) -> Iterable[hr.Record[str, str]]:
    row = rows.get(record.key)
    rows.put(record.key, Stamped((0 if row is None else row.value) + 1, record.timestamp, record.headers))
    return ()


def processed(processor: Any) -> hr.Topology:
    return made(lambda builder: builder.stream(IN).process(processor))


def several(*declares: Callable[[Any], object], **options: Any) -> hr.Topology:
    """Declare some things, one after the other, on one stream of the input."""

    def declare(builder: hr.StreamsBuilder) -> None:
        stream = builder.stream(IN)
        for each in declares:
            each(stream)

    return made(declare, **options)


def count(store: Any = None) -> Any:
    return lambda stream: stream.group_by_key().count(store=store)


def count_words(store: Any = None, **options: Any) -> Any:
    return lambda stream: (
        stream.flat_map_values(str.split, value=str)
        .group_by(lambda key, word: word, key=str, **options)
        .count(store=store)
    )


def count_first_letters(store: Any = None) -> Any:
    return lambda stream: stream.group_by(lambda key, value: value[0], key=str).count(store=store)


def first_letter(key: str, value: str) -> str:
    return value[0]


def long_only(stream: Any) -> Any:
    return stream.filter(lambda key, value: len(value) > 0)


def turned(topic: str, key: str, value: str, partitions: int) -> int:
    """Place keys where Kafka's default partitioner does not."""
    return partitions - 1 - partition_for(key.encode(), partitions)


def placed(partitioner: Any = None, *, topic: Any = IN, is_there: bool = True) -> hr.Topology:
    """Count behind a repartition topic that a partitioner writes, or straight from the input."""

    def declare(builder: hr.StreamsBuilder) -> None:
        stream = builder.stream(topic)
        if is_there:
            stream = stream.repartition(partitions=2, name="way", partitioner=partitioner)
        stream.group_by_key().count(store=kv())

    return made(declare)


def through(partitions: int | None, name: str = "way") -> hr.Topology:
    return several(
        lambda stream: stream.repartition(partitions=partitions, name=name).group_by_key().count(store=kv())
    )


def table(*, topic: Any = IN, logging: Any = True, **options: Any) -> hr.Topology:
    declared = stores.key_value("c", key=str, value=str, logging=logging)
    return made(lambda builder: builder.table(topic, store=declared).to_stream().to("out"), **options)


def with_other_first(declare: Declare) -> hr.Topology:
    def both(builder: hr.StreamsBuilder) -> None:
        builder.stream(OTHER).peek(lambda key, value: None)
        declare(builder)

    return made(both)


def of_stream(declare: Any) -> Declare:
    return lambda builder: declare(builder.stream(IN))


def pick(value: str, name: str) -> str:
    return value


def joined(store: str = "names", *, is_global: bool = False) -> hr.Topology:
    """Join with a table, or a global table."""

    def declare(builder: hr.StreamsBuilder) -> None:
        stream = builder.stream(IN)
        if is_global:
            names = builder.global_table(OTHER, store=store)
            found = stream.join(names, pick, on=lambda key, value: key)
        else:
            found = stream.join(builder.table(OTHER, store=store), pick)
        found.to("out")

    return made(declare)


def joined_by_foreign_key(name: str) -> hr.Topology:
    def declare(builder: hr.StreamsBuilder) -> None:
        left, right = builder.table(IN, store="left"), builder.table(OTHER, store="right")
        left.join(right, pick, on=lambda value: value[0], name=name, store="c")

    return made(declare)


def joined_within(span: str) -> hr.Topology:
    def declare(builder: hr.StreamsBuilder) -> None:
        both = builder.stream(IN).join(
            builder.stream(OTHER), pick, within=hr.JoinWindows(span, grace="1h"), name="both"
        )
        both.to("out")

    return made(declare)


def suppressed(name: str | None) -> hr.Topology:
    def declare(builder: hr.StreamsBuilder) -> None:
        counts = builder.stream(IN).group_by_key().count(store=kv())
        if name is not None:
            counts = counts.suppress(hr.until_time_limit("1h", name=name))
        counts.to_stream().to("out", value=int)

    return made(declare)


def grouped_twice(**options: Any) -> hr.Topology:
    """Count and add up by one new key: two repartition topics, or one that is optimised."""

    def declare(builder: hr.StreamsBuilder) -> None:
        keyed = builder.stream(IN).select_key(lambda key, value: value[0], key=str)
        keyed.group_by_key().count(store=kv())
        keyed.group_by_key().reduce(max, store=stores.key_value("longest", key=str, value=str))

    return made(declare, **options)


def gone(store: str) -> Mapping[str, Verdict]:
    return {f"topic 'app-{store}-changelog'": ORPHANS}


def unread(topic: str) -> Mapping[str, Verdict]:
    return {f"topic 'app-{topic}-repartition'": ORPHANS}


def new(store: str = "c") -> Mapping[str, Verdict]:
    return {f"store '{store}'": NEW}


def anew(store: str) -> Mapping[str, Verdict]:
    return {f"store '{store}'": REBUILDS}


#: What Kafka Streams calls a store of the n-th operator.
def unnamed(number: int) -> str:
    return f"KSTREAM-AGGREGATE-STATE-STORE-{number:010d}"


def history(span: str) -> Any:
    return stores.versioned("c", key=str, value=int, history=span)


PAIRS: Mapping[str, Callable[[], Pair]] = {
    # a store by itself
    "nothing changes": lambda: Pair(counted(), counted()),
    "a store gets another name": lambda: Pair(counted(), counted(kv("d")), {**anew("d"), **gone("c")}),
    "a store moves to memory": lambda: Pair(counted(), counted(engine="memory")),
    "a store moves to RocksDB": lambda: Pair(counted(engine="memory"), counted()),
    "a store loses its cache": lambda: Pair(counted(), counted(caching=False)),
    "a store gets a cache": lambda: Pair(counted(caching=False), counted()),
    "a store loses its changelog": lambda: Pair(counted(), counted(logging=False), gone("c")),
    "a store in memory loses its changelog": lambda: Pair(
        counted(), counted(logging=False, engine="memory"), {**anew("c"), **gone("c")}
    ),
    "a store gets a changelog": lambda: Pair(counted(logging=False), counted(), anew("c")),
    "a store without a changelog stays": lambda: Pair(counted(logging=False), counted(logging=False)),
    "a store in memory has no changelog": lambda: Pair(
        counted(logging=False, engine="memory"), counted(logging=False, engine="memory"), anew("c")
    ),
    "rows without a changelog expire now": lambda: Pair(
        counted(logging=False), counted(logging=False, ttl="1h"), anew("c")
    ),
    "rows without a changelog expire later": lambda: Pair(
        counted(logging=False, ttl="1h"), counted(logging=False, ttl="2h")
    ),
    "a store loses its changelog, and its tasks their number": lambda: Pair(
        counted(), with_other_first(of_stream(count(kv(logging=False)))), {**anew("c"), **gone("c")}
    ),
    "a store without a changelog moves to memory": lambda: Pair(
        counted(logging=False), counted(logging=False, engine="memory"), anew("c")
    ),
    "a changelog gets properties": lambda: Pair(counted(), counted(logging={"segment.ms": "60000"})),
    "rows expire now": lambda: Pair(counted(), counted(ttl="1h")),
    "rows expire no longer": lambda: Pair(counted(ttl="1h"), counted()),
    "rows expire later": lambda: Pair(counted(ttl="1h"), counted(ttl="2h")),
    "a store gets a bound": lambda: Pair(
        counted(), counted(stores.lru("c", max_rows=10, key=str, value=int))
    ),
    # serdes
    "numbers become floats": lambda: Pair(summed(int), summed(float), new()),
    "numbers become text": lambda: Pair(summed(int), summed(str), new()),
    "keys become numbers": lambda: Pair(
        by_length(str), by_length(int), {**new(), "topic 'app-lengths-repartition'": NEW}
    ),
    "a class gets a field with a default": lambda: Pair(total_of(), total_of(with_words=True)),
    "a class loses a field": lambda: Pair(total_of(with_words=True), total_of()),
    "a class gets a field without a default": lambda: Pair(
        total_of(), total_of(with_words=True, default=None), new()
    ),
    "a field becomes text": lambda: Pair(total_of(), total_of(letters=str), new()),
    # kinds
    "a store gets versions": lambda: Pair(counted(), counted(history("1h"))),
    "a store loses its versions": lambda: Pair(counted(history("1h")), counted()),
    "a store keeps versions for longer": lambda: Pair(counted(history("1h")), counted(history("2h"))),
    "a store becomes one of windows": lambda: Pair(counted(), windowed(minutes()), new()),
    "a store of windows becomes a table": lambda: Pair(windowed(minutes()), counted(), new()),
    "windows become sessions": lambda: Pair(windowed(minutes()), sessions("10s"), new()),
    "a processor's store becomes a count's": lambda: Pair(processed(plain), counted()),
    "a count's store becomes a processor's": lambda: Pair(counted(), processed(plain)),
    "a processor's store gets headers": lambda: Pair(processed(plain), processed(stamped)),
    "a processor's store loses headers": lambda: Pair(processed(stamped), processed(plain)),
    # windows
    "windows become smaller": lambda: Pair(windowed(minutes("1m")), windowed(minutes("30s")), new()),
    "windows become larger": lambda: Pair(windowed(minutes("30s")), windowed(minutes("1m")), new()),
    "windows overlap": lambda: Pair(windowed(minutes()), windowed(minutes(advance="30s")), new()),
    "windows slide": lambda: Pair(
        windowed(minutes()), windowed(hr.SlidingWindows("1m", grace="1h")), new()
    ),
    "windows are kept for longer": lambda: Pair(windowed(minutes()), windowed(minutes(grace="2h"))),
    "windows are kept for shorter": lambda: Pair(windowed(minutes(grace="2h")), windowed(minutes())),
    "results leave when windows close": lambda: Pair(windowed(minutes()), windowed(minutes(), emit="close")),
    "sessions take shorter silences": lambda: Pair(
        sessions("40s"), sessions("6s"),
        kept={
            "c": [
                ("a", 61_000, 100_000, 3),
                ("b", 62_000, 62_000, 1),
                ("b", 101_000, 101_000, 1),
                ("c", 63_000, 63_000, 1),
            ]
        },
    ),
    "sessions are kept for longer": lambda: Pair(sessions("10s"), sessions("10s", grace="2h")),
    # what lies around stores
    "an operator comes before a store with a name": lambda: Pair(
        counted(), several(lambda stream: count(kv())(long_only(stream)))
    ),
    "an operator goes before a store with a name": lambda: Pair(
        several(lambda stream: count(kv())(long_only(stream))), counted()
    ),
    "an operator comes before a store without a name": lambda: Pair(
        several(count()),
        several(lambda stream: count()(long_only(stream))),
        {**anew(unnamed(2)), **gone(unnamed(1))},
    ),
    "an operator comes behind a store without a name": lambda: Pair(
        several(count()), several(count(), long_only)
    ),
    "a function before a store without a name changes": lambda: Pair(
        several(lambda stream: count()(stream.filter(lambda key, value: len(value) > 0))),
        several(lambda stream: count()(stream.filter(lambda key, value: value != "z"))),
    ),
    "a store is keyed by another function": lambda: Pair(
        several(count_first_letters(kv())),
        several(lambda stream: stream.group_by(lambda key, value: value[-1], key=str).count(store=kv())),
        new(),
    ),
    "a store is keyed by a function": lambda: Pair(
        several(count(kv())), several(count_first_letters(kv())), new()
    ),
    "a store without a name is keyed by another function": lambda: Pair(
        several(count_first_letters()),
        several(lambda stream: stream.group_by(lambda key, value: value[-1], key=str).count()),
        new(unnamed(2)),
    ),
    "a store is keyed by a function more": lambda: Pair(
        made(lambda builder: count(kv())(builder.stream(IN).select_key(first_letter, key=str))),
        made(
            lambda builder: count(kv())(
                builder.stream(IN).select_key(first_letter, key=str).merge(builder.stream(OTHER))
            )
        ),
    ),
    "stores with names change places": lambda: Pair(
        several(count(kv("c")), count_first_letters(kv("d"))),
        several(count_first_letters(kv("d")), count(kv("c"))),
    ),
    "stores without names change places": lambda: Pair(
        several(
            lambda stream: stream.group_by(lambda key, value: key, key=str).count(),
            lambda stream: stream.group_by(lambda key, value: value[0], key=str).count(),
        ),
        several(
            lambda stream: stream.group_by(lambda key, value: value[0], key=str).count(),
            lambda stream: stream.group_by(lambda key, value: key, key=str).count(),
        ),
        {**new(unnamed(2)), **new(unnamed(8))},
    ),
    "a store without a name is fed by another topic": lambda: Pair(
        several(count()), made(lambda builder: count()(builder.stream(OTHER))), new(unnamed(1))
    ),
    "a store goes": lambda: Pair(
        several(count(kv("c")), count_first_letters(kv("d"))),
        several(count(kv("c"))),
        {**gone("d"), **unread("d")},
    ),
    "a store comes": lambda: Pair(
        several(count(kv("c"))),
        several(count(kv("c")), count_words(kv("d"))),
        kept={"d": [("x", 1), ("y", 1), ("z", 1)]},
    ),
    "a sub-topology comes before": lambda: Pair(counted(), with_other_first(of_stream(count(kv())))),
    "a sub-topology goes before": lambda: Pair(with_other_first(of_stream(count(kv()))), counted()),
    "a sub-topology comes before a store without a changelog": lambda: Pair(
        counted(logging=False), with_other_first(of_stream(count(kv(logging=False)))), anew("c")
    ),
    "a processor is renamed": lambda: Pair(
        several(lambda stream: count(kv())(stream.filter(lambda key, value: True, name="one"))),
        several(lambda stream: count(kv())(stream.filter(lambda key, value: True, name="two"))),
    ),
    "an output goes to another topic": lambda: Pair(
        several(lambda stream: count(kv())(stream).to_stream().to("out", value=int)),
        several(lambda stream: count(kv())(stream).to_stream().to("results", value=int)),
    ),
    # repartition topics
    "a repartition topic gets another name": lambda: Pair(
        several(count_words(kv(), name="words")), several(count_words(kv(), name="terms")), unread("words")
    ),
    "a repartition topic gets more partitions": lambda: Pair(
        through(2), through(3), {"topic 'app-way-repartition'": NEW, "topic 'app-c-changelog'": NEW}
    ),
    "a repartition topic says its partitions": lambda: Pair(through(None), through(2)),
    "a repartition topic gets another partitioner": lambda: Pair(placed(turned), placed(), new()),
    "a repartition topic comes before a store, and places keys as they are": lambda: Pair(
        placed(is_there=False), placed()
    ),
    "a repartition topic comes before a store whose keys others place": lambda: Pair(
        placed(topic=PLACED_BY_OTHERS, is_there=False), placed(turned, topic=PLACED_BY_OTHERS), new()
    ),
    "a topic is said to be partitioned by others": lambda: Pair(
        placed(is_there=False), placed(topic=PLACED_BY_OTHERS, is_there=False)
    ),
    "repartition topics are merged": lambda: Pair(
        grouped_twice(), grouped_twice(optimize="all"), unread("longest")
    ),
    "a repartition topic is no longer merged": lambda: Pair(grouped_twice(optimize="all"), grouped_twice()),
    # tables
    "a table is restored from its own topic": lambda: Pair(table(), table(optimize="all"), gone("c")),
    "a table gets a changelog of its own": lambda: Pair(table(optimize="all"), table(), anew("c")),
    "a table is read from another topic": lambda: Pair(
        table(), table(topic=OTHER), kept={"c": [("a", "x"), ("b", "z y"), ("c", "x")]}
    ),
    "a table's store gets another name": lambda: Pair(
        joined("names"), joined("titles"), {**anew("titles"), **gone("names")}
    ),
    "a table becomes global": lambda: Pair(joined(), joined(is_global=True), gone("names")),
    "a join by a foreign key gets another name": lambda: Pair(
        joined_by_foreign_key("by"),
        joined_by_foreign_key("through"),
        {
            **anew("through-subscription-store"),
            **gone("by-subscription-store"),
            "topic 'app-by-subscription-registration-topic'": ORPHANS,
            "topic 'app-by-subscription-response-topic'": ORPHANS,
        },
    ),
    "a join of streams takes more time": lambda: Pair(joined_within("1m"), joined_within("5m")),
    "suppression comes": lambda: Pair(suppressed(None), suppressed("held")),
    "suppression goes": lambda: Pair(suppressed("held"), suppressed(None), gone("held-store")),
    "suppression gets another name": lambda: Pair(
        suppressed("held"), suppressed("waiting"), {**anew("waiting-store"), **gone("held-store")}
    ),
}  # fmt: skip
