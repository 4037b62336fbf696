"""Brings a task's stores up to their changelogs: the gap after a crash, everything after a lost disk.

Restoring reads committed data up to the *uncommitted* end offset, asked for after the input offsets were fetched, until
the reader's position is there. `changelog_reader` reads for all restorations of a worker.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from headrace.base.columns import Chunk
from headrace.base.ids import TaskId, TopicPartition
from headrace.engine.changelog_start import readable_of, start_at
from headrace.engine.changelogs import ChangelogPartition
from headrace.engine.status import LagInfo
from headrace.engine.store_listeners import StoreListeners
from headrace.engine.task import Task
from headrace.log.port import Reader
from headrace.state.port import StorePosition

__all__ = ["Restoration", "RestoreProgress"]

_log = logging.getLogger("headrace.restore")

#: A restore that gets no further says so after this long, and again: longer than transactions of instances that died.
_STUCK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class RestoreProgress:
    """How far one store is: records applied in this restore, offsets, and applied records a second."""

    store: str
    restored: int
    lag: LagInfo
    records_per_second: float
    is_full: bool  # from the start of the changelog, not just the gap


@dataclass(slots=True)
class _Following:
    """One store on its way."""

    store: str
    topic_id: str
    end: int
    is_full: bool
    readable: Callable[[Chunk], Chunk] | None
    moved: float  # when the reader's position last moved (seconds)
    position: int = -1
    restored: int = 0
    is_done: bool = False


class Restoration:
    """Restores one task: takes chunks of its changelogs until `is_done`.

    # Invariant: a store's position is written after the rows it stands for, and only when its changelog's end was
    # reached: a restore that is cut off starts again from the position before.
    """

    def __init__(
        self,
        task: Task,
        reader: Reader,
        changelogs: Mapping[str, ChangelogPartition],
        committed: Mapping[TopicPartition, int],
        *,
        now_ms: Callable[[], int],
        seconds: Callable[[], float],
        listeners: StoreListeners,
    ) -> None:
        """`changelogs` are those that are there, by store; `committed` are the offsets of the task's inputs."""
        self._task = task
        self._seconds = seconds
        self._listeners = listeners
        self._started = seconds()
        self._reader = reader
        self._following: dict[TopicPartition, _Following] = {}
        for spec in task.subtopology.stores:
            changelog = changelogs.get(spec.name)
            if changelog is None:
                continue
            partition, begin, end = changelog.partition, changelog.begin, changelog.end
            if spec.source_topic is not None:
                # The topic is an input too: what the task has not processed yet is not its state yet.
                end = min(committed.get(partition, begin), end)
            start, is_full = start_at(task.id, task.stores.rows.stores[spec.name], changelog, end, now_ms())
            readable = readable_of(spec, partition)
            following = _Following(spec.name, changelog.topic.id, end, is_full, readable, self._started)
            self._following[partition] = following
            self._tell("on_restore_start", partition, start, max(start, end))
            if start >= end:
                self._tell("on_restore_end", partition, 0)
                task.stores.positions[spec.name] = start
                following.is_done = True  # nothing to apply, so nothing to write: a start must stay quick
            else:
                reader.assign({partition: start})

    @property
    def task_id(self) -> TaskId:
        """Whose stores they are."""
        return self._task.id

    @property
    def partitions(self) -> Iterable[TopicPartition]:
        """The changelogs that are still to be read."""
        return [partition for partition, following in self._following.items() if not following.is_done]

    def apply(self, chunk: Chunk) -> None:
        """Take records of one of the changelogs, in order."""
        partition = TopicPartition(chunk.topic, chunk.partition)
        following = self._following[partition]
        if following.is_done:
            return
        chunk = chunk.before(following.end)
        if following.readable is not None:
            chunk = following.readable(chunk)
        if len(chunk):
            self._task.stores.rows.restore(following.store, chunk)
            following.restored += len(chunk)
            self._tell("on_batch_restored", partition, chunk.offsets[-1], len(chunk))

    def look(self) -> None:
        """Finish the stores whose changelog's end the reader has reached."""
        for partition, following in self._following.items():
            if following.is_done:
                continue
            position = self._reader.position(partition)
            if position >= following.end:
                self._finish(partition, following, following.end)
            elif position != following.position:
                following.position, following.moved = position, self._seconds()
            elif self._seconds() - following.moved > _STUCK_SECONDS:
                following.moved = self._seconds()
                _log.warning(
                    "task %s: the restore of store '%s' waits at offset %d of %s, which ends at %d. Unless no broker "
                    "answers, a transaction is open there: brokers end it after its transaction.timeout.ms. One that "
                    "never ends is found by `headrace doctor`",
                    self._task.id, following.store, position, partition, following.end,
                    extra={"task": str(self._task.id)},
                )  # fmt: skip

    def start_again(self, partition: TopicPartition, begin: int) -> None:
        """Rebuild a store from its changelog's start: what was to be read has been deleted meanwhile."""
        following = self._following[partition]
        _log.warning(
            "task %s: store '%s' is rebuilt: retention has overtaken its restore",
            self._task.id,
            following.store,
            extra={"task": str(self._task.id)},
        )
        self._task.stores.rows.clear(following.store)
        self._tell("on_restore_suspended", partition, following.restored)
        following.restored, following.is_full = 0, True
        following.end = max(begin, following.end)
        self._tell("on_restore_start", partition, begin, following.end)
        self._reader.assign({partition: begin})

    def _finish(self, partition: TopicPartition, following: _Following, offset: int) -> None:
        self._reader.unassign([partition])
        following.is_done = True
        self._task.stores.positions[following.store] = offset
        self._task.stores.rows.restored(
            following.store, StorePosition(offset=offset, topic_id=following.topic_id)
        )
        self._tell("on_restore_end", partition, following.restored)

    @property
    def is_done(self) -> bool:
        """Whether every store has reached its end."""
        return all(following.is_done for following in self._following.values())

    @property
    def restored_records(self) -> int:
        """Changelog records applied so far."""
        return sum(following.restored for following in self._following.values())

    def progress(self) -> list[RestoreProgress]:
        """One entry a store."""
        seconds = max(self._seconds() - self._started, 1e-9)
        return [
            RestoreProgress(
                following.store,
                following.restored,
                LagInfo.between(
                    following.end if following.is_done else self._reader.position(partition), following.end
                ),
                following.restored / seconds,
                following.is_full,
            )
            for partition, following in self._following.items()
        ]

    def close(self) -> None:
        """Stop reading; say what was restored, if it is done."""
        self._reader.unassign(self.partitions)
        for partition in self.partitions:
            self._tell("on_restore_suspended", partition, self._following[partition].restored)
        if self.is_done and self.restored_records:
            for done in self.progress():
                _log.info(
                    "task %s: store '%s' restored %d records (%s) at %d records/s",
                    self._task.id, done.store, done.restored,
                    "all of its changelog" if done.is_full else "the gap since its last commit",
                    done.records_per_second,
                    extra={"task": str(self._task.id)},
                )  # fmt: skip

    def _tell(self, method: str, partition: TopicPartition, *told: int) -> None:
        self._listeners.of_restores(method, partition, self._following[partition].store, *told)
