"""The properties of the HTTP server, through which instances ask each other for stores, and people ask them.

None is a property of Kafka. All instances of an application need the same ones.
"""

from pathlib import Path
from typing import Any, Protocol

from typing_extensions import TypeVar

from headrace.base.errors import ConfigError
from headrace.base.options import Option, text

__all__ = ["OPTIONS", "SERVER_CA", "SERVER_CERTIFICATE", "SERVER_KEY", "SERVER_PATH", "token_of"]

T = TypeVar("T")

_TOKEN: Option[str | None] = Option(
    "server.token",
    text,
    None,
    "What requests to the HTTP server have to bring (Authorization: Bearer …). Not a property of Kafka.",
    lambda value: None if value is None else _wrong_token(value),
    is_secret=True,
)
_TOKEN_FILE: Option[str | None] = Option(
    "server.token.file", text, None, "A file with server.token, and nothing else. Not a property of Kafka."
)
SERVER_CERTIFICATE: Option[str | None] = Option(
    "server.ssl.certificate.location",
    text,
    None,
    "Certificate (PEM, with its chain) of the HTTP server, which then speaks TLS. Not a property of Kafka.",
)
SERVER_KEY: Option[str | None] = Option(
    "server.ssl.key.location", text, None, "Private key (PEM) of that certificate. Not a property of Kafka."
)
SERVER_CA: Option[str | None] = Option(
    "server.ssl.ca.location",
    text,
    None,
    "Certificates (PEM) that those of other instances are checked with, in place of the system's. Not a property of "
    "Kafka.",
)
SERVER_PATH: Option[str] = Option(
    "server.path",
    text,
    "",
    "Where hr.server.asgi() is mounted, such as /streams, so that instances find it; --serve answers at /. Not a "
    "property of Kafka.",
    lambda path: None if not path or (path[0] == "/" and path[-1] != "/") else "write it as /streams",
)

OPTIONS: tuple[Option[Any], ...] = (
    _TOKEN,
    _TOKEN_FILE,
    SERVER_CERTIFICATE,
    SERVER_KEY,
    SERVER_CA,
    SERVER_PATH,
)


class _Values(Protocol):
    def get(self, option: Option[T]) -> T: ...


def token_of(config: _Values) -> str | None:
    """Return the token that a configuration gives, or the file that it names; None where it has none.

    Raises:
        ConfigError: both are set, or the file cannot be read, or holds no token.
    """
    token, file = config.get(_TOKEN), config.get(_TOKEN_FILE)
    if file is None:
        return token
    if token is not None:
        raise ConfigError("server.token and server.token.file are both set: keep one")
    try:
        found = Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read server.token.file {file!r}: {error}") from None
    wrong = _wrong_token(found)
    if wrong is not None:
        raise ConfigError(f"the token in server.token.file {file!r} cannot be used: {wrong}")
    return found


def _wrong_token(token: str) -> str | None:
    if not token.isascii() or not token.isprintable() or " " in token:
        return "it goes into a header: use printable ASCII without blanks"
    return None if len(token) >= 16 else "it has less than 16 characters, which can be guessed"
