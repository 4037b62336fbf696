"""The serde that all formats share: it finds ids and schemas, once, and leaves what is between to its format.

What it costs a record: on the way out one addition to the format's own, on the way in one look into a table.
"""

import builtins
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, Self, TypeAlias

from typing_extensions import TypeVar

from headrace.base.errors import ConfigError, SchemaRegistryError, SerializationError
from headrace.base.records import Headers
from headrace.serde.registry.connection import Connection, Session
from headrace.serde.registry.schema import Registered, Schema, SchemaKind
from headrace.serde.registry.subjects import STRATEGIES, SubjectStrategy
from headrace.serde.registry.wire import (
    KEY_HEADER,
    PREFIX_BYTES,
    VALUE_HEADER,
    header_of,
    prefix_of,
    read_identity,
    without_header,
)
from headrace.serde.serde import Serde, is_of_nobody, kind_of

__all__ = ["IdPlace", "Reader", "RegistrySerde", "SchemaFormat", "Wishes", "Writer"]

T = TypeVar("T")

IdPlace: TypeAlias = Literal["prefix", "header"]

#: (bytes, where the value begins in them) -> the value.
Reader: TypeAlias = Callable[[bytes, int], T]

#: Schemas that one serde reads, before it forgets them all: hostile ids must not fill the memory.
_READERS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Writer(Generic[T]):
    """Makes the bytes of values; `indexes` stand behind the schema's id."""

    encode: Callable[[T], bytes]
    indexes: bytes = b""


class SchemaFormat(Protocol[T]):
    """What a serde has to know of Avro, JSON Schema or Protobuf, for one type.

    Attributes:
        record: full name of the record, after which subjects may be named; empty where there is none.
        identity: what tells it from others.
    """

    @property
    def kind(self) -> SchemaKind: ...
    @property
    def name(self) -> str: ...
    @property
    def record(self) -> str: ...
    @property
    def type(self) -> builtins.type[Any] | None: ...
    @property
    def immutable(self) -> bool: ...
    @property
    def identity(self) -> Hashable: ...

    def own_schema(self, session: Session, wishes: "Wishes") -> Schema | None:
        """Return the schema of its type; None where it takes what it finds. May register what that one refers to."""
        ...

    def writer(self, schema: Schema | None, session: Session) -> Writer[T]:
        """Return what writes values by a schema, its own one if None."""
        ...

    def reader(self, written: Schema, session: Session) -> Reader[T]:
        """Return what reads values that were written by a schema."""
        ...

    def for_keys(self) -> Self:
        """Return the format whose equal values have equal bytes. Raises TypeError where there is none."""
        ...

    def document(self, value: T) -> object:
        """Return a value as JSON has it, for people."""
        ...

    def value_of(self, document: object) -> T:
        """Return the value that people mean by something of JSON."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is said of one serde; None leaves it to the application's properties."""

    subject: str | SubjectStrategy | None = None
    auto_register: bool | None = None
    normalize: bool | None = None
    use_latest: bool | None = None
    use_id: int | None = None
    id_in: IdPlace = "prefix"

    def strategy(self, session: Session, *, is_key: bool) -> SubjectStrategy:
        """Return how the subject is named."""
        if callable(self.subject):
            return self.subject
        settings = session.settings
        name = settings.key_subject_name_strategy if is_key else settings.value_subject_name_strategy
        return STRATEGIES[self.subject or name]

    def registers(self, session: Session) -> bool:
        """Whether schemas are registered."""
        return session.settings.auto_register_schemas if self.auto_register is None else self.auto_register

    def normalizes(self, session: Session) -> bool:
        """Whether schemas are equal that differ in form only."""
        return session.settings.normalize_schemas if self.normalize is None else self.normalize

    def takes_latest(self, session: Session) -> bool:
        """Whether the latest version is written with."""
        return session.settings.use_latest_version if self.use_latest is None else self.use_latest


@dataclass(frozen=True, slots=True)
class _TopicWriter(Generic[T]):
    encode: Callable[[T], bytes]
    prefix: bytes
    header: bytes


