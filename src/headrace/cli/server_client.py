"""How a command asks the HTTP server of an application that runs, here or elsewhere."""

import http.client
import re
import ssl
from typing import Any
from urllib.parse import urlsplit

import msgspec

from headrace.base.errors import ConfigError, HeadraceError

__all__ = ["ServerClient", "ServerUnansweredError"]

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:/\s]+):\d{1,5}")

#: An answer of a thousand tasks has some hundred kilobytes.
_ANSWER_BYTES_MAX = 64 * 1024 * 1024


class ServerUnansweredError(HeadraceError):
    """A server does not answer now, or not with what was asked for; it may do so later."""


class ServerClient:
    """Asks one server. Each question has a connection of its own.

    Args:
        address: HOST:PORT, or the URL that it is served under, with the path where it is mounted.
        token: what it wants to see, None where it wants none.
        ca: file of certificates that its own is checked with, over https; None has those of the system.

    Raises:
        ConfigError: the address is none, or the file cannot be read.
    """

    def __init__(self, address: str, *, token: str | None, ca: str | None, seconds: float) -> None:
        self.url = _url_of(address)
        parts = urlsplit(self.url)
        self._host, self._port = parts.hostname or "", parts.port
        self._path = parts.path
        self._headers = {"accept": "application/json"}
        if token is not None:
            self._headers["authorization"] = f"Bearer {token}"
        self._seconds = seconds
        self._tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            try:
                self._tls = ssl.create_default_context(cafile=ca)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(f"cannot read server.ssl.ca.location {ca!r}: {error}") from None

    def get(self, path: str) -> Any:
        """Ask, and return the document.

        Raises:
            ServerUnansweredError: nobody answers, or something else than such a server.
            ConfigError: it wants a token, or another one.
        """
        connection = (
            http.client.HTTPConnection(self._host, self._port, timeout=self._seconds)
            if self._tls is None
            else http.client.HTTPSConnection(self._host, self._port, timeout=self._seconds, context=self._tls)
        )
        try:
            connection.request("GET", self._path + path, headers=self._headers)
            answer = connection.getresponse()
            body = answer.read(_ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException) as error:
            raise ServerUnansweredError(f"{self.url} does not answer: {self._reason(error)}") from None
        finally:
            connection.close()
        return self._document(answer.status, body)

    def _document(self, status: int, body: bytes) -> Any:
        try:
            document = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            document = None
        said = document.get("error") if isinstance(document, dict) else None
        if status == 401 and said is not None:
            has_one = "authorization" in self._headers
            raise ConfigError(
                f"{self.url} {'takes another token than that' if has_one else 'wants a token'}: set "
                "HEADRACE_SERVER_TOKEN, or give --set server.token.file=FILE"
            )
        if status == 200 and document is not None:
            return document
        if said is not None and status != 404:
            raise ServerUnansweredError(f"{self.url} answers {status}: {said}")
        raise ServerUnansweredError(
            f"{self.url} answers {status}, and is no server of headrace of this version: give the address that "
            "`headrace run --serve` names, or the URL where hr.server.asgi() is mounted"
        )

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"nothing came in {self._seconds:g} s"
        if isinstance(error, ConnectionRefusedError):
            return "nobody listens there; `headrace run --serve HOST:PORT` does, give that address"
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"{error.verify_message}; give --set server.ssl.ca.location=FILE"
        if isinstance(error, http.client.HTTPException | ssl.SSLError):
            return f"it does not speak {'HTTP' if self._tls is None else 'TLS'} ({type(error).__name__})"
        return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _url_of(address: str) -> str:
    """Return the URL of an address, without a slash at its end.

    >>> _url_of("127.0.0.1:8080"), _url_of("https://shop.example/streams/")
    ('http://127.0.0.1:8080', 'https://shop.example/streams')

    Raises:
        ConfigError: it is none.
    """
    url = f"http://{address}" if _ADDRESS.fullmatch(address) else address
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_one = False
    if not is_one or parts.query or parts.fragment or parts.username or re.search(r"\s", url):
        raise ConfigError(
            f"{address!r} is no address of a server: write HOST:PORT, or http://HOST:PORT/PATH where it is mounted"
        )
    return url.rstrip("/")
