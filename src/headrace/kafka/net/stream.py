"""Sockets, plain and TLS, below a connection: connected, read in large pieces, written at once, and surely closed."""

import errno
import os
import socket
import ssl
from collections import deque

from headrace.kafka.metadata import Address
from headrace.kafka.net.errors import Ending, NetworkError
from headrace.kafka.net.frames import FrameError, FrameReader

__all__ = ["Dial", "Stream"]

_OPTIONS = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
_CLOSED = "it closed the connection"

_LATER = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_UNDER_WAY = frozenset({errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK})


class Dial:
    """Connecting to the first address of a host that answers.

    Attributes:
        sock: what is being connected now.
        until: until when (monotonic seconds) it may take: its share of the time that is left for all.
    """

    def __init__(self, address: Address, now: float, deadline: float) -> None:
        """Look the name up, blocking, and begin.

        Raises:
            NetworkError: the name is not known, or no address can be connected to.
        """
        try:
            found = socket.getaddrinfo(address.host, address.port, socket.AF_UNSPEC, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise NetworkError(f"its name cannot be looked up ({reason})") from error
        self._left = deque(found)
        self._deadline = deadline
        self._wrong = "its name has no address"
        self.sock: socket.socket
        self.until = now
        self._next(now)

    def _next(self, now: float) -> None:
        while self._left:
            self.until = min(self._deadline, now + (self._deadline - now) / len(self._left))
            family, kind, protocol, _, socket_address = self._left.popleft()
            self.sock = socket.socket(family, kind, protocol)
            try:
                self.sock.setblocking(False)
                for option in _OPTIONS:
                    self.sock.setsockopt(*option)
                code = self.sock.connect_ex(socket_address)
            except BaseException:
                self.sock.close()
                raise
            if code == 0 or code in _UNDER_WAY:
                return
            self._refused(code)
        raise NetworkError(self._wrong)

    def _refused(self, code: int) -> None:
        self._wrong = f"it cannot be connected to ({os.strerror(code)})"
        self.sock.close()

    def look(self, now: float, *, is_ready: bool) -> bool:
        """Return whether the socket is connected. It may be another one afterwards: the next address.

        Raises:
            NetworkError: no address has answered.
        """
        if is_ready:
            code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code == 0:
                return True
            self._refused(code)
            self._next(now)
        elif now >= self.until:
            self._wrong = "nothing answers there (time-out); a firewall, or a wrong address?"
            self.sock.close()
            self._next(now)
        return False


class Stream:
    """A connected socket, as frames in and bytes out. Never blocks.

    Attributes:
        sock: the socket, which is another object with TLS.
        wants_write: something waits until the socket can be written to.
    """

    def __init__(self, sock: socket.socket, host: str, tls: ssl.SSLContext | None) -> None:
        self.sock = sock
        self.wants_write = False
        self._is_tls = tls is not None
        self._is_shaken = tls is None
        self._frames = FrameReader()
        self._unsent: deque[memoryview] = deque()
        if tls is not None:
            try:
                self.sock = tls.wrap_socket(
                    sock, server_hostname=host.rstrip("."), do_handshake_on_connect=False
                )
            except BaseException:
                sock.close()
                raise

    def shake_hands(self) -> bool:
        """Go on with the TLS handshake; return whether it is done, as it is on a plain socket.

        Raises:
            NetworkError: the broker does not speak TLS, does not accept us, or is not whom we trust.
        """
        if self._is_shaken:
            return True
        assert isinstance(self.sock, ssl.SSLSocket)
        self.wants_write = False
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLWantWriteError:
            self.wants_write = True
            return False
        except OSError as error:
            raise _broken(error, during_handshake=True) from error
        self._is_shaken = True
        return True

    def receive(self) -> tuple[list[memoryview], NetworkError | None]:
        """Return the frames that are complete by now, and what is wrong with the connection behind them, if anything.

        A broker says why a login failed, and closes in the same breath: what came before an end counts.
        """
        frames: list[memoryview] = []
        while True:
            space = self._frames.space()
            try:
                count = self.sock.recv_into(space)
            except _LATER:
                return frames, None
            except OSError as error:
                return frames, _broken(error)
            if count == 0:
                return frames, NetworkError(_CLOSED, ending=Ending.CLOSED)
            try:
                frames += self._frames.received(count)
            except FrameError as error:
                return frames, NetworkError(str(error), is_fatal=True)
            # TLS keeps decrypted bytes that a selector does not see; a plain socket is seen again.
            if count < len(space) and not self._is_tls:
                return frames, None

    def send(self, parts: list[bytes]) -> None:
        """Write what the socket takes now, and keep the rest for `flush`.

        Raises:
            NetworkError: the connection is broken.
        """
        self._unsent += map(memoryview, parts)
        if not self.wants_write:
            self.flush()

    def flush(self) -> None:
        """Write on.

        Raises:
            NetworkError: the connection is broken.
        """
        while self._unsent:
            part = self._unsent[0]
            try:
                sent = self.sock.send(part)
            except _LATER:
                break
            except OSError as error:
                raise _broken(error) from error
            if sent < len(part):
                self._unsent[0] = part[sent:]
            else:
                self._unsent.popleft()
        self.wants_write = bool(self._unsent)

    def close(self) -> None:
        """Close the socket; what was not written is lost."""
        self.sock.close()


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
