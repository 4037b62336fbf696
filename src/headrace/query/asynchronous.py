"""Views for event loops: each question is asked in a thread of the loop's pool, rows come some hundreds at a time."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Any, Generic

from typing_extensions import TypeVar

from headrace.base.records import Windowed

__all__ = ["AsyncKeyValueView", "AsyncSessionView", "AsyncVersionedView", "AsyncWindowView", "async_view"]

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")

_ROWS = 500


async def _rows(make: Callable[[], Iterator[R]]) -> AsyncIterator[R]:
    iterator = await asyncio.to_thread(make)
    at_work = threading.Lock()

    def read() -> list[R]:
        with at_work:
            return list(islice(iterator, _ROWS))

    def close() -> None:
        closing = getattr(iterator, "close", None)
        if closing is not None:
            closing()

    def close_behind() -> None:
        with at_work:
            close()

    try:
        while rows := await asyncio.to_thread(read):
            for row in rows:
                yield row
    finally:
        # Lets go of what is read, when whoever reads has enough. Who was cancelled leaves a thread behind that still
        # reads: another one waits for that.
        if at_work.acquire(blocking=False):
            try:
                close()
            finally:
                at_work.release()
        else:
            asyncio.get_running_loop().run_in_executor(None, close_behind)


class AsyncKeyValueView(Generic[K, V]):
    """The async twin of a `ReadOnlyKeyValueStore`."""

    def __init__(self, view: Any) -> None:
        self._view = view

    async def get(self, key: K) -> V | None:
        """Return the value of a key, None if there is none."""
        found: V | None = await asyncio.to_thread(self._view.get, key)
        return found

    def range(
        self, start: K | None = None, end: K | None = None, *, reverse: bool = False
    ) -> AsyncIterator[tuple[K, V]]:
        """Iterate over start <= key <= end. None is open."""
        return _rows(lambda: self._view.range(start, end, reverse=reverse))

    def all(self, *, reverse: bool = False) -> AsyncIterator[tuple[K, V]]:
        """Iterate over everything."""
        return _rows(lambda: self._view.all(reverse=reverse))

    def prefix(self, prefix: K) -> AsyncIterator[tuple[K, V]]:
        """Iterate over the keys whose bytes begin with the bytes of `prefix`."""
        return _rows(lambda: self._view.prefix(prefix))

    async def approximate_count(self) -> int:
        """Return roughly how many keys there are."""
        return int(await asyncio.to_thread(self._view.approximate_count))


class AsyncWindowView(Generic[K, V]):
    """The async twin of a `ReadOnlyWindowStore`."""

    def __init__(self, view: Any) -> None:
        self._view = view

    async def get(self, key: K, start: int) -> V | None:
        """Return the value of the window that starts at `start` (epoch ms), None if there is none."""
        found: V | None = await asyncio.to_thread(self._view.get, key, start)
        return found

    def range(
        self, key: K | None = None, *, start: int | None = None, end: int | None = None, reverse: bool = False
    ) -> AsyncIterator[tuple[Windowed[K], V]]:
        """Iterate over the windows of one key, or of all, that start within [start, end] (epoch ms). None is open."""
        return _rows(lambda: self._view.range(key, start=start, end=end, reverse=reverse))


class AsyncSessionView(Generic[K, V]):
    """The async twin of a `ReadOnlySessionStore`."""

    def __init__(self, view: Any) -> None:
        self._view = view

    async def get(self, session: Windowed[K]) -> V | None:
        """Return the value of exactly this session, None if there is none."""
        found: V | None = await asyncio.to_thread(self._view.get, session)
        return found

    def sessions(
        self, key: K | None = None, *, start: int | None = None, end: int | None = None, reverse: bool = False
    ) -> AsyncIterator[tuple[Windowed[K], V]]:
        """Iterate over the sessions of one key, or of all, that overlap [start, end] (epoch ms). None is open."""
        return _rows(lambda: self._view.sessions(key, start=start, end=end, reverse=reverse))


class AsyncVersionedView(Generic[K, V]):
    """The async twin of a `ReadOnlyVersionedStore`."""

    def __init__(self, view: Any) -> None:
        self._view = view

    async def get(self, key: K, as_of: int | None = None) -> tuple[V, int] | None:
        """Return value and timestamp of the version that was valid then, or of the latest one; None if none was."""
        found: tuple[V, int] | None = await asyncio.to_thread(self._view.get, key, as_of)
        return found

    def history(
        self, key: K, start: int | None = None, end: int | None = None
    ) -> AsyncIterator[tuple[V, int, int | None]]:
        """Iterate over the versions that were valid at some time from `start` to `end`, both included, oldest first."""
        return _rows(lambda: self._view.history(key, start, end))

    def latest(self) -> AsyncIterator[tuple[K, V, int]]:
        """Iterate over key, value and timestamp of the latest version of each key."""
        return _rows(self._view.latest)


def async_view(kind: str, view: Any) -> Any:
    """Make the twin of a view, by the kind of its store."""
    match kind:
        case "window":
            return AsyncWindowView[Any, Any](view)
        case "session":
            return AsyncSessionView[Any, Any](view)
        case "versioned":
            return AsyncVersionedView[Any, Any](view)
        case _:
            return AsyncKeyValueView[Any, Any](view)
