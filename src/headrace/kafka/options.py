"""The properties that a Kafka cluster needs: how to reach it, and how much to ask of it at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.base.options import Option, OptionKind, choice, duration_ms, function, integer, names, text

__all__ = ["CONNECTION_OPTIONS", "DATA_OPTIONS", "OPTIONS", "ConnectionSettings", "KafkaOptions"]

_NAMES: OptionKind[Sequence[str]] = names()
_OPTIONAL_FUNCTION: OptionKind[Callable[..., Any] | None] = function()


def _address_list(addresses: Sequence[str]) -> str | None:
    for address in addresses:
        if "://" in address:
            return f"{address!r} is no address: write {address.partition('://')[2].strip('/')!r}"
        host, colon, port = address.rpartition(":")
        if not (colon and host and port.isdigit() and 0 < int(port) < 65536):
            return f"{address!r} is no address: write host:port, such as localhost:9092"
    return None


def _replicas(value: int) -> str | None:
    return "give a number of replicas, or -1 for the broker's default" if value == 0 else None


def _connection(name: str, default: str | None, line: str, *, is_secret: bool = False) -> Option[str | None]:
    return Option(name, text, default, line, is_secret=is_secret)


_ADDRESSES = (
    Option(
        "bootstrap.servers",
        _NAMES,
        (),
        "Brokers to ask for all others first: host:port,host:port.",
        _address_list,
    ),
    _connection("client.id", "", "Begins the names by which brokers' logs and quotas know the application."),
    _connection(
        "client.rack", "", "Where this process runs: it reads from a replica of that rack, if allowed."
    ),
    Option(
        "security.protocol",
        choice("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL", ignore_case=True),
        "PLAINTEXT",
        "What the brokers' listener speaks: TLS is SSL here, a login is SASL.",
    ),
)

_TLS = (
    _connection("ssl.truststore.location", None, "PEM file of the authorities that sign the brokers."),
    _connection("ssl.truststore.certificates", None, "The same as PEM text."),
    _connection("ssl.truststore.type", "PEM", "Must be PEM."),
    _connection("ssl.truststore.password", None, "Not used by PEM.", is_secret=True),
    _connection("ssl.keystore.location", None, "PEM file of this client's private key and certificates."),
    _connection("ssl.keystore.key", None, "This client's private key as PEM text.", is_secret=True),
    _connection("ssl.keystore.certificate.chain", None, "This client's certificates as PEM text."),
    _connection("ssl.keystore.type", "PEM", "Must be PEM."),
    _connection("ssl.keystore.password", None, "Not used by PEM.", is_secret=True),
    _connection("ssl.key.password", None, "Password of an encrypted private key.", is_secret=True),
    _connection(
        "ssl.endpoint.identification.algorithm",
        "https",
        "Empty accepts certificates of other hosts; https checks the name.",
    ),
)

_LOGIN = (
    Option(
        "sasl.mechanism",
        choice(
            "GSSAPI",
            "PLAIN",
            "SCRAM-SHA-256",
            "SCRAM-SHA-512",
            "OAUTHBEARER",
            "AWS_MSK_IAM",
            ignore_case=True,
        ),
        "GSSAPI",
        "How to log in, where security.protocol begins with SASL.",
    ),
    _connection("sasl.jaas.config", None, "The login as Java clients write it.", is_secret=True),
    _connection("sasl.username", None, "User, instead of sasl.jaas.config. Not a property of Kafka."),
    _connection(
        "sasl.password",
        None,
        "Password, instead of sasl.jaas.config. Not a property of Kafka.",
        is_secret=True,
    ),
    _connection(
        "sasl.kerberos.service.name", None, "First part of the brokers' Kerberos principal; kafka if unset."
    ),
    _connection(
        "sasl.oauthbearer.token.endpoint.url", None, "Where a token is asked for with a client id and secret."
    ),
    _connection("sasl.oauthbearer.client.credentials.client.id", None, "Client id for the token endpoint."),
    _connection("sasl.oauthbearer.client.credentials.client.secret", None, "Its secret.", is_secret=True),
    _connection("sasl.oauthbearer.scope", None, "Scope to ask the token endpoint for."),
    Option(
        "sasl.oauthbearer.token.provider",
        _OPTIONAL_FUNCTION,
        None,
        "A function () -> str that returns a valid token, or MODULE:NAME of one. Not a property of Kafka.",
    ),
)

_TIMES = (
    Option(
        "request.timeout.ms",
        integer(minimum=1),
        30_000,
        "How long a broker may take over a request (ms); the connection is closed then.",
    ),
    Option(
        "default.api.timeout.ms",
        integer(minimum=1),
        60_000,
        "How long an operation is tried again before it fails (ms).",
    ),
    Option(
        "socket.connection.setup.timeout.ms",
        duration_ms(minimum=1),
        10_000,
        "How long making a connection, with TLS and login, may take (ms).",
    ),
    Option(
        "reconnect.backoff.ms", duration_ms(minimum=1), 50, "Wait before connecting again (ms); it doubles."
    ),
    Option("reconnect.backoff.max.ms", duration_ms(minimum=1), 1000, "Longest such wait (ms)."),
    Option(
        "retry.backoff.ms",
        duration_ms(minimum=1),
        100,
        "Wait before a request is tried again (ms); it doubles.",
    ),
    Option("retry.backoff.max.ms", duration_ms(minimum=1), 1000, "Longest such wait (ms)."),
    Option(
        "metadata.max.age.ms",
        duration_ms(minimum=1),
        300_000,
        "Age at which topics and leaders are asked for again, unasked (ms).",
    ),
    Option(
        "connections.max.idle.ms",
        duration_ms(minimum=1),
        540_000,
        "Connections that were idle this long are closed (ms).",
    ),
)

#: How to reach the cluster.
CONNECTION_OPTIONS: tuple[Option[Any], ...] = (*_ADDRESSES, *_TLS, *_LOGIN, *_TIMES)

#: What to ask of it.
DATA_OPTIONS: tuple[Option[Any], ...] = (
    Option("fetch.min.bytes", integer(minimum=0), 1, "Bytes for which a broker lets a fetch wait."),
    Option("fetch.max.wait.ms", integer(minimum=0), 500, "How long it lets it wait (ms)."),
    Option(
        "fetch.max.bytes",
        integer(minimum=1),
        50 << 20,
        "Most bytes of one answer to a fetch, compressed, and about the most that is decompressed of it at once.",
    ),
    Option(
        "max.partition.fetch.bytes",
        integer(minimum=1),
        8 << 20,
        "Most bytes of one partition in it. Kafka's own default, 1 MiB, leaves a fast reader waiting.",
    ),
    Option(
        "compression.type",
        choice("none", "gzip", "snappy", "lz4", "zstd", ignore_case=True),
        "none",
        "Compression of written record batches.",
    ),
    Option("max.request.size", integer(minimum=1024), 1 << 20, "Most bytes of a written record batch."),
    Option(
        "delivery.timeout.ms",
        integer(minimum=1),
        120_000,
        "How long a written batch is tried again before its transaction is given up (ms).",
    ),
    Option(
        "transaction.timeout.ms",
        integer(minimum=1),
        10_000,
        "After this the broker aborts the transaction of a process that went silent (ms).",
    ),
    Option(
        "session.timeout.ms",
        duration_ms(minimum=1),
        45_000,
        "How long an instance may be silent before others get its tasks (ms).",
    ),
    Option(
        "heartbeat.interval.ms",
        duration_ms(minimum=1),
        3_000,
        "Time between two signs of life of an instance at the most (ms); less than a third of its session.",
    ),
    Option(
        "replication.factor",
        integer(minimum=-1, maximum=2**15 - 1),
        -1,
        "Copies of each topic that the application makes; -1 leaves it to the broker.",
        _replicas,
    ),
)

OPTIONS: tuple[Option[Any], ...] = (*CONNECTION_OPTIONS, *DATA_OPTIONS)


def _values(options: Sequence[Option[Any]], values: Mapping[str, object]) -> dict[str, Any]:
    return {
        option.field: option.parse(values[option.name]) if option.name in values else option.default
        for option in options
    }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ConnectionSettings:
    """How to reach a cluster. Times in ms. Has no `repr`: it holds passwords."""

    bootstrap_servers: Sequence[str]
    client_id: str
    client_rack: str
    security_protocol: str
    ssl_truststore_location: str | None
    ssl_truststore_certificates: str | None
    ssl_truststore_type: str
    ssl_truststore_password: str | None
    ssl_keystore_location: str | None
    ssl_keystore_key: str | None
    ssl_keystore_certificate_chain: str | None
    ssl_keystore_type: str
    ssl_keystore_password: str | None
    ssl_key_password: str | None
    ssl_endpoint_identification_algorithm: str
    sasl_mechanism: str
    sasl_jaas_config: str | None
    sasl_username: str | None
    sasl_password: str | None
    sasl_kerberos_service_name: str | None
    sasl_oauthbearer_token_endpoint_url: str | None
    sasl_oauthbearer_client_credentials_client_id: str | None
    sasl_oauthbearer_client_credentials_client_secret: str | None
    sasl_oauthbearer_scope: str | None
    sasl_oauthbearer_token_provider: Callable[[], str] | None
    request_timeout_ms: int
    default_api_timeout_ms: int
    socket_connection_setup_timeout_ms: int
    reconnect_backoff_ms: int
    reconnect_backoff_max_ms: int
    retry_backoff_ms: int
    retry_backoff_max_ms: int
    metadata_max_age_ms: int
    connections_max_idle_ms: int

    @classmethod
    def of(cls, values: Mapping[str, object]) -> "ConnectionSettings":
        """Take the connections' properties out of `values` (by Kafka's names), with defaults for missing ones.

        Raises:
            ConfigError: a value is impossible.
        """
        return cls(**_values(CONNECTION_OPTIONS, values))

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.security_protocol in {"SSL", "SASL_SSL"}

    @property
    def uses_sasl(self) -> bool:
        """Whether connections log in."""
        return self.security_protocol in {"SASL_PLAINTEXT", "SASL_SSL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaOptions:
    """What to ask of a cluster. Times in ms, sizes in bytes.

    Reading is always of committed data. There is no batch.size or linger.ms: a batch is what one stretch of work gave.
    """

    fetch_min_bytes: int
    fetch_max_wait_ms: int
    fetch_max_bytes: int
    max_partition_fetch_bytes: int
    compression_type: str
    max_request_size: int
    delivery_timeout_ms: int
    transaction_timeout_ms: int
    session_timeout_ms: int
    heartbeat_interval_ms: int
    replication_factor: int

    @classmethod
    def of(cls, values: Mapping[str, object]) -> "KafkaOptions":
        """Take the data plane's properties out of `values` (by Kafka's names), with defaults for missing ones.

        Raises:
            ConfigError: a value is impossible.
        """
        return cls(**_values(DATA_OPTIONS, values))
