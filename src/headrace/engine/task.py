"""A task: one sub-topology at one partition. Owns its queues and its compiled nodes, and borrows its stores' rows.

The worker hands it chunks, lets it run *stretches* of records, and commits it; see `worker`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Literal

from headrace.base.columns import Stretch
from headrace.base.ids import TaskId, TopicPartition
from headrace.base.records import NO_HEADERS
from headrace.engine.borrowed_stores import BorrowedStores
from headrace.engine.collector import RecordCollector
from headrace.engine.commit_metadata import (
    NOTHING_COMMITTED,
    CommitMetadata,
    encode_metadata,
    merged_processors,
)
from headrace.engine.failures import Failures
from headrace.engine.interleaving import Interleaving, ends_soon
from headrace.engine.key_placement import KeyPlacement
from headrace.engine.options import EngineOptions
from headrace.engine.punctuation import NEVER, PunctuationQueue, aligned
from headrace.engine.queue import DecodedRecords, RecordQueue, Undecodable, oldest
from headrace.engine.task_figures import TaskFigures
from headrace.engine.task_order import TaskOrder
from headrace.engine.wiring import Awaited, CompiledTopology, compile_topology, tracing_of
from headrace.log.port import CommittedOffset
from headrace.metrics.declaration import Level
from headrace.processor.context import Cancellable, TaskContext
from headrace.state.task_state import TaskState
from headrace.state.task_store import StoreState
from headrace.topology.nodes import SourceNode
from headrace.topology.topology import SubTopology, Topology
from headrace.topology.wiring import ForwardStretch

__all__ = ["Task"]


class Task:
    """Runs one sub-topology over its inputs: one partition of each of its topics, or all that fill global stores.

    `global_states` are the states of global stores by name, as they are when it starts. `borrow` gets its
    own stores.

    Attributes:
        stores: its own; they are opened, and their rows brought up to date, before it starts.
        queues: one for each input partition.
        processed: records taken so far, for the worker's figures.
        figures: what is measured of it.
        has_progress: whether a commit has anything to do.
    """

    def __init__(
        self,
        task_id: TaskId,
        *,
        topology: Topology,
        subtopology: SubTopology,
        application_id: str,
        options: EngineOptions,
        now_ms: Callable[[], int],
        seconds: Callable[[], float],
        collector: RecordCollector,
        borrow: Callable[[TaskContext, Callable[[str, str], None], Failures], BorrowedStores],
        inputs: Mapping[TopicPartition, SourceNode],
        committed: Mapping[TopicPartition, CommitMetadata],
        placement: Callable[[SourceNode, TopicPartition], KeyPlacement | None],
        wall_punctuations: TaskOrder,
        global_states: Mapping[str, StoreState],
        awaited: Awaited,
    ) -> None:
        self.id = task_id
        self.topology = topology
        self.subtopology = subtopology
        self.processed = 0
        self.has_progress = False
        self.context = TaskContext(application_id, task_id, now_ms)
        self.context.processor_metadata = merged_processors(committed.values())
        self.context.window_emit_interval_ms = options.__emit_interval_ms_kstreams_windowed_aggregation__
        self.context.emits_expired_windows = options.windows_expired_emit
        self.context.join_emit_interval_ms = (
            options.__emit_interval_ms_kstreams_outer_join_spurious_results_fix__
        )
        self.figures = TaskFigures(seconds, now_ms, Level[options.metrics_recording_level])
        self.collector = collector
        self._tracing = tracing_of(options, self.context)
        self.failures = Failures(self.context, self.collector, options, self.figures.drop, self._tracing)
        self.queues: dict[TopicPartition, RecordQueue] = {
            partition: RecordQueue(
                partition,
                source,
                committed.get(partition, NOTHING_COMMITTED).partition_time,
                placement(source, partition),
            )
            for partition, source in inputs.items()
        }
        self._order: list[RecordQueue] = list(self.queues.values())  # least recently run first
        self._by_stream_time = PunctuationQueue("stream")
        self._by_wall_clock = PunctuationQueue("wall")
        self._wall_punctuations = wall_punctuations
        self._global_states = global_states
        self._awaited = awaited
        self._now_ms = now_ms
        self._compiled: CompiledTopology | None = None
        self.context.stream_time = max((queue.partition_time for queue in self._order), default=-1)
        self.context.scheduler = self._schedule
        self.stores = borrow(self.context, self.figures.drop, self.failures)

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def state(self) -> TaskState:
        """What lies over the rows; there from the first `promote` on."""
        return self.stores.state

    def start(self) -> None:
        """Promote it, compile the nodes and initialise the processors."""
        context, state = self.context, self.stores.promote()
        context.enter()
        self._compiled = compile_topology(
            self.topology,
            self.subtopology,
            application_id=context.application_id,
            context=context,
            collector=self.collector,
            failures=self.failures,
            state=self.figures.measured(state),
            global_states=self._global_states,
            figures=self.figures,
            awaited=self._awaited,
            tracing=self._tracing,
        )
        self._interleaving = Interleaving(
            context, self.failures, self._compiled.sources, self._take_undecodable
        )
        for initialise in self._compiled.on_start:
            initialise()

    @property
    def is_running(self) -> bool:
        """Whether it is started."""
        return self._compiled is not None

    def stop(self) -> None:
        """Close the processors. State and queues stay; `start` may follow."""
        compiled, self._compiled = self._compiled, None
        # Before the processors close: what they put or forward there would come after the last commit, and be lost.
        self.context.leave()
        self._by_stream_time.clear()
        self._by_wall_clock.clear()
        self._tell_when_due()
        if compiled is not None:
            with ExitStack() as closing:  # each is closed, also when one before it fails
                for close in reversed(compiled.on_close):
                    closing.callback(close)

    def discard(self, committed: Mapping[TopicPartition, CommitMetadata]) -> None:
        """Go back to the last commit: state changes and queued records are forgotten.

        `committed` is what stands beside the committed offsets. The caller seeks its reader and starts it again.
        """
        self.stores.discard()
        for partition, queue in self.queues.items():
            queue.partition_time = committed.get(partition, NOTHING_COMMITTED).partition_time
            queue.clear()
        self.context.processor_metadata = merged_processors(committed.values())
        self.context.stream_time = max((queue.partition_time for queue in self._order), default=-1)
        self.context.topic = self.context.chunk = self.context.kept = None
        self.context.offset = -1
        self.failures.forget()
        self.has_progress = False

    # ── records ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def head_timestamp(self) -> int | None:
        """Lowest timestamp among the heads of its queues; None when nothing waits."""
        heads = [head for queue in self._order if (head := queue.head_timestamp) is not None]
        return min(heads, default=None)

    @property
    def empty_partitions(self) -> Sequence[TopicPartition]:
        """Inputs of which nothing waits."""
        return [queue.partition for queue in self._order if queue.is_empty]

    def run_stretch(self, records_max: int, until: int = NEVER) -> int:
        """Process records of the queue whose head is oldest; return how many were taken.

        The stretch ends before the first record whose timestamp is above `until` or not below another queue's head
        (equal heads take turns), after a record that makes a punctuation due or that interrupts (commit requested,
        punctuation scheduled), and after `records_max`, or as many as the nodes want together. At least one record is
        taken if any waits.
        """
        picked, limit = oldest(self._order)
        if picked is None:
            return 0
        batch = picked.batch()
        assert batch is not None
        assert self._compiled is not None
        forward = self._compiled.sources[picked.source.name]
        self.has_progress = True
        self.context.enter()
        # Nodes that call a function for many records at once are best given as many as there are.
        is_one_by_one = max(self._compiled.records.values(), default=1) == 1
        if limit < NEVER and is_one_by_one and ends_soon(batch, limit):
            due = self._by_stream_time.next_due
            if taken := self._interleaving.run(self._order, records_max, until, due):
                self.processed += taken
                for queue in self._order:
                    if queue.last_taken is not None:
                        self.figures.processed_one(queue.source.name, queue.last_taken, queue.taken)
                return taken
        if len(self._order) > 1:
            self._order.remove(picked)
            self._order.append(picked)
        wanted = max(records_max, self._compiled.records.get(picked.source.name, 1))
        end = min(len(batch.keys), batch.cursor + wanted)
        # `until` is inclusive, another queue's head is not.
        limit = min(limit, until + 1)
        first, time_before = batch.cursor, picked.partition_time
        together = self._compiled.stretches.get(picked.source.name)
        latest = NEVER if together is None else self._latest_together(batch, end)
        if together is not None and latest < limit:
            taken = self._run_together(picked, batch, together, end, latest)
        else:
            taken = self._run(picked, batch, forward, end, limit)
        self.processed += taken
        self.figures.processed(picked.source.name, batch.timestamps, first, first + taken, time_before)
        return taken

    def _run(
        self, queue: RecordQueue, batch: DecodedRecords, forward: Callable[..., None], end: int, limit: int
    ) -> int:
        context = self.context
        context.topic, context.partition = queue.partition
        context.chunk, context.kept = batch.chunk, None
        context.interrupted = False
        start = batch.cursor
        timestamps, headers, has_markers = batch.timestamps, batch.headers, batch.has_markers
        stream_time, partition_time = context.stream_time, queue.partition_time
        due = self._by_stream_time.next_due
        index = start
        try:
            for key, value, timestamp, context.offset in zip(
                batch.keys[start:end],
                batch.values[start:end],
                timestamps[start:end],
                batch.chunk.offsets[batch.first + start : batch.first + end],
            ):
                if timestamp >= limit and index > start:
                    break
                # The cursor moves before the record runs: a failure that a handler resumes must not come again, and
                # one that stops the worker leads to an abort, which reads from the last commit anyway.
                index += 1
                if has_markers and type(value) is Undecodable:
                    self._take_undecodable(queue, value)
                    continue  # what is skipped moves no clock, as in Kafka Streams
                if timestamp > partition_time:
                    partition_time = timestamp
                    if timestamp > stream_time:
                        stream_time = context.stream_time = timestamp
                if headers is None:
                    forward(key, value, timestamp, NO_HEADERS)
                else:
                    forward(key, value, timestamp, headers[index - 1])
                if stream_time >= due or context.interrupted:
                    break
        except BaseException as error:
            self.failures.ensure_told(error, queue.source.name, queue.source.where)
            raise
        finally:
            batch.cursor = index
            queue.partition_time = partition_time
            context.topic, context.offset, context.chunk = None, -1, None
        self.failures.ensure_none()
        return index - start

    def _latest_together(self, batch: DecodedRecords, end: int) -> int:
        """Return the latest timestamp of the records up to `end`, or NEVER if they do not go on together.

        They do if there are several, and none of them can make the others wait.
        """
        start = batch.cursor
        if end - start < 2 or batch.has_markers or self._by_stream_time.next_due != NEVER:
            return NEVER
        return max(batch.timestamps[start:end])

    def _run_together(
        self, queue: RecordQueue, batch: DecodedRecords, forward: ForwardStretch, end: int, latest: int
    ) -> int:
        context, start, first = self.context, batch.cursor, batch.first
        timestamps, headers = batch.timestamps[start:end], batch.headers
        context.topic, context.partition = queue.partition
        context.chunk, context.kept = batch.chunk, None
        context.interrupted = False
        queue.partition_time = max(queue.partition_time, latest)
        context.stream_time = max(context.stream_time, latest)
        batch.cursor = end
        try:
            forward(
                Stretch(
                    batch.keys[start:end],
                    batch.values[start:end],
                    timestamps,
                    [NO_HEADERS] * (end - start) if headers is None else headers[start:end],
                    batch.chunk.offsets[first + start : first + end],
                )
            )
        except BaseException as error:
            self.failures.ensure_told(error, queue.source.name, queue.source.where)
            raise
        finally:
            context.topic, context.offset, context.chunk = None, -1, None
        self.failures.ensure_none()
        return end - start

    def _take_undecodable(self, queue: RecordQueue, marker: Undecodable) -> None:
        source = queue.source
        if marker.stage == "deserialize":
            self.failures.of_reading(source.name, source.where, marker.error)
        elif marker.stage == "timestamp":
            failed = self.failures.of_processing(source.name, source.where)
            failed(marker.error, None, marker, -1, NO_HEADERS)
        else:
            self.figures.drop(source.name, "negative timestamp")

    # ── punctuation ──────────────────────────────────────────────────────────────────────────────────────────────

    def _schedule(
        self,
        interval_ms: int,
        do: Callable[[int], object],
        on: Literal["stream", "wall"],
        start_ms: int | None,
    ) -> Cancellable:
        self.context.interrupted = True
        if on == "stream":
            # Aligned to 0, so the first record fires it, as in Kafka Streams.
            first_due = 0 if start_ms is None else aligned(start_ms, interval_ms, self.context.stream_time)
            return self._by_stream_time.schedule(interval_ms, do, first_due=first_due)
        now = self._now_ms()
        first_due = now + interval_ms if start_ms is None else aligned(start_ms, interval_ms, now)
        scheduled = self._by_wall_clock.schedule(interval_ms, do, first_due=first_due)
        self._tell_when_due()
        return scheduled

    def _tell_when_due(self) -> None:
        """Let the worker know of the wall clock's next punctuation; one that is cancelled is looked at once for it."""
        self._wall_punctuations.put(self.id, self._by_wall_clock.next_due)

    def punctuate_by_stream_time(self) -> bool:
        """Run what stream time has made due."""
        if self.context.stream_time < 0 or self._by_stream_time.next_due > self.context.stream_time:
            return False
        self.has_progress = True
        self.context.enter()
        ran = self._by_stream_time.run_due(self.context.stream_time)
        self.failures.ensure_none()
        return ran

    def punctuate_by_wall_clock(self) -> bool:
        """Run what the wall clock has made due."""
        now = self._now_ms()
        if self._by_wall_clock.next_due > now:
            self._tell_when_due()
            return False
        self.has_progress = True
        self.context.enter()
        ran = self.figures.punctuated(self._by_wall_clock.run_due, now)
        self._tell_when_due()
        self.failures.ensure_none()
        return ran

    # ── commit ───────────────────────────────────────────────────────────────────────────────────────────────────

    def flush(self) -> None:
        """Forward and log what the caches hold back."""
        self.figures.flush(self.state)
        self.failures.ensure_none()

    def offsets(self, position: Callable[[TopicPartition], int]) -> dict[TopicPartition, CommittedOffset]:
        """What to commit: for each input the next unprocessed record's offset, or the reader's position."""
        offsets = {}
        processors = self.context.processor_metadata
        for partition, queue in self.queues.items():
            offset = queue.next_offset
            metadata = encode_metadata(CommitMetadata(queue.partition_time, processors))
            offsets[partition] = CommittedOffset(position(partition) if offset is None else offset, metadata)
        return offsets

    def close(self) -> None:
        """Close processors and state, and give the rows back. What was not committed is forgotten. Twice is fine."""
        try:
            self.stop()
        finally:
            self.stores.close()
