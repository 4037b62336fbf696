"""Global tables in a running application: its states, queries, failures, and topics that change."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import headrace as hr
from headrace import stores
from headrace.base.columns import Columns
from headrace.base.errors import ProcessingError, StoreUnavailableError, UnknownTopicError
from headrace.base.ids import TopicPartition
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import TopicSpec
from tests.streams.waiting import until

KEPT = stores.key_value("kept", key=str, value=int)


class Place:
    """An embedded log, and applications on it that join orders with rates."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = EmbeddedLog.open(directory / "shop.db")
        self.log.create_topics([TopicSpec("rates", 2), TopicSpec("orders", 1), TopicSpec("out", 1)])

    def streams(self, topology: hr.Topology | None = None) -> hr.Streams:
        return hr.Streams(
            topology or joining(),
            application_id="app",
            embedded_path=str(self.directory / "shop.db"),
            state_dir=str(self.directory / "state"),
            commit_interval_ms=20,
            properties={"metadata.max.age.ms": 20},
        )

    def rate(self, key: str, value: bytes, partition: int = 0) -> None:
        self._write("rates", partition, key.encode(), value)

    def order(self, key: str, sku: str) -> None:
        self._write("orders", 0, key.encode(), sku.encode())

    def _write(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        columns = Columns()
        columns.append(key, value, 0, ())
        writer = self.log.writer("feed")
        writer.append(topic, partition, columns)
        writer.commit({})
        writer.close()

    def results(self) -> list[tuple[bytes | None, bytes | None]]:
        reader = self.log.reader()
        reader.assign({TopicPartition("out", 0): 0})
        found = [row for chunk in reader.poll(0) for row in zip(chunk.keys, chunk.values)]
        reader.close()
        return found


def joining() -> hr.Topology:
    builder = hr.StreamsBuilder()
    rates = builder.global_table("rates", store=KEPT)
    joined = builder.stream("orders", value=str).left_join(
        rates, lambda sku, rate: f"{sku}={rate}", on=lambda key, sku: sku, value=str
    )
    joined.to("out")
    return builder.build()


def eight(number: int) -> bytes:
    return number.to_bytes(8, "big")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.log.close()


def test_application_runs_when_its_tables_are_read(place: Place) -> None:
    for number in range(100):
        place.rate(f"sku{number}", eight(number), partition=number % 2)
    place.order("1", "sku7")
    with place.streams() as streams:
        streams.wait_running("20s")
        view = streams.query(KEPT)
        assert len(list(view.all())) == 100
        until(lambda: place.results() == [(b"1", b"sku7=7")])
        place.rate("sku7", eight(8), partition=1)
        until(lambda: view.get("sku7") == 8)
        place.order("2", "sku7")
        until(lambda: place.results()[1:] == [(b"2", b"sku7=8")])
        status = streams.status()
        assert status is not None
        assert status.global_stores is not None
        assert status.global_stores.state == "running"
        with pytest.raises(StoreUnavailableError, match="has no partition 0"):
            streams.query(KEPT, partitions=[0]).get("sku7")


def test_query_of_another_kind_is_refused(place: Place) -> None:
    with pytest.raises(hr.TopologyError, match="is a key-value store, and is asked for as a window store"):
        place.streams().query(stores.window("kept"))


def test_application_may_have_nothing_but_a_table(place: Place) -> None:
    builder = hr.StreamsBuilder()
    builder.global_table("rates", store=KEPT)
    place.rate("a", eight(1))
    topology = builder.build()
    for _ in range(2):
        with place.streams(topology) as streams:
            streams.wait_running("20s")
            assert streams.query(KEPT).get("a") == 1


def test_record_that_cannot_be_read_ends_the_application_and_a_new_worker_may_try_again(place: Place) -> None:
    failures: list[Exception] = []

    def again(error: Exception) -> str:
        failures.append(error)
        return "replace_thread" if len(failures) < 2 else "shutdown_client"

    place.rate("a", b"three")
    streams = place.streams()
    streams.on_uncaught(again)  # type: ignore[arg-type]  # one of the answers
    with pytest.raises(ProcessingError, match="could not read a record: topic 'rates'"), streams:
        until(lambda: streams.state == "error")
    assert len(failures) == 2


def test_partitions_that_are_added_are_read(place: Place) -> None:
    place.rate("old", eight(1))
    with place.streams() as streams:
        streams.wait_running("20s")
        place.log.delete_topics(["rates"])
        place.log.create_topics([TopicSpec("rates", 3)])
        place.rate("a", eight(2), partition=2)

        def has_the_new_row() -> bool:
            try:
                return streams.query(KEPT).get("a") == 2
            except StoreUnavailableError:
                return False

        until(has_the_new_row)
        assert list(streams.query(KEPT).all()) == [("a", 2)]


def test_topic_that_is_deleted_ends_the_application_with_the_reason(place: Place) -> None:
    with (
        pytest.raises(UnknownTopicError, match=r"topic 'rates' .* was deleted while the application ran"),
        place.streams() as streams,
    ):
        streams.wait_running("20s")
        place.log.delete_topics(["rates"])
        streams.wait("20s")
