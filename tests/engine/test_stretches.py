"""A stretch that goes from node to node as columns gives what its records give one by one."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace import Failure, KStream, KTable, Reaction, stores
from headrace.base.columns import Columns
from headrace.base.records import Headers
from headrace.engine.clock import ManualClock
from headrace.engine.options import EngineOptions
from headrace.engine.worker_building import build_worker
from headrace.log.memory import MemoryLog
from headrace.log.port import TopicSpec

EVENTS = hr.Topic("events", key=str, value=str)
Seen = list[tuple[object, ...]]


def run(
    folder: Path,
    describe: Callable[[KStream[str, str], Seen], None],
    *,
    cache_bytes: int = 10_000_000,
    records_max: int = 1000,
) -> tuple[Seen, list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Feed batches with commits in between; return what user code saw, the outputs, and the changelog."""
    seen: Seen = []

    def handler(failure: Failure) -> Reaction:
        seen.append(("failed", failure.offset, failure.key, failure.value, failure.timestamp, failure.stage))
        return Reaction.resume

    builder = hr.StreamsBuilder()
    describe(builder.stream(EVENTS), seen)
    log, choice = MemoryLog(), random.Random(11)
    log.create_topics([TopicSpec("events", 1)])
    worker = build_worker(
        builder.build(),
        log,
        EngineOptions.of(
            {
                "statestore.cache.max.bytes": cache_bytes,
                "commit.interval.ms": 1_000_000,
                "stretch.records.max": records_max,
                "processing.exception.handler": handler,
                "deserialization.exception.handler": handler,
                "production.exception.handler": handler,
            }
        ),
        application_id="app",
        state_dir=folder,
        clock=ManualClock(),
    )
    worker.open()
    for batch in range(8):
        columns = Columns()
        for _ in range(60):
            key = None if choice.random() < 0.05 else choice.choice("abcdef").encode()
            value = choice.choice([b"x", b"x", b"x", b"x", b"bad", None])
            if batch == 5 and value == b"bad":
                value = b"\xff"  # cannot be read
            timestamp = max(0, batch * 3_000 + choice.randrange(-9_000, 4_000))
            headers: Headers = (("n", b"%d" % choice.randrange(9)),) if choice.random() < 0.2 else ()
            columns.append(key, value, timestamp, headers)
        writer = log.writer("feed")
        writer.append("events", 0, columns)
        writer.commit({})
        while worker.step(0):
            pass
        worker.commit()
    worker.close()
    changelogs = [name for name in log.topics() if name.endswith("-changelog")]
    return seen, log.records("out"), [record for name in changelogs for record in log.records(name)]


def count(stream: KStream[str, Any]) -> None:
    stream.group_by_key().count().to_stream().to("out")


def count_windows(stream: KStream[str, Any]) -> None:
    windows = hr.TimeWindows("4s", grace="2s")
    stream.group_by_key().windowed_by(windows).count().to_stream().to("out")


def longer(value: str, other: str) -> str:
    if len(value) > 30:
        raise ValueError("too long")
    return value + other


def adder() -> Callable[[int, int], int]:
    calls = 0

    def add(total: int, value: int) -> int:
        nonlocal calls
        calls += 1
        if calls % 7 == 3:
            raise StopIteration if calls % 2 else ValueError("bad")
        return total + value

    return add


def add_or_delete(key: object, value: str, total: int) -> int | None:
    return None if total > 9 else total + len(value or "")


def listed(key: str, value: str, values: list[str]) -> list[str]:
    if len(values) > 9:
        raise ValueError("too many")
    return [*values, value]


def lengths(stream: KStream[str, Any]) -> KStream[str, int]:
    return stream.map_values(len, value=int)


WINDOWS = hr.TimeWindows("4s", grace="2s")

