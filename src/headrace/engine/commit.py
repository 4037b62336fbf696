"""The commit: outputs, changelogs and input offsets first, together; the stores on disk after them.

What is durable when:

1. Caches are flushed: every change is now a record in some column.
2. `Writer.commit` makes outputs, changelog records and input offsets durable in one transaction. A crash before it
   loses all of them: the inputs are read again, and the stores on disk are as they were.
3. The buffers and the stores' positions go to the database. A crash before or within it leaves a store behind its
   changelog: the restore reads the gap from the store's position.

# Invariant: a store on disk is always a prefix of its changelog, up to its position. Nothing may write to a database
# between two commits, and no position may be written before the transaction that it points behind is durable.
# Guarded by the tests that stop the process at each of these steps.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from headrace.base.errors import StaleMemberEpochError
from headrace.base.ids import TaskId, TopicPartition
from headrace.base.log_fields import at_work
from headrace.engine.collector import RecordCollector
from headrace.engine.known_topics import KnownTopics
from headrace.engine.starting_offsets import StartingOffsets
from headrace.engine.task import Task
from headrace.log.membership import MemberIdentity
from headrace.log.port import CommittedOffset, Log, Reader, Writer
from headrace.state.port import StorePosition

__all__ = ["Committer"]

#: How often each place is committed, moved or not. A cluster forgets what a group has committed of a topic that none of
#: its members subscribes to `offsets.retention.minutes` (a week) after the commit, whether anybody reads there or not:
#: the next start would process a quiet partition from its beginning once more.
_RENEW_SECONDS = 3600.0


class Committer:
    """Commits tasks together, in one transaction.

    `reached` is called with the name of each step as it begins; tests stop the process there.
    """

    def __init__(
        self,
        *,
        log: Log,
        writer: Writer,
        collector: RecordCollector,
        reader: Reader,
        starting: StartingOffsets,
        known_topics: KnownTopics,
        changelog_name: Callable[[str], str],
        reached: Callable[[str], None] = lambda step: None,
    ) -> None:
        self._log = log
        self._writer = writer
        self._collector = collector
        self._reader = reader
        self._starting = starting
        self._changelog_name = changelog_name
        self._reached = reached
        self._known_topics = known_topics
        self._topic_ids: dict[str, str] = {}  # of tables' own topics
        #: Where the group is known to stand; in partitions of which nothing was committed yet, where it starts.
        self.committed: dict[TopicPartition, int] = {}
        self._next_renewal = 0.0

    def begin(self, now: float) -> None:
        """Count from now until all places are committed again (seconds of the monotonic clock)."""
        self._next_renewal = now + _RENEW_SECONDS

    def know(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Know where the group stands in these partitions."""
        self.committed.update(offsets)

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Know nothing of these partitions any more."""
        for partition in partitions:
            self.committed.pop(partition, None)

    def commit_due(
        self,
        tasks: Iterable[Task],
        now: float,
        *,
        leaving: Collection[TaskId],
        member: MemberIdentity,
    ) -> bool:
        """Commit those that have progress, or whose inputs' positions moved without any; now and then all.

        Those that are `leaving` are committed as soon as they have started: what their `init` wrote is no progress, but
        nothing of them may be left to a later commit. With them go the offsets at which inputs start.

        Returns whether there was anything to commit. Raises what `commit` raises.
        """
        renews = now >= self._next_renewal
        due = [
            task
            for task in tasks
            if task.has_progress
            or (task.is_running and (renews or task.id in leaving or self._has_moved(task)))
        ]
        if due or self._starting.found:
            self.commit(due, member)
            if renews:
                self._next_renewal = now + _RENEW_SECONDS
            return True
        return False

    def _has_moved(self, task: Task) -> bool:
        """Whether an input's position is past what was committed although no record came: transaction markers do that.

        Committed too, or a partition that was read to its end would show a lag for ever.
        """
        return any(
            queue.next_offset is None and self._reader.position(partition) > self.committed.get(partition, 0)
            for partition, queue in task.queues.items()
        )

    def commit(self, tasks: Sequence[Task], member: MemberIdentity) -> None:
        """Commit these tasks, and the offsets at which inputs start of which nothing was committed yet, as a member of
        the group.

        Raises:
            TransactionAbortedError: the transaction is not known to be durable; the caller gives up all buffers.
            StaleMemberEpochError: the group does not take it as this member; it is open as before, for a later commit.
            FencedError: another instance commits as well.
            LogError: the same, and trying again will not help.
        """
        self._reached("flush")
        for task in tasks:
            with at_work(task.context):
                task.flush()
        self._reached("drain")
        offsets: dict[TopicPartition, CommittedOffset] = dict(self._starting.found)
        self._collector.drain(self._writer)
        for task in tasks:
            offsets.update(task.offsets(self._reader.position))
        self._reached("transaction")
        since = time.monotonic()
        for task in tasks:
            task.stores.committing_since = since
        try:
            ends = self._writer.commit(offsets, member)
        except StaleMemberEpochError:
            for task in tasks:
                task.stores.committing_since = None
            raise
        self._starting.committed()
        self._collector.committed()
        for partition, moved in offsets.items():
            self.committed[partition] = moved.offset
        self._reached("state")
        for task in tasks:
            positions = self._positions(task, offsets, ends)
            task.state.commit(positions)
            task.stores.positions.update({store: each.offset for store, each in positions.items()})
            task.stores.inputs = {partition: offsets[partition].offset for partition in task.queues}
            task.stores.committing_since = None
            task.has_progress = False
            task.context.commit_requested = False
            self._reached("next task")
        self._reached("end")

    def _positions(
        self, task: Task, offsets: dict[TopicPartition, CommittedOffset], ends: Mapping[TopicPartition, int]
    ) -> dict[str, StorePosition]:
        """Positions of the stores whose changelog moved with this commit; the others stay where they are."""
        inputs = {partition: offsets[partition].offset for partition in task.queues}
        positions = {}
        for spec in task.subtopology.stores:
            if spec.source_topic is not None:
                topic = task.topology.decorate(spec.source_topic, task.context.application_id)
                offset = inputs.get(TopicPartition(topic, task.id.partition))
            else:
                topic = self._changelog_name(spec.name)
                offset = ends.get(TopicPartition(topic, task.id.partition))
            if offset is not None:
                positions[spec.name] = StorePosition(
                    offset=offset,
                    topic_id=self._topic_id(topic),
                    inputs=inputs,
                )
        return positions

    def _topic_id(self, topic: str) -> str:
        known = self._known_topics.id_of(topic)
        if known is not None:
            return known
        if topic not in self._topic_ids:
            self._topic_ids[topic] = self._log.topics([topic])[topic].id
        return self._topic_ids[topic]
