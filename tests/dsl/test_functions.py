"""Functions that cannot work are refused where they are handed over, with the place of the call and their own."""

import functools
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.processor.api import ProcessorFunction

IN = hr.Topic("in", value=str)
OUT = hr.Topic("out", value=str)
NUMBERS = hr.Topic("numbers", value=int)
SEEN = stores.key_value("seen", key=str, value=str)

#: What is done with a function in each place that takes one.
Use = Callable[[Any], Any]


def _stream() -> Any:
    return hr.StreamsBuilder().stream(IN)


def _table() -> Any:
    return hr.StreamsBuilder().table(IN)


def _grouped_table() -> Any:
    return _table().group_by(lambda key, value: (key, value), key=str, value=str)


def _joined(fn: Any, *, left: bool = False) -> Any:
    builder = hr.StreamsBuilder()
    stream, table = builder.stream(IN), builder.table(OUT)
    return stream.left_join(table, fn) if left else stream.join(table, fn)


def _joined_tables(fn: Any, method: str) -> Any:
    builder = hr.StreamsBuilder()
    return getattr(builder.table(IN), method)(builder.table(OUT), fn)


def _joined_by_foreign_key(fn: Any, on: Any) -> Any:
    builder = hr.StreamsBuilder()
    return builder.table(IN).join(builder.table(OUT), fn, on=on)


ONE_RESULT: dict[str, Use] = {
    "filter": lambda fn: _stream().filter(fn),
    "filter_not": lambda fn: _stream().filter_not(fn),
    "map": lambda fn: _stream().map(fn),
    "map_values": lambda fn: _stream().map_values(fn),
    "map_values with key": lambda fn: _stream().map_values(hr.with_key(fn)),
    "select_key": lambda fn: _stream().select_key(fn),
    "group_by": lambda fn: _stream().group_by(fn),
    "peek": lambda fn: _stream().peek(fn),
    "foreach": lambda fn: _stream().foreach(fn),
    "print": lambda fn: _stream().print(format=fn),
    "branch": lambda fn: _stream().split().branch(fn),
    "branch then": lambda fn: _stream().split().branch(lambda k, v: True, then=fn),
    "default branch then": lambda fn: _stream().split().default_branch(then=fn),
    "split_by": lambda fn: _stream().split_by(fn),
    "topic chooser": lambda fn: _stream().to(fn),
    "join": _joined,
    "left join": lambda fn: _joined(fn, left=True),
    "join of tables": lambda fn: _joined_tables(fn, "join"),
    "left join of tables": lambda fn: _joined_tables(fn, "left_join"),
    "outer join of tables": lambda fn: _joined_tables(fn, "outer_join"),
    "join of tables by a foreign key": lambda fn: _joined_by_foreign_key(fn, on=lambda value: "k"),
    "extractor of a foreign key": lambda fn: _joined_by_foreign_key(lambda one, two: one, on=fn),
    "extractor of a foreign key with key": lambda fn: _joined_by_foreign_key(
        lambda one, two: one, on=hr.with_key(fn)
    ),
    "reduce": lambda fn: _stream().group_by_key().reduce(fn),
    "initialiser": lambda fn: _stream().group_by_key().aggregate(fn, lambda k, v, a: a, value=str),
    "aggregate": lambda fn: _stream().group_by_key().aggregate(str, fn),
    "windowed reduce": lambda fn: (
        _stream().group_by_key().windowed_by(hr.TimeWindows("1m", grace="0s")).reduce(fn)
    ),
    "windowed aggregate": lambda fn: (
        _stream().group_by_key().windowed_by(hr.TimeWindows("1m", grace="0s")).aggregate(str, fn)
    ),
    "table filter": lambda fn: _table().filter(fn),
    "table group_by": lambda fn: _table().group_by(fn),
    "adder of a reduce": lambda fn: _grouped_table().reduce(fn, lambda x, y: x),
    "subtractor of a reduce": lambda fn: _grouped_table().reduce(lambda x, y: x, fn),
    "adder": lambda fn: _grouped_table().aggregate(str, fn, lambda k, v, a: a),
    "subtractor": lambda fn: _grouped_table().aggregate(str, lambda k, v, a: a, fn),
    "table filter_not": lambda fn: _table().filter_not(fn),
    "table map_values": lambda fn: _table().map_values(fn),
    "table to_stream": lambda fn: _table().to_stream(fn),
    "timestamp of a stream": lambda fn: hr.StreamsBuilder().stream(IN, timestamp=fn),
    "timestamp of a table": lambda fn: hr.StreamsBuilder().table(IN, timestamp=fn),
    "process": lambda fn: _stream().process(fn),
    "process_values": lambda fn: _stream().process_values(fn),
    "add_processor": lambda fn: hr.Topology().add_source("s", IN).add_processor("p", fn, "s"),
}

