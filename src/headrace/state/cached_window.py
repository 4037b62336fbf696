"""A window store with a record cache over its buffer."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from headrace.base.columns import Stretch
from headrace.base.errors import ProductionError, SerializationError
from headrace.base.records import Headers
from headrace.processor.context import TaskContext
from headrace.state.buffer.row import ENCODED, Row
from headrace.state.buffer.segmented import Overlay
from headrace.state.buffer.window import WindowBuffer
from headrace.state.buffer.window_layout import WINDOWS
from headrace.state.cache import CacheBudget, CacheEntry, RecordCache
from headrace.state.port import (
    Counted,
    CountedColumns,
    FlushRefused,
    OpenKey,
    StreamTime,
    WindowFlushListener,
)
from headrace.state.values import ValueCodec

__all__ = ["CachedWindow"]

#: Key and window start.
_Key: TypeAlias = tuple[bytes, int]

_NOTHING: Mapping[bytes, CacheEntry[_Key]] = {}

#: A tuple and an int (CPython 3.11), beside what every entry weighs.
_KEY_BYTES = 90


class CachedWindow(RecordCache[_Key]):
    """A `WindowState` that forwards the last update of each key and window. Source: `CachingWindowStore`.

    We differ in that windows expire here by the puts that the cache has seen, and not by those that it has let go of:
    what a read returns must not depend on when flushes fall.
    """

    __slots__ = (
        "_below",
        "_listener",
        "_retention_ms",
        "_send_old",
        "_starts",
        "_windows",
        "observed_stream_time",
        "spec",
    )

    caching = True

    def __init__(
        self, below: WindowBuffer, codec: ValueCodec, context: TaskContext, budget: CacheBudget
    ) -> None:
        super().__init__(below.spec, codec, context, budget, below.admission)
        self.spec = below.spec
        self.observed_stream_time = below.observed_stream_time
        self._below = below
        self._retention_ms = below.spec.retention_ms or 0
        self._listener: WindowFlushListener | None = None
        self._send_old = False
        #: All entries by start and key.
        self._windows: dict[int, dict[bytes, CacheEntry[_Key]]] = {}
        #: Dirty entries by key and start, kept from the first range that needs them until all are flushed.
        self._starts: dict[bytes, dict[int, CacheEntry[_Key]]] | None = None

    def get(self, key: bytes, start: int) -> tuple[Any, int] | None:
        """Value and timestamp of one window; None if it has expired."""
        if start <= self.observed_stream_time - self._retention_ms:
            return None
        entry = self._entries.get((key, start))
        if entry is not None:
            entry.is_used = True
            row = entry.row
            return row if self._kept_type is not None else self._opened(row)
        found = self._below.entry_row(key, start)
        if found is not None:
            self._remember((key, start), found)
        return self._opened(found)

    def peek(self, key: bytes, start: int) -> tuple[Any, int] | None:
        """What `get` finds, leaving no trace. From any thread."""
        if start <= self.observed_stream_time - self._retention_ms:
            return None
        entry = self._entries.get((key, start))
        return self._below.get(key, start) if entry is None else self._opened(entry.row)

    def copied(self) -> Overlay:
        """The rows that are here, clean ones too: see `CachedKeyValue.copied`. From any thread."""
        over: Overlay = {}
        for entry in list(self._entries.values()):
            key, start = entry.key
            over.setdefault(key, {})[start] = self._over(entry)
        return over

    def put(self, key: bytes, start: int, value: Any, timestamp: int, headers: Headers) -> None:
        """Set or delete a window, in the cache.

        Whether it has expired is looked at when it leaves, as in Kafka Streams.
        """
        row_timestamp = timestamp if self._timestamped else -1
        row: tuple[Any, int] | None
        if (
            type(value) is self._kept_type
            and (self._admit is None or (timestamp <= self._safe_ms and not self._weighs))
            and self._accepts(value)
        ):
            row = (value, row_timestamp)  # saves two calls, 0.15 µs
        else:
            row, raw = self._row(value, row_timestamp)
            if self._admit is not None:
                self._admit(WINDOWS.changelog_key(key, start), raw, timestamp)
                if timestamp > self._safe_ms:
                    self._safe_ms = self._horizon()
        if start > self.observed_stream_time:  # noqa: PLR1730 - a call of max() costs 0.06 µs more
            self.observed_stream_time = start
        self._set((key, start), row, timestamp, headers)

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

    def range(
        self, key: bytes | None, from_ms: int | None, to_ms: int | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, int, Any, int]]:
        """Windows with from <= start <= to that have not expired, as they are now."""
        starts = self._starts
        if starts is None:
            starts = self._starts = {}
            for entry in self._dirty.values():
                self._dirtied(entry)
        over: Overlay = {}
        for over_key in starts if key is None else (key,):
            entries = starts.get(over_key)
            if entries:
                over[over_key] = {start: self._over(entry) for start, entry in entries.items()}
        return self._below.view(key, from_ms, to_ms, over, self.observed_stream_time, reverse=reverse)

    def _over(self, entry: CacheEntry[_Key]) -> Row | None:
        if entry.row is None:
            return None
        value, timestamp = entry.row
        return (ENCODED, timestamp, value) if self._kept_type is None else (value, timestamp, b"")

    def on_flush(
        self,
        listener: WindowFlushListener,
        *,
        send_old: bool,
        refused: FlushRefused | None = None,
        open_key: OpenKey = bytes,
    ) -> None:
        """Name the one who forwards what the cache lets go of, and who decides about what cannot be written."""
        self._listener = listener
        self._send_old = send_old
        self._open_key = open_key
        if refused is not None:
            self._refused = refused

    def _release(self, entry: CacheEntry[_Key]) -> None:
        key, start = entry.key
        row, listener, send_old = entry.row, self._listener, self._send_old
        old = None
        try:
            value, raw, forwarded = self._row_below(row, is_forwarded=listener is not None)
            if listener is not None and row is None and self._below.entry_row(key, start) is None:
                return  # put and deleted between two flushes: nobody has ever heard of it
            if listener is not None and send_old:
                old = self._below.get(key, start)
            named = key if listener is None else self._opened_key(key)
            self._below.put_encoded(key, start, value, raw, entry.timestamp)
        except (SerializationError, ProductionError) as error:
            self._refuse(entry, key, error)
            return
        if listener is not None:
            before = old[0] if send_old and old is not None else None
            listener(named, start, forwarded, before, entry.timestamp, entry.headers)

    def _key_bytes(self, key: _Key) -> int:
        return _KEY_BYTES + len(key[0])

    def _enter(self, key: _Key, row: tuple[Any, int] | None) -> CacheEntry[_Key]:
        entry = super()._enter(key, row)
        self._windows.setdefault(key[1], {})[key[0]] = entry
        return entry

    def _leave(self, entry: CacheEntry[_Key]) -> None:
        super()._leave(entry)
        key, start = entry.key
        entries = self._windows[start]
        del entries[key]
        if not entries:
            del self._windows[start]

    def _dirtied(self, entry: CacheEntry[_Key]) -> None:
        if self._starts is not None:
            key, start = entry.key
            self._starts.setdefault(key, {})[start] = entry

    def _cleaned(self, key: _Key) -> None:
        if self._starts is not None:
            starts = self._starts.get(key[0], {})
            starts.pop(key[1], None)
            if not starts:
                self._starts.pop(key[0], None)

    def flush(self) -> bool:
        """Let go of everything dirty; see `RecordCache.flush`."""
        flushed = super().flush()
        if not self._dirty:
            self._starts = None
        # Windows put and deleted between two flushes go nowhere, but the time that they have shown stays.
        self._below.advance(self.observed_stream_time)
        return flushed

    def empty(self) -> None:
        """Forget everything, dirty or not, and what was seen with it."""
        super().empty()
        for entries in self._windows.values():
            entries.clear()  # `counter` may hold one
        self._windows.clear()
        self._starts = None
        self.observed_stream_time = self._below.observed_stream_time
