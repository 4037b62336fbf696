"""A registry that is away: the application waits for it, and no record is dropped meanwhile."""

from pathlib import Path

import headrace as hr
from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import TopicSpec
from tests.serde.registry.http_front import HttpFront
from tests.streams.waiting import until

AVRO = hr.Topic("written", value=hr.registry.avro(int))
TEXT = hr.Topic("read", value=hr.registry.avro(str))


def test_an_application_goes_on_when_its_registry_is_back(front: HttpFront, tmp_path: Path) -> None:
    log = EmbeddedLog.open(tmp_path / "shop.db")
    log.create_topics([TopicSpec("read", 1)])
    writer, columns = log.writer("test"), Columns()
    serde = hr.registry.avro(str)
    serde.configure({"schema.registry.url": front.url})
    for number in range(3):
        columns.append(None, serde.serialize("read", str(number)), 0, ())
    writer.append("read", 0, columns)
    writer.commit({})
    writer.close()
    log.close()

    front.answers = [(503, "down")] * 4  # two attempts to read, and two to write
    builder = hr.StreamsBuilder()
    builder.stream(TEXT).map_values(int, value=hr.registry.avro(int)).to(AVRO)
    with hr.Streams(
        builder.build(),
        application_id="shop",
        embedded_path=str(tmp_path / "shop.db"),
        state_dir=str(tmp_path / "state"),
        schema_registry_url=front.url,
        deserialization_exception_handler=hr.log_and_continue,
        production_exception_handler=hr.log_and_continue,
        properties={"schema.registry.max.retries": 0},
    ) as streams:
        streams.wait_running("30s")
        until(lambda: _end_of_output(tmp_path) >= 3)
    assert front.answers == []
    assert _end_of_output(tmp_path) == 3


def _end_of_output(folder: Path) -> int:
    log = EmbeddedLog.open(folder / "shop.db")
    try:
        partition = TopicPartition("written", 0)
        return log.end_offsets([partition])[partition]
    finally:
        log.close()
