"""All stores of one task: wires buffers and caches over the databases, restores, commits and discards them together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeAlias

from headrace.base.columns import Chunk, Columns
from headrace.base.errors import StateError
from headrace.processor.context import TaskContext
from headrace.state.buffer.key_value import KeyValueBuffer
from headrace.state.buffer.window import WindowBuffer
from headrace.state.cache import CacheBudget
from headrace.state.cached_key_value import CachedKeyValue
from headrace.state.cached_window import CachedWindow
from headrace.state.changelog_rows import ChangelogRows, changelog_rows
from headrace.state.memory import MemoryDatabase
from headrace.state.port import (
    ChangelogAdmission,
    Database,
    FlushRefused,
    KeyValueReads,
    Position,
    WindowReads,
)
from headrace.state.reading import KeyValueReader, WindowReader
from headrace.state.spec import Engine, StoreSpec
from headrace.state.typed_stores import read_only
from headrace.state.values import ValueCodec

__all__ = ["StoreState", "TaskState"]

StoreState: TypeAlias = KeyValueBuffer | CachedKeyValue | WindowBuffer | CachedWindow

#: Restored rows that are gathered before they are written. Each key is written once however often it occurs among them,
#: and more rows in one go lie closer together in the memtable: 20,000 take half the time of 2,000. 60,000 take a third
#: more again, since they no longer fit the processor's caches.
_RESTORE_ROWS = 20_000

#: How old the time beside the position of a store may get that is not written to.
_STAMP_MS = 60 * 60 * 1000

#: Beyond this many sweeps something puts into a cached store from its own flush, for ever.
_FLUSHES_MAX = 100


class TaskState:
    """The stores of one task. Belongs to one thread, except for point reads.

    Args:
        specs: in topological order, which is the order of a flush.
        database: for stores on RocksDB; a function is called only if there is one. Those in memory get their own.
        changelogs: where each logged store appends its records.
        cache: the worker's budget; with none, nothing is cached.
        dropped: told of each put that was dropped: store and reason.
        now_ms: wall clock, noted beside each position.
        admissions: of the stores whose changelogs do not take every record.
        refused: makes who decides about a cached update of a store that cannot be written after all.
    """

    def __init__(
        self,
        specs: Sequence[StoreSpec],
        database: Database | Callable[[], Database],
        changelogs: Mapping[str, Columns],
        context: TaskContext,
        cache: CacheBudget,
        *,
        dropped: Callable[[str, str], None],
        application_id: str,
        now_ms: Callable[[], int],
        admissions: Mapping[str, ChangelogAdmission] = MappingProxyType({}),
        refused: Callable[[StoreSpec], FlushRefused] | None = None,
    ) -> None:
        #: What the stores are, in topological order.
        self.specs = tuple(specs)
        self._now_ms = now_ms
        self._next_stamp_ms = 0
        self._context = context
        self._databases: dict[str, Database] = {}
        self._buffers: dict[str, KeyValueBuffer | WindowBuffer] = {}
        self._caches: dict[str, CachedKeyValue | CachedWindow] = {}
        self._restores: dict[str, ChangelogRows] = {}
        self._specs = {spec.name: spec for spec in specs}
        self._open(database)
        try:
            self._make(changelogs, cache, dropped, application_id, admissions)
            if refused is not None:
                for name, each in self._caches.items():
                    each.on_refused(refused(self._specs[name]))
        except BaseException:
            self.close()
            raise

    def _make(
        self,
        changelogs: Mapping[str, Columns],
        cache: CacheBudget,
        dropped: Callable[[str, str], None],
        application_id: str,
        admissions: Mapping[str, ChangelogAdmission],
    ) -> None:
        context = self._context
        for spec in self.specs:
            codec = ValueCodec(spec.value, f"{application_id}-{spec.changelog_topic}", spec.name)
            columns, admission = changelogs.get(spec.name), admissions.get(spec.name)
            below = self._databases[spec.name]
            cached = spec.caching and cache.max_bytes > 0 and not spec.retain_duplicates
            if spec.kind == "key_value":
                key_value = KeyValueBuffer(spec, below, columns, codec, admission)
                self._buffers[spec.name] = key_value
                if cached:
                    self._caches[spec.name] = CachedKeyValue(key_value, codec, context, cache)
            else:
                window = WindowBuffer(spec, below, columns, codec, dropped, admission)
                self._buffers[spec.name] = window
                if (position := self._trusted(spec)) is not None:
                    window.restored(position.stream_time, position.sequence)
                if cached:
                    self._caches[spec.name] = CachedWindow(window, codec, context, cache)

    def _open(self, database: Database | Callable[[], Database]) -> None:
        opened: dict[Engine, Database] = {}
        for spec in self._specs.values():
            if spec.engine not in opened:
                if spec.engine == "memory":
                    opened["memory"] = MemoryDatabase()
                else:
                    opened["rocksdb"] = database() if callable(database) else database
            self._databases[spec.name] = opened[spec.engine]

    def state(self, name: str) -> StoreState:
        """The state behind a store's name, as operators use it."""
        return self._caches.get(name) or self._buffers[name]

    def read_only(self, name: str, *, committed: bool = False) -> Any:
        """The user's read-only view of a store, for any thread; with `committed`, as the last commit left it."""
        buffer, cache = self._buffers[name], self._caches.get(name)
        reader: KeyValueReads | WindowReads
        if isinstance(buffer, KeyValueBuffer):
            assert cache is None or isinstance(cache, CachedKeyValue)
            reader = KeyValueReader(buffer, cache, committed=committed)
        else:
            assert cache is None or isinstance(cache, CachedWindow)
            reader = WindowReader(buffer, cache, committed=committed)
        return read_only(reader, self._context)

    def positions(self) -> Mapping[str, Position | None]:
        """How far each store has followed its changelog; None for a new store. See `restore.must_rebuild`."""
        return {name: database.position(name) for name, database in self._databases.items()}

    def mark(self, name: str) -> str:
        """Format of a store's rows. A position with another one means rebuild."""
        return self._specs[name].mark

    @property
    def buffered_bytes(self) -> int:
        """Roughly what waits for the commit in memory."""
        return sum(buffer.buffered_bytes for buffer in self._buffers.values())

    def restore(self, name: str, chunk: Chunk) -> None:
        """Apply changelog records to a store's rows, straight and unlogged. Not while it has updates of its own.

        Rows are gathered and written some thousands at a time; they are sure to be there after `restored`.

        Raises:
            StateCorruptionError: the records are of another kind of store.
        """
        restore = self._restores.get(name)
        if restore is None:
            restore = self._restores[name] = self._new_restore(name)
        for start in range(0, len(chunk), _RESTORE_ROWS):
            restore.apply(chunk.part(start, start + _RESTORE_ROWS))
            if len(restore) >= _RESTORE_ROWS:
                self._databases[name].write([(name, restore.take())], {})

    def restored(self, name: str, position: Position) -> None:
        """Write what is left of a restore, and its position last. Standbys call it now and then, for ever.

        The position needs an offset, the topic's id and, if there are any, inputs.
        """
        restore = self._restores.pop(name, None)
        # Not `or`: one without rows has written them all, and knows their stream time.
        if restore is None:
            restore = self._new_restore(name)
        stamped = self._stamped(name, position, restore.stream_time, restore.sequence)
        self._databases[name].write([(name, restore.take())], {name: stamped})
        buffer = self._buffers[name]
        if isinstance(buffer, WindowBuffer):
            buffer.restored(restore.stream_time, restore.sequence)
            self._expire(name, buffer)
        self._forget(name)

    def clear(self, name: str) -> None:
        """Delete a store's rows and its position, and what was changed since the last commit: before a rebuild."""
        self._databases[name].clear(name)
        self._restores.pop(name, None)
        buffer = self._buffers[name]
        if isinstance(buffer, WindowBuffer):
            buffer.restored(-1, 0)
        self._forget(name)

    def flush(self) -> None:
        """Forward and log every update that waits in a cache: stores in order, in each the order of the last puts.

        What a flush puts into later caches goes with it.

        Raises:
            StateError: a flush puts into its own store without end.
        """
        for _ in range(_FLUSHES_MAX):
            flushed = [cache.flush() for cache in self._caches.values()]
            if not any(flushed):
                return
        raise StateError(
            f"caches are still not empty after {_FLUSHES_MAX} flushes: does a store forward to itself?"
        )

    def commit(self, positions: Mapping[str, Position]) -> None:
        """Write what was changed since the last commit, then the positions; call it when the log has committed.

        A position needs an offset, the topic's id and, if there are any, inputs; the rest is filled in here. Stores
        without one keep theirs, of which the time is renewed now and then: they have followed their changelogs until
        now, and a restart would otherwise find them older than tombstones (`restore.must_rebuild`).

        Raises:
            StateError: updates wait in a cache: `flush` first.
        """
        for cache in self._caches.values():
            cache.ensure_flushed()
        renews = self._now_ms() >= self._next_stamp_ms
        for database in self._opened():
            names = [name for name, below in self._databases.items() if below is database]
            changes = [(name, self._buffers[name].changes()) for name in names]
            stamped = {name: self._committed_at(name, positions[name]) for name in names if name in positions}
            if renews:
                stamped = {**self._renewed(database, names), **stamped}
            database.write([(name, rows) for name, rows in changes if rows], stamped)
        for name, buffer in self._buffers.items():
            buffer.committed()
            if isinstance(buffer, WindowBuffer):
                self._expire(name, buffer)
        if renews:
            self._next_stamp_ms = self._now_ms() + _STAMP_MS

    def _renewed(self, database: Database, names: Sequence[str]) -> dict[str, Position]:
        known = {name: database.position(name) for name in names}
        return {
            name: replace(position, written_ms=self._now_ms())
            for name, position in known.items()
            if position is not None
        }

    def discard(self) -> None:
        """Forget everything since the last commit: an abort. Restored rows stay."""
        for name in self._buffers:
            self._forget(name)

    def close(self) -> None:
        """Forget what was not committed, and release the databases. Twice is fine."""
        self.discard()
        for database in self._opened():
            database.close()

    def _opened(self) -> list[Database]:
        opened: list[Database] = []
        for database in self._databases.values():
            if all(database is not known for known in opened):
                opened.append(database)
        return opened

    def _forget(self, name: str) -> None:
        self._buffers[name].forget()
        cache = self._caches.get(name)
        if cache is not None:
            cache.empty()

    def _expire(self, name: str, buffer: WindowBuffer) -> None:
        expired = buffer.expired()
        if expired is not None:
            self._databases[name].delete_range(name, *expired)

    def _trusted(self, spec: StoreSpec) -> Position | None:
        """The store's position, if its rows have the layout that we read."""
        position = self._databases[spec.name].position(spec.name)
        return position if position is not None and position.mark == spec.mark else None

    def _new_restore(self, name: str) -> ChangelogRows:
        restore = changelog_rows(self._specs[name])
        buffer = self._buffers[name]
        if isinstance(buffer, WindowBuffer):
            restore.stream_time, restore.sequence = buffer.observed_stream_time, buffer.sequence
        return restore

    def _committed_at(self, name: str, position: Position) -> Position:
        buffer = self._buffers[name]
        if isinstance(buffer, WindowBuffer):
            return self._stamped(name, position, buffer.observed_stream_time, buffer.sequence)
        return self._stamped(name, position, -1, 0)

    def _stamped(self, name: str, position: Position, stream_time: int, sequence: int) -> Position:
        return replace(
            position,
            written_ms=self._now_ms(),
            stream_time=stream_time,
            mark=self._specs[name].mark,
            sequence=sequence,
        )
