"""What ends an application from inside: `sys.exit()` and its like in a function of the user's, wherever it runs."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.base.errors import StateError
from headrace.serde.serde import CodecSerde

WORDS = hr.Topic("words", key=str, value=str)
OUT = hr.Topic("out", key=str, value=str)
KEPT = stores.key_value("kept", key=str, value=str)


def leave(*_: object) -> NoReturn:
    sys.exit(0)


def interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def give_up(*_: object) -> NoReturn:
    raise GeneratorExit


def cancel(*_: object) -> NoReturn:
    raise asyncio.CancelledError


class Unspeakable(BaseException):
    def __str__(self) -> str:
        raise ValueError("no words")


def speechless(*_: object) -> NoReturn:
    raise Unspeakable


def _fail_elsewhere(do: Callable[[], object]) -> BaseException:
    """Run something in a thread that is not the main one, as a worker is; return what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            do()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="elsewhere")
    thread.start()
    thread.join()
    return raised[0]


def _piped(topology: hr.Topology, **config: Any) -> hr.ProcessingError:
    """Return what stops the application at the second of two records."""

    def run() -> None:
        with testing.TopologyTestDriver(topology, **config) as driver:
            driver.input(WORDS).pipe("a", "good", 0)
            driver.input(WORDS).pipe("a", "bad", 1)

    error = _fail_elsewhere(run)
    assert isinstance(error, hr.ProcessingError), error
    return error


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (leave, "SystemExit: 0"),
        (interrupt, "KeyboardInterrupt"),
        (give_up, "GeneratorExit"),
        (cancel, "CancelledError"),
        (speechless, "Unspeakable: its text cannot be told, __str__ raises ValueError"),
    ],
)
def test_whatever_a_function_raises_ends_the_application_with_record_and_node(
    end: Callable[..., Any], said: str
) -> None:
    builder = hr.StreamsBuilder()
    builder.stream(WORDS).map_values(lambda word: end() if word == "bad" else word, value=str).to(OUT)
    # A handler that drops what fails is not asked: nothing has failed, somebody wants the end.
    error = _piped(builder.build(), processing_exception_handler=lambda failure: hr.Reaction.resume)
    assert (error.topic, error.partition, error.offset, error.task_id) == ("words", 0, 1, "0_0")
    assert error.node.startswith("KSTREAM-MAPVALUES-0000000001 (test_endings.py:")
    assert str(error).endswith(f"topic 'words', partition 0, offset 1, task 0_0: {said}")


def _on_bad(word: str | None) -> None:
    if word == "bad":
        sys.exit(0)


class Exiting(hr.Processor[str, str, str, str]):
    def process(self, record: hr.Record[str, str]) -> Iterable[hr.Record[str, str]]:
        yield record
        _on_bad(record.value)


class ExitingValues(hr.FixedKeyProcessor[str, str, str]):
    def process(self, record: hr.Record[str, str]) -> Iterable[str]:
        _on_bad(record.value)
        return [record.value]


def _decode(data: bytes) -> str:
    _on_bad(data.decode())
    return data.decode()


def _encode(word: str) -> bytes:
    _on_bad(word)
    return word.encode()


READ_BADLY = CodecSerde(
    "read-badly", encode=str.encode, decode=_decode, expects="text", type=str, immutable=True
)
WRITTEN_BADLY = CodecSerde(
    "written-badly", encode=_encode, decode=bytes.decode, expects="text", type=str, immutable=True
)


def _always(value: str) -> str:
    _on_bad(value)
    return value


def _build(name: str) -> hr.Topology:
    builder = hr.StreamsBuilder()
    words = builder.stream(
        hr.Topic("words", key=str, value=READ_BADLY if name == "deserializer" else str),
        timestamp=(lambda record, time: len(_always(record.value))) if name == "extractor" else None,
    )
    match name:
        case "filter":
            words.filter(lambda key, word: bool(_always(word))).to(OUT)
        case "flat_map":
            words.flat_map_values(lambda word: (_always(each) for each in [word]), value=str).to(OUT)
        case "peek":
            words.peek(lambda key, word: _on_bad(word)).to(OUT)
        case "process":
            words.process(Exiting, key=str, value=str).to(OUT)
        case "process_values":
            words.process_values(ExitingValues, value=str).to(OUT)
        case "aggregate":
            words.group_by_key().aggregate(str, lambda key, word, total: _always(word), store=KEPT)
        case "table":
            words.to_table(store=KEPT).map_values(_always, value=str).to_stream().to(OUT)
        case "partitioner":
            words.to(OUT, partitioner=lambda topic, key, word, count: len(_always(word)) % count)
        case "topic":
            words.to(lambda key, word, metadata: _always(word), key=str, value=str)
        case "serializer":
            words.to(hr.Topic("out", key=str, value=WRITTEN_BADLY))
        case _:
            words.to(OUT)
    return builder.build()


