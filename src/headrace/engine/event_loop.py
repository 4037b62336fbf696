"""Async functions of the user's, on an event loop in a thread of its own, while the worker's thread waits for them."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

__all__ = ["EventLoop"]


class EventLoop:
    """One loop for all tasks of a worker, begun when it is first needed, so that what an async client keeps lives on.

    Belongs to the worker's thread.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def outcomes(
        self,
        calls: Sequence[Callable[[], Awaitable[Any]]],
        concurrency: int,
        timeout_seconds: float | None,
    ) -> list[tuple[Any, BaseException | None]]:
        """Await all calls, so many at a time; return the result of each, or what it raised.

        One that takes longer than the timeout is cancelled, and has raised a TimeoutError.
        """
        return asyncio.run_coroutine_threadsafe(
            _all(calls, concurrency, timeout_seconds), self._running()
        ).result()

    def close(self) -> None:
        """End the loop and its thread. Nothing is under way then. Twice is fine."""
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    def _running(self) -> asyncio.AbstractEventLoop:
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.new_event_loop()
            name = f"{threading.current_thread().name}-async"
            # A daemon: a function that never returns must not keep a process whose worker was given up.
            self._thread = threading.Thread(target=loop.run_forever, name=name, daemon=True)
            self._thread.start()
        return loop


async def _all(
    calls: Sequence[Callable[[], Awaitable[Any]]], concurrency: int, timeout_seconds: float | None
) -> list[tuple[Any, BaseException | None]]:
    turn = asyncio.Semaphore(concurrency)

    async def outcome(call: Callable[[], Awaitable[Any]]) -> tuple[Any, BaseException | None]:
        async with turn:
            try:
                async with asyncio.timeout(timeout_seconds):
                    return await call(), None
            # An end of the process too, which the worker's thread has to hear of.
            except BaseException as error:
                return None, error

    return list(await asyncio.gather(*map(outcome, calls)))
