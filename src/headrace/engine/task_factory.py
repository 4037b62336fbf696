"""Makes tasks: finds the topics they need, borrows their rows, gives them their columns."""

from collections.abc import Callable, Mapping
from functools import partial

from headrace.base.ids import GLOBAL_TASK, TaskId, TopicPartition
from headrace.engine.borrowed_stores import BorrowedStores
from headrace.engine.clock import Clock
from headrace.engine.collector import RecordCollector
from headrace.engine.commit_metadata import CommitMetadata
from headrace.engine.event_loop import EventLoop
from headrace.engine.failures import Failures
from headrace.engine.global_failures import of_global_stores
from headrace.engine.key_placement import KeyPlacement
from headrace.engine.options import EngineOptions
from headrace.engine.task import Task
from headrace.engine.task_order import TaskOrder
from headrace.engine.written_topics import WrittenTopics
from headrace.log.limits import NO_LIMITS, RecordLimits
from headrace.log.port import Log, TopicInfo
from headrace.processor.context import TaskContext
from headrace.state.buffer.live_cells import LiveBudget
from headrace.state.cache import CacheBudget
from headrace.state.port import ChangelogAdmission
from headrace.state.state_directory import StateDirectory
from headrace.state.task_rows import TaskRows
from headrace.state.task_state import TaskState
from headrace.state.task_store import StoreState
from headrace.topology.nodes import SourceNode
from headrace.topology.topology import SubTopology, Topology

__all__ = ["TaskFactory"]


