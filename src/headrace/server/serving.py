"""Serves an application's questions beside its stream threads: a thread and an event loop of its own, on uvicorn.

# Invariant: closing does not depend on what clients do: open answers are ended by us (`timeout_graceful_shutdown`), and
# nothing is left to uvicorn's lifespan, which it does not leave while an answer is open.
"""

import asyncio
import ipaddress
import logging
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

import uvicorn

from headrace.base.errors import ConfigError, StateError
from headrace.base.last_words import log_safely
from headrace.server.asgi import serving
from headrace.server.connection import protocol_of
from headrace.server.quick_questions import QuickQuestions
from headrace.server.streaming import Streaming
from headrace.streams.runnable import Runnable
from headrace.streams.server_options import SERVER_CERTIFICATE, SERVER_KEY, SERVER_PATH, token_of
from headrace.streams.streams import Streams

__all__ = ["Server"]

_log = logging.getLogger("headrace.server")

#: One more takes the place of the one that has asked for nothing for the longest, and is answered with 503 where all
#: wait for answers. Each costs a file and some 50 KB.
_CONNECTIONS_MAX = 256

#: What the head of a request may have.
_HEAD_BYTES_MAX = 32 * 1024

#: How long answers that are under way may take when it closes.
_LAST_ANSWERS_SECONDS = 1

#: Until it is closed at last; the thread is a daemon, and holds nothing that a program's end has to wait for.
_CLOSE_SECONDS = 5.0

_ANYWHERE = ("0.0.0.0", "::", "")


class Server:
    """Serves one application, of a topology or a sink, at one address, from `start` to `close`; a context does both.

    Without `is_insecure`, an address that others reach needs a token (`server.token`, `server.token.file`).

    Raises:
        ConfigError: the address is none or cannot be used, a token is needed, or TLS's files cannot be read.
    """

    def __init__(
        self, application: Runnable, host: str = "127.0.0.1", port: int = 0, *, is_insecure: bool = False
    ) -> None:
        config = application.config
        token = token_of(config)
        if token is None and not is_insecure and not _is_loopback(host):
            raise ConfigError(
                f"cannot serve at {host}: others reach it, and would read every store: set server.token.file, or "
                "HEADRACE_SERVER_TOKEN in the environment, or allow it in words (--insecure)"
            )
        certificate, key = config.get(SERVER_CERTIFICATE), config.get(SERVER_KEY)
        if key is not None and certificate is None:
            raise ConfigError("server.ssl.key.location is set without server.ssl.certificate.location")
        self._application = application
        self._is_over_tls = certificate is not None
        hosts = (
            None
            if token is not None or is_insecure
            else frozenset({"localhost", "127.0.0.1", "[::1]", host.lower()})
        )
        self._streaming = Streaming()
        quick = (
            QuickQuestions(application, token=token, hosts=hosts).answer
            if isinstance(application, Streams)
            else lambda data: None
        )
        self._socket = _listening(host, port)
        self.host: str = host
        self.port: int = self._socket.getsockname()[1]
        try:
            self._uvicorn = uvicorn.Server(
                uvicorn.Config(
                    serving(application, self._streaming, hosts=hosts),
                    http=protocol_of(quick, connections_max=_CONNECTIONS_MAX),
                    loop="asyncio",
                    ws="none",
                    lifespan="off",
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    proxy_headers=False,
                    limit_concurrency=_CONNECTIONS_MAX + 1,
                    backlog=_CONNECTIONS_MAX,
                    h11_max_incomplete_event_size=_HEAD_BYTES_MAX,
                    timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS,
                    ssl_certfile=certificate,
                    ssl_keyfile=key,
                )
            )
            self._uvicorn.config.load()
        except (OSError, ValueError) as error:
            self._socket.close()
            raise ConfigError(f"cannot serve at {host}:{port} with TLS: {error}") from error
        self._thread = threading.Thread(
            target=self._run, name=f"{application.application_id}-server", daemon=True
        )

    @property
    def url(self) -> str:
        """Where it is asked."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self._is_over_tls else ''}://{host}:{self.port}"

    def start(self) -> None:
        """Answer from now on, whatever the state of the application is.

        Raises:
            StateError: it was started or closed before.
        """
        if self._thread.ident is not None or self._socket.fileno() == -1:
            raise StateError("a server is started once: make a new one")
        path = self._application.config.get(SERVER_PATH)
        if path:
            _log.warning(
                "server.path is %r, and the server at %s answers at /: that property is for hr.server.asgi() mounted "
                "in another application. Other instances ask this one at %s%s/query, which is 404 unless something in "
                "front takes the path away; leave server.path out where nothing does",
                path,
                self.url,
                self.url,
                path,
            )
        self._thread.start()

    def close(self) -> None:
        """Stop answering; blocks for seconds at most. Twice is fine."""
        self._streaming.close()
        self._uvicorn.should_exit = True
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(_CLOSE_SECONDS)
        with suppress(OSError):
            self._socket.close()

    @property
    def is_serving(self) -> bool:
        """Whether it answers."""
        return self._thread.is_alive() and not self._uvicorn.should_exit

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            asyncio.run(self._uvicorn.serve(sockets=[self._socket]))
        except BaseException as error:  # SystemExit too, by which uvicorn gives up
            failure = error
        if not self._uvicorn.should_exit or failure is not None:
            log_safely(
                _log,
                logging.ERROR,
                "the server of application %r at %s has ended; the application goes on, and answers nobody",
                self._application.application_id,
                self.url,
                exc_info=failure,
            )
        self._uvicorn.should_exit = True


def _is_loopback(host: str) -> bool:
    if host in _ANYWHERE:
        return False
    if host.lower() == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens: a place that is taken is told now, and not by a thread."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server((address[0], port), family=family, backlog=_CONNECTIONS_MAX)
    except (OSError, OverflowError, UnicodeError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"cannot serve at {host}:{port}: {said}") from None
