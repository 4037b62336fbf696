"""How an instance asks another one over HTTP: connections that are kept, and one question at a time on each."""

import http.client
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress

from headrace.base.errors import ConfigError
from headrace.group.user_data import Endpoint
from headrace.query.questions import Refused

__all__ = ["MEDIA_TYPE", "Connections"]

MEDIA_TYPE = "application/msgpack"

#: How many idle connections to one instance are kept.
_KEPT_MAX = 16

#: What an answer may have at most; a page has 1 MiB, or one row.
_ANSWER_BYTES_MAX = 256 * 1024 * 1024


class Connections:
    """To all instances of an application. From any thread.

    Args:
        path: where their servers are mounted.
        ca: file of certificates that theirs are checked with; None has those of the system.

    Raises:
        ConfigError: the file cannot be read.
    """

    def __init__(self, *, path: str, token: str | None, is_over_tls: bool, ca: str | None) -> None:
        self._target = f"{path}/query"
        self._headers: Mapping[str, str] = {
            "content-type": MEDIA_TYPE,
            **({} if token is None else {"authorization": f"Bearer {token}"}),
        }
        self._tls: ssl.SSLContext | None = None
        if is_over_tls:
            try:
                self._tls = ssl.create_default_context(cafile=ca)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(f"cannot read server.ssl.ca.location {ca!r}: {error}") from None
        self._lock = threading.Lock()
        self._idle: dict[Endpoint, list[http.client.HTTPConnection]] = {}

    def ask(self, endpoint: Endpoint, question: bytes, timeout_s: float) -> bytes:
        """Send a question, and return the answer.

        Raises:
            Refused: there is no answer in time, or one of another kind: says what came instead.
        """
        where = f"{endpoint[0]}:{endpoint[1]}"
        while True:
            connection, is_kept = self._taken(endpoint, timeout_s)
            try:
                connection.request("POST", self._target, question, self._headers)
                response = connection.getresponse()
                body = response.read(_ANSWER_BYTES_MAX)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if is_kept and not isinstance(error, TimeoutError):
                    continue  # it was closed while nobody looked, as servers do; a question changes nothing
                raise Refused(f"{where} does not answer: {_reason(error)}") from None
            except BaseException:
                connection.close()
                raise
            if response.will_close or not response.isclosed():
                connection.close()
            else:
                self._put_back(endpoint, connection)
            if response.status == 200:
                return body
            raise Refused(f"{where} answers {response.status}: {body[:300].decode(errors='replace')}")

    def _taken(self, endpoint: Endpoint, timeout_s: float) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            idle = self._idle.get(endpoint)
            connection = idle.pop() if idle else None
        if connection is not None:
            connection.timeout = timeout_s
            if connection.sock is not None:
                connection.sock.settimeout(timeout_s)
            return connection, True
        if self._tls is None:
            return http.client.HTTPConnection(*endpoint, timeout=timeout_s), False
        return http.client.HTTPSConnection(*endpoint, timeout=timeout_s, context=self._tls), False

    def _put_back(self, endpoint: Endpoint, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            idle = self._idle.setdefault(endpoint, [])
            if len(idle) < _KEPT_MAX:
                idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close those that are idle; others are, when their answers have come."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connection in (each for found in idle.values() for each in found):
            with suppress(OSError):
                connection.close()


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "nothing came in time"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there (is it served? headrace run --serve, or hr.server.asgi)"
    return str(error) or type(error).__name__
