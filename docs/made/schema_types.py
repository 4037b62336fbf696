"""The page of types and their bytes with a schema registry: `python -m docs.made.schema_types > docs/schema-types.md`.

Each row is a type and a value as one writes them; schema and bytes are what the serdes make of them. The page is kept, so
that a byte which changes is seen: a test makes it again.
"""

import collections.abc
import datetime
import decimal
import inspect
import typing
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor_pool import DescriptorPool

import headrace as hr
from docs.made import schema_classes
from docs.made.schema_classes import Colour, Item, Level, Note, Person, Point, Tree

__all__ = ["AVRO", "JSON", "NAMES", "PROTOBUF", "Row", "made", "page"]

NAMES: dict[str, Any] = {
    "Annotated": Annotated,
    "Any": Any,
    "Literal": Literal,
    "NewType": typing.NewType,
    "Sequence": collections.abc.Sequence,
    "UUID": UUID,
    "date": datetime.date,
    "datetime": datetime.datetime,
    "As": hr.registry.As,
    "Decimal": decimal.Decimal,
    "Digits": hr.registry.Decimal,
    "time": datetime.time,
    "timedelta": datetime.timedelta,
    "timezone": datetime.timezone,
    "utc": datetime.UTC,
}
_CLASSES = (Colour, Level, Item, Note, Tree, Point, Person)
NAMES |= {each.__name__: each for each in _CLASSES}


class Row(NamedTuple):
    """A type and a value, as text of Python; without a type (None) the schema is given."""

    type: str | None
    value: str
    schema: str | None = None


AVRO = [
    Row("bool", "True"),
    Row("int", "1"),
    Row("int", "-1"),
    Row("int", "2**63 - 1"),
    Row('Annotated[int, As("int")]', "-(2**31)"),
    Row("float", "1.5"),
    Row('Annotated[float, As("float")]', "1.5"),
    Row("str", '"é"'),
    Row("bytes", 'b"\\x00\\xff"'),
    Row('NewType("Id", str)', '"x"'),
    Row('Literal["a", "b"]', '"b"'),
    Row("Annotated[Decimal, Digits(4, 2)]", 'Decimal("1.5")'),
    Row("Annotated[Decimal, Digits(4, 2)]", 'Decimal("-0.01")'),
    Row("Annotated[Decimal, Digits(10, 2)]", 'Decimal("12345.67")'),
    Row("date", "date(2026, 1, 2)"),
    Row("date", "date(1969, 12, 31)"),
    Row("time", "time(1, 2, 3, 4)"),
    Row('Annotated[time, As("time-millis")]', "time(0, 0, 1)"),
    Row("datetime", "datetime(2026, 1, 2, 3, 4, 5, 6, utc)"),
    Row("datetime", "datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))"),
    Row('Annotated[datetime, As("timestamp-millis")]', "datetime(2026, 1, 2, tzinfo=utc)"),
    Row('Annotated[datetime, As("local-timestamp-micros")]', "datetime(2026, 1, 2)"),
    Row('Annotated[datetime, As("local-timestamp-millis")]', "datetime(1970, 1, 1, 0, 0, 1)"),
    Row("UUID", "UUID(int=1)"),
    Row('Annotated[UUID, As("fixed")]', "UUID(int=1)"),
    Row("Colour", "Colour.BLUE"),
    Row("Level", "Level.HIGH"),
    Row("list[int]", "[1, 2]"),
    Row("list[int]", "[]"),
    Row("tuple[str, ...]", '("a", "b")'),
    Row("set[int]", "{3}"),
    Row("frozenset[str]", 'frozenset({"a"})'),
    Row("Sequence[bool]", "[True]"),
    Row("dict[str, int]", '{"a": 1}'),
    Row("dict[str, list[int]]", '{"a": [1]}'),
    Row("int | None", "None"),
    Row("int | None", "5"),
    Row("int | str", '"a"'),
    Row("int | float", "1.0"),
    Row("date | datetime", "date(2026, 1, 2)"),
    Row("Item | Point", "Point(1, 2)"),
    Row("Item", 'Item("a", 2)'),
    Row("Note", "Note()"),
    Row("Note", 'Note("a")'),
    Row("Tree", "Tree(1, Tree(2))"),
    Row("Point", "Point(1, -1)"),
    Row("Person", 'Person(name="ann", age=3)'),
    Row("list[Item]", '[Item("a"), Item("b")]'),
    Row("dict[str, Item | None]", '{"a": None}'),
    Row(None, "5", '"int"'),
    Row(None, 'b"ab"', '{"type":"fixed","name":"Two","size":2}'),
    Row(
        None,
        'Decimal("1.5")',
        '{"type":"fixed","name":"Two","size":2,"logicalType":"decimal","precision":4,"scale":1}',
    ),
    Row(None, '"B"', '{"type":"enum","name":"E","symbols":["A","B"]}'),
    Row(
        None,
        '{"id": 1}',
        '{"type":"record","name":"R","fields":[{"name":"id","type":"int"},{"name":"n","type":"int","default":7}]}',
    ),
]

