"""Fixtures for the tests of logs: every log under test, and a clock that stands still."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headrace.kafka.fetch.reader import KafkaReader
from headrace.kafka.log import KafkaLog
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.kafka.produce.writer import KafkaWriter
from headrace.log.embedded import EmbeddedLog
from headrace.log.embedded.compaction import CompactionLimits
from headrace.log.memory import MemoryLog
from headrace.log.port import Log
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.jars import KAFKA_VERSION
from tests.conftest import OLDER_VERSIONS
from tests.log.records import Clock

#: Every topic of the suite: gone before each of its tests. Deleting them takes 50 ms.
_TOPICS = ("a", "b")


@pytest.fixture
def clock() -> Clock:
    return Clock()


class _TidyKafkaLog(KafkaLog):
    """Closes the readers and writers that a test has left open: each has a connection."""

    def __init__(self, kafka: LocalKafka) -> None:
        # The suite has records of more than 1 MB, which a file takes as it is.
        properties = kafka.client_properties | {"max.request.size": 8_000_000}
        super().__init__(ConnectionSettings.of(properties), KafkaOptions.of(properties))
        self._made: list[KafkaReader | KafkaWriter] = []

    def reader(self) -> KafkaReader:
        reader = super().reader()
        self._made.append(reader)
        return reader

    def writer(self, group: str, transactional_id: str | None = None) -> KafkaWriter:
        writer = super().writer(group, transactional_id)
        self._made.append(writer)
        return writer

    def close(self) -> None:
        for each in self._made:
            each.close()
        super().close()


def _kafka_log(kafka: LocalKafka) -> Log:
    log = _TidyKafkaLog(kafka)
    log.delete_topics(_TOPICS)
    return log


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test of logs on every one; with the marker `older_kafka` on brokers of each version too."""
    if "log" in metafunc.fixturenames and not hasattr(metafunc.module, "log"):  # a fixture of its own
        versions = [KAFKA_VERSION]
        if metafunc.definition.get_closest_marker("older_kafka"):
            versions += OLDER_VERSIONS
        clusters = [pytest.param(version, marks=pytest.mark.broker) for version in versions]
        metafunc.parametrize("log", ["memory", "embedded", *clusters], indirect=True)


@pytest.fixture
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    """The log that is asked for: memory, embedded, or a cluster by its version of Kafka."""
    made: Log
    if request.param == "memory":
        made = MemoryLog()
    elif request.param == "embedded":
        made = EmbeddedLog.open(tmp_path / "log.db")
    else:
        made = _kafka_log(request.getfixturevalue("kafka_of")(request.param))
    yield made
    made.close()


@pytest.fixture(params=["memory", "embedded"])
def own_log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    """The logs that headrace keeps itself, which promise more."""
    made: Log = MemoryLog() if request.param == "memory" else EmbeddedLog.open(tmp_path / "log.db")
    yield made
    made.close()


@pytest.fixture
def open_log(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., EmbeddedLog]]:
    """Open the same file as often as asked, with the test's clock; compaction starts at 1 byte."""
    opened: list[EmbeddedLog] = []

    def open_(map_bytes_max: int = 1 << 20) -> EmbeddedLog:
        limits = CompactionLimits(dirty_bytes_min=1, map_bytes_max=map_bytes_max)
        opened.append(
            EmbeddedLog.open(tmp_path / "log.db", now_ms=clock.now_ms, limits=limits, lock_wait_ms=5_000)
        )
        return opened[-1]

    yield open_
    for each in opened:
        each.close()