MANY_RESULTS: dict[str, Use] = {
    "flat_map": lambda fn: _stream().flat_map(fn),
    "flat_map_values": lambda fn: _stream().flat_map_values(fn),
    "repartition": lambda fn: _stream().repartition(partitioner=fn),
    "partitioner of a sink": lambda fn: _stream().to(OUT, partitioner=fn),
    "processor": lambda fn: hr.processor()(fn),
}


async def coroutine(*arguments: Any) -> Any:
    return True


def generator(*arguments: Any) -> Iterator[Any]:
    yield True


@pytest.mark.parametrize("place", [*ONE_RESULT, *MANY_RESULTS])
def test_async_function_is_refused(place: str) -> None:
    use = {**ONE_RESULT, **MANY_RESULTS}[place]
    with pytest.raises(
        hr.TopologyError, match=r"coroutine\(\) at test_functions.py:\d+ is an async function"
    ):
        use(coroutine)


@pytest.mark.parametrize("place", ONE_RESULT)
def test_generator_function_is_refused_where_one_result_is_wanted(place: str) -> None:
    with pytest.raises(
        hr.TopologyError, match=r"generator\(\) at test_functions.py:\d+ is a generator function"
    ):
        ONE_RESULT[place](generator)


@pytest.mark.parametrize("place", MANY_RESULTS)
def test_generator_function_is_welcome_where_many_results_are(place: str) -> None:
    MANY_RESULTS[place](generator)


@pytest.mark.parametrize("place", [*ONE_RESULT, *MANY_RESULTS])
def test_function_of_too_many_arguments_is_refused(place: str) -> None:
    use = {**ONE_RESULT, **MANY_RESULTS}[place]
    with pytest.raises(hr.TopologyError, match=r"takes|is not a function that makes a processor"):
        use(lambda a, b, c, d, e, f: True)


def test_message_tells_operator_place_function_and_both_signatures() -> None:
    with pytest.raises(hr.TopologyError) as caught:
        _stream().filter(lambda value: value == "yes")
    assert str(caught.value).startswith("test_functions.py:")
    assert ": the predicate the lambda at test_functions.py:" in str(caught.value)
    assert str(caught.value).endswith(" takes (value), and is called with (key, value)")


def test_function_that_wants_the_key_is_told_how_to_get_it() -> None:
    with pytest.raises(
        hr.TopologyError, match=r"write hr.with_key\(...\) around it to be given the key first"
    ):
        _stream().map_values(lambda key, value: value)


def test_key_is_not_promised_where_there_is_none() -> None:
    with pytest.raises(
        hr.TopologyError, match=r"the reducer is not called with the key: leave with_key\(\) out"
    ):
        _stream().group_by_key().reduce(hr.with_key(lambda key, one, two: one))


class NoRecord(hr.Processor[str, str, str, str]):
    def process(self, key: str, value: str) -> None:  # type: ignore[override]
        pass


class AsyncInit(hr.Processor[str, str, str, str]):
    async def init(self) -> None:  # type: ignore[override]
        pass


