"""The page of types with a schema registry: made again, and held against fastavro and Protobuf."""

from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import jsonschema_rs
import msgspec
import pytest

from docs.made import schema_types

MADE_AVRO = schema_types.made(schema_types.AVRO, "avro")
MADE_JSON = schema_types.made(schema_types.JSON, "json")


def test_the_page_is_what_the_serdes_make() -> None:
    page = Path(__file__).parents[2] / "docs" / "schema-types.md"
    assert page.read_text() == schema_types.page(), (
        "make it again: python -m docs.made.schema_types > docs/schema-types.md"
    )


def test_the_page_has_more_types_than_anybody_asks_for() -> None:
    assert len(MADE_AVRO) + len(MADE_JSON) + len(schema_types.PROTOBUF) >= 90


@pytest.mark.parametrize("made", MADE_AVRO, ids=lambda made: f"{made[0].type}: {made[0].value}")
def test_fastavro_reads_each_value_and_writes_it_alike(made: tuple[schema_types.Row, str, bytes]) -> None:
    _, text, data = made
    schema = fastavro.parse_schema(msgspec.json.decode(text))
    stream = BytesIO(data)
    value: Any = fastavro.schemaless_reader(stream, schema, None, return_record_name=True)
    assert stream.read() == b""
    again = BytesIO()
    fastavro.schemaless_writer(again, schema, value)
    assert again.getvalue() == data


@pytest.mark.parametrize("made", MADE_JSON, ids=lambda made: f"{made[0].type}: {made[0].value}")
def test_each_json_is_what_its_schema_says(made: tuple[schema_types.Row, str, bytes]) -> None:
    _, text, data = made
    jsonschema_rs.validator_for(msgspec.json.decode(text)).validate(msgspec.json.decode(data))
