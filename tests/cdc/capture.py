"""Debezium's engine beside the tests: its properties, its process, and what it prints."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, NamedTuple

__all__ = ["RUN", "Event", "avro_converters", "end", "events_of", "properties_of", "start"]

RUN = Path(__file__).parent / "debezium" / "run"

_JSON = "org.apache.kafka.connect.json.JsonConverter"


class Event(NamedTuple):
    """A record as a worker of Kafka Connect would write it."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def properties_of(
    port: int, database: str, folder: Path, more: Mapping[str, str], *, schemas: bool = False
) -> Path:
    """Write the properties of a connector to a file in a folder, where its offsets are as well."""
    folder.mkdir(exist_ok=True)
    properties = {
        "name": "changes",
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
        "offset.storage.file.filename": str(folder / "offsets"),
        "offset.flush.interval.ms": "0",
        "topic.prefix": "shop",
        "plugin.name": "pgoutput",
        "publication.autocreate.mode": "filtered",
        "database.hostname": "127.0.0.1",
        "database.port": str(port),
        "database.user": "postgres",
        "database.password": "none",
        "database.dbname": database,
        "poll.interval.ms": "20",
        "skipped.operations": "none",
        "key.converter": _JSON,
        "key.converter.schemas.enable": str(schemas).lower(),
        "value.converter": _JSON,
        "value.converter.schemas.enable": str(schemas).lower(),
        **more,
    }
    file = folder / "connector.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
    return file


def avro_converters(native_url: str) -> dict[str, str]:
    """Return what has keys and values written in Avro, in the frame of Confluent's registry.

    Confluent's own converter is not in Maven's central repository. Apicurio's makes the same schemas of Connect's, down
    to `connect.name`, and registers them under the same subjects.
    """
    said = {
        "": "io.apicurio.registry.utils.converter.AvroConverter",
        ".apicurio.registry.url": native_url,
        ".apicurio.registry.id-handler": "io.apicurio.registry.serde.Legacy4ByteIdHandler",
        ".apicurio.registry.headers.enabled": "false",
        ".apicurio.registry.use-id": "contentId",
        ".apicurio.registry.auto-register": "true",
        ".apicurio.registry.artifact-resolver-strategy": "io.apicurio.registry.serde.strategy.TopicIdStrategy",
    }
    return {f"{which}.converter{name}": value for which in ("key", "value") for name, value in said.items()}


def start(file: Path) -> subprocess.Popen[bytes]:
    """Start the engine; it ends when its input is closed, or with the tests."""
    with (file.parent / "errors.log").open("ab") as errors:
        return subprocess.Popen(
            [RUN, file],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "LC_ALL": "C"},
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, the engine or another, where it still runs, and let go of its pipes."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def events_of(output: IO[bytes]) -> Iterator[Event]:
    """Read what the engine prints, as it comes."""
    for line in output:
        topic, key, value, *headers = line.decode().split()
        pairs = (each.split("=") for each in headers)
        yield Event(
            topic,
            _bytes(key),
            _bytes(value),
            tuple(((_bytes(name) or b"").decode(), _bytes(text)) for name, text in pairs),
        )


def _bytes(text: str) -> bytes | None:
    return None if text == "-" else bytes.fromhex(text[1:])
