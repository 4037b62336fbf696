"""What keeps log and disk small: purging repartition topics, the log's own retention, state that nobody uses."""

from collections.abc import Iterable, Mapping

from headrace.base.ids import TopicPartition
from headrace.engine.task import Task
from headrace.log.port import Log
from headrace.state.state_directory import StateDirectory
from headrace.topology.topology import Topology

__all__ = ["Upkeep"]

#: Time between looks at retention and compaction, and what one look may take.
_MAINTAIN_SECONDS = 1.0
_MAINTAIN_BUDGET_MS = 20

#: Time between looks for state that nobody has used for `state.cleanup.delay.ms`, ten minutes.
_CLEAN_SECONDS = 30.0


class Upkeep:
    """Does each when it is due. `restoring` is who restores, among all workers of the instance."""

    def __init__(
        self,
        log: Log,
        directory: StateDirectory,
        restoring: set[object],
        topology: Topology,
        application_id: str,
        purge_interval_ms: int,
    ) -> None:
        self._log = log
        self._directory = directory
        self._restoring = restoring
        self._purged: dict[TopicPartition, int] = {}
        self._repartition_topics = frozenset(
            topology.decorate(topic, application_id) for topic in topology.repartition_topics
        )
        self._purge_seconds = purge_interval_ms / 1000
        self._next_purge = self._next_maintain = self._next_clean = 0.0

    def begin(self, now: float) -> None:
        """Start counting."""
        self._next_purge = now + self._purge_seconds
        self._next_maintain = now + _MAINTAIN_SECONDS
        self._next_clean = now + _CLEAN_SECONDS

    def purge(self, now: float, tasks: Iterable[Task], committed: Mapping[TopicPartition, int]) -> None:
        """Let go of what was read from repartition topics and is known to be committed; after a commit.

        Nobody is asked: a log that is away for a while must not end a worker that has nothing to do.
        """
        if now < self._next_purge:
            return
        self._next_purge = now + self._purge_seconds
        before = {
            partition: offset
            for task in tasks
            for partition in task.queues
            if partition.topic in self._repartition_topics
            and (offset := committed.get(partition, 0)) > self._purged.get(partition, 0)
        }
        if before:
            self._log.delete_records(before)
            self._purged.update(before)

    def maintain(self, now: float, *, is_restoring: bool) -> None:
        """Let the log apply retention and compaction.

        Not while anything restores, here or in another worker: of a key that compaction removes while somebody reads
        on for long, the reader may have seen the value and never see the tombstone.
        """
        if is_restoring:
            self._restoring.add(self)
        else:
            self._restoring.discard(self)
        if now >= self._next_maintain and not self._restoring:
            self._next_maintain = now + _MAINTAIN_SECONDS
            self._log.maintain(_MAINTAIN_BUDGET_MS)

    def clean(self, now: float) -> None:
        """Let go of the state of tasks that have been elsewhere for long."""
        if now >= self._next_clean:
            self._next_clean = now + _CLEAN_SECONDS
            self._directory.clean()

    def close(self) -> None:
        """Stand in nobody's way any more."""
        self._restoring.discard(self)