#: Of the endings whose last step calls functions, some of which fail now and then.
FOLDED: dict[str, Callable[[KStream[str, Any]], KTable[Any, Any]]] = {
    "reduce texts": lambda stream: stream.group_by_key().reduce(longer),
    "reduce numbers": lambda stream: lengths(stream).group_by_key().reduce(adder()),
    "reduce windows": lambda stream: lengths(stream).group_by_key().windowed_by(WINDOWS).reduce(adder()),
    "aggregate numbers": lambda stream: stream.group_by_key().aggregate(int, add_or_delete),
    "aggregate windows": lambda stream: (
        stream.group_by_key().windowed_by(WINDOWS).aggregate(int, add_or_delete)
    ),
    "aggregate lists": lambda stream: stream.group_by_key().aggregate(list[str], listed),
    "aggregate lists in windows": lambda stream: (
        stream.group_by_key().windowed_by(WINDOWS).aggregate(list[str], listed)
    ),
    "aggregate in the one window": lambda stream: (
        stream.group_by_key().windowed_by(hr.UnlimitedWindows(start=4_000)).aggregate(int, add_or_delete)
    ),
    "aggregate versions": lambda stream: stream.group_by_key().aggregate(
        int, add_or_delete, store=stores.versioned("versions", history="5s", key=str, value=int)
    ),
    "aggregate by another key": lambda stream: stream.group_by(bad, key=bool).aggregate(int, add_or_delete),
    "aggregate numbers of two streams": lambda stream: (
        lengths(stream)
        .merge(lengths(stream.filter(lambda key, value: key != "c")))
        .group_by_key()
        .windowed_by(WINDOWS)
        .reduce(adder())
    ),
}


def write(stream: KStream[str, Any]) -> None:
    stream.to(hr.Topic("out", key=str, value=str))


def write_to_three_partitions(stream: KStream[str, Any]) -> None:
    stream.to(hr.Topic("out", key=str, value=str, partitions=3))


def group_anew(stream: KStream[str, Any]) -> None:
    stream.group_by(bad, key=bool).count().to_stream().to("out")


def bad(key: str, value: str) -> bool:
    if value == "bad":
        raise StopIteration if key == "a" else ValueError("bad")
    return value is not None and key != "b"


def pair_or_not(key: str, value: str) -> Any:
    return (key, value) if value == "x" else value


def number_or_not(value: str) -> Any:
    return 7 if value == "bad" else value


async def asynchronous(key: str, value: str) -> bool:
    return True


def late_or_not(key: str, value: str) -> Any:
    return asynchronous(key, value) if value == "bad" else value


THROUGH: dict[str, Callable[[KStream[str, str]], KStream[str, Any]]] = {
    "peek": lambda stream: stream.peek(bad),
    "filter": lambda stream: stream.filter(bad),
    "filter_not": lambda stream: stream.filter_not(bad),
    "filter by what is no bool": lambda stream: stream.filter(
        lambda key, value: (value and value[2:]) or key
    ),
    "filter_not by what is no bool": lambda stream: stream.filter_not(lambda key, value: value and value[2:]),
    "filter by a coroutine": lambda stream: stream.filter(late_or_not),
    "filter_not by a coroutine": lambda stream: stream.filter_not(
        lambda key, value: late_or_not(key, value) if value == "bad" else False
    ),
    "peek at a coroutine": lambda stream: stream.peek(late_or_not),
    "map_values": lambda stream: stream.map_values(
        lambda value: value and value[value.index("x") :], value=str
    ),
    "map_values with key": lambda stream: stream.map_values(hr.with_key(bad), value=bool).map_values(
        str, value=str
    ),
    "map": lambda stream: stream.map(lambda key, value: (key * 2, value[1:]), key=str, value=str),
    "map to a pair or not": lambda stream: stream.map(pair_or_not, key=str, value=str),
    "select_key": lambda stream: stream.select_key(lambda key, value: value[:1] or key, key=str),
    "expressions": lambda stream: (
        stream.filter((hr.value() != "bad") | (hr.key() < "c"))
        .map_values(hr.value()[0] + hr.value().upper() + hr.key(), value=str)
        .filter_not(hr.key().is_in({"a", "f"}))
        .select_key(hr.value()[0] + hr.key(), key=str)
    ),
    "a value that cannot be written": lambda stream: stream.map_values(number_or_not, value=str),
    "several": lambda stream: (
        stream.peek(bad)
        .map_values(lambda value: value * 3)
        .filter(lambda key, value: key > "a")
        .map(lambda key, value: (value[0] + key, key), key=str, value=str)
        .filter_not(lambda key, value: value == "d")
    ),
}


