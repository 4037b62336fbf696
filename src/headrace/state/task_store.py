"""One store of a task: its rows in the database, buffer and cache over them, and a restore while it is under way."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from headrace.base.columns import Chunk
from headrace.state.buffer.custom import CustomBuffer
from headrace.state.buffer.key_value import KeyValueBuffer
from headrace.state.buffer.segmented import SegmentedBuffer
from headrace.state.buffer.suppress import SuppressBuffer
from headrace.state.buffer.versioned import VersionedBuffer
from headrace.state.changelog_rows import ChangelogRows
from headrace.state.port import KeyValueReads, Position, SegmentedReads, VersionedReads
from headrace.state.spec import StoreSpec
from headrace.state.store_parts import Cache, Opening, parts_of

__all__ = ["StoreState", "TaskStore"]

StoreState: TypeAlias = (
    KeyValueBuffer | SegmentedBuffer | SuppressBuffer | VersionedBuffer | CustomBuffer | Cache
)

#: Restored rows that are gathered before they are written. Each key is written once however often it occurs among them,
#: and more rows in one go lie closer together in the memtable: 20,000 take half the time of 2,000. 60,000 take a third
#: more again, since they no longer fit the processor's caches.
_RESTORE_ROWS = 20_000


class TaskStore:
    """One store of a task. What several of them do together, and in which order, is `TaskState`'s.

    Attributes:
        database: where the rows are, which other stores share.
        buffer: what was changed since the last commit.
        cache: over the buffer, None where nothing is cached.
        state: the store as operators use it.
    """

    __slots__ = (
        "_custom",
        "_log",
        "_new_rows",
        "_now_ms",
        "_reader",
        "_restore",
        "buffer",
        "cache",
        "database",
        "name",
        "spec",
        "state",
    )

    def __init__(self, spec: StoreSpec, opening: Opening, now_ms: Callable[[], int]) -> None:
        self.name = spec.name
        self.spec = spec
        self.database = opening.database
        self._now_ms = now_ms
        self._restore: ChangelogRows | None = None
        parts = parts_of(spec, opening)
        self.buffer = parts.buffer
        self.cache = parts.cache
        self.state: StoreState = parts.state
        self._reader = parts.reader
        self._new_rows = parts.rows
        self._log = parts.log
        self._custom = parts.custom
        position = self.position()
        if position is not None and position.mark == spec.mark:  # else the rows have another layout than ours
            self.buffer.restored(position.stream_time, position.sequence)
            self.discard()

    def reader(self, *, committed: bool) -> KeyValueReads | SegmentedReads | VersionedReads:
        """Make what other threads read; with `committed`, as the last commit left it."""
        return self._reader(committed)

    def position(self) -> Position | None:
        """How far the store has followed its changelog; None for a new one."""
        return self.database.position(self.name)

    def restore(self, chunk: Chunk) -> None:
        """Apply changelog records to the rows, straight and unlogged; see `TaskState.restore`."""
        restore = self._restore
        if restore is None:
            restore = self._restore = self._begin_restore()
        for start in range(0, len(chunk), _RESTORE_ROWS):
            restore.apply(chunk.part(start, start + _RESTORE_ROWS))
            if len(restore) >= _RESTORE_ROWS:
                self.database.write([(self.name, restore.take())], {})

    def restored(self, position: Position) -> None:
        """Write what is left of a restore, and its position last."""
        restore, self._restore = self._restore, None
        # Not `or`: one without rows has written them all, and knows their stream time.
        if restore is None:
            restore = self._begin_restore()
        stamped = self._stamped(position, restore.stream_time, restore.sequence)
        self.database.write([(self.name, restore.take())], {self.name: stamped})
        self.buffer.restored(restore.stream_time, restore.sequence)
        self._expire()
        self.discard()

    def clear(self) -> None:
        """Delete rows and position, and what was changed since the last commit: before a rebuild."""
        self.database.clear(self.name)
        if self._custom is not None:
            self._custom.clear()
        self._restore = None
        self.buffer.restored(-1, 0)
        self.discard()

    def flush(self) -> bool:
        """Forward and log what waits in the cache. Says whether anything did."""
        return self.cache is not None and self.cache.flush()

    def log(self) -> None:
        """Log what was changed and is not logged yet: after the last flush of all stores."""
        if self._log is not None:
            self._log()

    def stamped(self, position: Position) -> Position:
        """Return a position of a commit, with what this store notes beside it."""
        return self._stamped(position, self.buffer.observed_stream_time, self.buffer.sequence)

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
            self._custom.close()

    def _begin_restore(self) -> ChangelogRows:
        restore = self._new_rows()
        restore.stream_time, restore.sequence = self.buffer.observed_stream_time, self.buffer.sequence
        return restore

    def _expire(self) -> None:
        expired = self.buffer.expired()
        if expired is not None:
            self.database.delete_range(self.name, *expired)

    def _stamped(self, position: Position, stream_time: int, sequence: int) -> Position:
        return replace(
            position,
            written_ms=self._now_ms(),
            stream_time=stream_time,
            mark=self.spec.mark,
            sequence=sequence,
        )
