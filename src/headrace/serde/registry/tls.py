"""TLS for the registry: Kafka's ssl.* properties behind `schema.registry.`, given as PEM."""

import ssl
from pathlib import Path

from headrace.base.errors import ConfigError
from headrace.serde.registry.options import RegistrySettings

__all__ = ["tls_context"]


def tls_context(settings: RegistrySettings) -> ssl.SSLContext:
    """Make the context for all calls. Without a truststore the system's authorities are trusted.

    Raises:
        ConfigError: a store cannot be read, or is no PEM.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = bool(settings.schema_registry_ssl_endpoint_identification_algorithm.strip())
    location = settings.schema_registry_ssl_truststore_location
    pem = settings.schema_registry_ssl_truststore_certificates
    if location is not None:
        pem = _read("schema.registry.ssl.truststore.location", location)
    if pem is None:
        context.load_default_certs()
    else:
        try:
            context.load_verify_locations(cadata=pem)
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError(
                f"schema.registry.ssl.truststore holds no certificates in PEM form ({error})"
            ) from None
    keystore = settings.schema_registry_ssl_keystore_location
    if keystore is not None:
        _read("schema.registry.ssl.keystore.location", keystore)
        try:
            context.load_cert_chain(keystore, password=settings.schema_registry_ssl_key_password or "")
        except (ssl.SSLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or str(error)
            raise ConfigError(
                f"schema.registry.ssl.keystore.location={keystore} gives no private key with its certificates in PEM "
                f"form, or schema.registry.ssl.key.password is not its password ({reason})"
            ) from None
    return context


def _read(name: str, location: str) -> str:
    try:
        data = Path(location).read_bytes()
    except OSError as error:
        raise ConfigError(f"{name}={location} cannot be read: {error.strerror or error}") from None
    if b"-----BEGIN" not in data:
        raise ConfigError(
            f"{name}={location} is no PEM file: export it from a Java keystore with keytool -exportcert -rfc, or "
            "convert a PKCS12 file with openssl pkcs12"
        )
    return data.decode("utf-8", errors="replace")