@pytest.mark.parametrize(
    "ending",
    [count, count_windows, write, write_to_three_partitions, group_anew],
    ids=lambda each: each.__name__,
)
@pytest.mark.parametrize("through", THROUGH.values(), ids=THROUGH)
@pytest.mark.parametrize("cache_bytes", [10_000_000, 1_500, 0])
def test_a_stretch_gives_what_its_records_give_one_by_one(
    tmp_path: Path,
    ending: Callable[[KStream[str, Any]], None],
    cache_bytes: int,
    through: Callable[[KStream[str, str]], KStream[str, Any]],
) -> None:
    def together(stream: KStream[str, str], seen: Seen) -> None:
        ending(through(stream))

    def one_by_one(stream: KStream[str, str], seen: Seen) -> None:
        # A node that may send several records for one takes no stretches.
        ending(through(stream.flat_map_values(lambda value: [value], value=str)))

    results = run(tmp_path / "together", together, cache_bytes=cache_bytes)
    assert results == run(tmp_path / "one", one_by_one, cache_bytes=cache_bytes)
    assert len(results[0]) > 5
    assert len(results[1]) > 5


@pytest.mark.parametrize("fold", FOLDED.values(), ids=FOLDED)
@pytest.mark.parametrize("through", ["peek", "several"])
@pytest.mark.parametrize("cache_bytes", [10_000_000, 1_500, 0])
def test_an_aggregation_of_a_stretch_gives_what_its_records_give_one_by_one(
    tmp_path: Path, fold: Callable[[KStream[str, Any]], KTable[Any, Any]], through: str, cache_bytes: int
) -> None:
    def together(stream: KStream[str, str], seen: Seen) -> None:
        fold(THROUGH[through](stream)).to_stream().to("out")

    def one_by_one(stream: KStream[str, str], seen: Seen) -> None:
        through_one = stream.flat_map_values(lambda value: [value], value=str)
        fold(THROUGH[through](through_one)).to_stream().to("out")

    results = run(tmp_path / "together", together, cache_bytes=cache_bytes)
    assert results == run(tmp_path / "one", one_by_one, cache_bytes=cache_bytes)
    assert len(results[1]) > 5


@pytest.mark.parametrize("cache_bytes", [10_000_000, 1_500])
def test_a_grouped_table_keeps_what_it_keeps_without_a_cache(tmp_path: Path, cache_bytes: int) -> None:
    def describe(**declared: Any) -> Callable[[KStream[str, str], Seen], None]:
        sizes = stores.key_value("sizes", key=str, value=int, **declared)

        def folded(stream: KStream[str, str], seen: Seen) -> None:
            table = stream.filter(lambda key, value: value != "bad").to_table()
            rows = table.group_by(
                lambda key, value: ("low" if key[:1] < "d" else "high", len(value)), value=int
            )
            added = rows.reduce(
                lambda total, size: total + size, lambda total, size: total - size, store=sizes
            )
            added.to_stream().to("out")

        return folded

    cached = run(tmp_path / "cached", describe(), cache_bytes=cache_bytes)[1]
    uncached = run(tmp_path / "uncached", describe(caching=False))[1]
    assert {record[2]: record[3] for record in cached} == {record[2]: record[3] for record in uncached}
    assert len(cached) > 5
    assert len(uncached) > 5


