"""Servers on a free port that are no Kafka: what a wrong address or a broken broker may turn out to be."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kafka.protocol.metadata import ApiVersionsResponse, MetadataResponse

__all__ = ["answer", "brokers", "closed_port", "read_frame", "serving", "versions"]


@contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Hand each connection to `serve`, one after another, and close it then; gives the address."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)

        def run() -> None:
            while not ended.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                connection.settimeout(5)
                with connection, suppress(OSError):
                    serve(connection)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()


def read_frame(connection: socket.socket) -> bytes:
    """Read one request."""
    (length,) = struct.unpack(">i", _exactly(connection, 4))
    return _exactly(connection, length)


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionError
        data += part
    return data


def closed_port() -> str:
    """Give an address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def answer(connection: socket.socket, request: bytes, response: Any) -> None:
    """Send a response to a request that was read, with its correlation id."""
    body = request[4:8] + (b"\x00" if response.API_KEY == 3 else b"") + response.encode()
    connection.sendall(struct.pack(">i", len(body)) + body)


def versions() -> Any:
    """Make an answer to ApiVersions of a broker that has little: ApiVersions, Metadata 9, OffsetFetch 7, logins."""
    one = ApiVersionsResponse.ApiVersion
    ranges = {18: (0, 4), 3: (0, 9), 9: (0, 7), 17: (0, 1), 36: (0, 2)}
    keys = [
        one(version=4, api_key=key, min_version=low, max_version=high) for key, (low, high) in ranges.items()
    ]
    return ApiVersionsResponse(version=4, error_code=0, api_keys=keys, throttle_time_ms=0)


def brokers(address: str, *, throttle_ms: int = 0) -> Any:
    """Make an answer to Metadata 9 that names one broker, number 0."""
    host, _, port = address.rpartition(":")
    broker = MetadataResponse.MetadataResponseBroker(
        version=9, node_id=0, host=host, port=int(port), rack=None
    )
    return MetadataResponse(
        version=9,
        throttle_time_ms=throttle_ms,
        brokers=[broker],
        cluster_id="c",
        controller_id=0,
        topics=[],
        authorized_operations=None,
    )
