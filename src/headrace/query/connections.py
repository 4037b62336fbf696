"""How an instance asks another one over HTTP: connections that are kept, and one question at a time on each.

A client of our own: one question is one packet each way, and http.client takes 0.2 ms of a core for the headers alone,
which is more than all the rest. It speaks as much of HTTP as our server does.
"""

import re
import socket
import ssl
import threading
import time
from contextlib import suppress

from headrace.base.errors import ConfigError
from headrace.group.user_data import Endpoint
from headrace.query.questions import Refused

__all__ = ["MEDIA_TYPE", "Connections"]

MEDIA_TYPE = "application/msgpack"

#: How many idle connections to one instance are kept, and for how long: uvicorn closes one after 5 s, others later.
_KEPT_MAX = 16
_KEPT_S = 5.0

#: What an answer may have at most; a page has 1 MiB, or one row.
_ANSWER_BYTES_MAX = 256 * 1024 * 1024
_HEAD_BYTES_MAX = 16 * 1024
_READ_BYTES = 64 * 1024

_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3})[ \r]")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,12})\r", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close\r", re.IGNORECASE)


class Connections:
    """To all instances of an application. From any thread.

    Args:
        path: where their servers are mounted.
        ca: file of certificates that theirs are checked with; None has those of the system.

    Raises:
        ConfigError: the file cannot be read.
    """

    def __init__(self, *, path: str, token: str | None, is_over_tls: bool, ca: str | None) -> None:
        authorization = "" if token is None else f"authorization: Bearer {token}\r\n"
        self._path = path
        self._authorization = authorization.encode()
        self._head = f"POST {path}/query HTTP/1.1\r\ncontent-type: {MEDIA_TYPE}\r\n{authorization}".encode()
        self._tls: ssl.SSLContext | None = None
        if is_over_tls:
            try:
                self._tls = ssl.create_default_context(cafile=ca)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(f"cannot read server.ssl.ca.location {ca!r}: {error}") from None
        self._lock = threading.Lock()
        self._idle: dict[
            Endpoint, list[tuple[float, socket.socket]]
        ] = {}  # since when; the last one has waited least
        self._is_closed = False

    def ask(self, endpoint: Endpoint, question: bytes, timeout_s: float) -> bytes:
        """Send a question, and return the answer.

        Raises:
            Refused: there is no answer in time, or one of another kind: says what came instead.
        """
        request = b"%bhost: %b\r\ncontent-length: %d\r\n\r\n%b" % (
            *(self._head, _host_of(endpoint), len(question), question),
        )
        return self._exchanged(endpoint, request, timeout_s)

    def get(self, endpoint: Endpoint, target: str, timeout_s: float) -> bytes:
        """Ask for a document: `target` is a path of ASCII, with its query, below that where servers are mounted.

        Raises:
            Refused: there is no answer in time, or one of another kind: says what came instead.
        """
        request = b"GET %b%b HTTP/1.1\r\n%bhost: %b\r\n\r\n" % (
            *(self._path.encode(), target.encode("ascii"), self._authorization, _host_of(endpoint)),
        )
        return self._exchanged(endpoint, request, timeout_s)

    def _exchanged(self, endpoint: Endpoint, request: bytes, timeout_s: float) -> bytes:
        """Send a request that may be sent twice, and return the body of its answer."""
        name, port = _name_of(endpoint), endpoint[1]
        deadline = time.monotonic() + timeout_s
        while True:
            connection, is_kept = None, False
            try:
                connection, is_kept = self._taken(endpoint, deadline)
                connection.settimeout(_left(deadline))
                connection.sendall(request)
                status, body, is_last = _read(connection, deadline)
            except (OSError, ValueError) as error:
                if connection is not None:
                    connection.close()
                if is_kept and not isinstance(error, TimeoutError):
                    continue  # it was closed while nobody looked, as servers do; a question changes nothing
                if is_kept:
                    self._drop(endpoint)  # whoever is silent on one would cost the next question its time too
                raise Refused(f"{name}:{port} does not answer: {_reason(error)}") from None
            except BaseException:
                if connection is not None:
                    connection.close()
                raise
            if is_last:
                connection.close()
            else:
                self._put_back(endpoint, connection)
            if status == 200:
                return body
            raise Refused(f"{name}:{port} answers {status}: {body[:300].decode(errors='replace')}")

    def _taken(self, endpoint: Endpoint, deadline: float) -> tuple[socket.socket, bool]:
        with self._lock:
            self._drop_old(time.monotonic() - _KEPT_S)
            idle = self._idle.get(endpoint)
            if idle:
                return idle.pop()[1], True
        connection = socket.create_connection(endpoint, timeout=_left(deadline))
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                return connection, False
            return self._tls.wrap_socket(connection, server_hostname=endpoint[0]), False
        except BaseException:
            connection.close()
            raise

    def _put_back(self, endpoint: Endpoint, connection: socket.socket) -> None:
        now = time.monotonic()
        with self._lock:
            self._drop_old(now - _KEPT_S)
            idle = self._idle.setdefault(endpoint, [])
            if len(idle) < _KEPT_MAX and not self._is_closed:
                idle.append((now, connection))
                return
        connection.close()

    def _drop_old(self, before: float) -> None:
        """Close what has waited since before a moment, to whichever instance: one that is gone is asked no more."""
        for endpoint, idle in list(self._idle.items()):
            while idle and idle[0][0] < before:
                _close(idle.pop(0)[1])
            if not idle:
                del self._idle[endpoint]

    def _drop(self, endpoint: Endpoint) -> None:
        with self._lock:
            idle = self._idle.pop(endpoint, ())
        for _, connection in idle:
            _close(connection)

    def close(self) -> None:
        """Close those that are idle; others are, when their answers have come."""
        with self._lock:
            self._is_closed = True
            self._drop_old(float("inf"))


def _name_of(endpoint: Endpoint) -> str:
    return f"[{endpoint[0]}]" if ":" in endpoint[0] else endpoint[0]


def _host_of(endpoint: Endpoint) -> bytes:
    name = _name_of(endpoint)
    return b"%b:%d" % (name.encode("idna" if not name.isascii() else "ascii"), endpoint[1])


def _close(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _read(connection: socket.socket, deadline: float) -> tuple[int, bytes, bool]:
    """Read an answer: its status, its body, and whether the connection ends with it.

    Raises:
        ValueError: it is none that our server gives.
        OSError: the connection has ended, or the time.
    """
    data = bytearray()
    while (end := data.find(b"\r\n\r\n")) < 0:
        if len(data) > _HEAD_BYTES_MAX:
            raise ValueError("the head of its answer does not end")
        data += _part(connection, deadline)
    head = bytes(data[: end + 2])
    status, length = _STATUS.match(head), _LENGTH.search(head)
    if status is None or length is None or int(length[1]) > _ANSWER_BYTES_MAX:
        raise ValueError(f"it is not served by headrace, by its answer: {head[:100]!r}")
    wanted = end + 4 + int(length[1])
    while len(data) < wanted:
        data += _part(connection, deadline)
    is_last = len(data) != wanted or _CLOSES.search(head) is not None
    return int(status[1]), bytes(data[end + 4 : wanted]), is_last


def _part(connection: socket.socket, deadline: float) -> bytes:
    connection.settimeout(_left(deadline))
    part = connection.recv(_READ_BYTES)
    if not part:
        raise ConnectionResetError("it has closed the connection")
    return part


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "nothing came in time"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there (is it served? headrace run --serve, or hr.server.asgi)"
    return str(error) or type(error).__name__