def test_a_reducer_sees_each_record_before_the_next_one_sets_out(tmp_path: Path) -> None:
    def describe(stream: KStream[str, str], seen: Seen) -> None:
        def reducer(value: str, other: str) -> str:
            seen.append(("reduced", other))
            return other

        peeked = stream.peek(lambda key, value: seen.append(("peeked", value)))
        peeked.group_by_key().reduce(reducer).to_stream().to("out")

    seen = run(tmp_path, describe)[0]
    reduced = [at for at, call in enumerate(seen) if call[0] == "reduced"]
    assert len(reduced) > 100
    assert all(seen[at - 1] == ("peeked", seen[at][1]) for at in reduced)


def test_what_is_behind_an_aggregation_without_a_cache_sees_each_update_before_the_next_record(
    tmp_path: Path,
) -> None:
    def describe(stream: KStream[str, str], seen: Seen) -> None:
        def reducer(value: str, other: str) -> str:
            seen.append(("reduced", other))
            return other

        def last(value: str) -> str:
            seen.append(("seen", value))
            if value == "bad":
                raise ValueError(value)
            return value

        reduced = stream.group_by_key().reduce(reducer).to_stream()
        reduced.map_values(last).filter(lambda key, value: key != "b").to("out")

    together = run(tmp_path / "together", describe, cache_bytes=0)
    assert together == run(tmp_path / "one", describe, cache_bytes=0, records_max=1)
    seen = [call for call in together[0] if call[0] in ("reduced", "seen")]
    reduced = [at for at, call in enumerate(seen) if call[0] == "reduced"]
    assert len(reduced) > 100
    assert all(seen[at + 1] == ("seen", seen[at][1]) for at in reduced)
    assert any(call[0] == "failed" for call in together[0])


def shortened(value: str) -> str:
    return value[value.index("x") :]


async def shortened_later(value: str) -> str:
    return shortened(value)


MAPPED_TOGETHER: dict[str, Callable[[KStream[str, str]], KStream[str, str]]] = {
    "batch": lambda stream: stream.map_values_batch(lambda values: list(map(shortened, values)), value=str),
    "small batches": lambda stream: stream.map_values_batch(
        lambda values: list(map(shortened, values)), batch_max=3, value=str
    ),
    "async": lambda stream: stream.map_values_async(shortened_later),
    "async, behind others": lambda stream: stream.peek(lambda key, value: None).map_values_async(
        shortened_later
    ),
    "both": lambda stream: stream.map_values_async(shortened_later).map_values_batch(
        lambda values: values, value=str
    ),
}


@pytest.mark.parametrize("mapped", MAPPED_TOGETHER.values(), ids=MAPPED_TOGETHER)
@pytest.mark.parametrize("ending", [count, count_windows, write, group_anew], ids=lambda each: each.__name__)
def test_values_mapped_together_are_those_that_are_mapped_one_by_one(
    tmp_path: Path,
    ending: Callable[[KStream[str, Any]], None],
    mapped: Callable[[KStream[str, str]], KStream[str, str]],
) -> None:
    together = run(tmp_path / "together", lambda stream, seen: ending(mapped(stream)))
    one_by_one = run(tmp_path / "one", lambda stream, seen: ending(stream.map_values(shortened)))
    assert sorted(together[0], key=repr) == sorted(one_by_one[0], key=repr)
    assert together[1:] == one_by_one[1:]
    assert len(together[0]) > 5


def test_values_that_wait_together_are_mapped_by_one_call(tmp_path: Path) -> None:
    sizes: list[int] = []

    def measured(values: list[str]) -> list[str]:
        sizes.append(len(values))
        return values

    # Nothing below takes records together: they go on one by one.
    run(
        tmp_path,
        lambda stream, seen: write(
            stream.map_values_batch(measured, batch_max=40, value=str).flat_map_values(lambda value: [value])
        ),
    )
    assert max(sizes) == 40