@pytest.mark.parametrize(
    "name",
    [
        "filter",
        "flat_map",
        "peek",
        "process",
        "process_values",
        "aggregate",
        "table",
        "partitioner",
        "topic",
        "serializer",
        "deserializer",
        "extractor",
    ],
)
def test_sys_exit_is_told_with_its_record_wherever_a_function_runs(name: str) -> None:
    error = _piped(_build(name))
    assert (error.topic, error.partition, error.offset) == ("words", 0, 1)
    assert "(test_endings.py:" in error.node
    assert "SystemExit: 0" in str(error)
    assert isinstance(error.__cause__, SystemExit)


def test_handler_that_exits_is_told_with_the_record() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(WORDS).map_values(lambda word: {"good": word}[word], value=str).to(OUT)
    error = _piped(builder.build(), processing_exception_handler=leave)
    assert (error.topic, error.offset) == ("words", 1)
    assert str(error).endswith("SystemExit: 0; the handler itself failed on it")


def test_ctrl_c_in_a_test_stays_ctrl_c() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(WORDS).map_values(interrupt, value=str).to(OUT)
    with testing.TopologyTestDriver(builder.build()) as driver, pytest.raises(KeyboardInterrupt):
        driver.input(WORDS).pipe("a", "x", 0)


@pytest.mark.parametrize(("method", "verb"), [("init", "initialise"), ("close", "close")])
def test_init_and_close_that_raise_are_told_with_node_and_task(method: str, verb: str) -> None:
    class Broken(hr.Processor[str, str, str, str]):
        pass

    setattr(Broken, method, leave)
    builder = hr.StreamsBuilder()
    builder.stream(WORDS).process(Broken)
    topology = builder.build()

    def run() -> None:
        with testing.TopologyTestDriver(topology):
            pass

    error = _fail_elsewhere(run)
    assert isinstance(error, hr.ProcessingError)
    assert f" could not {verb} in task 0_0: SystemExit: 0" in str(error)
    assert "(test_endings.py:" in error.node


class Kept(hr.Processor[str, str, str, str]):
    """Lets itself be used from outside."""

    last: "Kept"
    stores = (KEPT,)

    def init(self) -> None:
        Kept.last = self
        self.kept = self.context.store(KEPT)

    def process(self, record: hr.Record[str, str]) -> None:
        self.kept.put(record.key, record.value)
        self.context.forward(record)

    def do(self, what: str) -> None:
        match what:
            case "forward":
                self.context.forward(hr.Record("k", "v", 0))
            case "put":
                self.kept.put("k", "v")
            case "put_if_absent":
                self.kept.put_if_absent("k", "v")
            case "delete":
                self.kept.delete("k")
            case "schedule":
                self.context.schedule("1s", lambda now: None, on="wall")


SAID = {
    "forward": "cannot forward a record",
    "put": "cannot put a row of store 'kept'",
    "put_if_absent": "cannot put a row of store 'kept'",
    "delete": "cannot delete a row of store 'kept'",
    "schedule": "cannot schedule a punctuation",
}


def _keeping() -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.stream(WORDS).process(Kept, key=str, value=str).to(OUT)
    return builder.build()


@pytest.mark.parametrize("what", SAID)
def test_processor_refuses_a_thread_that_is_not_its_tasks(what: str) -> None:
    with testing.TopologyTestDriver(_keeping()) as driver:
        driver.input(WORDS).pipe("a", "b", 0)
        error = _fail_elsewhere(lambda: Kept.last.do(what))
        assert isinstance(error, StateError)
        assert str(error).startswith(
            f"{SAID[what]} in thread 'elsewhere': task 0_0 belongs to the thread that runs it"
        )
        assert driver.output(OUT).read_pairs() == [("a", "b")]
        assert list(driver.store(KEPT).all()) == [("a", "b")]


@pytest.mark.parametrize("what", SAID)
def test_processor_that_is_closed_refuses_what_would_be_lost(what: str) -> None:
    with testing.TopologyTestDriver(_keeping()):
        kept = Kept.last
    with pytest.raises(StateError, match=f"{SAID[what]}: task 0_0 is closed, and has made its last commit"):
        kept.do(what)