class InitTakesContext(hr.Processor[str, str, str, str]):
    def init(self, context: object) -> None:  # type: ignore[override]
        pass


class NeedsClient(hr.Processor[str, str, str, str]):
    def __init__(self, client: str) -> None:
        self.client = client


def test_processor_with_wrong_methods_is_refused() -> None:
    with pytest.raises(hr.TopologyError, match=r"NoRecord.process\(\) at .* is called with \(self, record\)"):
        _stream().process(NoRecord)
    with pytest.raises(hr.TopologyError, match=r"AsyncInit.init\(\) at .* is an async function"):
        _stream().process(lambda: AsyncInit())


def test_processor_that_takes_a_context_as_in_java_is_told_where_it_is() -> None:
    with pytest.raises(hr.TopologyError, match=r"is called with \(self\); the context is self.context"):
        _stream().process(InitTakesContext)


def test_store_that_is_not_connected_is_told_with_both_ways_to_connect_it() -> None:
    class Unconnected(hr.Processor[str, str, str, str]):
        def init(self) -> None:
            self.context.store(SEEN)

    builder = hr.StreamsBuilder()
    builder.stream(IN).process(Unconnected)
    with pytest.raises(hr.TopologyError, match=r"process\(processor, store\), or in its `stores`"):
        testing.TopologyTestDriver(builder.build())


def test_processor_that_needs_arguments_wants_a_function_that_gives_them() -> None:
    with pytest.raises(hr.TopologyError, match="pass a function that gives it what it needs"):
        _stream().process(NeedsClient)
    _stream().process(lambda: NeedsClient("client"))


def test_processor_function_takes_a_record_and_its_stores() -> None:
    with pytest.raises(hr.TopologyError, match=r"is called with \(record, seen\)"):
        hr.processor(SEEN)(lambda record: [])  # type: ignore[arg-type, misc]
    assert isinstance(hr.processor(SEEN)(lambda record, seen: []), ProcessorFunction)


@pytest.mark.parametrize("reset", ["earliset", "beginning", 0, timedelta(seconds=-1), True])
@pytest.mark.parametrize("kind", ["stream", "table"])
def test_offset_reset_that_does_not_exist_is_refused(kind: str, reset: Any) -> None:
    with pytest.raises(
        hr.TopologyError, match="write 'earliest', 'latest', 'none', or how far back to begin"
    ):
        getattr(hr.StreamsBuilder(), kind)(IN, offset_reset=reset)


@pytest.mark.parametrize("fn", [coroutine, generator, lambda: None])
def test_handlers_and_listeners_are_judged_alike(fn: Any, tmp_path: Path) -> None:
    topology = _to_out(lambda stream: stream)
    with pytest.raises(hr.ConfigError, match=r"processing.exception.handler is .* but must be a function"):
        hr.Config(processing_exception_handler=fn)
    streams = hr.Streams(topology, application_id="app", embedded_path=str(tmp_path / "log.db"))
    with pytest.raises(TypeError, match="the listener "):
        streams.on_state_change(fn)
    with pytest.raises(TypeError, match="the handler of uncaught exceptions "):
        streams.on_uncaught(fn)


class Punctual(hr.Processor[str, str, str, str]):
    def __init__(self, do: Any) -> None:
        self.do = do

    def init(self) -> None:
        self.context.schedule("1s", self.do, on="wall")


def test_async_punctuation_is_refused_when_it_is_scheduled() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(IN).process(lambda: Punctual(coroutine))
    with pytest.raises(
        hr.ProcessingError, match=r"the function of a punctuation: coroutine\(\) .* is an async function"
    ):
        testing.TopologyTestDriver(builder.build())


def test_punctuation_that_gives_a_coroutine_is_a_failure_of_the_punctuation() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(IN).process(lambda: Punctual(lambda time: coroutine()))
    with (
        testing.TopologyTestDriver(builder.build()) as driver,
        pytest.raises(hr.ProcessingError, match=NOT_RUN),
    ):
        driver.advance("2s")


