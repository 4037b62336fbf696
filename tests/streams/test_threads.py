"""Several stream threads of one application."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace import stores
from headrace.base.columns import Columns
from headrace.base.errors import ProcessingError
from headrace.base.ids import TopicPartition
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import TopicSpec
from tests.streams.waiting import until

PARTITIONS = 4
COUNTS = stores.key_value("counts", key=str, value=int)
RATES = stores.key_value("rates", key=str, value=str)


class Place:
    """An embedded log, and an application on it that counts keys, and joins them with a global table."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = EmbeddedLog.open(directory / "shop.db")
        self.log.create_topics(
            [
                TopicSpec("clicks", PARTITIONS),
                TopicSpec("rates", 1),
                TopicSpec("counts", 1),
                TopicSpec("rated", 1),
            ]
        )
        self.sent: Counter[str] = Counter()
        self.fails_on = ""
        self.holds = threading.Event()
        self.holds.set()
        self.made: list[hr.Streams] = []

    def topology(self) -> hr.Topology:
        builder = hr.StreamsBuilder()
        rates = builder.global_table(hr.Topic("rates", key=str, value=str), store=RATES)
        clicks = builder.stream(hr.Topic("clicks", key=str, value=str, partitioned_by="other")).peek(
            self.look
        )
        clicks.group_by_key().count(store=COUNTS).to_stream().to(hr.Topic("counts", value=int))
        clicks.join(rates, lambda value, rate: rate, on=lambda key, value: "eur", value=str).to("rated")
        return builder.build()

    def look(self, key: str, value: str) -> None:
        if key == self.fails_on:
            self.fails_on = ""
            raise ValueError(f"no {key}")
        self.holds.wait(20)

    def start(self, threads: int, **fields: Any) -> hr.Streams:
        streams = hr.Streams(
            self.topology(),
            application_id="app",
            embedded_path=str(self.directory / "shop.db"),
            state_dir=str(self.directory / "state"),
            commit_interval_ms=20,
            num_stream_threads=threads,
            **fields,
        )
        self.made.append(streams)
        return streams

    def send(self, rounds: int) -> None:
        for number in range(rounds * PARTITIONS):
            self.write("clicks", f"key{number % 8}", b"x", number % PARTITIONS)
            self.sent[f"key{number % 8}"] += 1

    def write(self, topic: str, key: str, value: bytes, partition: int = 0) -> None:
        columns = Columns()
        columns.append(key.encode(), value, 0, ())
        writer = self.log.writer("feed")
        writer.append(topic, partition, columns)
        writer.commit({})
        writer.close()

    def results(self, topic: str) -> list[tuple[str, bytes]]:
        reader = self.log.reader()
        reader.assign({TopicPartition(topic, 0): 0})
        found = []
        while chunks := reader.poll(0):
            found += [
                ((key or b"").decode(), value or b"")
                for chunk in chunks
                for key, value in zip(chunk.keys, chunk.values)
            ]
        reader.close()
        return found

    def counted(self) -> dict[str, int]:
        return {key: int.from_bytes(value, "big") for key, value in self.results("counts")}

    def rated(self) -> list[bytes]:
        return [value for _, value in self.results("rated")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.holds.set()
    for streams in made.made:
        streams.close()
    made.log.close()


def shares(streams: hr.Streams) -> list[int]:
    return [len(each.active_tasks) for each in streams.metadata_for_local_threads()]


def records(streams: hr.Streams) -> int:
    status = streams.status()
    return 0 if status is None else status.records


def test_threads_share_the_tasks_and_what_they_do_together_is_what_one_does(place: Place) -> None:
    place.write("rates", "eur", b"1")
    place.send(3)
    with place.start(3) as streams:
        streams.wait_running("20s")
        until(lambda: sorted(shares(streams)) == [1, 1, 2])
        place.send(3)
        until(lambda: place.counted() == place.sent)
        until(lambda: records(streams) == 24)
        names = [each.thread_name for each in streams.metadata_for_local_threads()]
        assert names == [f"app-StreamThread-{number}" for number in (1, 2, 3)]
        assert dict(streams.query(COUNTS).all()) == place.sent
    assert Counter(place.rated()) == {b"1": 24}


def test_a_thread_that_is_added_gets_its_share_and_one_that_is_removed_leaves_it(place: Place) -> None:
    with place.start(1) as streams:
        streams.wait_running("20s")
        assert shares(streams) == [PARTITIONS]
        assert streams.add_stream_thread() == "app-StreamThread-2"
        until(lambda: shares(streams) == [2, 2])
        place.send(2)
        until(lambda: place.counted() == place.sent)
        assert streams.remove_stream_thread("20s") == "app-StreamThread-2"
        until(lambda: shares(streams) == [PARTITIONS])
        place.send(2)
        until(lambda: place.counted() == place.sent)
        assert streams.add_stream_thread() == "app-StreamThread-2"
        until(lambda: records(streams) == 16)


def test_the_first_thread_can_go_and_the_next_one_fills_the_global_stores(place: Place) -> None:
    with place.start(1) as streams:
        streams.wait_running("20s")
        streams.add_stream_thread()
        until(lambda: shares(streams) == [2, 2])
        first = streams._threads
        assert first is not None
        first._threads[1].ask_to_stop(leave_group=True)
        until(lambda: shares(streams) == [PARTITIONS])
        place.write("rates", "eur", b"2")
        until(lambda: streams.query(RATES).get("eur") == "2")
        place.send(1)
        until(lambda: place.rated() == [b"2"] * PARTITIONS)


def test_without_threads_an_application_runs_and_does_nothing_until_one_is_added(place: Place) -> None:
    with place.start(1) as streams:
        streams.wait_running("20s")
        assert streams.remove_stream_thread("20s") == "app-StreamThread-1"
        assert streams.remove_stream_thread("20s") is None
        assert streams.state == "running"
        place.send(1)
        assert streams.add_stream_thread() == "app-StreamThread-1"
        until(lambda: place.counted() == place.sent)
        streams.close()
        assert streams.add_stream_thread() is None


def test_an_application_without_threads_can_be_closed(place: Place) -> None:
    with place.start(1) as streams:
        streams.wait_running("20s")
        streams.remove_stream_thread("20s")
        streams.close()
        assert streams.state == "not_running"
    again = place.start(2)
    with again:
        again.wait_running("20s")


def test_a_thread_that_dies_stops_all_of_them(place: Place) -> None:
    place.fails_on = "key1"
    streams = place.start(3)
    states: list[str] = []
    streams.on_state_change(lambda new, old: states.append(new))
    streams.start()
    streams.wait_running("20s")
    place.send(2)
    with pytest.raises(ProcessingError, match="no key1"):
        streams.wait("20s")
    assert streams.state == "error"
    assert states[-2:] == ["pending_error", "error"]
    assert streams.metadata_for_local_threads() == ()


def test_a_thread_that_is_replaced_leaves_the_others_alone_and_nothing_is_lost(place: Place) -> None:
    place.write("rates", "eur", b"1")
    place.fails_on = "key1"
    streams = place.start(2)
    died: list[str] = []

    def replace(error: Exception) -> Any:
        died.append(threading.current_thread().name)
        return "replace_thread"

    streams.on_uncaught(replace)
    with streams:
        place.send(4)
        until(lambda: place.counted() == place.sent)
        assert len(died) == 1
        assert len(streams.metadata_for_local_threads()) == 2
    assert len(place.rated()) == 16


def test_an_application_that_is_to_stop_ends_with_what_the_first_thread_died_of_and_asks_once(
    place: Place,
) -> None:
    place.fails_on = "key1"
    streams = place.start(3)
    asked: list[Exception] = []

    def stop_all(error: Exception) -> Any:
        asked.append(error)
        return "shutdown_application"

    streams.on_uncaught(stop_all)
    streams.start()
    place.send(2)
    with pytest.raises(ProcessingError, match="no key1"):
        streams.wait("20s")
    assert streams.state == "error"
    assert [type(error) for error in asked] == [ProcessingError]


def test_a_removal_that_user_code_holds_up_says_so_and_happens_later(place: Place) -> None:
    with place.start(2) as streams:
        streams.wait_running("20s")
        until(lambda: shares(streams) == [2, 2])
        place.holds.clear()
        place.send(1)
        with pytest.raises(TimeoutError, match="did not stop"):
            streams.remove_stream_thread("50ms")
        place.holds.set()
        until(lambda: shares(streams) == [PARTITIONS])
        until(lambda: place.counted() == place.sent)


def test_a_function_may_remove_a_thread(place: Place) -> None:
    removed: list[str | None] = []
    streams = place.start(2)
    once = threading.Lock()

    def look(key: str, value: str) -> None:
        if once.acquire(blocking=False):
            removed.append(streams.remove_stream_thread())

    place.look = look  # type: ignore[method-assign]
    streams = place.start(2)
    with streams:
        streams.wait_running("20s")
        place.send(1)
        until(lambda: shares(streams) == [PARTITIONS])
        until(lambda: place.counted() == place.sent)
    assert len(removed) == 1


def test_pause_stops_all_threads_and_those_that_come(place: Place) -> None:
    with place.start(2) as streams:
        streams.wait_running("20s")
        streams.pause()
        streams.add_stream_thread()
        until(lambda: len(streams.metadata_for_local_threads()) == 3)
        until(lambda: sorted(shares(streams)) == [1, 1, 2])
        place.send(1)
        assert place.counted() == {}
        streams.resume()
        until(lambda: place.counted() == place.sent)


def random_comings_and_goings(streams: hr.Streams, place: Place, seed: int) -> None:
    import random

    chance = random.Random(seed)
    for _ in range(12):
        act: Callable[[], object] = chance.choice(
            [streams.add_stream_thread, lambda: streams.remove_stream_thread("20s"), lambda: place.send(1)]
        )
        act()
        place.send(1)


@pytest.mark.parametrize("seed", range(3))
def test_threads_that_come_and_go_lose_and_double_nothing(place: Place, seed: int) -> None:
    place.write("rates", "eur", b"1")
    with place.start(2) as streams:
        random_comings_and_goings(streams, place, seed)
        streams.add_stream_thread()
        until(lambda: place.counted() == place.sent)
        until(lambda: len(place.rated()) == sum(place.sent.values()))
    assert len(place.results("counts")) <= sum(place.sent.values())


def test_the_one_instance_of_an_embedded_log_has_every_key(place: Place) -> None:
    streams = place.start(1)
    with pytest.raises(hr.StoreUnavailableError, match="created"):
        streams.metadata_for_all_streams_clients()
    with streams:
        streams.wait_running("20s")
        (found,) = streams.metadata_for_all_streams_clients()
        assert found.host_info == ("unavailable", -1)
        assert found.state_store_names == {"counts", "rates"}
        assert streams.streams_metadata_for_store(COUNTS) == (found,)
        key = streams.query_metadata_for_key("counts", "ann", partitioner=lambda *given: 3)
        assert (key.active_host, key.standby_hosts, key.partition) == (found.host_info, frozenset(), 3)
        assert streams.query_metadata_for_key(RATES, "eur").partition == -1
        with pytest.raises(hr.TopologyError, match="no store 'count'"):
            streams.streams_metadata_for_store("count")
