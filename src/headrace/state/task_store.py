"""One store of a task that runs: buffer and cache, over rows that it has borrowed."""

from functools import partial
from typing import TypeAlias

from headrace.state.buffer.custom import CustomBuffer, CustomRows
from headrace.state.buffer.key_value import KeyValueBuffer
from headrace.state.buffer.segmented import SegmentedBuffer
from headrace.state.buffer.suppress import SuppressBuffer
from headrace.state.buffer.versioned import VersionedBuffer
from headrace.state.port import KeyValueReads, SegmentedReads, StorePosition, VersionedReads
from headrace.state.store_parts import Cache, Opening, parts_of
from headrace.state.store_rows import StoreRows

__all__ = ["StoreState", "TaskStore"]

StoreState: TypeAlias = (
    KeyValueBuffer | SegmentedBuffer | SuppressBuffer | VersionedBuffer | CustomBuffer | Cache
)


class TaskStore:
    """One store of a task. What several of them do together, and in which order, is `TaskState`'s.

    Attributes:
        rows: what is in the database, in memory or on disk.
        buffer: what was changed since the last commit.
        cache: over the buffer, None where nothing is cached.
        state: the store as operators use it.
    """

    __slots__ = ("_custom", "_log", "_reader", "buffer", "cache", "name", "rows", "spec", "state")

    def __init__(self, rows: StoreRows, opening: Opening) -> None:
        self.rows = rows
        self.name = rows.name
        self.spec = rows.spec
        parts = parts_of(rows.spec, opening)
        self.buffer = parts.buffer
        self.cache = parts.cache
        self.state: StoreState = parts.state
        self._reader = parts.reader
        self._log = parts.log
        self._custom = parts.custom
        if parts.custom is not None:
            rows.lead_to(partial(CustomRows, parts.custom), parts.custom.clear)
        self.take_over()

    def take_over(self) -> None:
        """Go on from the rows as they are: what was changed over those before is forgotten."""
        position = self.rows.trusted_position
        if position is not None:  # else the rows have another layout than ours
            self.buffer.restored(position.stream_time, position.sequence)
        elif self.rows.is_cleared:
            self.buffer.restored(-1, 0)
        else:
            return
        self.rows.is_cleared = False
        self._expire()
        self.discard()

    def reader(self, *, committed: bool) -> KeyValueReads | SegmentedReads | VersionedReads:
        """Make what other threads read; with `committed`, as the last commit left it."""
        return self._reader(committed)

    def clear(self) -> None:
        """Delete rows and position, and what was changed since the last commit: before a rebuild."""
        self.rows.clear()
        self.buffer.restored(-1, 0)
        self.discard()

    def flush(self) -> bool:
        """Forward and log what waits in the cache. Says whether anything did."""
        return self.cache is not None and self.cache.flush()

    def log(self) -> None:
        """Log what was changed and is not logged yet: after the last flush of all stores."""
        if self._log is not None:
            self._log()

    def stamped(self, position: StorePosition) -> StorePosition:
        """Return a position of a commit, with what this store notes beside it."""
        return self.rows.stamped(position, self.buffer.observed_stream_time, self.buffer.sequence)

    def committed(self) -> None:
        """Take notice that the database has what was changed, and let go of what has expired by it."""
        self.buffer.committed()
        self._expire()

    def discard(self) -> None:
        """Forget everything since the last commit. Restored rows stay."""
        self.buffer.forget()
        if self.cache is not None:
            self.cache.empty()

    def close(self) -> None:
        """Let go of what is not the database's."""
        if self._custom is not None:
            self.rows.lead_to(None, lambda: None)
            self._custom.close()

    def _expire(self) -> None:
        expired = self.buffer.expired()
        if expired is not None:
            self.rows.database.delete_range(self.name, *expired)