class TaskFactory:
    """Makes the tasks of one worker, which share a record cache and one collector.

    Attributes:
        collector: what all of them write. Shared, so that records of several tasks stand in a topic in the order in
            which they were processed: with columns of its own, each task would append a whole commit's worth at once,
            and windows behind a repartition topic would find days of records late.
        wall_punctuations: when each task has punctuations due by the wall clock, or a little too early.
    """

    def __init__(
        self,
        *,
        topology: Topology,
        log: Log,
        options: EngineOptions,
        application_id: str,
        directory: StateDirectory,
        clock: Clock,
        cache: CacheBudget,
        note_letter_topic: Callable[[str], None] = lambda topic: None,
        takes_text: bool = False,
    ) -> None:
        self._topology = topology
        self._log = log
        self._options = options
        self.application_id = application_id
        self._directory = directory
        self._clock = clock
        self._cache = cache
        self._live = LiveBudget(options.join_index_max_bytes)
        self._event_loop = EventLoop()
        self._written = WrittenTopics(log)
        self.wall_punctuations = TaskOrder()
        self._placements: dict[str, KeyPlacement] = {}  # by topic: its tasks share one, so that it warns once
        self.collector = RecordCollector(
            self.topic_info,
            clock.wall_ms,
            self._limits,
            self._written.make_chosen,
            note_letter_topic,
            takes_text=takes_text,
        )

    def close(self) -> None:
        """End what the tasks have had together, once they are closed."""
        self._event_loop.close()

    def partition_count(self, topic: str) -> int:
        """Return how many partitions a topic has; see `topic_info`."""
        return self.topic_info(topic).partitions

    def known_partition_counts(self) -> Mapping[str, int]:
        """Return the partition counts of all topics that were asked about: what tasks and sinks go by."""
        return self._written.partition_counts()

    def topic_info(self, topic: str) -> TopicInfo:
        """Return what is known of a topic; one that a function chose will be made, with a single partition.

        Raises:
            UnknownTopicError: it is missing, and the log makes none.
        """
        return self._written.info(topic)

    def _limits(self, topic: str) -> RecordLimits:
        found = self._log.topics([topic]).get(topic)
        return NO_LIMITS if found is None else found.limits

    def changelog_name(self, store: str) -> str:
        """Full name of a store's changelog topic."""
        return f"{self.application_id}-{store}-changelog"

    def full_name(self, topic: str) -> str:
        """Full name of a topic that the topology reads."""
        return self._topology.decorate(topic, self.application_id)

    def inputs(self, task_id: TaskId) -> dict[TopicPartition, SourceNode]:
        """Return what a task reads, with the source that reads it."""
        found = {}
        for source in self._topology.subtopologies[task_id.subtopology].sources:
            for topic in source.topics:
                name = self.full_name(topic)
                if task_id.partition < self.partition_count(name):
                    found[TopicPartition(name, task_id.partition)] = source
        return found

    def make(
        self,
        task_id: TaskId,
        committed: Mapping[TopicPartition, CommitMetadata],
        global_states: Mapping[str, StoreState],
    ) -> Task:
        """Make a task; `committed` is what stands beside its inputs' committed offsets."""
        subtopology = self._topology.subtopologies[task_id.subtopology]
        return self._make(task_id, subtopology, self._options, self.inputs(task_id), committed, global_states)

    def make_global(self, part: SubTopology, global_states: Mapping[str, StoreState]) -> Task:
        """Make what fills all global stores: a task whose inputs are all partitions of their topics."""
        inputs = {
            TopicPartition(topic, partition): source
            for source in part.sources
            for topic in source.topics
            for partition in range(self.partition_count(topic))
        }
        return self._make(GLOBAL_TASK, part, of_global_stores(self._options), inputs, {}, global_states)

    def _make(
        self,
        task_id: TaskId,
        subtopology: SubTopology,
        options: EngineOptions,
        inputs: Mapping[TopicPartition, SourceNode],
        committed: Mapping[TopicPartition, CommitMetadata],
        global_states: Mapping[str, StoreState],
    ) -> Task:
        def borrow(
            context: TaskContext, dropped: Callable[[str, str], None], failures: Failures
        ) -> BorrowedStores:
            return BorrowedStores(
                lambda: self._directory.lend(task_id, subtopology.stores),
                lambda rows: self._put_state(rows, context, dropped, failures),
                self._directory.give_back,
            )

        return Task(
            task_id,
            topology=self._topology,
            subtopology=subtopology,
            application_id=self.application_id,
            options=options,
            now_ms=self._clock.wall_ms,
            seconds=self._clock.seconds,
            collector=self.collector,
            borrow=borrow,
            inputs=inputs,
            committed=committed,
            placement=self._placement,
            wall_punctuations=self.wall_punctuations,
            global_states=global_states,
            awaited=self._event_loop.outcomes,
        )

    @property
    def misplaced_keys(self) -> int:
        """How many keys were found in another partition than they should be, of those that were looked at."""
        return sum(each.misplaced for each in self._placements.values())

    def _placement(self, source: SourceNode, partition: TopicPartition) -> KeyPlacement | None:
        topic, records_max = partition.topic, self._options.partitioning_check_records
        # No repartition topic is among these, whose full name is another.
        if not records_max or topic not in self._topology.keyed_topics:
            return None
        partitions = self.partition_count(topic)
        if partitions == 1:
            return None
        node = f"{source.name} ({source.where})"
        return self._placements.setdefault(
            topic, KeyPlacement(topic, partitions, source.key, node, records_max)
        )

    def _put_state(
        self,
        rows: TaskRows,
        context: TaskContext,
        dropped: Callable[[str, str], None],
        failures: Failures,
    ) -> TaskState:
        changelogs = {
            spec.name: self.collector.changelog_columns(self.changelog_name(spec.name), context.partition)
            for spec in rows.specs
            if spec.logging and spec.source_topic is None
        }

        admissions = {
            name: ChangelogAdmission(
                partial(admission.check, context.partition), admission.admits_all, admission.horizon
            )
            for name in changelogs
            if (admission := self.collector.admission(self.changelog_name(name), are_keyed=True)) is not None
        }
        return TaskState(
            rows,
            changelogs,
            context,
            self._cache,
            live=self._live,
            dropped=lambda store, reason: dropped(f"store {store}", reason),
            now_ms=self._clock.wall_ms,
            admissions=admissions,
            refused=lambda spec: failures.of_processing(f"store {spec.name}", spec.where),
            directory=partial(self._directory.own_path, context.task_id),
        )
