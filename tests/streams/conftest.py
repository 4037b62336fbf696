"""A small application on an embedded log, and ways to feed it and to look at it."""

from collections.abc import Iterable
from pathlib import Path

import pytest

import headrace as hr
from headrace import stores
from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import TopicSpec

LINES = hr.Topic("lines", value=str, partitions=2)
COUNTS = stores.key_value("counts", key=str, value=int)
MINUTES = stores.window("minutes", key=str, value=int)


def words() -> hr.Topology:
    """Count words; a line "fail" fails."""

    def split(line: str) -> list[str]:
        if line == "fail":
            raise ValueError("this line fails")
        return line.split()

    builder = hr.StreamsBuilder()
    grouped = (
        builder.stream(LINES).flat_map_values(split, value=str).group_by(lambda key, word: word, key=str)
    )
    grouped.count(store=COUNTS).to_stream().to("word-counts")
    grouped.windowed_by(hr.TimeWindows("1m", grace="1m")).count(store=MINUTES)
    return builder.build()


class Shop:
    """Where one application lives."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log_file = directory / "shop.db"

    def streams(self, topology: hr.Topology | None = None) -> hr.Streams:
        """Make the application, not started."""
        return hr.Streams(
            topology or words(),
            application_id="words",
            embedded_path=str(self.log_file),
            state_dir=str(self.directory / "state"),
            commit_interval_ms=20,
        )

    def write(self, lines: Iterable[str], timestamp: int = 0) -> None:
        """Append lines to partition 0 of the input."""
        log = EmbeddedLog.open(self.log_file)
        log.create_topics([TopicSpec("lines", 2)])
        writer = log.writer("test")
        columns = Columns()
        for line in lines:
            columns.append(None, line.encode(), timestamp, ())
        writer.append("lines", 0, columns)
        writer.commit({})
        writer.close()
        log.close()

    def committed(self) -> int:
        """Next offset of the input that the application has committed."""
        log = EmbeddedLog.open(self.log_file)
        place = TopicPartition("lines", 0)
        found = log.committed("words", [place]).get(place)
        log.close()
        return 0 if found is None else found.offset


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """An empty place for the application."""
    return Shop(tmp_path)
