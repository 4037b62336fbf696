"""The loader: each row once, in the partition of its key, however often it is stopped."""

import shutil
import zipfile
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.base.murmur2 import partition_for
from headrace.demo.data import data_directory
from headrace.demo.loading import (
    OtherFlightsError,
    Stage,
    count_records,
    is_begun,
    is_loaded,
    load,
    make_topics,
)
from headrace.log.memory import MemoryLog

_LINES = 21_000
_YEAR_TOPICS = ("flights", "schedule", "departures")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like that of the package, with the first flights of the file: more than one batch of the loader."""
    made, whole = tmp_path_factory.mktemp("data"), data_directory()
    for name in ("airlines", "airports", "planes", "weather"):
        shutil.copy(whole / f"{name}.csv", made)
    with zipfile.ZipFile(whole / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        text = b"".join(islice(file, _LINES + 1))
    with zipfile.ZipFile(made / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", text)
    return made


def prepared() -> MemoryLog:
    log = MemoryLog()
    make_topics(log)
    return log


def lengths(log: MemoryLog) -> dict[str, int]:
    counts = Counter[str]()
    for name, topic in log.topics().items():
        ends = log.end_offsets([TopicPartition(name, number) for number in range(topic.partitions)])
        counts[name] = sum(ends.values())
    return {name: count for name, count in counts.items() if count}


def test_loading_twice_writes_each_record_once(directory: Path) -> None:
    log = prepared()
    assert load(log, Stage.YEAR, directory) == sum(lengths(log).values())
    assert load(log, Stage.YEAR, directory) == 0
    assert lengths(log) == {"flights": _LINES, "schedule": _LINES, "departures": 20_799}


def test_reference_data_have_topics_of_their_own(directory: Path) -> None:
    log = prepared()
    assert load(log, Stage.REFERENCE, directory) == 32_369
    assert lengths(log) == {
        "airlines": 16,
        "airports": 1_458,
        "places": 1_458,
        "planes": 3_322,
        "weather": 26_115,
    }
    assert not is_begun(log, Stage.YEAR)


@pytest.mark.parametrize("commits", [1, 3, 5])
def test_loading_goes_on_after_a_crash_where_it_stopped(directory: Path, commits: int) -> None:
    log, whole = prepared(), prepared()
    calls = 0

    def crash(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if calls > commits:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(log, Stage.YEAR, directory, on_progress=crash)
    assert is_begun(log, Stage.YEAR)
    assert not is_loaded(log, Stage.YEAR)
    load(log, Stage.YEAR, directory)
    load(whole, Stage.YEAR, directory)
    for topic in _YEAR_TOPICS:
        assert log.records(topic) == whole.records(topic)
    assert is_loaded(log, Stage.YEAR)


def test_loading_stops_after_as_many_flights_as_wanted(directory: Path) -> None:
    log = prepared()
    load(log, Stage.YEAR, directory, flights_max=100)
    assert lengths(log) == {"flights": 100, "schedule": 100, "departures": 99}
    assert is_loaded(log, Stage.YEAR, 100)


def test_a_log_with_other_flights_is_refused(directory: Path) -> None:
    log = prepared()
    load(log, Stage.YEAR, directory, flights_max=100)
    with pytest.raises(OtherFlightsError, match="begun with 100 flights, and all flights are wanted"):
        load(log, Stage.YEAR, directory)
    assert lengths(log)["flights"] == 100


def test_a_topic_that_others_have_written_to_is_refused(directory: Path) -> None:
    log = prepared()
    writer = log.writer("others")
    columns = Columns()
    columns.append(b"N14228", b"{}", 0, ())
    writer.append("flights", 0, columns)
    writer.commit({})
    with pytest.raises(
        OtherFlightsError, match="topic 'flights' has records that this demonstration has not written"
    ):
        load(log, Stage.YEAR, directory)
    assert count_records(log, "flights") == 1


def test_the_end_of_the_year_is_a_departure_in_each_partition(directory: Path) -> None:
    log = prepared()
    load(log, Stage.YEAR, directory, flights_max=100)
    before = log.records("departures")
    assert load(log, Stage.END, directory, flights_max=100) == 4
    ends = [record for record in log.records("departures") if record not in before]
    assert sorted(partition for partition, *_ in ends) == [0, 1, 2, 3]


def test_a_row_goes_to_the_partition_of_its_key(directory: Path) -> None:
    log = prepared()
    for stage in Stage:
        load(log, stage, directory)
    for topic in (*_YEAR_TOPICS, "planes", "places", "weather"):
        keyed = [(partition, key) for partition, _, key, *_ in log.records(topic) if key is not None]
        assert keyed
        assert all(partition == partition_for(key, 4) for partition, key in keyed)
