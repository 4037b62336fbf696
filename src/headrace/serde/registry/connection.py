"""What a serde and its copies share: the registry of the application, found once, and what it has answered."""

import threading
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from headrace.base.errors import ConfigError
from headrace.serde.registry.mock import mock_registry
from headrace.serde.registry.options import MOCK, RegistrySettings
from headrace.serde.registry.schema import Reference, Registered, RegistryClient, Schema

__all__ = ["Connection", "Session"]

#: What one registry is asked for by one serde is a handful; who reads hostile ids is not to fill the memory.
_SCHEMAS_MAX: Final = 1000


class Session:
    """A registry and what it has answered. Each schema is asked for once. Safe to use from several threads."""

    def __init__(self, settings: RegistrySettings) -> None:
        self.settings = settings
        self.lock = threading.RLock()
        (first, *_) = settings.schema_registry_url
        self.client: RegistryClient = (
            mock_registry(first.removeprefix(MOCK)) if first.startswith(MOCK) else _over_http(settings)
        )
        self._known: dict[int | UUID, Registered] = {}
        self._referred: dict[Reference, Schema] = {}

    def by_identity(self, identity: int | UUID) -> Registered:
        """Return the schema of an id, or of a GUID."""
        with self.lock:
            found = self._known.get(identity)
            if found is None:
                found = (
                    self.client.by_id(identity)
                    if isinstance(identity, int)
                    else self.client.by_guid(identity)
                )
                if len(self._known) >= _SCHEMAS_MAX:
                    self._known.clear()
                self._known[identity] = found
            return found

    def referred(self, reference: Reference) -> Schema:
        """Return the schema behind a reference."""
        with self.lock:
            found = self._referred.get(reference)
            if found is None:
                found = self._referred[reference] = self.client.version(
                    reference.subject, reference.version
                ).schema
            return found


def _over_http(settings: RegistrySettings) -> RegistryClient:
    # Whoever has no registry does not load a client of HTTP and what it is made of.
    from headrace.serde.registry.http import HttpRegistry

    return HttpRegistry(settings)


class Connection:
    """Holds the session of the application that was configured last."""

    __slots__ = ("_session",)

    def __init__(self) -> None:
        self._session: Session | None = None

    def configure(self, properties: Mapping[str, object]) -> None:
        """Take an application's properties. The same ones again change nothing."""
        settings = RegistrySettings.of(properties)
        if not settings.schema_registry_url:
            raise ConfigError(
                "a serde of the schema registry needs schema.registry.url: set it, or schema_registry_url=… in code; "
                "mock://test is a registry within the process"
            )
        if self._session is None or self._session.settings != settings:
            self._session = Session(settings)

    def session_or_none(self) -> Session | None:
        """Return the session, or None where nobody has configured it yet."""
        return self._session

    def session(self) -> Session:
        """Return the session.

        Raises:
            ConfigError: nobody has configured it.
        """
        if self._session is None:
            raise ConfigError(
                "a serde of the schema registry knows no registry yet: set schema.registry.url, for a command with "
                "--set or in its --config; in code an application, a test driver or "
                "serde.configure({'schema.registry.url': …}) tells it"
            )
        return self._session
