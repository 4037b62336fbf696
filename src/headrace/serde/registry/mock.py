"""A registry within the process, for tests: `mock://NAME`, one for each name."""

import threading
from typing import Final
from uuid import UUID, uuid5

from headrace.base.errors import SchemaRegistryError
from headrace.serde.registry.schema import Registered, Schema

__all__ = ["MockRegistry", "mock_registry"]

_NAMESPACE: Final = UUID("5c1c6f5e-58d5-4c0c-9f43-0d8f5ab2d5f0")


class MockRegistry:
    """Keeps schemas in memory, and gives out ids from 1 on; see `RegistryClient`. Takes versions whatever they are.

    Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._schemas: list[Schema] = []
        self._subjects: dict[str, list[int]] = {}
        #: Calls so far, by the name of the method.
        self.calls: list[str] = []

    def register(self, subject: str, schema: Schema, *, normalize: bool = False) -> Registered:
        """Register a schema, or find it; the same text has one id in all subjects."""
        with self._lock:
            self.calls.append("register")
            if schema not in self._schemas:
                self._schemas.append(schema)
            id = self._schemas.index(schema) + 1
            versions = self._subjects.setdefault(subject, [])
            if id not in versions:
                versions.append(id)
            return self._registered(id, subject)

    def lookup(self, subject: str, schema: Schema, *, normalize: bool = False) -> Registered:
        """Find a schema under a subject."""
        with self._lock:
            self.calls.append("lookup")
            versions = self._of(subject)
            if schema in self._schemas and (id := self._schemas.index(schema) + 1) in versions:
                return self._registered(id, subject)
            raise SchemaRegistryError(f"subject {subject!r} has no such schema", status=404)

    def version(self, subject: str, version: int | None = None) -> Registered:
        """Return a version of a subject, the latest one if None."""
        with self._lock:
            self.calls.append("version")
            versions = self._of(subject)
            if version is not None and not 0 < version <= len(versions):
                raise SchemaRegistryError(f"subject {subject!r} has no version {version}", status=404)
            return self._registered(versions[-1 if version is None else version - 1], subject)

    def by_id(self, id: int) -> Registered:
        """Return the schema of an id."""
        with self._lock:
            self.calls.append("by_id")
            if not 0 < id <= len(self._schemas):
                raise SchemaRegistryError(f"there is no schema {id}", status=404)
            return self._registered(id, None)

    def by_guid(self, guid: UUID) -> Registered:
        """Return the schema of a GUID."""
        with self._lock:
            self.calls.append("by_guid")
            for id, schema in enumerate(self._schemas, 1):
                if _guid(schema) == guid:
                    return self._registered(id, None)
            raise SchemaRegistryError(f"there is no schema {guid}", status=404)

    @property
    def subjects(self) -> dict[str, list[Schema]]:
        """The schemas of each subject, in the order of their versions."""
        with self._lock:
            return {
                subject: [self._schemas[id - 1] for id in ids]
                for subject, ids in sorted(self._subjects.items())
            }

    def clear(self) -> None:
        """Forget all schemas. Serdes that know their ids do not."""
        with self._lock:
            self._schemas.clear()
            self._subjects.clear()
            self.calls.clear()

    def _of(self, subject: str) -> list[int]:
        if subject not in self._subjects:
            raise SchemaRegistryError(f"there is no subject {subject!r}", status=404)
        return self._subjects[subject]

    def _registered(self, id: int, subject: str | None) -> Registered:
        schema = self._schemas[id - 1]
        version = None if subject is None else self._subjects[subject].index(id) + 1
        return Registered(schema, id, _guid(schema), subject, version)


def _guid(schema: Schema) -> UUID:
    return uuid5(_NAMESPACE, repr(schema))


# One for each name, since that is what a name is for: serdes, drivers and tests of one process share it.
_scopes: Final[dict[str, MockRegistry]] = {}
_scopes_lock: Final = threading.Lock()


def mock_registry(name: str) -> MockRegistry:
    """Return the registry of a name, `mock://NAME`; it lives as long as the process."""
    with _scopes_lock:
        return _scopes.setdefault(name, MockRegistry())
