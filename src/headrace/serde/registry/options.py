"""The properties of a schema registry: Confluent's names, behind `schema.registry.` where they say how to reach it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final
from urllib.parse import urlsplit

from headrace.base.options import Option, OptionKind, boolean, choice, duration_ms, integer, names, text
from headrace.serde.registry.subjects import STRATEGIES

__all__ = ["MOCK", "OPTIONS", "URL", "RegistrySettings"]

#: How the address of a registry within the process begins.
MOCK: Final = "mock://"

_PREFIX = "schema.registry."


def _addresses(urls: Any) -> str | None:
    for url in urls:
        if not url.startswith(("http://", "https://", MOCK)):
            return f"{url!r} is no address of a registry: write http://host:8081, https://host or mock://name"
        if not url.startswith(MOCK) and not urlsplit(url).hostname:
            return f"{url!r} names no host: write http://host:8081"
    if len(urls) > 1 and any(url.startswith(MOCK) for url in urls):
        return "a registry within the process stands alone: name one mock://…"
    return None


def _strategy() -> OptionKind[str]:
    def parse(raw: object) -> str:
        if isinstance(raw, str) and (name := raw.rpartition(".")[2]) in STRATEGIES:
            return name
        raise TypeError

    return OptionKind("one of " + ", ".join(STRATEGIES), parse)


def _optional(name: str, line: str, *, is_secret: bool = False) -> Option[str | None]:
    return Option(f"{_PREFIX}{name}", text, None, line, is_secret=is_secret)


URL: Option[Any] = Option(
    "schema.registry.url",
    names(),
    (),
    "Where the schema registry is: http://host:port, several with commas; mock://name is one within the process.",
    _addresses,
)

OPTIONS: tuple[Option[Any], ...] = (
    URL,
    Option(
        "schema.registry.basic.auth.credentials.source",
        choice("URL", "USER_INFO", "SASL_INHERIT"),
        "URL",
        "Where user and password for the registry stand: in its URL, in basic.auth.user.info, or as for the brokers.",
    ),
    _optional(
        "basic.auth.user.info", "User and password for the registry, as user:password.", is_secret=True
    ),
    Option(
        "schema.registry.bearer.auth.credentials.source",
        choice("STATIC_TOKEN", "OAUTHBEARER"),
        None,
        "Where a bearer token for the registry comes from: bearer.auth.token, or an OAuth server.",
    ),
    _optional("bearer.auth.token", "The token.", is_secret=True),
    _optional("bearer.auth.issuer.endpoint.url", "Where the OAuth server gives out tokens."),
    _optional("bearer.auth.client.id", "Client id for the OAuth server."),
    _optional("bearer.auth.client.secret", "Its secret.", is_secret=True),
    _optional("bearer.auth.scope", "Scope to ask the OAuth server for."),
    _optional("bearer.auth.logical.cluster", "Logical cluster of the registry, which a bearer login names."),
    _optional("bearer.auth.identity.pool.id", "Identity pool, which a bearer login names."),
    _optional("ssl.truststore.location", "PEM file of the authorities that sign the registry's certificate."),
    _optional("ssl.truststore.certificates", "The same as PEM text."),
    _optional("ssl.keystore.location", "PEM file of this client's private key and certificates."),
    _optional("ssl.key.password", "Password of an encrypted private key.", is_secret=True),
    Option(
        "schema.registry.ssl.endpoint.identification.algorithm",
        text,
        "https",
        "Empty accepts certificates of other hosts; https checks the name.",
        lambda value: None if value.strip().lower() in {"", "https"} else "write https, or nothing",
    ),
    Option(
        "schema.registry.http.read.timeout.ms",
        duration_ms(minimum=1),
        10_000,
        "How long the registry may take over connecting, and over an answer (ms).",
    ),
    Option(
        "schema.registry.max.retries",
        integer(minimum=0),
        3,
        "How often a request is tried again before the worker goes back to its last commit and waits.",
    ),
    Option(
        "schema.registry.retries.wait.ms",
        duration_ms(),
        100,
        "Wait before a request is tried again; it doubles.",
    ),
    Option("schema.registry.retries.max.wait.ms", duration_ms(), 2_000, "Longest such wait (ms)."),
    Option(
        "auto.register.schemas",
        boolean,
        True,
        "Whether serdes register schemas; if not, somebody else has registered them.",
    ),
    Option(
        "use.latest.version",
        boolean,
        False,
        "Whether values are written with the latest schema of the subject, and not with that of their type.",
    ),
    Option(
        "normalize.schemas",
        boolean,
        False,
        "Whether the registry takes schemas for equal that differ in form only.",
    ),
    Option("key.subject.name.strategy", _strategy(), "TopicNameStrategy", "How subjects of keys are named."),
    Option(
        "value.subject.name.strategy", _strategy(), "TopicNameStrategy", "How subjects of values are named."
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RegistrySettings:
    """What an application says of its registry. Times in ms. Has no `repr`: it holds passwords."""

    schema_registry_url: tuple[str, ...]
    schema_registry_basic_auth_credentials_source: str
    schema_registry_basic_auth_user_info: str | None
    schema_registry_bearer_auth_credentials_source: str | None
    schema_registry_bearer_auth_token: str | None
    schema_registry_bearer_auth_issuer_endpoint_url: str | None
    schema_registry_bearer_auth_client_id: str | None
    schema_registry_bearer_auth_client_secret: str | None
    schema_registry_bearer_auth_scope: str | None
    schema_registry_bearer_auth_logical_cluster: str | None
    schema_registry_bearer_auth_identity_pool_id: str | None
    schema_registry_ssl_truststore_location: str | None
    schema_registry_ssl_truststore_certificates: str | None
    schema_registry_ssl_keystore_location: str | None
    schema_registry_ssl_key_password: str | None
    schema_registry_ssl_endpoint_identification_algorithm: str
    schema_registry_http_read_timeout_ms: int
    schema_registry_max_retries: int
    schema_registry_retries_wait_ms: int
    schema_registry_retries_max_wait_ms: int
    auto_register_schemas: bool
    use_latest_version: bool
    normalize_schemas: bool
    key_subject_name_strategy: str
    value_subject_name_strategy: str
    #: Of the brokers, for who inherits them.
    sasl_username: str | None = None
    sasl_password: str | None = None

    @classmethod
    def of(cls, properties: Mapping[str, object]) -> "RegistrySettings":
        """Take the registry's properties out of an application's, with defaults for missing ones.

        Raises:
            ConfigError: one is impossible.
        """
        found = {
            option.field: option.parse(properties[option.name])
            if option.name in properties
            else option.default
            for option in OPTIONS
        }
        for name in ("sasl.username", "sasl.password"):
            given = properties.get(name)
            found[name.replace(".", "_")] = given if isinstance(given, str) else None
        return cls(**{each.name: found[each.name] for each in fields(cls)})
