"""Changes of databases, as Debezium writes them to Kafka: tables that follow theirs, and changes as values.

`builder.table(hr.cdc.table("shop.public.orders", Order, key=hr.cdc.key("id", int)))` is the table of the database.
"""

from collections.abc import Mapping
from typing import Any, cast

from typing_extensions import TypeVar

from headrace.serde.debezium.columns import Decimals
from headrace.serde.debezium.forms import FormName as Format
from headrace.serde.debezium.outbox import OutboxSerde
from headrace.serde.debezium.row_change import RowChange
from headrace.serde.debezium.serdes import ChangeSerde, KeySerde
from headrace.serde.debezium.units import Scale, TimeUnit
from headrace.serde.resolve import serde_of
from headrace.serde.serde import Serde, SerdeOf
from headrace.topology.topics import ChangesTopic, Topic, Truncates

__all__ = ["Format", "RowChange", "Scale", "TimeUnit", "debezium", "key", "outbox", "table"]

K = TypeVar("K")
R = TypeVar("R")

#: What a connector writes unless `unavailable.value.placeholder` says otherwise.
_PLACEHOLDER = "__debezium_unavailable_value"


def table(
    name: str,
    row: type[R],
    *,
    key: Serde[K] | type[K],
    format: Format = "json",
    store_as: SerdeOf[R] = None,
    truncates: Truncates = "fail",
    decimals: Decimals = "precise",
    placeholder: str = _PLACEHOLDER,
    partitions: int | None = None,
) -> Topic[K, R]:
    """Declare a topic of a table's changes; `builder.table` makes a table of it, with the rows that the database has.

    `row` is a class (a dataclass, a struct of msgspec, a model of pydantic) whose fields are columns, by name; others
    are left out. `key` is `hr.cdc.key("id", int)`, or a class whose fields are the columns of the primary key, in the
    same format as the rows. Rows are kept in the table's store as `store_as`, JSON unless it is said. `format`,
    `decimals`, `placeholder`: see `debezium`.

    A TRUNCATE is told where the connector has `skipped.operations=none`, and in one partition alone: "fail" leaves it
    to the processing handler, "delete" deletes the rows of that partition, "ignore" drops it.

    Raises:
        TypeError: `row` is no such class.
    """
    keys: Serde[K] = (
        key
        if isinstance(key, Serde)
        else KeySerde(key, None, decimals, avro_of=name if format == "avro" else None)
    )
    return ChangesTopic(
        name,
        key=keys,
        changes=debezium(row, format=format, decimals=decimals, placeholder=placeholder),
        row=serde_of(cast(Any, row)) if store_as is None else serde_of(store_as),
        truncates=truncates,
        partitions=partitions,
    )


def debezium(
    row: type[R],
    *,
    format: Format = "json",
    decimals: Decimals = "precise",
    placeholder: str = _PLACEHOLDER,
) -> Serde[RowChange[R]]:
    """Read the changes of a table as values: `RowChange`. It writes nothing.

    `format` is "json", with schemas or without, or "avro", as a converter writes it with a registry's schemas, by the
    application's `schema.registry.*` (extra `registry`).

    Numbers and texts become what the fields say: `datetime`, `date`, `time`, `timedelta`, `Decimal`, `bytes`, `UUID`,
    enumerations, and for columns of JSON classes, dictionaries and lists. In JSON without schemas nobody can tell what
    a number counts: microseconds, unless the annotation says `Annotated[datetime, hr.cdc.TimeUnit.MILLISECONDS]`, and
    what a text that should be a number is: say `decimals="string"` as `decimal.handling.mode` does, or
    `Annotated[Decimal, hr.cdc.Scale(2)]`. `placeholder` is the connector's `unavailable.value.placeholder`.

    Raises:
        TypeError: `row` has no fields, or one of a type that cannot be read.
    """
    _ensure_installed(format)
    return ChangeSerde(row, form=format, decimals=decimals, placeholder=placeholder)


def key(column: str, type: type[K], *, avro_of: str | None = None) -> Serde[K]:
    """Read the key of a row that is one column, in JSON with or without a schema; write it without one.

    Whatever is to meet the table in a join is repartitioned with this serde: `stream.repartition(key=...)`. Its bytes
    are those of a connector with `key.converter.schemas.enable=false`. Where the connector writes keys in Avro,
    `avro_of` is the table's topic: they are read with the schemas of the registry, and written with the latest one that
    it has for the keys of that topic.

    Raises:
        TypeError: equal values of the type have not equal bytes.
    """
    _ensure_installed("json" if avro_of is None else "avro")
    return KeySerde(type, column, "precise", avro_of=avro_of)


def _ensure_installed(format: Format) -> None:
    if format == "avro":
        import headrace.registry  # noqa: F401  # says what is missing


def outbox(types: Mapping[str, type[R]], *, header: str = "eventType", format: Format = "json") -> Serde[R]:
    """Read events of an outbox as Debezium's event router writes them, by the type that a header names.

    The router puts it there with `transforms.outbox.table.fields.additional.placement=type:header:eventType`. A
    payload may be JSON, or a text with JSON in it, which is what JsonConverter makes of a payload without
    `table.expand.json.payload=true`; keys are `hr.json(str)` then. With `format="avro"` it is the same in Avro, by the
    application's `schema.registry.*` (extra `registry`): a text with JSON, or a record of what was in it, and keys are
    `hr.registry.avro(str)`. It writes nothing.

    Raises:
        TypeError: no types are given, one cannot be read from JSON, or there is no such format.
    """
    _ensure_installed(format)
    return OutboxSerde(types, header, format)