def test_a_join_takes_stretches_as_well(tmp_path: Path) -> None:
    def describe(
        through: Callable[[KStream[str, str]], KStream[str, str]],
    ) -> Callable[[KStream[str, str], Seen], None]:
        def joined(stream: KStream[str, str], seen: Seen) -> None:
            table = stream.filter(lambda key, value: value == "x").to_table()
            write(through(stream).join(table, lambda left, right: f"{left}{right}", value=str))

        return joined

    together = run(tmp_path / "together", describe(lambda stream: stream))
    one_by_one = run(
        tmp_path / "one", describe(lambda stream: stream.flat_map_values(lambda value: [value], value=str))
    )
    assert together == one_by_one
    assert len(together[1]) > 100


def foreign_key_of(key: str, value: str) -> str | None:
    if value == "bad" and key == "a":
        raise ValueError("bad")
    return {"a": None, "b": "nobody"}.get(key, key)


def placed(topic: str, key: str, value: str, partitions: int) -> int:
    return 1 if key == "c" else 0  # where there is one partition, that is none of them


@pytest.mark.parametrize("is_left", [False, True])
@pytest.mark.parametrize("partitioner", [None, placed])
def test_a_join_by_a_foreign_key_takes_stretches_as_well(
    tmp_path: Path, is_left: bool, partitioner: Callable[..., int] | None
) -> None:
    def describe(stream: KStream[str, str], seen: Seen) -> None:
        other = stream.filter(lambda key, value: key > "b").map_values(str, value=str).to_table()
        this = stream.to_table()
        join = this.left_join if is_left else this.join
        joined = join(
            other,
            lambda left, right: f"{left}{right}",
            on=hr.with_key(foreign_key_of),
            partitioner=partitioner,
            value=str,
        )
        write(joined.to_stream())

    together = run(tmp_path / "together", describe, cache_bytes=0)
    one_by_one = run(tmp_path / "one", describe, cache_bytes=0, records_max=1)
    assert together == one_by_one
    assert len(together[0]) > 5
    assert len(together[1]) > 50


def test_functions_of_two_nodes_see_each_record_in_turn(tmp_path: Path) -> None:
    def describe(stream: KStream[str, str], seen: Seen) -> None:
        first = stream.peek(lambda key, value: seen.append(("first", key)))
        count(first.peek(lambda key, value: seen.append(("second", key))))

    seen = [call for call in run(tmp_path, describe)[0] if call[0] != "failed"]
    assert [call[0] for call in seen] == ["first", "second"] * (len(seen) // 2)
    assert [call[1] for call in seen[::2]] == [call[1] for call in seen[1::2]]


def test_two_branches_see_each_record_in_turn(tmp_path: Path) -> None:
    def describe(stream: KStream[str, str], seen: Seen) -> None:
        count(stream.peek(lambda key, value: seen.append(("count", key))))
        stream.foreach(lambda key, value: seen.append(("other", key)))

    seen = [call for call in run(tmp_path, describe)[0] if call[0] != "failed"]
    assert [call[0] for call in seen] == ["count", "other"] * (len(seen) // 2)


def test_a_function_that_fails_keeps_no_record_from_the_count_but_its_own(tmp_path: Path) -> None:
    def describe(stream: KStream[str, str], seen: Seen) -> None:
        def look(key: str, value: str) -> None:
            if value == "bad":
                raise ValueError("bad")
            if key is not None and value is not None:
                seen.append(("counted", key))

        count(stream.peek(look))

    seen, out, _ = run(tmp_path, describe)
    last = {record[2].decode(): int.from_bytes(record[3], "big") for record in out}
    counted = [call[1] for call in seen if call[0] == "counted"]
    assert last == {key: counted.count(key) for key in "abcdef"}


def test_a_text_of_two_characters_is_no_pair(tmp_path: Path) -> None:
    def describe(stream: KStream[str, str], seen: Seen) -> None:
        two: Any = "ab"
        count(stream.map(lambda key, value: two, key=str, value=str))

    seen, out, _ = run(tmp_path, describe)
    assert {call[0] for call in seen} == {"failed"}
    assert out == []
