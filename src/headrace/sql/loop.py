"""What a sink does, turn by turn: heed the group, claim partitions, read, write a batch, and wait where it must.

Nothing is read while batches wait, so no more is in memory than one answer of the log. Where the database does not
answer, the group is heard all the same: partitions may go to others, and no batch of theirs is written here then.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic

from typing_extensions import TypeVar

from headrace.base.errors import ApplicationStoppedError, FencedError, LogError, LogUnavailableError
from headrace.base.ids import TaskId, TopicPartition
from headrace.group.application import GroupApplication, SubtopologyTopics
from headrace.group.membership import Assigned, Ended, EpochChanged, GroupStatus, Lost, StatusChanged
from headrace.log.admission import unknown_topic
from headrace.log.membership import Membership
from headrace.log.port import Log, TopicSpec
from headrace.sql.batch import Batch, BatchWriting
from headrace.sql.claims import Claims
from headrace.sql.judgement import Later
from headrace.sql.log_side import LogSide
from headrace.sql.measuring import SinkMeters
from headrace.sql.positions import Claim
from headrace.streams.states import State

__all__ = ["SinkLoop"]

K = TypeVar("K")
V = TypeVar("V")

_log = logging.getLogger("headrace.sql")

#: How long one poll of the log may wait: the group and a stop are heard that late.
_POLL_MS = 100
#: Between two tries: at first, and at most.
_BACKOFF_SECONDS, _BACKOFF_MAX_SECONDS = 0.1, 5.0
_MAINTAIN_BUDGET_MS = 10


class SinkLoop(Generic[K, V]):
    """Belongs to one thread.

    Attributes:
        trouble: what it waits for, for people; None where all is well. From any thread.
    """

    def __init__(
        self,
        log: Log,
        topic: str,
        partitions: int | None,
        *,
        open_database: Callable[[], tuple[BatchWriting[K, V], Claims]],
        join: Callable[[GroupApplication], Membership],
        known_as: Callable[[str], None],
        log_side: LogSide,
        batch_records: int,
        look_seconds: float,
        stop: threading.Event,
        meters: SinkMeters,
        moved: Callable[[State], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._topic = topic
        self._partitions = partitions
        self._open_database = open_database
        self._join = join
        self._known_as = known_as
        self._log_side = log_side
        self._batch_records = batch_records
        self._look_seconds = look_seconds
        self._stop = stop
        self._meters = meters
        self._moved = moved
        self._clock = clock
        self._wanted: frozenset[TopicPartition] = frozenset()
        self._claimed: dict[TopicPartition, Claim] = {}
        self._batches: deque[Batch] = deque()
        self._failures = 0
        self._next_try = self._next_look = 0.0
        self.trouble: str | None = None

    def run(self) -> None:
        """Work until it is to stop, or something is wrong that time does not mend.

        Raises:
            ProcessingError, DatabaseError, ConfigError, LogError: that is the end; nothing half was committed.
        """
        opened = self._database()
        if opened is None:
            return
        self._writing, self._claims = opened
        self._reader = self._log.reader()
        try:
            self._count = self._ensure_topic()
            self._membership = self._join(_application(self._topic, self._count))
            try:
                while not self._stop.is_set():
                    self._turn()
                self._tell_log(now=True)
            finally:
                self._membership.close()
        finally:
            self._log_side.close()
            self._reader.close()

    def _database(self) -> tuple[BatchWriting[K, V], Claims] | None:
        """Wait for the database before the group hears of this instance: others may reach it."""
        while not self._stop.is_set():
            try:
                opened = self._open_database()
            except Later as later:
                self._back_off(later)
                self._stop.wait(self._next_try - self._clock())
            else:
                self._recovered()
                return opened
        return None

    def _ensure_topic(self) -> int:
        counts = self._log.partition_counts([self._topic])
        if self._topic not in counts:
            if not self._log.makes_user_topics:
                raise unknown_topic("read", self._topic)
            self._log.create_topics([TopicSpec(self._topic, self._partitions or 1)])
            counts = self._log.partition_counts([self._topic])
        self._next_look = self._clock() + self._look_seconds
        return counts[self._topic]

    # ── one turn ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _turn(self) -> None:
        wait_s = max(0.0, self._next_try - self._clock())
        self._heed(min(wait_s, _POLL_MS / 1000))
        if self._clock() < self._next_try:
            return
        try:
            self._claim()
            if not self._batches:
                self._read()
            if self._batches:
                self._write(self._batches[0])
            self._look_at_topic()
            self._recovered()
        except (Later, LogUnavailableError) as later:
            self._log_side.forget()
            self._back_off(later)
        self._tell_log()

    def _heed(self, wait_s: float) -> None:
        effects = self._membership.effects(wait_s)
        # Nothing of before counts any more for who is no member.
        lost = max((place for place, each in enumerate(effects) if isinstance(each, Lost)), default=0)
        for effect in effects[lost:]:
            if isinstance(effect, Assigned):
                self._take_over(effect)
            elif isinstance(effect, Lost):
                _log.warning(
                    "%s; all partitions are given up, and the instance joins its group again", effect.reason
                )
                self._wanted = frozenset()
                self._drop(list(self._claimed))
                self._moved("rebalancing")
                self._membership.dropped()
            elif isinstance(effect, EpochChanged):
                self._known_as(effect.member_id)
            elif isinstance(effect, StatusChanged):
                if GroupStatus.SHUTDOWN_APPLICATION in effect.statuses:
                    raise ApplicationStoppedError("an instance has told all of them to stop")
            elif isinstance(effect, Ended) and effect.reason is not None:
                raise LogError(effect.reason)

    def _take_over(self, assigned: Assigned) -> None:
        self._wanted = frozenset(
            TopicPartition(self._topic, each.partition) for each in assigned.roles.active
        )
        gone = sorted(self._claimed.keys() - self._wanted)
        if gone:
            self._tell_log(now=True)
            self._drop(gone)
        # What is taken up is claimed in the database, where the former owner writes nothing more from then on.
        self._membership.acknowledge(assigned.number)
        self._moved("running")

    def _drop(self, partitions: Iterable[TopicPartition]) -> None:
        gone = set(partitions)
        self._reader.unassign(sorted(gone))
        for partition in gone:
            del self._claimed[partition]
        self._batches = deque(
            each
            for each in self._batches
            if TopicPartition(each.chunk.topic, each.chunk.partition) not in gone
        )

    def _claim(self) -> None:
        for partition in sorted(self._wanted - self._claimed.keys()):
            claim = self._claims.claim(partition)
            self._meters.claims += 1
            self._claimed[partition] = claim
            self._reader.assign({partition: claim.next_offset})

    def _read(self) -> None:
        if not self._claimed:
            self._heed(_POLL_MS / 1000)
            return
        chunks = self._reader.poll(_POLL_MS)
        if not chunks:
            self._log.maintain(_MAINTAIN_BUDGET_MS)
        for chunk in chunks:
            for start in range(0, len(chunk), self._batch_records):
                part = chunk.part(start, start + self._batch_records)
                self._batches.append(Batch(part, part.offsets[-1] + 1))

    def _write(self, batch: Batch) -> None:
        partition = TopicPartition(batch.chunk.topic, batch.chunk.partition)
        try:
            self._claimed[partition] = self._writing.write(self._claimed[partition], batch)
        except FencedError as error:
            # Who was stopped for a while hears next of its group that it has lost the partition. If the group says that
            # it is ours, some other application has our name: both go on where the database is, and say so.
            _log.warning("%s; it is given up here", error)
            self._meters.lost_claims += 1
            self._drop([partition])
            raise Later(str(error)) from error
        self._batches.popleft()

    # ── around it ────────────────────────────────────────────────────────────────────────────────────────────────

    def _back_off(self, later: Later | LogUnavailableError) -> None:
        seconds = min(_BACKOFF_SECONDS * 2**self._failures, _BACKOFF_MAX_SECONDS)
        self._failures += 1
        self._meters.retries += 1
        self._next_try = self._clock() + seconds
        if self.trouble is None:
            _log.warning("%s; it is tried again until it can be", later)
        self.trouble = str(later)

    def _recovered(self) -> None:
        if self.trouble is not None:
            _log.info("what was waited for is there: %s", self.trouble)
            self.trouble = None
        self._failures = 0
        self._next_try = 0.0

    def _tell_log(self, *, now: bool = False) -> None:
        offsets = {partition: claim.next_offset for partition, claim in self._claimed.items()}
        self._meters.partitions = tuple(sorted(partition.partition for partition in offsets))
        ends = {partition: self._reader.end(partition) for partition in offsets}
        self._meters.lag = sum(
            max(0, (ends[partition] or offset) - offset) for partition, offset in offsets.items()
        )
        self._log_side.tell(offsets, self._membership, now=now)

    def _look_at_topic(self) -> None:
        """Take up partitions that were added, every now and then."""
        if self._clock() >= self._next_look:
            count = self._ensure_topic()
            if count != self._count:
                self._count = count
                self._membership.rejoin(_application(self._topic, count))


def _application(topic: str, count: int) -> GroupApplication:
    """Describe the sink to its group: one task for each partition, without state."""
    return GroupApplication(
        (SubtopologyTopics(id=0, source_topics=frozenset({topic})),),
        tuple(TaskId(0, number) for number in range(count)),
        {topic: count},
    )
