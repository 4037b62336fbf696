"""TLS: Kafka's ssl.* properties, given as PEM, turned into a context for sockets."""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.base.errors import ConfigError
from headrace.kafka.options import ConnectionSettings

__all__ = ["tls_context"]


def tls_context(settings: ConnectionSettings) -> ssl.SSLContext:
    """Make the context for all connections.

    Without a truststore the system's authorities are trusted, as Java trusts its own.

    Raises:
        ConfigError: a store is no PEM (says how to convert it), cannot be read, or does not fit its key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    algorithm = (settings.ssl_endpoint_identification_algorithm or "").strip()
    if algorithm.lower() not in {"https", ""}:
        raise ConfigError(
            f"ssl.endpoint.identification.algorithm is {algorithm!r}; write https, or nothing to accept any host"
        )
    context.check_hostname = bool(algorithm)
    _trust(context, settings)
    _show_certificate(context, settings)
    return context


def _trust(context: ssl.SSLContext, settings: ConnectionSettings) -> None:
    location = settings.ssl_truststore_location
    pem = settings.ssl_truststore_certificates
    if location is not None and pem is not None:
        raise ConfigError("ssl.truststore.location and ssl.truststore.certificates are both set: keep one")
    if location is not None:
        _check_kind("ssl.truststore.type", settings.ssl_truststore_type, location, "trust")
        pem = _read("ssl.truststore.location", location, "trust")
    if pem is None:
        context.load_default_certs()
        return
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        where = "ssl.truststore.certificates" if location is None else f"ssl.truststore.location={location}"
        raise ConfigError(f"{where} holds no certificates in PEM form ({error})") from None


def _show_certificate(context: ssl.SSLContext, settings: ConnectionSettings) -> None:
    location = settings.ssl_keystore_location
    key, chain = settings.ssl_keystore_key, settings.ssl_keystore_certificate_chain
    if location is None and key is None and chain is None:
        return
    if location is not None and (key is not None or chain is not None):
        raise ConfigError(
            "ssl.keystore.location and ssl.keystore.key are both set: keep the file, or key and certificate chain"
        )
    if location is None and (key is None or chain is None):
        raise ConfigError("ssl.keystore.key and ssl.keystore.certificate.chain belong together: set both")
    if location is not None:
        _check_kind("ssl.keystore.type", settings.ssl_keystore_type, location, "key")
        _read("ssl.keystore.location", location, "key")
    where = f"ssl.keystore.location={location}" if location else "ssl.keystore.key"
    try:
        if location is not None:
            context.load_cert_chain(location, password=lambda: settings.ssl_key_password or "")
        else:
            with _file_of(f"{key}\n{chain}\n") as path:
                context.load_cert_chain(path, password=lambda: settings.ssl_key_password or "")
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error)
        raise ConfigError(
            f"{where} gives no private key with its certificates in PEM form, or ssl.key.password is not its "
            f"password ({str(reason).replace('_', ' ').lower()})"
        ) from None


@contextmanager
def _file_of(pem: str) -> Iterator[str]:
    # OpenSSL takes a key from a file only. This one is for its owner alone, and lives for a moment.
    descriptor, path = tempfile.mkstemp(prefix="headrace-", suffix=".pem")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(pem)
        yield path
    finally:
        os.unlink(path)


def _check_kind(name: str, kind: str | None, location: str, content: str) -> None:
    if (kind or "PEM").upper() != "PEM":
        raise ConfigError(f"{name} is {kind}, but only PEM can be read; {_conversion(location, content)}")


def _read(name: str, location: str, content: str) -> str:
    try:
        data = Path(location).read_bytes()
    except OSError as error:
        raise ConfigError(f"{name}={location} cannot be read: {error.strerror or error}") from None
    if b"-----BEGIN" not in data:
        raise ConfigError(f"{name}={location} is no PEM file; {_conversion(location, content)}")
    return data.decode("utf-8", errors="replace")


def _conversion(location: str, content: str) -> str:
    """Say how a Java keystore becomes PEM."""
    stem = Path(location).with_suffix("")
    what = "-nokeys" if content == "trust" else "-nodes"
    return (
        f"convert it once: keytool -importkeystore -srckeystore {location} -destkeystore {stem}.p12 "
        f"-deststoretype PKCS12 (not needed for a PKCS12 file), then openssl pkcs12 -in {stem}.p12 {what} "
        f"-out {stem}.pem, and name that file"
    )
