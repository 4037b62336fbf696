"""Records what Debezium makes of a table with every type, for tests that need neither Java nor a database.

`python -m tests.cdc.record [NAME]` writes the files in `recorded` anew (JDK 17+, Maven, PostgreSQL).
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from headrace.serde.registry.http import HttpRegistry
from headrace.serde.registry.mock import MockRegistry
from headrace.serde.registry.options import RegistrySettings
from headrace.serde.registry.schema import Schema
from tests.cdc.capture import Event, avro_converters, events_of, properties_of, start
from tests.serde.registry.apicurio import Apicurio
from tests.sql.postgres import LocalPostgres

__all__ = ["RECORDED", "recorded", "register_recorded"]

RECORDED = Path(__file__).parent / "recorded"

_LARGE = {
    "t": "text", "b": "bytea", "j": "jsonb", "ta": "text[]", "ia": "int[]", "ba": "bigint[]", "ua": "uuid[]",
    "h": "hstore", "xm": "xml", "ja": "jsonb[]", "da": "date[]", "fa": "float8[]", "na": "numeric[]",
}  # fmt: skip
_UUID = "c0ffee00-0000-4000-8000-000000000001"

_SETUP = f"""
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE EXTENSION hstore;
CREATE TABLE kinds (
    id bigint PRIMARY KEY, name text NOT NULL, data bytea, n numeric, price numeric(10, 2), flag boolean, small int2,
    f8 double precision, day date, at time, at3 time(3), atz timetz, ts timestamp, ts3 timestamp(3), tsz timestamptz,
    span interval, uid uuid, doc jsonb, feeling mood, tags text[], amounts numeric[], money money
);
INSERT INTO kinds VALUES
    (1, 'one', '\\x00ff', 1.50, -12.30, true, 7, 2.5, '2026-11-30', '10:11:12.131415', '10:11:12.131',
     '10:11:12.131415+02', '2026-11-30 10:11:12.131415', '2026-11-30 10:11:12.131', '2026-11-30 10:11:12.131415+02',
     '1 day 2 hours', '{_UUID}', '{{"a": 1}}', 'happy', '{{a,b}}', '{{1.5,-2}}', '12.30');