# ── what only results show ───────────────────────────────────────────────────────────────────────────────────────


def logged(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def call(*arguments: Any) -> Any:
        return fn(*arguments)

    return call


NOT_RUN = r"it is a coroutine of coroutine\(\) at test_functions.py:\d+, and none of it has run"

RESULTS: dict[str, Use] = {
    "filter": lambda fn: _to_out(lambda stream: stream.filter(fn)),
    "filter_not": lambda fn: _to_out(lambda stream: stream.filter_not(fn)),
    "branch": lambda fn: _to_out(lambda stream: stream.split_by(fn)[0]),
    "peek": lambda fn: _to_out(lambda stream: stream.peek(fn)),
    "map_values": lambda fn: _to_out(lambda stream: stream.map_values(hr.with_key(fn), value=str)),
    "select_key": lambda fn: _to_out(lambda stream: stream.select_key(fn, key=str)),
    "table filter": lambda fn: _to_out(lambda stream: stream.to_table().filter(fn).to_stream()),
    "aggregate": lambda fn: _to_out(
        lambda stream: stream.group_by_key().aggregate(str, lambda k, v, a: fn(k, v)).to_stream()
    ),
    "reduce": lambda fn: _to_out(lambda stream: stream.group_by_key().reduce(fn).to_stream()),
    "process": lambda fn: _to_out(
        lambda stream: stream.process(hr.processor()(lambda record: fn(1, 2)), key=str, value=str)
    ),
    "map": lambda fn: _to_out(lambda stream: stream.map(lambda k, v: (k, fn(k, v)), key=str, value=str)),
}


def _to_out(add: Callable[[Any], Any]) -> hr.Topology:
    builder = hr.StreamsBuilder()
    add(builder.stream(IN)).to(OUT)
    return builder.build()


def test_what_a_lambda_gives_is_seen_to_be_a_coroutine() -> None:
    for use in RESULTS.values():
        topology = use(lambda key, value: coroutine(key, value))
        with (
            testing.TopologyTestDriver(topology) as driver,
            pytest.raises(
                hr.ProcessingError, match=r"it is a coroutine of coroutine\(\) at test_functions.py"
            ),
        ):
            driver.input(IN).pipe_all([("k", "no"), ("k", "no")])


@pytest.mark.parametrize("place", ["filter", "filter_not", "branch", "peek", "map_values", "select_key"])
def test_what_a_decorator_passes_on_is_seen_to_be_a_coroutine(place: str) -> None:
    topology = RESULTS[place](logged(coroutine))
    with (
        testing.TopologyTestDriver(topology) as driver,
        pytest.raises(hr.ProcessingError, match=r"it is a coroutine of coroutine\(\) at test_functions.py"),
    ):
        driver.input(IN).pipe("k", "no")


def test_branch_that_would_have_to_be_awaited_is_refused() -> None:
    with pytest.raises(TypeError, match=NOT_RUN):
        _stream().split().branch(lambda key, value: True, then=lambda branch: coroutine())


def test_handler_may_drop_the_record_of_a_coroutine() -> None:
    topology = RESULTS["filter"](lambda key, value: coroutine() if value == "bad" else True)
    with testing.TopologyTestDriver(
        topology, processing_exception_handler=lambda failure: hr.Reaction.resume
    ) as driver:
        driver.input(IN).pipe_all([("a", "good"), ("b", "bad"), ("c", "good")])
        assert driver.output(OUT).read_pairs() == [("a", "good"), ("c", "good")]
        assert driver.dropped == 1


def deleting(key: str, value: int, sum: int) -> int | None:
    return None if value < 0 else sum + value


def forgetful(key: str, value: int, sum: int) -> int:
    return None if value < 0 else sum + value  # type: ignore[return-value]


@pytest.mark.parametrize("windowed", [False, True])
@pytest.mark.parametrize(("aggregator", "told"), [(forgetful, 1), (deleting, 0)])
def test_aggregator_that_returns_none_is_told_of_once_unless_it_says_so(
    aggregator: Any, told: int, windowed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    builder = hr.StreamsBuilder()
    grouped: Any = builder.stream(NUMBERS).group_by_key()
    if windowed:
        grouped = grouped.windowed_by(hr.TimeWindows("1h", grace="0s"))
    grouped.aggregate(int, aggregator)
    with testing.TopologyTestDriver(builder.build(), partitions=3) as driver:
        driver.input(NUMBERS).pipe_all([(key, number) for key in "abcdef" for number in (1, -1, 2, -1)])
    messages = [record.getMessage() for record in caplog.records if record.name == "headrace.aggregations"]
    assert len(messages) == told
    assert all(
        "forgetful() at test_functions.py:" in each and "a `return` is missing" in each for each in messages
    )


def test_aggregator_without_a_return_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    def append(key: str, value: int, values: list[int]) -> None:
        values.append(value)

    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).group_by_key().aggregate(list, append, value=hr.json(list[int]))
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(NUMBERS).pipe("a", 1)
    (message,) = [record.getMessage() for record in caplog.records]
    assert "append() at test_functions.py:" in message


# ── a return that was forgotten ──────────────────────────────────────────────────────────────────────────────────

#: Where a function acts, or may leave a choice to the default.
NO_RESULT = ("peek", "foreach", "branch then", "default branch then", "repartition", "partitioner of a sink")

#: Where it is a processor, whose results are forwarded or are none.
PROCESSORS = ("process", "process_values", "add_processor", "processor")


def returns_nothing(*arguments):  # type: ignore[no-untyped-def]
    str(arguments)


def returns_sometimes(*arguments):  # type: ignore[no-untyped-def]
    if arguments:
        return arguments[0]


def returns_this_or_none(*arguments):  # type: ignore[no-untyped-def]
    return arguments or None


def raises(*arguments):  # type: ignore[no-untyped-def]
    raise NotImplementedError


def means_nothing(*arguments: Any) -> None:
    str(arguments)


@pytest.mark.parametrize(
    "place", [*sorted(ONE_RESULT.keys() - {*NO_RESULT, *PROCESSORS}), "flat_map", "flat_map_values"]
)
def test_function_that_never_returns_a_value_is_refused_where_one_is_wanted(place: str) -> None:
    with pytest.raises(
        hr.TopologyError,
        match=r"returns_nothing\(\) at test_functions.py:\d+ never returns a value: a `return` is missing",
    ):
        {**ONE_RESULT, **MANY_RESULTS}[place](returns_nothing)


@pytest.mark.parametrize("place", NO_RESULT)
def test_function_that_never_returns_a_value_is_welcome_where_none_is_wanted(place: str) -> None:
    {**ONE_RESULT, **MANY_RESULTS}[place](returns_nothing)


@pytest.mark.parametrize(
    "fn", [returns_sometimes, returns_this_or_none, raises, means_nothing, lambda *arguments: None, print]
)
def test_function_that_may_return_or_says_that_it_does_not_is_welcome(fn: Any) -> None:
    _stream().map_values(fn)
    _stream().select_key(fn)


def test_text_from_a_processor_of_values_is_one_value_and_refused() -> None:
    class Shout(hr.FixedKeyProcessor[str, str, str]):
        def process(self, record: hr.Record[str, str]) -> Any:
            return record.value.upper()

    builder = hr.StreamsBuilder()
    builder.stream(IN).process_values(Shout, value=str).to(OUT)
    with (
        testing.TopologyTestDriver(builder.build()) as driver,
        pytest.raises(hr.ProcessingError, match="returned one str where any number of results is wanted"),
    ):
        driver.input(IN).pipe("a", "abc")
