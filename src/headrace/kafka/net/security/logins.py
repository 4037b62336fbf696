"""Logins and TLS: Kafka's security properties, turned into what connections need."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from headrace.base.errors import ConfigError
from headrace.kafka.net.security.jaas import Jaas, parse_jaas
from headrace.kafka.net.security.oauth import token_source
from headrace.kafka.net.security.tls import tls_context
from headrace.kafka.options import ConnectionSettings

__all__ = ["Login", "Security"]

_MODULES = {
    "PLAIN": "PlainLoginModule",
    "SCRAM-SHA-256": "ScramLoginModule",
    "SCRAM-SHA-512": "ScramLoginModule",
    "OAUTHBEARER": "OAuthBearerLoginModule",
    "GSSAPI": "Krb5LoginModule",
    "AWS_MSK_IAM": "IAMLoginModule",
}


@dataclass(frozen=True, slots=True, repr=False)
class Security:
    """What a connection needs beside an address. Has no `repr`: it holds passwords.

    Attributes:
        protocol: Kafka's security.protocol.
        tls: the context of TLS, None without it.
        mechanism: the SASL mechanism, None without a login.
        login: kafka-python's arguments of that mechanism.
    """

    protocol: str
    tls: ssl.SSLContext | None
    mechanism: str | None
    login: Mapping[str, object]

    @classmethod
    def of(cls, settings: ConnectionSettings) -> "Security":
        """Read the security properties. Reads the PEM files once.

        Raises:
            ConfigError: a property is missing, does not fit another one, or names a file that cannot be used.
        """
        tls = tls_context(settings) if settings.uses_tls else None
        if not settings.uses_sasl:
            return cls(settings.security_protocol, tls, None, {})
        return cls(settings.security_protocol, tls, settings.sasl_mechanism, _login(settings))

    def login_at(self, host: str) -> "Login | None":
        """Return how to log in at a host, if there is a login."""
        if self.mechanism is None:
            return None
        known = {"security_protocol": self.protocol, "sasl_mechanism": self.mechanism, "host": host}
        return Login(self.mechanism, {**known, **self.login})


@dataclass(frozen=True, slots=True, repr=False)
class Login:
    """A login at one host. Has no `repr`: it holds passwords."""

    mechanism: str
    arguments: Mapping[str, object]

    def start(self) -> Any:
        """Begin anew: return kafka-python's `SaslMechanism`, which says what to send and hears what comes back."""
        from kafka.net.sasl import get_sasl_mechanism

        return get_sasl_mechanism(self.mechanism)(**self.arguments)


def _login(settings: ConnectionSettings) -> Mapping[str, object]:
    mechanism = settings.sasl_mechanism
    jaas = None if settings.sasl_jaas_config is None else parse_jaas(settings.sasl_jaas_config)
    if jaas is not None and jaas.module != _MODULES[mechanism]:
        raise ConfigError(
            f"sasl.jaas.config names {jaas.module}, but sasl.mechanism={mechanism} goes with {_MODULES[mechanism]}: "
            f"change one of them"
        )
    match mechanism:
        case "OAUTHBEARER":
            return {"sasl_oauth_token_provider": _provider(token_source(settings, jaas))}
        case "GSSAPI":
            _need("gssapi", mechanism)
            given = {} if jaas is None else jaas.options
            service = settings.sasl_kerberos_service_name or given.get("serviceName") or "kafka"
            return {"sasl_kerberos_service_name": service}
        case "AWS_MSK_IAM":
            _need("botocore", mechanism)
            if settings.security_protocol != "SASL_SSL":
                raise ConfigError("sasl.mechanism=AWS_MSK_IAM needs security.protocol=SASL_SSL")
            return {}
        case _:
            return _password(settings, jaas)


def _password(settings: ConnectionSettings, jaas: Jaas | None) -> Mapping[str, object]:
    options: Mapping[str, str] = {} if jaas is None else jaas.options
    username = options.get("username") if settings.sasl_username is None else settings.sasl_username
    password = options.get("password") if settings.sasl_password is None else settings.sasl_password
    if not username or password is None:
        raise ConfigError(
            f"sasl.mechanism={settings.sasl_mechanism} needs a user and a password: set sasl.username and "
            f"sasl.password, or sasl.jaas.config"
        )
    return {"sasl_plain_username": username, "sasl_plain_password": password}


def _need(module: str, mechanism: str) -> None:
    if find_spec(module) is None:
        raise ConfigError(f"sasl.mechanism={mechanism} needs the package {module}: pip install {module}")


def _provider(source: Callable[[], str]) -> object:
    from kafka.net.sasl.oauth import AbstractTokenProvider

    class Provider(AbstractTokenProvider):  # type: ignore[misc]  # kafka-python has no types
        def token(self) -> str:
            return source()

    return Provider()
