"""An application on an embedded log, to be measured while it runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

import headrace as hr
from headrace import stores
from headrace.base.columns import Columns
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import TopicSpec

PARTITIONS = 4
COUNTS = stores.key_value("counts", key=str, value=int)


class Counting(Protocol):
    def __call__(self, records: int, look: Callable[[object, object], object] = ...) -> hr.Streams: ...


@pytest.fixture
def counting(tmp_path: Path) -> Counting:
    """Make an application that counts so many records in each of four partitions, and shows each to a function."""

    def make(records: int, look: Callable[[object, object], object] = lambda key, value: None) -> hr.Streams:
        log = EmbeddedLog.open(str(tmp_path / "log.db"))
        log.create_topics([TopicSpec("lines", PARTITIONS)])
        writer = log.writer("test")
        for partition in range(PARTITIONS):
            columns = Columns()
            for number in range(records):
                columns.append(b"k%d" % (number % 10), b"line", number, ())
            writer.append("lines", partition, columns)
        writer.commit({})
        writer.close()
        log.close()
        builder = hr.StreamsBuilder()
        lines = builder.stream(hr.Topic("lines", value=str, partitioned_by="other"))
        lines.peek(look).group_by_key().count(store=COUNTS).to_stream().to("counted", value=int)
        return hr.Streams(
            builder.build(),
            application_id="counting",
            embedded_path=str(tmp_path / "log.db"),
            state_dir=str(tmp_path / "state"),
            commit_interval_ms=20,
            num_stream_threads=2,
        )

    return make
