"""Sockets, plain and TLS, below a connection: opened, read in large pieces, written at once, and surely closed."""

import errno
import logging
import os
import socket
import ssl
from typing import Any

from kafka.errors import KafkaTimeoutError
from kafka.net.transport import KafkaTCPTransport

from headrace.kafka.metadata import Address
from headrace.kafka.net.errors import Ending, NetworkError
from headrace.kafka.net.frames import FrameError, FrameReader

__all__ = ["Transport", "open_socket"]

_log = logging.getLogger(__name__)

_OPTIONS = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
_CLOSED = "it closed the connection"

_LATER = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_UNDER_WAY = frozenset({errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK})


async def open_socket(selector: Any, address: Address, timeout_at: float) -> socket.socket:
    """Connect to the first address of a host that answers. The name is looked up blocking.

    Raises:
        NetworkError: none answered until `timeout_at`, monotonic seconds.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, socket.AF_UNSPEC, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise NetworkError(f"its name cannot be looked up ({reason})") from error
    wrong = "its name has no address"
    for family, kind, protocol, _, socket_address in found:
        sock = socket.socket(family, kind, protocol)
        try:
            await _connect(selector, sock, socket_address, timeout_at)
        except KafkaTimeoutError:
            sock.close()
            wrong = "nothing answers there (time-out); a firewall, or a wrong address?"
        except OSError as error:
            sock.close()
            wrong = f"it cannot be connected to ({error.strerror or error})"
        except BaseException:
            # Cancelled: the network is being closed.
            sock.close()
            raise
        else:
            return sock
    raise NetworkError(wrong)


async def _connect(selector: Any, sock: socket.socket, socket_address: Any, timeout_at: float) -> None:
    sock.setblocking(False)
    for option in _OPTIONS:
        sock.setsockopt(*option)
    code = sock.connect_ex(socket_address)
    if code in _UNDER_WAY:
        await selector.wait_write(sock, timeout_at=timeout_at)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


class Transport(KafkaTCPTransport):  # type: ignore[misc]  # kafka-python has no types
    """A connection's socket.

    Differs from kafka-python's: it reads right into the frames, writes at once what the socket takes, hands on what
    came before an end of stream (a broker answers a wrong password, then closes), bounds the TLS handshake in time,
    and says what went wrong as a NetworkError.
    """

    def __init__(self, selector: Any, sock: socket.socket, host: str, context: ssl.SSLContext | None) -> None:
        self._frames = FrameReader()
        self._is_tls = context is not None
        if context is not None:
            try:
                sock = context.wrap_socket(
                    sock, server_hostname=host.rstrip("."), do_handshake_on_connect=False
                )
            except BaseException:
                sock.close()
                raise
        super().__init__(selector, sock, host=host)
        self._writing: bool = False

    async def shake_hands(self, timeout_at: float) -> None:
        """Finish the TLS handshake; nothing to do on a plain socket.

        Raises:
            NetworkError: the broker does not speak TLS, does not accept us, or is not whom we trust.
        """
        while self._is_tls:
            try:
                self._sock.do_handshake()
                return
            except ssl.SSLWantReadError:
                await self._wait(self._net.wait_read, timeout_at)
            except ssl.SSLWantWriteError:
                await self._wait(self._net.wait_write, timeout_at)
            except OSError as error:
                raise _broken(error, during_handshake=True) from error

    async def _wait(self, wait: Any, timeout_at: float) -> None:
        try:
            await wait(self._sock, timeout_at=timeout_at)
        except KafkaTimeoutError as error:
            raise NetworkError(
                "it did not answer the TLS handshake in time; does this port speak TLS (security.protocol)?"
            ) from error

    async def _read_from_sock(self) -> None:
        while self._read and not self._closed:
            await self._net.wait_read(self._sock)
            error = self._receive()
            if error is not None:
                # What came just before is read first: a broker says why a login failed, and closes in the same breath.
                await self._net.sleep(0)
                self.abort(error)
                return

    def _receive(self) -> Exception | None:
        """Hand on all frames that are there. What is wrong with the connection, if anything is."""
        while not self._closed:
            space = self._frames.space()
            try:
                count = self._sock.recv_into(space)
            except _LATER:
                return None
            except OSError as error:
                return _broken(error)
            if count == 0:
                return NetworkError(_CLOSED, ending=Ending.CLOSED)
            try:
                for frame in self._frames.received(count):
                    self._protocol.data_received(frame)
                    if self._closed:
                        return None
            except FrameError as error:
                return NetworkError(str(error), is_fatal=True)
            except Exception as error:
                # Whatever a malformed answer does to the decoder: this connection is of no more use.
                _log.debug("%s: answer cannot be read", self, exc_info=True)
                return NetworkError(f"its answer cannot be read ({type(error).__name__}: {error})")
            # TLS keeps decrypted bytes that the selector does not see; a plain socket is asked again by it.
            if count < len(space) and not self._is_tls:
                return None
        return None

    def write(self, data: bytes) -> None:
        """Send what the socket takes now, and leave the rest to the selector."""
        if self._closed or not self._write:
            raise NetworkError("the connection is closed")
        self._write_buffer.append(data)
        if self._writing:
            return
        _, error = self._sock_send()
        if error is not None:
            # Not here: the caller is about to note the request, which must be there to be failed.
            self._net.call_soon(lambda: self.abort(error))
        elif self._write_buffer:
            self._writing = True
            self._write_task = self._net.call_soon(self._write_to_sock)

    def _sock_send(self) -> tuple[int, Exception | None]:
        total = 0
        if self._sock is None:
            return total, NetworkError("the connection was closed")
        while self._write_buffer:
            part = memoryview(self._write_buffer.popleft())
            while part:
                try:
                    sent = self._sock.send(part)
                except _LATER:
                    self._write_buffer.appendleft(part)
                    return total, None
                except OSError as error:
                    return total, _broken(error)
                total += sent
                part = part[sent:]
        return total, None


def _broken(error: OSError, *, during_handshake: bool = False) -> NetworkError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return NetworkError(
            f"its certificate is not accepted ({error.verify_message}); ssl.truststore.location must hold the "
            f"authority that signed it, and the name in it must be the host's "
            f"(ssl.endpoint.identification.algorithm= accepts any)",
            is_fatal=True,
        )
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or (
        during_handshake and isinstance(error, ConnectionError)
    ):
        if during_handshake:
            return NetworkError(f"{_CLOSED} during the TLS handshake", ending=Ending.CLOSED_IN_HANDSHAKE)
        return NetworkError(f"{_CLOSED} (TLS)", ending=Ending.CLOSED)
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or str(error)).replace("_", " ").lower()
        return NetworkError(f"TLS failed ({reason}); {_tls_advice(reason)}", is_fatal=True)
    return NetworkError(f"the connection broke ({error.strerror or error})")


def _tls_advice(reason: str) -> str:
    if "wrong version number" in reason or "record layer" in reason:
        return "this port does not speak TLS: set security.protocol to PLAINTEXT or SASL_PLAINTEXT"
    if "certificate" in reason or "unknown ca" in reason:
        return "the broker wants a client certificate that it trusts: set ssl.keystore.location"
    return "check ssl.* and the broker's ssl.* properties"
