"""Protobuf: messages of generated classes, behind the id of their file's schema and their place in the file.

The text of the schema is made of the class, and files that it imports are registered as its references. Bytes are
deterministic: fields in order of their numbers, maps in order of their keys.

Source: Confluent's `KafkaProtobufSerializer`, `KafkaProtobufDeserializer`, `ProtobufSchema.toMessageIndexes`.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Self

from typing_extensions import TypeVar

from headrace.base.errors import SchemaRegistryError, SerializationError
from headrace.base.wording import shortened
from headrace.serde.registry.connection import Session
from headrace.serde.registry.proto_names import MessageNames, message_names
from headrace.serde.registry.proto_text import proto_text
from headrace.serde.registry.schema import Reference, Schema, SchemaKind
from headrace.serde.registry.serde import Reader, Wishes, Writer
from headrace.serde.registry.wire import indexes_bytes, read_indexes
from headrace.serde.serde import kind_of

if TYPE_CHECKING:
    from google.protobuf.descriptor import FileDescriptor
    from google.protobuf.message import Message

__all__ = ["ProtobufFormat", "is_message", "message_document", "protobuf_format"]

M = TypeVar("M", bound="Message")

#: Files that every registry has: nobody registers them.
_KNOWN: Final = ("google/protobuf/", "google/type/", "confluent/")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtobufFormat(Generic[M]):
    """Messages of one class; see `SchemaFormat`."""

    type: "type[M]"

    @property
    def kind(self) -> SchemaKind:
        """Protobuf."""
        return "PROTOBUF"

    @property
    def name(self) -> str:
        """How it was asked for."""
        return f"protobuf({self.type.__name__})"

    @property
    def record(self) -> str:
        """The full name of the message."""
        return str(self.type.DESCRIPTOR.full_name)

    @property
    def _file(self) -> "FileDescriptor":
        file: Any = self.type.DESCRIPTOR.file  # of whichever implementation there is
        found: FileDescriptor = file
        return found

    @property
    def immutable(self) -> bool:
        """Messages can be changed."""
        return False

    @property
    def identity(self) -> Hashable:
        """The class."""
        cls: Any = self.type
        found: Hashable = cls
        return found

    def own_schema(self, session: Session, wishes: Wishes) -> Schema:
        """Return the schema of its file. What it imports is registered first, where that is allowed."""
        return _schema_of(self._file, session, wishes)

    def writer(self, schema: Schema | None, session: Session) -> Writer[M]:
        """Return what writes messages; their place is the one in the schema."""
        text = proto_text(_proto_of(self._file)) if schema is None else schema.text
        indexes = _names_of(text).indexes_of(self.record)
        if indexes is None:
            raise SchemaRegistryError(
                f"{self.name} cannot write with the schema: it has no message {self.record}"
            )
        cls, serialize = self.type, self.type.SerializeToString

        def encode(value: M) -> bytes:
            if not isinstance(value, cls):
                raise TypeError(f"expected a message {cls.__name__}, found {kind_of(value)}")
            return serialize(value, deterministic=True)

        return Writer(encode, indexes_bytes(indexes))

    def reader(self, written: Schema, session: Session) -> Reader[M]:
        """Return what reads messages; a record that names another message is refused."""
        names = _names_of(written.text)
        wanted, parse = self.record, self.type.FromString
        accepted: set[tuple[int, ...]] = set()

        def decode(data: bytes, at: int) -> M:
            indexes, start = read_indexes(data, at)
            if indexes not in accepted:
                found = names.names_at(indexes)
                if wanted not in found:
                    raise ValueError(f"it is {_said(found, indexes)} of its schema, and no {wanted}")
                accepted.add(indexes)
            return parse(data[start:])

        return decode

    def for_keys(self) -> Self:
        """Return this one: what it writes is deterministic."""
        return self

    def document(self, value: M) -> object:
        """Return a message as Protobuf's JSON."""
        return message_document(value)

    def value_of(self, document: object) -> M:
        """Return the message that Protobuf's JSON means.

        Raises:
            SerializationError: it means none.
        """
        from google.protobuf.json_format import ParseDict, ParseError

        if not isinstance(document, dict):
            raise SerializationError(
                f"{shortened(document)} is no message {self.record}: an object is wanted"
            )
        try:
            return ParseDict(document, self.type())
        except ParseError as error:
            raise SerializationError(f"{shortened(document)} is no message {self.record}: {error}") from None


def is_message(value: object) -> bool:
    """Whether a value is a message of Protobuf, without importing it."""
    return hasattr(type(value), "DESCRIPTOR") and hasattr(value, "SerializeToString")


def message_document(message: Any) -> object:
    """Return a message as Protobuf's JSON, with the names of its fields as they stand in the file."""
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(message, preserving_proto_field_name=True)


def protobuf_format(cls: Any) -> ProtobufFormat[Any]:
    """Make the format of a generated class.

    Raises:
        TypeError: it is none.
    """
    from google.protobuf.message import Message

    if not (isinstance(cls, type) and issubclass(cls, Message)) or getattr(cls, "DESCRIPTOR", None) is None:
        said = cls.__qualname__ if isinstance(cls, type) else repr(cls)
        raise TypeError(f"{said} is no class of Protobuf messages: give one that protoc has generated")
    return ProtobufFormat(type=cls)


def _said(found: set[str], indexes: tuple[int, ...]) -> str:
    if not found:
        return f"message {list(indexes)}, which is none"
    return "message " + " or ".join(sorted(found))


def _names_of(text: str) -> MessageNames:
    try:
        return message_names(text)
    except ValueError as error:
        raise SchemaRegistryError(f"the Protobuf schema cannot be read: {error}") from error


def _proto_of(file: "FileDescriptor") -> Any:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    found = FileDescriptorProto()
    file.CopyToProto(found)
    return found


def _schema_of(file: "FileDescriptor", session: Session, wishes: Wishes) -> Schema:
    references = tuple(
        _reference_to(each, session, wishes) for each in file.dependencies if not each.name.startswith(_KNOWN)
    )
    try:
        return Schema("PROTOBUF", proto_text(_proto_of(file)), references)
    except TypeError as error:
        raise SchemaRegistryError(str(error)) from error


def _reference_to(file: "FileDescriptor", session: Session, wishes: Wishes) -> Reference:
    """Register a file under its name, as Confluent's clients do, and return its version."""
    schema, normalize = _schema_of(file, session, wishes), wishes.normalizes(session)
    if wishes.registers(session):
        session.client.register(file.name, schema, normalize=normalize)
    found = session.client.lookup(file.name, schema, normalize=normalize)
    if found.version is None:
        raise SchemaRegistryError(f"the schema registry does not say the version of {file.name!r}")
    return Reference(file.name, file.name, found.version)
