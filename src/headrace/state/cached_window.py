"""A window store with a record cache over its buffer."""

from collections.abc import Callable, Mapping
from typing import Any

from headrace.base.columns import Stretch
from headrace.base.records import Headers
from headrace.processor.context import TaskContext
from headrace.state.buffer.window import WindowBuffer
from headrace.state.buffer.window_layout import WINDOWS
from headrace.state.cache import CacheBudget, CacheEntry
from headrace.state.cached_segmented import CachedSegmented, Cell
from headrace.state.port import Counted, CountedColumns, StreamTime
from headrace.state.values import ValueCodec

__all__ = ["CachedWindow"]

_NOTHING: Mapping[bytes, CacheEntry[Cell]] = {}


class CachedWindow(CachedSegmented):
    """A `WindowState` that forwards the last update of each key and window; a slot is a window's start."""

    __slots__ = ("_windows",)

    def __init__(
        self, below: WindowBuffer, codec: ValueCodec, context: TaskContext, budget: CacheBudget
    ) -> None:
        super().__init__(below, WINDOWS, codec, context, budget)
        #: All entries by start and key.
        self._windows: dict[int, dict[bytes, CacheEntry[Cell]]] = {}

    def counter(
        self,
        size_ms: int,
        grace_ms: int,
        stream_time: StreamTime,
        serialize: Callable[[Any], bytes],
        otherwise: Counted,
    ) -> Counted:
        """Make what counts a record on its window's number, if that is here; see `WindowState.counter`."""
        if not self._counts_freely:
            return otherwise
        horizon = self._horizon
        safe = horizon()
        context, retention_ms = self._context, self._retention_ms
        # Neighbouring records share their window. What is found in `find` was put, so stream time has seen its start.
        start = end = -1
        find = _NOTHING.get

        def count(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            nonlocal start, end, find, safe
            if not start <= timestamp < end:
                start = timestamp - timestamp % size_ms
                end = start + size_ms
                find = self._windows.get(start, _NOTHING).get
            entry = None
            if key is not None:
                try:
                    entry = find(serialize(key))
                except Exception:
                    entry = None  # `otherwise` fails on it as well, and tells the handler
            if (
                entry is None
                or entry.row is None
                or end <= stream_time.ms - grace_ms
                or start <= self.observed_stream_time - retention_ms
                or (timestamp > safe and timestamp > (safe := horizon()))
            ):
                end = -1  # what `otherwise` puts may be the first of its window
                otherwise(key, value, timestamp, headers)
                return
            if timestamp > stream_time.ms:  # noqa: PLR1730 - a call of max() costs 0.06 µs more
                stream_time.ms = timestamp
            number, latest = entry.row
            if timestamp > latest:  # noqa: PLR1730 - a call of max() costs 0.06 µs more
                latest = timestamp
            entry.row = (number + 1, latest)
            entry.is_used = True
            if not entry.is_dirty:
                self._dirty_again(entry)
            # A number weighs what it weighed, so nothing is evicted.
            self._moves = entry.order = self._moves + 1
            entry.topic = context.topic
            entry.offset = context.offset
            entry.timestamp = latest
            entry.headers = headers

        return count

    def column_counter(
        self,
        size_ms: int,
        grace_ms: int,
        stream_time: StreamTime,
        serialize: Callable[[Any], bytes],
        otherwise: Counted,
    ) -> CountedColumns | None:
        """Make what does for each record of a stretch, in their order, what `counter` does for one."""
        if not self._counts_freely:
            return None
        context, retention_ms = self._context, self._retention_ms

        def count(stretch: Stretch) -> None:
            if not self._admits(stretch):
                for key, value, timestamp, headers, context.offset in stretch.records():
                    otherwise(key, value, timestamp, headers)
                return
            topic, moves = context.topic, self._moves
            start = end = -1
            find = _NOTHING.get
            for key, value, timestamp, headers, offset in stretch.records():
                if not start <= timestamp < end:
                    start = timestamp - timestamp % size_ms
                    end = start + size_ms
                    # A window that is open stays so while records of no other one come.
                    is_open = (
                        end > stream_time.ms - grace_ms and start > self.observed_stream_time - retention_ms
                    )
                    find = (self._windows.get(start, _NOTHING) if is_open else _NOTHING).get
                entry = None
                if key is not None:
                    try:
                        entry = find(serialize(key))
                    except Exception:
                        entry = None  # `otherwise` fails on it as well, and tells the handler
                if entry is None or entry.row is None:
                    end = -1  # what `otherwise` puts may be the first of its window
                    context.offset, self._moves = offset, moves
                    otherwise(key, value, timestamp, headers)
                    moves = self._moves
                    continue
                if timestamp > stream_time.ms:  # noqa: PLR1730 - a call of max() costs 0.06 µs more
                    stream_time.ms = timestamp
                number, latest = entry.row
                if timestamp > latest:  # noqa: PLR1730 - a call of max() costs 0.06 µs more
                    latest = timestamp
                entry.row = (number + 1, latest)
                entry.is_used = True
                if not entry.is_dirty:
                    self._dirty_again(entry)
                entry.order = moves = moves + 1
                entry.topic = topic
                entry.offset = offset
                entry.timestamp = latest
                entry.headers = headers
            self._moves = moves

        return count

    def _enter(self, key: Cell, row: tuple[Any, int] | None) -> CacheEntry[Cell]:
        entry = super()._enter(key, row)
        self._windows.setdefault(key[1], {})[key[0]] = entry
        return entry

    def _leave(self, entry: CacheEntry[Cell]) -> None:
        super()._leave(entry)
        key, start = entry.key
        entries = self._windows[start]
        del entries[key]
        if not entries:
            del self._windows[start]

    def empty(self) -> None:
        """Forget everything, dirty or not, and what was seen with it."""
        super().empty()
        for entries in self._windows.values():
            entries.clear()  # `counter` may hold one
        self._windows.clear()
