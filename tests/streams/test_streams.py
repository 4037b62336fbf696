"""The life of an application: start, run, pause, fail, be replaced, close, and what is left behind."""

import asyncio
import threading

import pytest

import headrace as hr
from headrace.base.errors import (
    AlreadyRunningError,
    ConfigError,
    ProcessingError,
    StateError,
    StoreUnavailableError,
    TopologyError,
)
from headrace.testing import TopologyTestDriver
from tests.streams.conftest import COUNTS, MINUTES, Shop, words
from tests.streams.waiting import until


def test_with_starts_processes_and_closes(shop: Shop) -> None:
    shop.write(["a b a"])
    streams = shop.streams()
    seen: list[str] = []
    streams.on_state_change(lambda new, old: seen.append(new))
    with streams:
        streams.wait_running("20s")
        until(lambda: streams.query(COUNTS).get("a") == 2)
        assert streams.state == "running"
    assert seen == ["rebalancing", "running", "pending_shutdown", "not_running"]
    assert shop.committed() == 1


def test_a_second_run_goes_on_where_the_first_ended(shop: Shop) -> None:
    shop.write(["a"])
    with shop.streams() as streams:
        streams.wait_running("20s")
        until(lambda: streams.query(COUNTS).get("a") == 1)
    shop.write(["a"])
    with shop.streams() as streams:
        streams.wait_running("20s")
        until(lambda: streams.query(COUNTS).get("a") == 2)


def test_what_kills_the_worker_is_raised_when_with_ends(shop: Shop) -> None:
    shop.write(["fail"])
    streams = shop.streams()
    with pytest.raises(ProcessingError, match="this line fails") as caught, streams:
        until(lambda: streams.state == "error")
    assert isinstance(caught.value.__cause__, ValueError)
    assert (caught.value.topic, caught.value.partition, caught.value.offset) == ("lines", 0, 0)
    assert streams.state == "error"


def test_wait_raises_what_killed_the_worker(shop: Shop) -> None:
    shop.write(["fail"])
    streams = shop.streams()
    seen: list[str] = []
    streams.on_state_change(lambda new, old: seen.append(new))
    streams.start()
    with pytest.raises(ProcessingError):
        streams.wait("20s")
    assert seen[-2:] == ["pending_error", "error"]
    streams.close()
    assert streams.state == "error"
    assert shop.committed() == 0


def test_an_error_of_the_body_is_raised_with_a_note_of_the_death(shop: Shop) -> None:
    shop.write(["fail"])
    streams = shop.streams()
    with pytest.raises(KeyError) as caught, streams:
        until(lambda: streams.state == "error")
        raise KeyError("mine")
    assert "had died of" in caught.value.__notes__[0]


def test_a_replaced_worker_reads_the_record_again(shop: Shop) -> None:
    failures: list[Exception] = []
    tries = iter([True, True, False])

    def upper(line: str) -> str:
        if next(tries, False):
            raise ValueError("not yet")
        return line.upper()

    builder = hr.StreamsBuilder()
    builder.stream("lines", value=str).map_values(upper, value=str).to("out")
    shop.write(["a"])
    streams = shop.streams(builder.build())

    def replace(error: Exception) -> str:
        failures.append(error)
        return "replace_thread"

    streams.on_uncaught(replace)  # type: ignore[arg-type]  # a plain str where a literal is wanted
    with streams:
        until(lambda: shop.committed() == 1)
        assert streams.state in ("rebalancing", "running")
    assert [type(error) for error in failures] == [ProcessingError, ProcessingError]


def test_a_handler_that_fails_itself_stops_the_application_with_its_own_error(shop: Shop) -> None:
    shop.write(["fail"])
    streams = shop.streams()

    def bad(error: Exception) -> str:
        raise RuntimeError("the handler failed")

    streams.on_uncaught(bad)  # type: ignore[arg-type]  # a plain str where a literal is wanted
    streams.start()
    with pytest.raises(RuntimeError, match="the handler failed"):
        streams.wait("20s")