JSON = [
    Row("bool", "True"),
    Row("int", "2**53 + 1"),
    Row("float", "1.5"),
    Row("str", '"é"'),
    Row("bytes", 'b"\\x00\\xff"'),
    Row("Decimal", 'Decimal("1.50")'),
    Row("date", "date(2026, 1, 2)"),
    Row("time", "time(1, 2, 3, 4)"),
    Row("datetime", "datetime(2026, 1, 2, 3, 4, 5, 6, utc)"),
    Row("timedelta", "timedelta(seconds=90)"),
    Row("UUID", "UUID(int=1)"),
    Row("Colour", "Colour.BLUE"),
    Row("Level", "Level.HIGH"),
    Row('Literal["a", "b"]', '"b"'),
    Row("list[int]", "[1, 2]"),
    Row("tuple[int, str]", '(1, "a")'),
    Row("dict[str, int]", '{"a": 1}'),
    Row("int | str", '"a"'),
    Row("Item", 'Item("a", 2)'),
    Row("Note", "Note()"),
    Row("Point", "Point(1, -1)"),
    Row("Person", 'Person(name="ann", age=3)'),
    Row(None, '{"a": 1}', '{"type":"object","properties":{"a":{"type":"integer"}}}'),
]

#: A field of a message, as a .proto file has it, and its value.
PROTOBUF = [
    ("int32", "-1"),
    ("int64", "2**40"),
    ("uint32", "300"),
    ("sint64", "-1"),
    ("fixed32", "1"),
    ("sfixed64", "-1"),
    ("bool", "True"),
    ("float", "1.5"),
    ("double", "1.5"),
    ("string", '"é"'),
    ("bytes", 'b"\\x00\\xff"'),
    ("repeated int32", "[1, 300]"),
    ("repeated string", '["a", "b"]'),
    ("map<string, int32>", '{"b": 2, "a": 1}'),
    ("google.protobuf.Timestamp", "datetime(2026, 1, 2, tzinfo=utc)"),
]


def made(rows: list[Row], kind: Literal["avro", "json"]) -> list[tuple[Row, str, bytes]]:
    """Return each row with its schema and its bytes, without the id before them."""
    found = []
    for number, row in enumerate(rows):
        annotation = None if row.type is None else eval(row.type, NAMES)
        make: Any = hr.registry.avro if kind == "avro" else hr.registry.json_schema
        serde: Any = make(annotation, schema=row.schema)
        serde.configure({"schema.registry.url": f"mock://docs-{kind}-{number}"})
        value = eval(row.value, NAMES)
        data = serde.serialize("t", value)
        read = serde.deserialize("t", data)
        if row.schema is None and (read != value or type(read) is not type(value)):
            raise AssertionError(f"{row} came back as {read!r}")
        found.append((row, serde.format.schema.text, data[5:]))
    return found


