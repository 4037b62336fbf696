"""Schemas as a registry has them, and what it answers about them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias
from uuid import UUID

__all__ = ["Reference", "Registered", "RegistryClient", "Schema", "SchemaKind", "SchemaSource"]

SchemaKind: TypeAlias = Literal["AVRO", "JSON", "PROTOBUF"]


@dataclass(frozen=True, slots=True)
class Reference:
    """A schema that another one names: the name that it has there, and subject and version in the registry."""

    name: str
    subject: str
    version: int


@dataclass(frozen=True, slots=True)
class Schema:
    """The text of a schema, and what it refers to."""

    kind: SchemaKind
    text: str
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class Registered:
    """A schema with what a registry knows it by. Version and subject are None where it was not asked for by these."""

    schema: Schema
    id: int
    guid: UUID | None = None
    subject: str | None = None
    version: int | None = None


class RegistryClient(Protocol):
    """What is asked of a registry. Calls block, and may come from any thread.

    Raises:
        SchemaRegistryError: the registry refuses; its `status` is that of HTTP, 404 of what is not there, 409 of a
            schema that is not compatible with earlier ones.
        SchemaRegistryUnavailableError: it does not answer.
    """

    def register(self, subject: str, schema: Schema, *, normalize: bool) -> Registered:
        """Register a schema, or find it: the same one twice is one."""
        ...

    def lookup(self, subject: str, schema: Schema, *, normalize: bool) -> Registered:
        """Find a schema under a subject, with its version."""
        ...

    def version(self, subject: str, version: int | None) -> Registered:
        """Return a version of a subject, the latest one if None."""
        ...

    def by_id(self, id: int) -> Registered:
        """Return the schema of an id."""
        ...

    def by_guid(self, guid: UUID) -> Registered:
        """Return the schema of a GUID, which only newer registries have."""
        ...


#: The schema behind a reference.
SchemaSource: TypeAlias = Callable[[Reference], Schema]
