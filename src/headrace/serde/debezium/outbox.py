"""Events of an outbox, as Debezium's event router writes them: several types in one topic, told apart by a header."""

from collections.abc import Mapping
from typing import Any, Generic

import msgspec
from typing_extensions import TypeVar

from headrace.base.errors import SerializationError
from headrace.base.records import Headers
from headrace.serde.debezium.forms import FormName, is_avro
from headrace.serde.serde import Serde
from headrace.serde.structured import json, type_name

__all__ = ["OutboxSerde"]

E = TypeVar("E")


class OutboxSerde(Serde[E], Generic[E]):
    """Reads events by the type that a header names. It writes nothing: events are the outbox's to make.

    In Avro a payload is a text with JSON, or a record that the router has made of it; its fields are what JSON has.
    """

    uses_headers = True

    def __init__(self, types: Mapping[str, type[E]], header: str, form: FormName) -> None:
        if not types:
            raise TypeError(
                "no type of events is given: name them as the outbox does, {'OrderPlaced': OrderPlaced}"
            )
        self._serdes = {name: json(type_) for name, type_ in types.items()}
        self._identity = (
            tuple(sorted((name, type_name(type_)) for name, type_ in types.items())),
            header,
            form,
        )
        self._header = header
        self._avro = _avro_of(form)

    def configure(self, properties: Mapping[str, object]) -> None:
        """Take the properties of the application."""
        if self._avro is not None:
            self._avro.configure(properties)

    def deserialize(self, topic: str, data: bytes, headers: Headers = ()) -> E:
        """Return the event.

        Raises:
            SerializationError: no header names one of the types, or the bytes are no such event.
            SchemaRegistryError: in Avro, the registry does not answer.
        """
        # The last of several counts, as in Kafka's own Headers.lastHeader.
        said = next((value for name, value in reversed(headers) if name == self._header), None)
        serde = None if said is None else self._serdes.get(said.decode("utf-8", "replace"))
        if serde is None:
            found = "is not there" if said is None else f"says {said.decode('utf-8', 'replace')!r}"
            raise SerializationError(
                f"cannot deserialize from topic {topic!r}: the header {self._header!r} {found}, and the types are "
                f"{', '.join(map(repr, self._serdes))}; has the router table.fields.additional.placement="
                f"type:header:{self._header}?"
            )
        if self._avro is None:
            event = _unwrapped(topic, data)
        else:
            found = self._avro.deserialize(topic, data, headers)
            event = found.encode() if isinstance(found, str) else msgspec.json.encode(found)
        return serde.deserialize(topic, event, headers)

    def serialize(self, topic: str, value: E, headers: Headers = ()) -> bytes:
        """Refuse."""
        raise SerializationError(
            f"cannot serialize for topic {topic!r}: {self!r} reads events of an outbox and writes none"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OutboxSerde) and (self._identity, self._serdes) == (
            other._identity,
            other._serdes,
        )

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        return f"outbox({', '.join(self._serdes)})"


def _avro_of(form: FormName) -> Serde[Any] | None:
    """Return what reads payloads by the schemas that they were written with; None where they are JSON."""
    if not is_avro(form):
        return None
    # Whoever has no registry does not load its serdes.
    from headrace.serde.registry.avro import avro_format
    from headrace.serde.registry.serde import RegistrySerde, Wishes

    return RegistrySerde(avro_format(None, None, (), ""), Wishes())


def _unwrapped(topic: str, data: bytes) -> bytes:
    """Return the event's own JSON: a router hands a payload on as a text, which JsonConverter encodes once more."""
    if not data.startswith((b'"', b'{"schema":')):
        return data
    try:
        found: Any = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise SerializationError(f"cannot deserialize from topic {topic!r}: no JSON: {error}") from error
    if isinstance(found, dict):
        if found.keys() != {"schema", "payload"}:
            return data
        found = found["payload"]
    return found.encode() if isinstance(found, str) else msgspec.json.encode(found)