class RegistrySerde(Serde[T]):
    """Serialize values with a schema that a registry has. Copies of it share their connection."""

    def __init__(
        self,
        format: SchemaFormat[T],
        wishes: Wishes,
        *,
        is_key: bool = False,
        connection: Connection | None = None,
    ) -> None:
        self.format = format
        self.wishes = wishes
        self.type = format.type
        self.immutable = format.immutable
        # An id in a header is read wherever there is one.
        self.reads_headers = True
        self.writes_headers = wishes.id_in == "header"
        self._is_key = is_key
        self._connection = connection or Connection()
        self._writers: tuple[Session | None, dict[str, _TopicWriter[T]]] = (None, {})
        self._readers: tuple[Session | None, dict[bytes, Reader[T]]] = (None, {})

    def configure(self, properties: Mapping[str, object]) -> None:
        """Take the registry that an application names."""
        self._connection.configure(properties)

    def for_keys(self) -> Serde[T]:
        """Return the serde whose subjects and headers are those of keys, and whose equal values have equal bytes."""
        try:
            format = self.format.for_keys()
        except TypeError as error:
            raise TypeError(f"{self!r} cannot be the serde of a key: {error}") from error
        return RegistrySerde(format, self.wishes, is_key=True, connection=self._connection)

    def reading_keys(self) -> Serde[T]:
        """Return the serde whose headers are those of keys."""
        return RegistrySerde(self.format, self.wishes, is_key=True, connection=self._connection)

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def serialize(self, topic: str, value: T, headers: Headers = ()) -> bytes:
        """Return the bytes of a value, with the id of its schema before it.

        Raises:
            SerializationError: the value is none of the schema.
            SchemaRegistryError: the registry refuses the schema, or does not answer.
            ConfigError: no registry is named.
        """
        writer = self._writer(topic, self._connection.session())
        return writer.prefix + self._encoded(writer, topic, value)

    def serialize_with_headers(self, topic: str, value: T, headers: Headers) -> tuple[bytes, Headers]:
        """Return the bytes of a value, and the headers with its schema's id, or without any; raises as `serialize`."""
        writer = self._writer(topic, self._connection.session())
        data = self._encoded(writer, topic, value)
        name = KEY_HEADER if self._is_key else VALUE_HEADER
        if self.writes_headers:
            return data, (*without_header(headers, name), (name, writer.header))
        return writer.prefix + data, without_header(headers, name)

    def serializer(self, topic: str) -> Callable[[T], bytes]:
        """Return the quick form. The registry is asked with the first value."""
        session = self._connection.session_or_none()
        encode: Callable[[T], bytes] | None = None
        prefix = b""

        def bound(value: T) -> bytes:
            nonlocal encode, prefix
            if encode is None:
                writer = self._writer(topic, session or self._connection.session())
                prefix, encode = writer.prefix, writer.encode
            return prefix + encode(value)

        return bound

    def _encoded(self, writer: _TopicWriter[T], topic: str, value: T) -> bytes:
        try:
            return writer.encode(value)
        except Exception as error:
            raise SerializationError(
                f"cannot serialize {kind_of(value)} for topic {topic!r} with {self!r}: {error}"
            ) from error

    def _writer(self, topic: str, session: Session) -> _TopicWriter[T]:
        known, writers = self._writers
        if known is not session:
            writers = {}
            self._writers = session, writers
        writer = writers.get(topic)
        if writer is None:
            with session.lock:
                writer = writers[topic] = self._made_writer(topic, session)
        return writer

    def _made_writer(self, topic: str, session: Session) -> _TopicWriter[T]:
        wishes, format = self.wishes, self.format
        subject = ""
        if wishes.use_id is not None:
            found = session.by_identity(wishes.use_id)
            chosen: Schema | None = found.schema
        else:
            subject = wishes.strategy(session, is_key=self._is_key)(topic, self._is_key, format.record)
            if wishes.takes_latest(session):
                found = self._latest(session, subject)
                chosen = found.schema
            else:
                chosen = None
                found = self._registered(session, subject)
        if found.schema.kind != format.kind:
            where = f"subject {subject!r}" if subject else f"schema {found.id}"
            raise SchemaRegistryError(
                f"cannot write to topic {topic!r} with {self!r}: {where} is of {found.schema.kind}"
            )
        made = format.writer(chosen, session)
        prefix = prefix_of(found.id) + made.indexes
        return _TopicWriter(made.encode, prefix, header_of(found.id, found.guid) + made.indexes)

    def _latest(self, session: Session, subject: str) -> Registered:
        try:
            return session.client.version(subject, None)
        except SchemaRegistryError as error:
            if error.status != 404:
                raise
            raise SchemaRegistryError(
                f"{self!r} is to write with the latest schema of subject {subject!r}, which has none: register one, or "
                "leave out use_latest / use.latest.version",
                status=404,
            ) from error

    def _registered(self, session: Session, subject: str) -> Registered:
        schema = self.format.own_schema(session, self.wishes)
        if schema is None:
            raise ConfigError(
                f"{self!r} has no schema to write with: give it a type or schema=, or use_latest=True or use_id="
            )
        normalize = self.wishes.normalizes(session)
        if not self.wishes.registers(session):
            try:
                return session.client.lookup(subject, schema, normalize=normalize)
            except SchemaRegistryError as error:
                if error.status != 404:
                    raise
                raise SchemaRegistryError(
                    f"the schema of {self!r} is not registered under subject {subject!r}, and auto.register.schemas is "
                    f"false: register it first, or use_latest=True. It is: {schema.text}",
                    status=404,
                ) from error
        try:
            return session.client.register(subject, schema, normalize=normalize)
        except SchemaRegistryError as error:
            if error.status == 409:
                raise SchemaRegistryError(
                    f"the schema of {self!r} is not compatible with those of subject {subject!r}, so that others could "
                    f"not read what is written with it: {error}. Give new fields a default, or write another topic",
                    status=409,
                ) from error
            raise

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def deserialize(self, topic: str, data: bytes, headers: Headers = ()) -> T:
        """Return the value of bytes. The schema's id is looked for in the headers first, then before the value.

        Raises:
            SerializationError: the bytes are no value of a schema that can be read as this type.
            SchemaRegistryError: the registry does not answer, or refuses to.
        """
        session = self._connection.session()
        try:
            said = _last(headers, KEY_HEADER if self._is_key else VALUE_HEADER) if headers else None
            if said is None:
                return self._reader(data[:PREFIX_BYTES], session)(data, PREFIX_BYTES)
            end = read_identity(said)[1]
            reader = self._reader(said[:end], session)
            return reader(said[end:] + data, 0) if len(said) > end else reader(data, 0)
        except Exception as error:
            if is_of_nobody(error):
                raise
            raise SerializationError(
                f"cannot deserialize {len(data)} bytes of topic {topic!r} with {self!r}: {error}"
            ) from error

    def deserializer(self, topic: str) -> Callable[[bytes], T]:
        """Return the quick form, which looks for ids before values only."""
        session = self._connection.session_or_none()
        readers: dict[bytes, Reader[T]] = {}

        def bound(data: bytes) -> T:
            identity = data[:PREFIX_BYTES]
            reader = readers.get(identity)
            if reader is None:
                reader = readers[identity] = self._reader(identity, session or self._connection.session())
            return reader(data, PREFIX_BYTES)

        return bound

    def settler(self, topic: str) -> Callable[[bytes, Headers], bytes]:
        """Return what reads bytes and writes them anew: the schema, and the place of its id, may be another one."""
        serialize = self.serializer(topic)
        return lambda data, headers: serialize(self.deserialize(topic, data, headers))

    def _reader(self, identity: bytes, session: Session) -> Reader[T]:
        known, readers = self._readers
        if known is not session:
            readers = {}
            self._readers = session, readers
        reader = readers.get(identity)
        if reader is None:
            id = read_identity(identity)[0]
            try:
                found = session.by_identity(id)
            except SchemaRegistryError as error:
                if error.status != 404:
                    raise
                raise SerializationError(
                    f"the registry has no schema {id}, which the record names"
                ) from error
            if found.schema.kind != self.format.kind:
                raise SerializationError(
                    f"the record was written with schema {id}, of {found.schema.kind}, and not of {self.format.kind}"
                )
            if len(readers) >= _READERS_MAX:
                readers.clear()
            reader = readers[identity] = self.format.reader(found.schema, session)
        return reader

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RegistrySerde):
            return NotImplemented
        mine = self.format.kind, self.format.identity, self.wishes
        return mine == (other.format.kind, other.format.identity, other.wishes)

    def __hash__(self) -> int:
        return hash(self.format.name)

    def __repr__(self) -> str:
        return f"registry.{self.format.name}"


def _last(headers: Headers, name: str) -> bytes | None:
    for each, content in reversed(headers):
        if each == name:
            return content
    return None
