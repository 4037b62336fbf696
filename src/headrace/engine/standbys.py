"""The standbys of a worker: begun, turned, and given up, in slices of its loop, with a reader of their own.

They come after restores, and never wait: records for tasks that run come first. A task that is to run here is no longer
followed before it is taken up: its rows go from one borrower to the other, open as they are, and what its changelog has
behind their positions is all that is left to restore.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from functools import partial

from headrace.base.errors import LogUnavailableError, StateCorruptionError
from headrace.base.ids import TaskId, TopicPartition
from headrace.engine.changelogs import ChangelogPartition, Changelogs
from headrace.engine.clock import Clock
from headrace.engine.standby import Standby
from headrace.engine.status import LagInfo
from headrace.engine.store_listeners import StoreListeners
from headrace.engine.store_read import GONE, StoreRead, changelog_of
from headrace.engine.thread_figures import ThreadFigures
from headrace.log.port import Log, Reader
from headrace.state.followed import followed_reads
from headrace.state.spec import StoreSpec
from headrace.state.state_directory import StateDirectory
from headrace.topology.topology import Topology

__all__ = ["Standbys"]

_log = logging.getLogger("headrace.restore")

#: Time between writes of positions, which is what a take-over after a crash applies once more; and between looks at how
#: far the group is in tables' own topics.
_WRITE_SECONDS = 1.0

#: Standbys of a busy worker take a third of its time at most.
_REST = 2

#: How many begin in one turn of the loop: to open a database takes about 10 ms, and tasks that run wait for it.
_BEGUN_AT_ONCE = 4

#: Time between attempts to begin, while the log does not answer.
_RETRY_SECONDS = 1.0


class Standbys:
    """Belongs to the worker's thread."""

    def __init__(
        self,
        log: Log,
        directory: StateDirectory,
        topology: Topology,
        changelogs: Changelogs,
        application_id: str,
        clock: Clock,
        listeners: StoreListeners,
        figures: ThreadFigures,
    ) -> None:
        self._figures = figures
        self._log = log
        self._directory = directory
        self._topology = topology
        self._changelogs = changelogs
        self._group = application_id
        self._clock = clock
        self._listeners = listeners
        self._reader: Reader | None = None
        self._wanted: set[TaskId] = set()
        self._found: dict[TaskId, dict[str, ChangelogPartition]] = {}  # of those that are to be begun
        self._following: dict[TaskId, Standby] = {}
        self._next_attempt = self._next_write = self._next_turn = 0.0
        self._deleted: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._wanted)

    @property
    def wanted(self) -> Set[TaskId]:
        """The tasks to follow, those that are not begun yet among them."""
        return self._wanted

    def follow(self, task_ids: Iterable[TaskId]) -> None:
        """Follow tasks from the next turn on, beside those that are followed already; none that runs here."""
        self._wanted.update(task_ids)
        self._next_attempt = 0.0

    def drop(self, task_ids: Collection[TaskId], *, are_promoted: bool = False) -> None:
        """Follow tasks no more: write how far they are, and give their rows back. Others are ignored.

        Promoted ones are to run here.
        """
        self._wanted.difference_update(task_ids)
        for task_id in sorted(task_ids):
            self._found.pop(task_id, None)
            standby = self._following.pop(task_id, None)
            if standby is not None:
                try:
                    standby.write()
                except StateCorruptionError as error:
                    _log.warning("the standby of task %s is given up: %s", task_id, error)
                finally:
                    self._give_up(standby, is_promoted=are_promoted)
        if not self._following and self._reader is not None:
            self._reader.close()
            self._reader = None

    def _give_up(self, standby: Standby, *, is_promoted: bool = False) -> None:
        standby.stop(is_promoted=is_promoted)
        self._directory.give_back(standby.rows)

    def step(self, *, is_busy: bool) -> bool:
        """Apply what there is, without waiting for more; say whether there was anything.

        A busy worker has tasks to run. A log that does not answer is asked again later. Damaged rows are deleted once,
        and read anew.

        Raises:
            StateCorruptionError: they are damaged again, or the changelog is of another kind of store.
        """
        now = self._clock.seconds()
        if is_busy and now < self._next_turn:
            return False
        try:
            are_more = self._begin(now)
            applied = self._turn(now) or are_more
            after = self._clock.seconds()
            self._figures.followings.record((after - now) * 1000, after)
            self._next_turn = after + _REST * (after - now) if applied else after
            return applied
        except LogUnavailableError as error:
            _log.warning("standbys wait for the log: %s", error)
            self._next_attempt = self._next_write = now + _RETRY_SECONDS
            return False
        except StateCorruptionError as error:
            self._delete(error)
            return True

    def _begin(self, now: float) -> bool:
        """Open a few of those that are not there yet; say whether more can be. The log is asked for all at once."""
        new = self._wanted - self._following.keys() - self._found.keys()
        if new and now >= self._next_attempt:
            self._found.update(self._changelogs.find({task_id: self._stores(task_id) for task_id in new}))
        # Another worker of the instance may still have one, which it has lost.
        free = [task_id for task_id in sorted(self._found) if not self._directory.is_lent(task_id)]
        beginning = free[:_BEGUN_AT_ONCE]
        if not beginning:
            return False
        committed = self._committed(
            changelog.partition
            for task_id in beginning
            for spec in self._stores(task_id)
            if spec.source_topic is not None
            and (changelog := self._found[task_id].get(spec.name)) is not None
        )
        if self._reader is None:
            self._reader = self._log.reader()
        for task_id in beginning:
            found = self._found.pop(task_id)
            rows = self._directory.lend(task_id, self._stores(task_id))
            try:
                self._following[task_id] = Standby(
                    task_id,
                    rows,
                    self._reader,
                    found,
                    committed,
                    now_ms=self._clock.wall_ms(),
                    listeners=self._listeners,
                )
            except BaseException:
                self._directory.give_back(rows)
                raise
        return len(free) > len(beginning)

    def _stores(self, task_id: TaskId) -> Sequence[StoreSpec]:
        return self._topology.subtopologies[task_id.subtopology].stores

    def _committed(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        asked = list(partitions)
        if not asked:
            return {}
        return {each: at.offset for each, at in self._log.committed(self._group, asked).items()}

    def _turn(self, now: float) -> bool:
        reader = self._reader
        if reader is None:
            return False
        owners = {
            partition: standby for standby in self._following.values() for partition in standby.partitions
        }
        applied = self._changelogs.read(reader, owners, 0)
        if now >= self._next_write:
            self._next_write = now + _WRITE_SECONDS
            committed = self._committed(each for standby in owners.values() for each in standby.limited)
            for standby in self._following.values():
                standby.allow(committed, now)
                standby.write()
        return applied

    def _delete(self, error: StateCorruptionError) -> None:
        if not error.path or error.path in self._deleted:
            raise error
        self._deleted.add(error.path)
        _log.error("%s; they are deleted, and followed from the beginning of their changelogs", error)
        for task_id, standby in list(self._following.items()):
            if str(self._directory.path(task_id)) == error.path:
                del self._following[task_id]
                self._give_up(standby)
        self._directory.destroy(error.path)

    def lags(self) -> Mapping[TaskId, Mapping[str, LagInfo | None]]:
        """How far each store of each task is; None where that is not known yet."""
        return {
            task_id: self._following[task_id].lags() if task_id in self._following else {}
            for task_id in sorted(self._wanted)
        }

    def read(self, store: str, partition: int) -> StoreRead | None:
        """Return what can be read of a store's partition, if its task is followed here. From any thread."""
        for task_id, standby in list(self._following.items()):
            rows = standby.rows.stores.get(store) if task_id.partition == partition else None
            if rows is not None and rows.trusted_position is not None:
                return StoreRead(
                    followed_reads(standby.rows, store, self._group, task_id, self._clock.wall_ms),
                    partial(self._how_far, standby, store),
                    partial(self._as_of, standby, store),
                )
        return None

    def _as_of(self, standby: Standby, store: str) -> float:
        return standby.as_of(store) if self._following.get(standby.task_id) is standby else GONE

    def _how_far(self, standby: Standby, store: str) -> Mapping[TopicPartition, int]:
        changelog = changelog_of(self._topology, self._group, store, standby.task_id.partition)
        position = standby.rows.stores[store].position()
        return {} if changelog is None or position is None else {changelog: position.offset}

    def close(self) -> None:
        """Give all of them up. What was applied since the last write is applied again by the next start."""
        self._wanted.clear()
        self._found.clear()
        for standby in self._following.values():
            self._give_up(standby)
        self._following.clear()
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