def messages() -> list[tuple[str, str, bytes]]:
    """Return each kind of field with its value and the bytes of a message that has it, from its place on."""
    found = []
    for number, (kind, value) in enumerate(PROTOBUF):
        cls = _message_of(kind, number)
        serde: Any = hr.registry.protobuf(cls)
        serde.configure({"schema.registry.url": f"mock://docs-protobuf-{number}"})
        message = cls(value=eval(value, NAMES))
        data = serde.serialize("t", message)
        if serde.deserialize("t", data) != message:
            raise AssertionError(f"{kind} came back otherwise")
        found.append((kind, value, data[5:]))
    return found


def _message_of(kind: str, number: int) -> Any:
    """Make a message with one field, as protoc would."""
    types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=f"docs_{number}.proto", package="docs", syntax="proto3")
    message = file.message_type.add(name="Row")
    field = message.field.add(name="value", number=1, label=types.LABEL_OPTIONAL)
    name = kind.removeprefix("repeated ")
    if name != kind:
        field.label = types.LABEL_REPEATED
    pool = DescriptorPool()
    if kind.startswith("map<"):
        entry = message.nested_type.add(name="ValueEntry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, label=types.LABEL_OPTIONAL, type=types.TYPE_STRING)
        entry.field.add(name="value", number=2, label=types.LABEL_OPTIONAL, type=types.TYPE_INT32)
        field.label, field.type, field.type_name = (
            types.LABEL_REPEATED,
            types.TYPE_MESSAGE,
            ".docs.Row.ValueEntry",
        )
    elif "." in name:
        from google.protobuf import timestamp_pb2

        pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
        file.dependency.append("google/protobuf/timestamp.proto")
        field.type, field.type_name = types.TYPE_MESSAGE, f".{name}"
    else:
        field.type = getattr(types, f"TYPE_{name.upper()}")
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("docs.Row"))


def _cell(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def _table(head: str, rows: list[list[str]]) -> str:
    lines = [head, "| " + " | ".join("---" for _ in rows[0]) + " |"]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    return "\n".join(lines)


def _short(schema: str) -> str:
    """Leave out of a JSON schema which draft it is of: all say the same."""
    return schema.replace('"$schema":"https://json-schema.org/draft/2020-12/schema",', "")


def page() -> str:
    """Return the page."""
    avro = [
        [row.type or "(given)", row.value, schema, data.hex(" ")] for row, schema, data in made(AVRO, "avro")
    ]
    json = [
        [row.type or "(given)", row.value, _short(schema), data.decode()]
        for row, schema, data in made(JSON, "json")
    ]
    protobuf = [[kind, value, data.hex(" ")] for kind, value, data in messages()]
    # Without its docstring, and what is said to the checker.
    classes = inspect.getsource(schema_classes).partition('"""\n\n')[2].rstrip()
    return f"""# Types with a schema registry

What `hr.registry` makes of types and values: the schema that is registered, and the bytes behind the id of it (a zero and
four bytes, or a header). Bytes are in hexadecimal. What comes back is equal, and of the same class; what would not is refused.
This page is made by `python -m docs.made.schema_types > docs/schema-types.md`, and a test makes it again.

The classes in it:

```python
{classes}
```

`As` is `hr.registry.As`, `Digits` is `hr.registry.Decimal`, and `utc` is `datetime.UTC`.

## Avro

{_table("| type | value | schema | bytes |", avro)}

## JSON Schema

Each schema also says its draft: `"$schema":"https://json-schema.org/draft/2020-12/schema"`.

{_table("| type | value | schema | bytes |", json)}

## Protobuf

A message of one field, `message Row {{ … value = 1; }}`. The first byte is the message's place in its file: `00` is the first
one.

{_table("| field | value | bytes |", protobuf)}
"""


if __name__ == "__main__":
    print(page(), end="")
