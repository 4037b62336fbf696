"""A standby: the stores of a task that runs elsewhere, kept up with their changelogs for as long as it does.

What is durable when:

1. Committed records of the changelogs go into the rows, some thousands at a time.
2. Now and then (`write`) the rest of them, and then each store's position, go to the database.

# Invariant: a position is that of the reader, and is written behind all rows before it: the rows are those of the
# changelog up to there, at least. A crash leaves the position before, and what follows it is applied once more, which
# changes nothing; whoever runs the task next, here or after a restart, reads the changelog from the position.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from headrace.base.columns import Chunk
from headrace.base.ids import TaskId, TopicPartition
from headrace.engine.changelog_start import readable_of, start_at
from headrace.engine.changelogs import ChangelogPartition
from headrace.engine.status import LagInfo
from headrace.engine.store_listeners import StoreListeners
from headrace.engine.store_read import GONE
from headrace.log.port import Reader
from headrace.state.port import StorePosition
from headrace.state.task_rows import TaskRows

__all__ = ["Standby"]

_log = logging.getLogger("headrace.restore")


@dataclass(slots=True)
class _Followed:
    """One store. `limit` is where to wait in a table's own topic: what the group has not processed is not its state."""

    store: str
    topic_id: str
    readable: Callable[[Chunk], Chunk] | None
    written: int  # the offset of the position that the database has
    limit: int | None = None
    is_waiting: bool = False


class Standby:
    """Follows the changelogs of one task into rows that it has borrowed; belongs to one thread.

    A store of the user's own is left to whoever runs the task: nothing but its object could take what is read.
    """

    def __init__(
        self,
        task_id: TaskId,
        rows: TaskRows,
        reader: Reader,
        changelogs: Mapping[str, ChangelogPartition],
        committed: Mapping[TopicPartition, int],
        *,
        now_ms: int,
        listeners: StoreListeners,
    ) -> None:
        """`changelogs` are those that are there, by store; `committed` is where the group stands in tables' own topics.

        Raises:
            StateCorruptionError: the rows cannot be trusted.
        """
        self.task_id = task_id
        self.rows = rows
        self._reader = reader
        self._listeners = listeners
        self._followed: dict[TopicPartition, _Followed] = {}
        self._as_of: dict[str, float] = {}
        self._allowed_at = GONE
        starts: dict[TopicPartition, int] = {}
        for name, changelog in changelogs.items():
            store, partition = rows.stores[name], changelog.partition
            if not store.can_be_restored:
                continue
            limit = None if store.spec.source_topic is None else committed.get(partition, changelog.begin)
            end = changelog.end if limit is None else min(limit, changelog.end)
            start, _ = start_at(task_id, store, changelog, end, now_ms)
            starts[partition] = start
            self._followed[partition] = _Followed(
                name, changelog.topic.id, readable_of(store.spec, partition), start, limit
            )
        reader.assign(starts)
        for partition, start in starts.items():
            self._tell("on_update_start", partition, start)

    @property
    def partitions(self) -> list[TopicPartition]:
        """The changelogs that it follows."""
        return list(self._followed)

    @property
    def limited(self) -> list[TopicPartition]:
        """Those that are tables' own topics, which it follows as far as the group has processed them."""
        return [partition for partition, followed in self._followed.items() if followed.limit is not None]

    def allow(self, committed: Mapping[TopicPartition, int], asked_at: float) -> None:
        """Know how far the group was in tables' own topics at a moment (s), and go on there."""
        self._allowed_at = asked_at
        for partition in self.limited:
            followed = self._followed[partition]
            followed.limit = max(followed.limit or 0, committed.get(partition, 0))
            if followed.is_waiting and self._reader.position(partition) < followed.limit:
                followed.is_waiting = False
                self._reader.resume([partition])

    def apply(self, chunk: Chunk) -> None:
        """Take records of one of the changelogs, in order.

        Raises:
            StateCorruptionError: the records are of another kind of store, or damage was found.
        """
        partition = TopicPartition(chunk.topic, chunk.partition)
        followed = self._followed[partition]
        if followed.is_waiting:
            return  # it came together with what was too early, and will come again
        limit = followed.limit
        if limit is not None and chunk.offsets[-1] >= limit:
            allowed = chunk.before(limit)
            self._reader.assign({partition: chunk.offsets[len(allowed)]})
            self._reader.pause([partition])
            followed.is_waiting = True
            chunk = allowed
        if len(chunk) and followed.readable is not None:
            chunk = followed.readable(chunk)
        if len(chunk):
            self.rows.restore(followed.store, chunk)
            self._tell(
                "on_batch_loaded",
                partition,
                self.task_id,
                chunk.offsets[-1],
                len(chunk),
                self._reader.end(partition),
            )

    def write(self) -> None:
        """Let the database have what was applied, and the positions that are reached by it."""
        for partition, followed in self._followed.items():
            position = self._position(partition, followed)
            known_at = self._known_at(partition, followed, position)
            if position > followed.written:
                self.rows.restored(followed.store, StorePosition(offset=position, topic_id=followed.topic_id))
                followed.written = position
            if known_at is not None:
                self._as_of[followed.store] = known_at

    def _known_at(self, partition: TopicPartition, followed: _Followed, position: int) -> float | None:
        """A moment before which nothing was committed behind a position; None where it is not at the end."""
        if followed.limit is not None:
            return self._allowed_at if position >= followed.limit else None
        end = self._reader.end(partition)
        return None if end is None or position < end else self._reader.end_known_at(partition)

    def as_of(self, store: str) -> float:
        """A moment (of the monotonic clock): what was committed before it is in the rows. From any thread."""
        return self._as_of.get(store, GONE)

    def _position(self, partition: TopicPartition, followed: _Followed) -> int:
        position = self._reader.position(partition)
        return position if followed.limit is None else min(position, followed.limit)

    def lags(self) -> Mapping[str, LagInfo | None]:
        """How far each store is, to its changelog's committed end; None where nobody knows the end yet."""
        found: dict[str, LagInfo | None] = {}
        for partition, followed in self._followed.items():
            end, position = self._reader.end(partition), self._position(partition, followed)
            found[followed.store] = None if end is None else LagInfo.between(position, end)
        return found

    def start_again(self, partition: TopicPartition, begin: int) -> None:
        """Build a store anew from its changelog's start: what was to be read next has been deleted."""
        followed = self._followed[partition]
        _log.warning(
            "task %s: the standby of store '%s' is rebuilt: retention has overtaken it",
            self.task_id,
            followed.store,
        )
        self._suspended(partition, "migrated")
        self._as_of.pop(followed.store, None)
        self.rows.clear(followed.store)
        followed.is_waiting, followed.written = False, begin
        self._reader.assign({partition: begin})
        self._reader.resume([partition])
        self._tell("on_update_start", partition, begin)

    def stop(self, *, is_promoted: bool = False) -> None:
        """Read no more; what was applied and not written will be read again. A promoted one is to run here."""
        for partition in self._followed:
            self._suspended(partition, "promoted" if is_promoted else "migrated")
        self._reader.unassign(self._followed)

    def _suspended(self, partition: TopicPartition, reason: Literal["promoted", "migrated"]) -> None:
        at = self._position(partition, self._followed[partition])
        self._tell("on_update_suspended", partition, at, self._reader.end(partition), reason)

    def _tell(self, method: str, partition: TopicPartition, *told: object) -> None:
        self._listeners.of_standbys(method, partition, self._followed[partition].store, *told)
