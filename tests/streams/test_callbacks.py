"""Code of the user that the application calls: listeners, handlers, logging. Whatever it raises, the end is told."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest

import headrace as hr
from headrace.base.errors import ProcessingError, StateError
from tests.streams.conftest import COUNTS, Shop
from tests.streams.waiting import until


def _exit(*_: object) -> NoReturn:
    sys.exit(0)


def _break(*_: object) -> NoReturn:
    raise RuntimeError("this is broken")


@pytest.fixture(params=["filter", "handler", "exiting filter"])
def broken_logging(request: pytest.FixtureRequest) -> Iterator[Callable[[str], None]]:
    """Let each message of a logger raise, in a filter of its handler or in the handler itself."""
    undo: list[Callable[[], None]] = []

    def break_it(name: str) -> None:
        handler = logging.Handler()
        handler.setLevel(logging.WARNING)
        if request.param == "handler":
            handler.emit = _break  # type: ignore[assignment,method-assign]  # as a subclass would
        else:
            handler.addFilter(_exit if request.param == "exiting filter" else _break)
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        undo.append(lambda: logger.removeHandler(handler))

    yield break_it
    for each in undo:
        each()


def _ended(streams: hr.Streams) -> BaseException:
    """Wait for the end, and see that it is one."""
    with pytest.raises(ProcessingError) as caught:
        streams.wait("20s")
    assert streams.state == "error"
    streams.close(timeout="5s")
    return caught.value


@pytest.mark.parametrize("logger", ["headrace", "headrace.streams", "headrace.failures", "headrace.worker"])
def test_end_is_told_though_logging_it_raises(
    shop: Shop, broken_logging: Callable[[str], None], logger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.write(["fail"])
    broken_logging(logger)
    streams = shop.streams()
    streams.start()
    error = _ended(streams)
    assert "topic 'lines', partition 0, offset 0" in str(error)
    assert isinstance(error.__cause__, ValueError)
    if logger in ("headrace", "headrace.streams"):
        assert "headrace.streams: application 'words' stops: " in capsys.readouterr().err
    # Nothing is held any more.
    with pytest.raises(ProcessingError), shop.streams() as again:
        again.wait("20s")


def test_logging_that_raises_where_a_record_is_dropped_ends_the_application_with_that_record(
    shop: Shop, broken_logging: Callable[[str], None]
) -> None:
    shop.write(["a", "fail"])
    broken_logging("headrace.failures")
    streams = hr.Streams(
        shop.streams()._topology,
        application_id="words",
        embedded_path=str(shop.log_file),
        state_dir=str(shop.directory / "state"),
        processing_exception_handler=lambda failure: hr.Reaction.resume,
    )
    streams.start()
    error = _ended(streams)
    assert "topic 'lines', partition 0, offset 1" in str(error)


@pytest.mark.parametrize("listen", [_break, _exit])
def test_listener_that_raises_changes_nothing(
    shop: Shop, listen: Callable[..., Any], broken_logging: Callable[[str], None]
) -> None:
    shop.write(["a"])
    broken_logging("headrace.streams")
    streams = shop.streams()
    seen: list[str] = []
    streams.on_state_change(listen)
    streams.on_state_change(lambda new, old: seen.append(new))
    with streams:
        streams.wait_running("20s")
        until(lambda: streams.query(COUNTS).get("a") == 1)
    assert seen == ["rebalancing", "running", "pending_shutdown", "not_running"]
    assert shop.committed() == 1


@pytest.mark.parametrize("moment", ["rebalancing", "running", "pending_shutdown", "not_running"])
def test_listener_may_close_at_every_moment(shop: Shop, moment: str) -> None:
    streams = shop.streams()
    streams.on_state_change(lambda new, old: streams.close() if new == moment else None)
    streams.start()
    if moment in ("pending_shutdown", "not_running"):
        streams.close(timeout="20s")
    streams.wait("20s")
    assert streams.state == "not_running"
    with shop.streams() as again:
        again.wait_running("20s")


def test_waiting_in_the_applications_own_thread_is_refused(shop: Shop) -> None:
    streams = shop.streams()
    told: list[BaseException] = []

    def wait(new: str, old: str) -> None:
        for do in (streams.wait, streams.wait_running):
            try:
                do()
            except StateError as error:
                told.append(error)

    streams.on_state_change(wait)
    with streams:
        streams.wait_running("20s")
    assert "cannot wait for 'words' in its own thread" in str(told[0])


@pytest.mark.parametrize("function", [_exit, _break])
def test_handler_that_raises_is_told_with_what_it_was_asked_about(
    shop: Shop, function: Callable[..., Any], broken_logging: Callable[[str], None]
) -> None:
    shop.write(["fail"])
    broken_logging("headrace.streams")
    streams = shop.streams()
    streams.on_uncaught(function)
    streams.start()
    with pytest.raises((RuntimeError, ProcessingError)) as caught:
        streams.wait("20s")
    assert streams.state == "error"
    told = caught.value if function is _break else caught.value.__cause__
    assert told is not None
    assert "the worker had died of ProcessingError: " in told.__notes__[0]


def test_answer_that_is_none_stops_the_application_and_is_told(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.write(["fail"])
    streams = shop.streams()
    streams.on_uncaught(lambda error: "replace-thread")  # type: ignore[arg-type,return-value]  # the mistake
    streams.start()
    _ended(streams)
    assert "returned 'replace-thread', which is none of replace_thread, shutdown_client" in caplog.text


def test_thread_that_cannot_start_leaves_nothing_behind(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = shop.streams()

    def full(*_: Any, **__: Any) -> NoReturn:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        streams.start()
    monkeypatch.undo()
    assert streams.state == "error"
    with pytest.raises(RuntimeError, match="can't start new thread"):
        streams.wait("1s")
    streams.close()
    with shop.streams() as again:
        again.wait_running("20s")


def test_waiting_in_vain_says_what_for(shop: Shop) -> None:
    held = threading.Event()
    entered = threading.Event()

    class Slow(hr.Processor[str, str, str, str]):
        def init(self) -> None:
            entered.set()
            held.wait(20)

    builder = hr.StreamsBuilder()
    builder.stream("lines", value=str).process(Slow)
    with shop.streams(builder.build()) as streams:
        assert entered.wait(20)
        with pytest.raises(TimeoutError) as caught:
            streams.wait_running("1ms")
        held.set()
        streams.wait_running("20s")
    assert str(caught.value).startswith("application 'words' is not running after 1ms; it is rebalancing")


def test_waiting_for_what_was_never_started_says_so(shop: Shop) -> None:
    with pytest.raises(TimeoutError, match=r"it is created: start\(\) was not called"):
        shop.streams().wait_running("1ms")


def test_listeners_hear_in_a_stream_thread_how_a_new_start_restores(shop: Shop) -> None:
    heard: list[tuple[str, int, str]] = []

    class Listener(hr.RestoreListener):
        def on_restore_end(self, topic_partition: object, store_name: str, total_restored: int) -> None:
            heard.append((store_name, total_restored, threading.current_thread().name))

    shop.write(["a b", "a"])
    with shop.streams() as streams:
        streams.wait_running("20s")
        until(lambda: shop.committed() == 2)
        until(lambda: streams.query(COUNTS).get("a") == 2)
    streams = shop.streams()
    streams.clean_up()
    streams.on_restore(Listener())
    with pytest.raises(TypeError, match="StandbyUpdateListener"):
        streams.on_standby_update(Listener())
    with streams:
        streams.wait_running("20s")
    found = {store: total for store, total, _ in heard if total}
    assert found.keys() == {"counts", "minutes"}
    assert {thread for *_, thread in heard} == {"words-StreamThread-1"}
