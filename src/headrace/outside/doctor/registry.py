"""The schema registry: whether serdes that want one are told it, and whether it answers."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from headrace.base.errors import ConfigError, SchemaRegistryError, SchemaRegistryUnavailableError
from headrace.outside.doctor.finding import Finding, Severity
from headrace.serde.registry.connection import Session
from headrace.serde.registry.options import MOCK, RegistrySettings
from headrace.streams.serdes import configure_serdes
from headrace.topology.topology import Topology

__all__ = ["registry_findings"]

_SUBJECT = "schema registry"

#: Of HTTP: who asks is not known, or may not.
_REFUSED = (401, 403)


def registry_findings(topology: Topology, properties: Mapping[str, object]) -> Iterator[Finding]:
    """Yield nothing where no serde wants a registry and none is set. Registers nothing."""
    try:
        configure_serdes(topology, properties)
    except ConfigError as error:
        yield Finding(Severity.WRONG, _SUBJECT, str(error))
        return
    # Once: the application waits for a registry that is away, but whoever asks a doctor waits for an answer.
    settings = replace(RegistrySettings.of(properties), schema_registry_max_retries=0)
    if not settings.schema_registry_url:
        return
    (first, *_) = settings.schema_registry_url
    if first.startswith(MOCK):
        text = f"{first} is a registry within the process: other programs cannot read what it writes"
        yield Finding(Severity.WARNING, _SUBJECT, text, "set schema.registry.url to a real one")
        return
    yield _asked(Session(settings))


def _asked(session: Session) -> Finding:
    try:
        session.by_identity(1)  # whether there is such a schema or not
    except SchemaRegistryUnavailableError as error:
        return Finding(Severity.WRONG, _SUBJECT, str(error), "start it, or set schema.registry.url")
    except SchemaRegistryError as error:
        if error.status in _REFUSED:
            advice = "set schema.registry.basic.auth.* or schema.registry.bearer.auth.*"
            return Finding(Severity.WRONG, _SUBJECT, str(error), advice)
        if error.status != 404:
            return Finding(Severity.WRONG, _SUBJECT, str(error), "look whether that is a schema registry")
    return Finding(Severity.FINE, _SUBJECT, "it answers")
