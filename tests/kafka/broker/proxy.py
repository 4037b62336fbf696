"""A TCP proxy in front of one broker, which hurts connections when the test says so.

The broker has to advertise the proxy's address, so that clients come through it:

    with Proxy() as proxy, LocalKafka(advertised=[proxy.address]) as kafka:
        proxy.target = kafka.broker_servers[0]
        lost = proxy.swallow_answers(api_key=0)    # the broker appends, the producer never hears of it
        ...
        lost.wait()

It reads the frames of Kafka's protocol, so the connections are plain; a SASL login goes through, TLS does not.
"""

import asyncio
import struct
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from headrace.testing.local_kafka.settings import free_ports

_T = TypeVar("_T")
_Kind = Literal["swallow", "cut answer", "cut request", "delay"]


class Fault:
    """Something that will happen to frames that match, until it has happened `count` times or `clear` ends it."""

    def __init__(
        self, kind: _Kind, *, api_key: int | None, count: int | None, seconds: float, closes: bool
    ) -> None:
        self.kind = kind
        self.api_key = api_key
        self.seconds = seconds
        self.closes = closes
        self._left = count
        self._happened = 0
        self._condition = threading.Condition()

    @property
    def happened(self) -> int:
        """How many times."""
        return self._happened

    def wait(self, times: int = 1, seconds: float = 15.0) -> None:
        """Block until it has happened so many times."""
        with self._condition:
            assert self._condition.wait_for(lambda: self._happened >= times, seconds), (
                f"no {self.kind} came about"
            )

    def takes(self, kind: _Kind, api_key: int | None) -> bool:
        """Tell whether this frame is to be hurt; it counts as so."""
        if kind != self.kind or self._left == 0 or self.api_key not in (None, api_key):
            return False
        if self._left is not None:
            self._left -= 1
        return True

    def done(self) -> None:
        with self._condition:
            self._happened += 1
            self._condition.notify_all()

    def end(self) -> None:
        self._left = 0


class Proxy:
    """Listens on a port of its own; what is connected to it is connected to `target`. All methods are thread-safe.

    Attributes:
        target: the broker's own address, to be set before the first client comes.
        requests: how many requests of each API key have come through.
    """

    def __init__(self) -> None:
        self.port = free_ports(1)[0]
        self.address = f"127.0.0.1:{self.port}"
        self.target = ""
        self.requests: Counter[int] = Counter()
        self._faults: list[Fault] = []
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self.flows = asyncio.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def swallow_answers(
        self, *, api_key: int | None = None, count: int | None = 1, closes: bool = True
    ) -> Fault:
        """Drop answers that the broker has given; then close the connection, or let it hang without a word."""
        return self._add(Fault("swallow", api_key=api_key, count=count, seconds=0, closes=closes))

    def cut_answers(self, *, api_key: int | None = None, count: int | None = 1) -> Fault:
        """Pass on the first half of an answer, then close the connection."""
        return self._add(Fault("cut answer", api_key=api_key, count=count, seconds=0, closes=True))

    def cut_requests(self, *, api_key: int | None = None, count: int | None = 1) -> Fault:
        """Pass on the first half of a request, which the broker therefore never acts on; then close the connection."""
        return self._add(Fault("cut request", api_key=api_key, count=count, seconds=0, closes=True))

    def delay_answers(self, seconds: float, *, api_key: int | None = None, count: int | None = None) -> Fault:
        """Hold answers back for so long, and what comes behind them on their connection."""
        return self._add(Fault("delay", api_key=api_key, count=count, seconds=seconds, closes=False))

    def cut_connections(self) -> int:
        """Close all connections now; returns how many there were."""
        return self._run(self._cut())

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse new connections meanwhile; those there are stay."""
        self._run(self._refuse())
        try:
            yield
        finally:
            self._run(self._listen())

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Pass nothing on meanwhile, in neither direction, as a network does that lost its way."""
        self._loop.call_soon_threadsafe(self.flows.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self.flows.set)

    def clear(self) -> None:
        """End all faults, and the connections that hang because of one."""
        for fault in self._faults:
            fault.end()
        self._faults = []
        self._run(self._cut(only_hanging=True))

    def take(self, kind: _Kind, api_key: int | None) -> Fault | None:
        """The fault that this frame suffers. For the connections."""
        return next((fault for fault in self._faults if fault.takes(kind, api_key)), None)

    def _add(self, fault: Fault) -> Fault:
        self._faults = [*self._faults, fault]
        return fault

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=15)

    async def _listen(self) -> None:
        self.flows.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _refuse(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _end(self) -> None:
        await self._refuse()
        await self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _cut(self, *, only_hanging: bool = False) -> int:
        cut = [each for each in self._connections if each.is_hanging or not only_hanging]
        for connection in cut:
            connection.close()
        return len(cut)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not as the server's own coroutine: that one complains when it is cancelled.
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.target.rpartition(":")
        try:
            broker_reader, broker_writer = await asyncio.open_connection(host, int(port))
        except (OSError, ValueError):
            writer.transport.abort()
            return
        connection = _Connection(self, writer, broker_writer)
        self._connections.add(connection)
        try:
            pumps = [
                asyncio.create_task(_pump(reader, connection.pass_request)),
                asyncio.create_task(_pump(broker_reader, connection.pass_answer)),
            ]
            _, others = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for other in others:
                other.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            connection.close()
            self._connections.discard(connection)


class _Connection:
    """A client's connection and the one to the broker behind it."""

    def __init__(self, proxy: Proxy, client: asyncio.StreamWriter, broker: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._client = client
        self._broker = broker
        self._asked: dict[int, int] = {}
        self.is_hanging = False
        for writer in (client, broker):
            # `drain` then waits until the bytes have left: a cut leaves exactly those that it should.
            writer.transport.set_write_buffer_limits(high=0)

    async def pass_request(self, frame: bytes) -> bool:
        """Pass a request on; False ends the connection."""
        await self._proxy.flows.wait()
        api_key, _, correlation = struct.unpack_from(">hhi", frame, 4)
        self._proxy.requests[api_key] += 1
        if fault := self._proxy.take("cut request", api_key):
            return await _half(self._broker, frame, fault)
        self._asked[correlation] = api_key
        return await _write(self._broker, frame)

    async def pass_answer(self, frame: bytes) -> bool:
        """Pass an answer on; False ends the connection."""
        (correlation,) = struct.unpack_from(">i", frame, 4)
        api_key = self._asked.pop(correlation, None)
        if fault := self._proxy.take("delay", api_key):
            fault.done()
            await asyncio.sleep(fault.seconds)
        await self._proxy.flows.wait()
        if self.is_hanging:
            return True
        if fault := self._proxy.take("swallow", api_key):
            self.is_hanging = not fault.closes
            fault.done()
            return not fault.closes
        if fault := self._proxy.take("cut answer", api_key):
            return await _half(self._client, frame, fault)
        return await _write(self._client, frame)

    def close(self) -> None:
        self._client.close()
        self._broker.close()


async def _pump(reader: asyncio.StreamReader, pass_on: Callable[[bytes], Awaitable[bool]]) -> None:
    with suppress(asyncio.IncompleteReadError, OSError):
        while True:
            size = await reader.readexactly(4)
            if not await pass_on(size + await reader.readexactly(int.from_bytes(size))):
                return


async def _half(writer: asyncio.StreamWriter, frame: bytes, fault: Fault) -> bool:
    await _write(writer, frame[: len(frame) // 2])
    fault.done()
    return False


async def _write(writer: asyncio.StreamWriter, data: bytes) -> bool:
    writer.write(data)
    await writer.drain()
    return True