def test_the_handler_is_set_before_the_start(shop: Shop) -> None:
    with shop.streams() as streams, pytest.raises(StateError, match="set it before start"):
        streams.on_uncaught(lambda error: "shutdown_client")


def test_it_starts_once(shop: Shop) -> None:
    streams = shop.streams()
    with streams, pytest.raises(StateError, match="it has been started, which `with` does as well"):
        streams.start()
    with pytest.raises(StateError, match="it is not_running; make a new Streams to run it again"):
        streams.start()


def test_a_second_application_of_the_same_name_is_refused_and_leaves_the_first_alone(shop: Shop) -> None:
    with shop.streams() as first:
        second = shop.streams()
        with pytest.raises(AlreadyRunningError, match="'words' is already running"):
            second.start()
        assert second.state == "created"
        first.wait_running("20s")


def test_another_state_directory_does_not_let_it_run_twice_on_one_log(shop: Shop) -> None:
    with shop.streams():
        second = hr.Streams(
            words(),
            application_id="words",
            embedded_path=str(shop.log_file),
            state_dir=str(shop.directory / "elsewhere"),
        )
        with pytest.raises(AlreadyRunningError):
            second.start()


def test_closing_twice_and_closing_what_never_started_is_fine(shop: Shop) -> None:
    streams = shop.streams()
    streams.close()
    streams.close()
    assert streams.state == "not_running"
    streams.wait()


def test_closing_from_the_workers_own_thread_only_asks(shop: Shop) -> None:
    streams = shop.streams()
    streams.on_state_change(lambda new, old: streams.close() if new == "running" else None)
    streams.start()
    streams.wait("20s")
    assert streams.state == "not_running"


def test_waiting_ends_with_its_time(shop: Shop) -> None:
    with shop.streams() as streams:
        with pytest.raises(TimeoutError, match="still runs after 1ms"):
            streams.wait("1ms")
        with pytest.raises(ValueError, match="timeout"):
            streams.wait("5")


def test_waiting_for_running_raises_what_killed_it_instead(shop: Shop) -> None:
    streams = shop.streams(_reads_two_topics_that_differ(shop))
    streams.start()
    with pytest.raises(TopologyError):
        streams.wait_running("20s")


def _reads_two_topics_that_differ(shop: Shop) -> hr.Topology:
    builder = hr.StreamsBuilder()
    left = builder.stream(hr.Topic("left", value=str, partitions=2))
    right = builder.table(hr.Topic("right", value=str, partitions=3))
    left.join(right, lambda a, b: a + b, value=str).to("joined")
    return builder.build()


def test_paused_it_does_not_process(shop: Shop) -> None:
    with shop.streams() as streams:
        streams.wait_running("20s")
        streams.pause()
        assert streams.is_paused
        shop.write(["a"])
        until(lambda: streams.metrics().total("records-lag") == 1.0)
        assert streams.query(COUNTS).get("a") is None
        streams.resume()
        until(lambda: streams.query(COUNTS).get("a") == 1)


def test_paused_before_the_start_it_starts_paused(shop: Shop) -> None:
    shop.write(["a"])
    streams = shop.streams()
    streams.pause()
    with streams:
        streams.wait_running("20s")
        until(lambda: streams.metrics().total("records-lag") == 1.0)
        streams.resume()
        until(lambda: streams.query(COUNTS).get("a") == 1)


def test_clean_up_deletes_the_state_which_comes_back_from_the_changelogs(shop: Shop) -> None:
    shop.write(["a"])
    with shop.streams() as streams:
        with pytest.raises(StateError, match="close it first"):
            streams.clean_up()
        streams.wait_running("20s")
        until(lambda: streams.query(COUNTS).get("a") == 1)
    streams.clean_up()
    assert [entry.name for entry in (shop.directory / "state" / "words").iterdir()] == [".lock"]
    with shop.streams() as streams:
        streams.wait_running("20s")
        assert streams.query(COUNTS).get("a") == 1