INSERT INTO kinds (id, name) VALUES (2, 'nulls');
INSERT INTO kinds (id, name, n, f8, day, ts, tsz) VALUES (3, 'odd', 'NaN', 'NaN', 'infinity', 'infinity', '-infinity');
CREATE TABLE large (id bigint PRIMARY KEY, c int, {", ".join(" ".join(each) for each in _LARGE.items())});
ALTER TABLE large {", ".join(f"ALTER {name} SET STORAGE EXTERNAL" for name in _LARGE)};
"""

_MANY = "ARRAY[550]"
_VALUES = f"""
repeat('x', 2100), decode(repeat('ab', 2100), 'hex'), to_jsonb(repeat('x', 2100)),
array_fill('abc'::text, {_MANY}), array_fill(7, {_MANY}), array_fill(7::bigint, {_MANY}),
array_fill('{_UUID}'::uuid, {_MANY}), hstore('k', repeat('x', 2100)), ('<a>' || repeat('x', 2100) || '</a>')::xml,
array_fill('{{"a": 1}}'::jsonb, {_MANY}), array_fill('2026-11-30'::date, {_MANY}),
array_fill(1.5::float8, {_MANY}), array_fill(1.5::numeric, {_MANY})
"""
_CHANGES = (
    "INSERT INTO kinds (id, name, day) VALUES (4, 'odd', 'infinity')",
    "UPDATE kinds SET name = 'uno' WHERE id = 1",
    "DELETE FROM kinds WHERE id = 2",
    f"INSERT INTO large SELECT 1, 1, {_VALUES}",
    "UPDATE large SET c = 2",
    "UPDATE large SET id = 2",
    "TRUNCATE kinds",
    "INSERT INTO kinds (id, name) VALUES (99, 'end')",
)

#: The key 99 in Avro.
_ZIGZAG_99 = b"\xc6\x01"

#: Name of the file, statements before the start, properties of the connector.
_VARIANTS: dict[str, tuple[str, dict[str, str], bool]] = {
    "plain": ("SELECT 1", {}, False),
    "schemas": ("SELECT 1", {}, True),
    "whole-rows": ("ALTER TABLE large REPLICA IDENTITY FULL", {"decimal.handling.mode": "string"}, False),
}


#: Bytes as text: JSON's own, and of Avro any.
_ENCODINGS = {"avro": "latin-1"}


def recorded(name: str) -> list[Event]:
    """Return what was recorded, in its order."""
    encoding = _ENCODINGS.get(name, "utf-8")
    lines = (RECORDED / f"{name}.jsonl").read_text().splitlines()
    return [
        Event(
            topic,
            _bytes(key, encoding),
            _bytes(value, encoding),
            tuple((name, _bytes(text)) for name, text in headers),
        )
        for topic, key, value, headers in map(json.loads, lines)
    ]


def register_recorded(registry: MockRegistry) -> None:
    """Register the schemas of what was recorded in Avro, under the ids that the records have."""
    for id, subject, text in json.loads((RECORDED / "avro-schemas.json").read_text()):
        assert registry.register(subject, Schema("AVRO", text)).id == id


def _bytes(text: str | None, encoding: str = "utf-8") -> bytes | None:
    return None if text is None else text.encode(encoding)


def _text(data: bytes | None, encoding: str = "utf-8") -> str | None:
    return None if data is None else data.decode(encoding)


def _moved(event: Event) -> list[tuple[str, str | None]]:
    """Return the headers that tell of another key; others are of the run."""
    return [(name, _text(value)) for name, value in event.headers if name.endswith("key")]


def main(names: Sequence[str]) -> None:
    """Record variants, all where none is named."""
    RECORDED.mkdir(exist_ok=True)
    Apicurio.prepare()
    with LocalPostgres() as server, Apicurio() as registry, tempfile.TemporaryDirectory() as folder:
        variants = {**_VARIANTS, "avro": ("SELECT 1", avro_converters(registry.native_url), False)}
        for name in names or variants:
            before, more, schemas = variants[name]
            database = server.make_database().rpartition("/")[2]
            server.say(database, _SETUP + before)
            properties = {
                "table.include.list": "public.kinds,public.large",
                "slot.name": f"of_{database}",
                "publication.name": f"of_{database}",
                **more,
            }
            file = properties_of(server.port, database, Path(folder, name), properties, schemas=schemas)
            events, encoding = _record(server, database, file), _ENCODINGS.get(name, "utf-8")
            lines = [
                json.dumps([each.topic, _text(each.key, encoding), _text(each.value, encoding), _moved(each)])
                for each in events
            ]
            (RECORDED / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
            print(name, len(events))
            if name == "avro":
                _record_schemas(registry.url, sorted({each.topic for each in events}))


def _record_schemas(url: str, topics: Iterable[str]) -> None:
    client = HttpRegistry(RegistrySettings.of({"schema.registry.url": (url,)}))
    found = [client.version(f"{topic}-{part}", None) for topic in topics for part in ("key", "value")]
    rows = [(each.id, each.subject, each.schema.text) for each in sorted(found, key=lambda each: each.id)]
    (RECORDED / "avro-schemas.json").write_text(json.dumps(rows, indent=1) + "\n")


def _record(server: LocalPostgres, database: str, file: Path) -> list[Event]:
    found: list[Event] = []
    engine = start(file)
    assert engine.stdin is not None and engine.stdout is not None
    for event in events_of(engine.stdout):
        found.append(event)
        if len(found) == 3:  # of the snapshot
            active = f"SELECT count(*) FROM pg_replication_slots WHERE active AND slot_name = 'of_{database}'"
            while server.say(database, active) != "1":
                time.sleep(0.1)
            for statement in _CHANGES:
                server.say(database, statement)
        if event.key is not None and (b'"id":99' in event.key or event.key[5:] == _ZIGZAG_99):
            break
    engine.stdin.close()
    engine.wait()
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
