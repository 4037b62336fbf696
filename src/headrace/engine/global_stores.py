"""Global stores: each instance has all of a topic in them, read to its end before any task starts, and then kept up.

A worker's thread fills them, between stretches of its tasks. A thread of their own would gain nothing under the GIL,
and a stretch of joins would find rows of two moments. Which one, where there are several, is for `global_seats` to say.
What is durable when:

1. Records go through the processor into the stores' buffers, as a task's do.
2. With each commit of the worker, after its transaction and whatever became of it, the buffers go to the database, and
   then the positions: the next offset of every partition. Where a processor of the user's makes the rows, which may not
   be the same if it is given a record twice, all of it goes in one write.

A crash leaves the stores as of some commit, and the next start reads the gap.

# Invariant: while something is missing that was there before (not `is_caught_up`), no task starts, and none runs.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any, NoReturn

from headrace.base.errors import (
    OffsetOutOfRangeError,
    RetryRequested,
    StateCorruptionError,
    StateError,
    StoreUnavailableError,
)
from headrace.base.ids import GLOBAL_TASK, TopicPartition
from headrace.engine.clock import Clock
from headrace.engine.forked import end_if_forked
from headrace.engine.global_restores import GlobalRestores
from headrace.engine.global_starts import starting_offsets
from headrace.engine.status import TaskStatus
from headrace.engine.store_listeners import StoreListeners
from headrace.engine.store_read import GONE, StoreRead
from headrace.engine.stretch_length import TURN_SECONDS, StretchLength
from headrace.engine.task import Task
from headrace.engine.task_factory import TaskFactory
from headrace.log.port import Log, Reader, TopicInfo
from headrace.state.port import StorePosition
from headrace.state.state_directory import StateDirectory
from headrace.state.task_store import StoreState
from headrace.topology.topology import SubTopology

__all__ = ["GlobalStores"]

_log = logging.getLogger("headrace.restore")

#: A turn while all tasks wait for these stores, and how long one look at the log may then wait.
_CATCH_UP_SECONDS = 0.050
_WAIT_MS = 5


class GlobalStores:
    """Fills the stores of a topology's global part; does nothing where there is none.

    Belongs to the thread that fills them, but for `query`.

    Attributes:
        version: how often they were opened: where that changes, tasks that read them are to be made anew.
        states: by name, for tasks of that thread to read.
        task: what fills them; None where there are none.
        partition_counts: of the topics that they are filled from, as they were when they were opened.
    """

    def __init__(
        self,
        part: SubTopology | None,
        log: Log,
        make_factory: Callable[[], TaskFactory],
        directory: StateDirectory,
        clock: Clock,
        records_max: int,
        listeners: StoreListeners,
    ) -> None:
        self._part = part
        self._log = log
        self._make_factory = make_factory
        self._factory: TaskFactory | None = None
        self._directory = directory
        self._clock = clock
        self._restores = GlobalRestores(listeners, () if part is None else part.stores)
        self._length = StretchLength(records_max)
        self._process_id = os.getpid()
        self.version = 0
        self._has_begun = False
        self.states: dict[str, StoreState] = {}
        self._seen: dict[TopicPartition, int] = {}  # what tasks may have seen when nobody fills the stores
        self.task: Task | None = None
        self.partition_counts: Mapping[str, int] = {}
        self._reader: Reader | None = None
        self._topic_ids: dict[str, str] = {}
        self._has_waiting = False
        self._missing: dict[
            TopicPartition, int
        ] = {}  # how far a partition has to be read until tasks may run
        self._committed: dict[TopicPartition, int] = {}  # next offsets, as of the last commit
        self._began = (0.0, 0)  # catching up: when, and with how many records processed

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> None:
        """Open the stores, and begin to read what they lack. Damaged ones are deleted first."""
        if self._part is None:
            return
        self._reader = self._log.reader()
        try:
            self._begin(self._part, self._reader)
        except StateCorruptionError as error:
            if not error.path:
                raise
            _log.error("%s; they are deleted, and their topics read anew", error)
            self.delete(error.path)

    def _begin(self, part: SubTopology, reader: Reader) -> None:
        if self._factory is not None:
            self._factory.close()
        factory = self._factory = self._make_factory()  # one that knows of the topics as they are now
        self.version += 1
        self._has_begun = False
        self.states = {}
        task = self.task = factory.make_global(part, self.states)
        self.partition_counts = factory.known_partition_counts()
        task.stores.open()
        state = task.stores.promote()
        self.states.update({spec.name: state.state(spec.name) for spec in part.stores})
        task.context.scheduler = _refuse_to_schedule
        self._has_waiting = False
        topics = self._know_topics(part.source_topics)
        self._committed = starting_offsets(task, self._log, topics, self._clock.wall_ms())
        reader.assign(self._committed)
        self._expect(self._log.end_offsets(task.queues))
        task.start()
        self._has_begun = True

    def _know_topics(self, names: Iterable[str]) -> Mapping[str, TopicInfo]:
        topics = self._log.topics(names)
        self._topic_ids.update({name: topic.id for name, topic in topics.items()})
        return topics

    def delete(self, path: str) -> None:
        """Delete the stores, all of them in one directory, and read their topics anew into new ones."""
        self._begin_anew(lambda: self._directory.destroy(path))

    def is_outdated(self) -> bool:
        """Whether the topics have other partition counts than when the stores were opened. From any thread."""
        if not self.partition_counts:
            return False
        return self._log.partition_counts(list(self.partition_counts)) != dict(self.partition_counts)

    def open_anew(self) -> None:
        """Go on with the topics as they are now."""
        self._begin_anew()

    def _begin_anew(self, when_closed: Callable[[], None] = lambda: None) -> None:
        assert self._part is not None
        assert self._reader is not None
        if self.task is not None:
            self._reader.unassign(self.task.queues)
            self.task.close()
        when_closed()
        self._begin(self._part, self._reader)

    def let_go(self) -> None:
        """Let the thread that fills them go; another will `take_over`."""
        if self.task is not None and self._reader is not None and self._has_begun:
            self._seen = self._offsets(self.task.queues)
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def take_over(self) -> None:
        """Go on in the present thread, from the last commit."""
        if self._part is None:
            return
        reader = self._reader = self._log.reader()
        if self.task is not None and self._has_begun:
            self.task.context.thread = threading.get_ident()
            self._go_back(self.task, reader, self._seen)
        else:
            self.open_anew()

    def close(self) -> None:
        """Release everything. What was not committed is read again by the next start. Twice is fine."""
        with ExitStack() as closing:
            closing.callback(self._restores.give_up)
            if self._factory is not None:
                closing.callback(self._factory.close)
            if self._reader is not None:
                closing.callback(self._reader.close)
            if self.task is not None:
                closing.callback(self.task.close)

    # ── following the topics ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_caught_up(self) -> bool:
        """Whether tasks may start and run: the stores have all that there was when they were opened."""
        return not self._missing

    def follow(self) -> bool:
        """Process for about ten milliseconds what the topics have; longer while tasks wait. Says whether there was any.

        Raises:
            RetryRequested: a handler wants a record again: it is the next one. The caller waits a little.
            StateCorruptionError: stores are damaged: `delete` them.
            LogError: the topics cannot be read.
        """
        task, reader = self.task, self._reader
        if task is None or reader is None:
            return False
        try:
            fetched = not self._has_waiting and self._fetch(task, reader)
            ran = (fetched or self._has_waiting) and self._run(task)
        except RetryRequested:
            self._go_back(task, reader, self._offsets(task.queues))
            raise
        except OffsetOutOfRangeError as error:
            self._read_anew(task, reader, error)
            return True
        if self._missing:
            self._look()
        return fetched or ran

    def _fetch(self, task: Task, reader: Reader) -> bool:
        chunks = reader.poll(_WAIT_MS if self._missing else 0)
        for chunk in chunks:
            task.queues[TopicPartition(chunk.topic, chunk.partition)].add(chunk)
            self._restores.fetched(chunk)
        return bool(chunks)

    def _run(self, task: Task) -> bool:
        began = self._clock.seconds()
        deadline = began + (_CATCH_UP_SECONDS if self._missing else TURN_SECONDS)
        self._has_waiting = True  # also when a record fails
        ran = False
        while taken := task.run_stretch(self._length.records):
            end_if_forked(self._process_id)
            ran = True
            now = self._clock.seconds()
            self._length.learn(taken, now - began)
            if now >= deadline:
                return True
            began = now
        self._has_waiting = False
        return ran

    def _offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Next offsets to process."""
        assert self.task is not None
        assert self._reader is not None
        queues, position = self.task.queues, self._reader.position
        waiting = {partition: queues[partition].next_offset for partition in partitions}
        return {
            partition: position(partition) if offset is None else offset
            for partition, offset in waiting.items()
        }

    def _expect(self, ends: Mapping[TopicPartition, int]) -> None:
        """Let tasks wait until the stores are as far."""
        assert self.task is not None
        self._restores.begin(self._offsets(ends), ends)
        self._missing.update(ends)
        self._began = self._clock.seconds(), self.task.processed
        self._look()

    def _look(self) -> None:
        offsets = self._offsets(self._missing)
        self._missing = {each: end for each, end in self._missing.items() if offsets[each] < end}
        self._restores.look(self._offsets, self._missing)
        if self._missing:
            return
        assert self.task is not None
        began, before = self._began
        if self.task.processed > before:
            _log.info(
                "the global stores have read %d records in %.1f s and are up to date",
                self.task.processed - before,
                self._clock.seconds() - began,
            )

    def _go_back(self, task: Task, reader: Reader, seen: Mapping[TopicPartition, int]) -> None:
        """Forget what was not committed, and read it again; tasks wait until what they have seen is there."""
        task.stop()
        task.discard({})
        self._has_waiting = False
        reader.assign(self._committed)
        task.start()
        self._expect({each: max(offset, self._missing.get(each, 0)) for each, offset in seen.items()})

    def _read_anew(self, task: Task, reader: Reader, error: OffsetOutOfRangeError) -> None:
        """Rebuild the stores of a topic that has lost what was to be read next, and perhaps deletions with it."""
        _log.warning("%s; the global stores of that topic are read anew from its beginning", error)
        partitions = [partition for partition in task.queues if partition.topic == error.topic]
        for spec in task.state.specs:
            if spec.global_topic == error.topic:
                task.state.clear(spec.name)
        self._know_topics([error.topic])  # it may have been deleted, and made anew
        begins = self._log.beginning_offsets(partitions)
        self._committed.update(begins)
        reader.assign(begins)
        self._expect(self._log.end_offsets(partitions))

    # ── commit ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def buffered_bytes(self) -> int:
        """Roughly what waits for a commit."""
        return 0 if self.task is None else self.task.state.buffered_bytes

    def commit(self) -> None:
        """Write what has changed, then how far each store is."""
        task = self.task
        if task is None:
            return
        offsets = self._offsets(task.queues)
        # Without progress there is still the time beside each position, which the state renews now and then.
        positions = {}
        if task.has_progress or offsets != self._committed:
            positions = {
                spec.name: self._position(spec.global_topic or "", offsets) for spec in task.state.specs
            }
        task.state.commit(positions, at_once=any(spec.source_topic is None for spec in task.state.specs))
        task.has_progress = False
        task.context.commit_requested = False
        self._committed = offsets

    def _position(self, topic: str, offsets: Mapping[TopicPartition, int]) -> StorePosition:
        # A store that follows several partitions has no one offset.
        inputs = {partition: offset for partition, offset in offsets.items() if partition.topic == topic}
        return StorePosition(offset=0, topic_id=self._topic_ids[topic], inputs=inputs)

    # ── what others see ──────────────────────────────────────────────────────────────────────────────────────────

    def readers(self) -> Mapping[str, Any]:
        """Return the states by name as tasks of other threads read them. From any thread."""
        task = self.task
        if task is None:
            return {}
        # An object of the user's own has no other face: whoever makes one decides what threads may do with it.
        return {
            name: state if state.spec.kind == "custom" else task.state.reader(name)
            for name, state in self.states.items()
        }

    def read(self, store: str, *, committed: bool) -> StoreRead:
        """Return what can be read of a store; how old it is nobody knows. From any thread.

        Raises:
            StoreUnavailableError: the stores are not up to date yet.
        """
        task = self.task
        if task is None or self._missing:
            raise StoreUnavailableError(
                f"global store '{store}' is still being read from its topic; try again"
            )
        rows = task.stores.rows.stores[store]

        def position() -> Mapping[TopicPartition, int]:
            found = rows.position()
            return {} if found is None else found.inputs

        return StoreRead(
            task.state.reader(store, committed=committed),
            position,
            lambda: time.monotonic() if self.task is task else GONE,
        )

    def status(self) -> TaskStatus | None:
        """Return how far they are; None where there are none."""
        task, reader = self.task, self._reader
        if task is None or reader is None:
            return None
        offsets = self._offsets(task.queues)
        ends = {each: max(reader.end(each) or 0, self._missing.get(each, 0)) for each in offsets}
        began, before = self._began
        processed = task.processed - before
        return TaskStatus(
            GLOBAL_TASK,
            "restoring" if self._missing else "running",
            restored=processed if self._missing else 0,
            remaining=sum(max(0, ends[each] - offset) for each, offset in offsets.items()),
            records_per_second=processed / max(self._clock.seconds() - began, 1e-9) if self._missing else 0.0,
        )


def _refuse_to_schedule(
    interval_ms: int, do: Callable[[int], object], on: str, start_ms: int | None
) -> NoReturn:
    raise StateError(
        "the processor of a global store has no punctuations: schedule them in a processor of a stream, which may read "
        "the store"
    )