def test_metrics_and_lags_have_kafkas_names_and_every_store(shop: Shop) -> None:
    shop.write(["a b"])
    streams = shop.streams()
    assert not streams.metrics().find("process-total")
    assert [each.value for each in streams.metrics().find("state")] == ["CREATED"]
    assert streams.lags() == {}
    with streams:
        streams.wait_running("20s")
        until(lambda: streams.metrics().total("process-total") >= 3.0)
        assert streams.metrics().total("dropped-records-total", "stream-task-metrics") == 0.0
        until(lambda: set(streams.lags()) == {"counts", "minutes"})
        until(lambda: sum(each.current_offset_position for each in streams.lags()["counts"].values()) == 2)
        assert {each.offset_lag for each in streams.lags()["counts"].values()} == {0}
        assert streams.lags()["counts"].keys() == {0, 1}


def test_queries_by_key_range_and_window(shop: Shop) -> None:
    shop.write(["a b a"], timestamp=61_000)
    with shop.streams() as streams:
        streams.wait_running("20s")
        until(lambda: streams.query(COUNTS).get("b") == 1)
        counts = streams.query(COUNTS)
        assert sorted(counts.all()) == [("a", 2), ("b", 1)]
        assert sorted(counts.range("b", None)) == [("b", 1)]
        assert counts.get("zzz") is None
        minutes = streams.query(MINUTES)
        assert minutes.get("a", 60_000) == 2
        assert [(w.key, w.window.start, n) for w, n in minutes.range("a")] == [("a", 60_000, 2)]
        assert streams.query("counts").get("a") == 2
        everywhere = sum(streams.query(COUNTS, partitions=[number]).approximate_count() for number in (0, 1))
        assert everywhere == counts.approximate_count()


def test_a_query_of_what_is_not_there_says_what_there_is(shop: Shop) -> None:
    streams = shop.streams()
    with pytest.raises(TopologyError, match="no store 'cuonts'; did you mean 'counts'"):
        streams.query("cuonts")
    with pytest.raises(StoreUnavailableError, match="application 'words' is created; start it"):
        streams.query(COUNTS).get("a")
    with streams:
        streams.wait_running("20s")
        with pytest.raises(StoreUnavailableError, match="has no partition 7"):
            streams.query(COUNTS, partitions=[7]).get("a")
    with pytest.raises(StoreUnavailableError, match="is not_running; query it while it runs"):
        streams.query(COUNTS).get("a")


def test_async_with_is_the_same(shop: Shop) -> None:
    shop.write(["fail"])

    async def run() -> None:
        async with shop.streams() as streams:
            await asyncio.to_thread(streams.wait_running, "20s")

    with pytest.raises(ProcessingError):
        asyncio.run(run())


def test_run_belongs_into_the_main_thread(shop: Shop) -> None:
    streams = shop.streams()
    errors: list[Exception] = []

    def run() -> None:
        try:
            streams.run()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert isinstance(errors[0], StateError)
    assert streams.state == "created"


def test_without_a_log_there_is_no_application() -> None:
    with pytest.raises(ConfigError, match="no log is named"):
        hr.Streams(words(), application_id="words")
    with pytest.raises(ConfigError, match=r"application\.id is not set"):
        hr.Streams(words(), embedded_path="shop.db")


def test_a_builder_is_no_topology() -> None:
    builder = hr.StreamsBuilder()
    with pytest.raises(TopologyError, match=r"cannot run a StreamsBuilder: .* builder.build\(\)"):
        hr.Streams(builder, application_id="words", embedded_path="words.db")  # type: ignore[arg-type]  # the mistake
    with pytest.raises(TopologyError, match=r"cannot run a StreamsBuilder: .* builder.build\(\)"):
        TopologyTestDriver(builder)  # type: ignore[arg-type]  # the mistake
