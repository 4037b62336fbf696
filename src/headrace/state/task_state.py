"""All stores of a task that runs: puts them over its rows, commits and discards them together."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from headrace.base.columns import Columns
from headrace.base.errors import StateError
from headrace.base.garbage import collector_held_back
from headrace.processor.context import TaskContext
from headrace.state.buffer.live_cells import LiveBudget
from headrace.state.buffer.suppress import SuppressBuffer
from headrace.state.cache import CacheBudget
from headrace.state.port import (
    ChangelogAdmission,
    FlushRefused,
    StorePosition,
    StoreReads,
)
from headrace.state.spec import StoreSpec
from headrace.state.store_parts import Opening
from headrace.state.task_rows import TaskRows
from headrace.state.task_store import StoreState, TaskStore
from headrace.state.typed_stores import read_only

__all__ = ["TaskState"]

#: How old the time beside the position of a store may get that is not written to.
_STAMP_MS = 60 * 60 * 1000

#: Beyond this many sweeps something puts into a cached store from its own flush, for ever.
_FLUSHES_MAX = 100


class TaskState:
    """What a task that runs has over its rows: buffers, caches, columns of its changelogs. Belongs to one thread,
    except for point reads.

    Args:
        rows: what is written to; whoever lends them closes them.
        changelogs: where each logged store appends its records.
        cache: the worker's budget; with none, nothing is cached.
        live: the worker's budget of what joins look up in memory.
        dropped: told of each put that was dropped: store and reason.
        now_ms: wall clock, noted beside each position.
        admissions: of the stores whose changelogs do not take every record.
        refused: makes who decides about a cached update of a store that cannot be written after all.
        directory: where a store of the user's own may keep files, by its name.
    """

    def __init__(
        self,
        rows: TaskRows,
        changelogs: Mapping[str, Columns],
        context: TaskContext,
        cache: CacheBudget,
        *,
        live: LiveBudget,
        dropped: Callable[[str, str], None],
        now_ms: Callable[[], int],
        admissions: Mapping[str, ChangelogAdmission] = MappingProxyType({}),
        refused: Callable[[StoreSpec], FlushRefused] | None = None,
        directory: Callable[[str], Path] | None = None,
    ) -> None:
        self.rows = rows
        #: What the stores are, in topological order.
        self.specs = rows.specs
        self._now_ms = now_ms
        self._next_stamp_ms = 0
        self._context = context
        #: In topological order.
        self._stores: dict[str, TaskStore] = {}
        rows.put_away()
        try:
            for spec in self.specs:
                own = rows.stores[spec.name]
                opening = Opening(
                    own.database,
                    changelogs.get(spec.name),
                    own.codec,
                    context,
                    cache if spec.caching and cache.max_bytes > 0 else None,
                    dropped,
                    admissions.get(spec.name),
                    live,
                    own.used,
                    directory,
                )
                store = self._stores[spec.name] = TaskStore(own, opening)
                if refused is not None and store.cache is not None:
                    store.cache.on_refused(refused(spec))
        except BaseException:
            self.close()
            raise
        states = [store.state for store in self._stores.values()]
        self._held = [state for state in states if isinstance(state, SuppressBuffer)]

    def take_over(self) -> None:
        """Go on from the rows as they are now: somebody has restored them since the last commit."""
        self.rows.put_away()
        for store in self._stores.values():
            store.take_over()

    def state(self, name: str) -> StoreState:
        """The state behind a store's name, as operators use it."""
        return self._stores[name].state

    def reader(self, name: str, *, committed: bool = False) -> StoreReads:
        """The state behind a store's name, as other threads read it; with `committed`, as the last commit left it."""
        return self._stores[name].reader(committed=committed)

    def read_only(self, name: str, *, committed: bool = False) -> Any:
        """The user's read-only view of a store, for any thread; with `committed`, as the last commit left it."""
        return read_only(self.reader(name, committed=committed), self._context.application_id)

    @property
    def buffered_bytes(self) -> int:
        """Roughly what waits for the commit in memory."""
        return sum(store.buffer.buffered_bytes for store in self._stores.values())

    def uncommitted_bytes(self, name: str) -> int:
        """Roughly what was changed in a store and waits for the commit. From any thread."""
        return self._stores[name].buffer.buffered_bytes

    def properties(self, name: str) -> Mapping[str, int]:
        """What a store's database says of it: see `Database.properties`. From any thread."""
        return self._stores[name].rows.database.properties(name)

    @property
    def held(self) -> Sequence[SuppressBuffer]:
        """What suppression holds back, of the stores that do so."""
        return self._held

    def clear(self, name: str) -> None:
        """Delete a store's rows and its position, and what was changed since the last commit: before a rebuild."""
        self._stores[name].clear()

    def flush(self, flush_one: Callable[[TaskStore], bool] = TaskStore.flush) -> None:
        """Forward and log every update that waits in a cache: stores in order, in each the order of the last puts.

        `flush_one` does so with one of them. What a flush puts into later caches goes with it. What some kinds log but
        once a commit comes last.

        Raises:
            StateError: a flush puts into its own store without end.
        """
        with collector_held_back():
            for _ in range(_FLUSHES_MAX):
                flushed = [flush_one(store) for store in self._stores.values()]
                if not any(flushed):
                    for store in self._stores.values():
                        store.log()
                    return
        raise StateError(
            f"caches are still not empty after {_FLUSHES_MAX} flushes: does a store forward to itself?"
        )

    def commit(self, positions: Mapping[str, StorePosition], *, at_once: bool = False) -> None:
        """Write what was changed since the last commit, then the positions; call it when the log has committed.

        A position needs an offset, the topic's id and, if there are any, inputs; the rest is filled in here. Stores
        without one keep theirs, of which the time is renewed now and then: they have followed their changelogs until
        now, and a restart would otherwise find them older than tombstones (`restore.must_rebuild`).

        With `at_once`, a crash leaves all of it or nothing: for rows that a second try would not make the same.

        Raises:
            StateError: updates wait in a cache: `flush` first.
        """
        for store in self._stores.values():
            if store.cache is not None:
                store.cache.ensure_flushed()
        renews = self._now_ms() >= self._next_stamp_ms
        with collector_held_back():
            for engine, database in self.rows.databases.items():
                stores = [store for store in self._stores.values() if store.spec.engine == engine]
                changes = [(store.name, store.buffer.changes()) for store in stores]
                stamped = {
                    store.name: store.stamped(positions[store.name])
                    for store in stores
                    if store.name in positions
                }
                if renews:
                    stamped = {**self._renewed(stores), **stamped}
                database.write([(name, rows) for name, rows in changes if rows], stamped, at_once=at_once)
            for store in self._stores.values():
                store.committed()
        if renews:
            self._next_stamp_ms = self._now_ms() + _STAMP_MS

    def _renewed(self, stores: Sequence[TaskStore]) -> dict[str, StorePosition]:
        known = {store.name: store.rows.position() for store in stores}
        return {
            name: replace(position, written_ms=self._now_ms())
            for name, position in known.items()
            if position is not None
        }

    def discard(self) -> None:
        """Forget everything since the last commit: an abort. Restored rows stay."""
        for store in self._stores.values():
            store.discard()

    def close(self) -> None:
        """Forget what was not committed. The rows stay as they are. Twice is fine."""
        with ExitStack() as closing:  # each is closed, also when one before it fails
            for store in self._stores.values():
                closing.callback(store.close)
            self.discard()
