"""Keeps the tasks' queues filled: reads ahead within limits, and knows what is still to be fetched."""

from collections.abc import Collection, Iterable, Mapping
from functools import partial

from headrace.base.columns import Chunk
from headrace.base.ids import TaskId, TopicPartition
from headrace.engine.clock import Clock
from headrace.engine.punctuation import NEVER
from headrace.engine.queue import RecordQueue
from headrace.engine.status import InputStatus
from headrace.engine.task import Task
from headrace.engine.thread_figures import ThreadFigures
from headrace.log.port import Reader

__all__ = ["Fetcher"]

#: While tasks have records, the log is asked at most this often; an idle worker asks at once.
_FETCH_SECONDS = 0.005

#: Time between looks at all partitions for records that the log has and the queue has not.
_LOOK_SECONDS = 0.020

#: Looks take a twentieth of the time at most: one takes a millisecond for a thousand partitions.
_LOOK_SHARE = 20

#: The smallest share of the input buffer that a partition may fill.
_PARTITION_BYTES_MIN = 256 * 1024


class Fetcher:
    """Reads for all tasks of a worker.

    A partition is paused when its queue holds its share of the input buffer, and read again at a quarter of it: the
    band is wide because switching costs more than holding. The reader is closed with it.
    """

    def __init__(self, reader: Reader, input_buffer_max_bytes: int, figures: ThreadFigures) -> None:
        self.reader = reader
        self._figures = figures
        self._bytes_max = input_buffer_max_bytes
        self._queues: dict[TopicPartition, RecordQueue] = {}
        self._tasks: dict[TopicPartition, Task] = {}
        self._changed: dict[TaskId, Task] = {}
        self._lacking: dict[TopicPartition, RecordQueue] = {}  # empty, where the log has records
        self._paused: set[TopicPartition] = set()
        self._idle_since: dict[Task, float] = {}
        self._next_fetch = 0.0
        self._next_look = self._earliest_look = 0.0

    def add(self, task: Task, offsets: Mapping[TopicPartition, int]) -> None:
        """Know a task's partitions, at these positions; nothing of them is read before `start`."""
        self.reader.assign(offsets)
        self.reader.pause(offsets)

    def start(self, task: Task) -> None:
        """Read for a task from now on."""
        self._queues.update(task.queues)
        self._tasks.update(dict.fromkeys(task.queues, task))
        task.context.has_more_input = partial(self._has_more_of, task)
        self.changed(task)
        self.reader.resume(task.queues)
        self.expect_more()

    def move(self, partition: TopicPartition, offset: int) -> None:
        """Go on reading a partition elsewhere; what waits of it is processed first."""
        self.reader.assign({partition: offset})
        self.expect_more()

    def stop(self, task: Task) -> None:
        """Stop reading for a task, and forget its partitions."""
        for partition in task.queues:
            self._queues.pop(partition, None)
            self._tasks.pop(partition, None)
            self._lacking.pop(partition, None)
            self._paused.discard(partition)
        self._idle_since.pop(task, None)
        self.changed(task)
        self.reader.unassign(task.queues)

    def expect_more(self) -> None:
        """Ask the log at the next chance: there is probably something new."""
        self._next_fetch = 0.0
        self._next_look = self._earliest_look

    def changed(self, task: Task) -> None:
        """Have a task looked at again, since its queues are, or will be, others."""
        self._changed[task.id] = task

    def take_changed(self) -> Collection[Task]:
        """Return the tasks whose queues have changed since the last call: the others are as they were."""
        changed, self._changed = self._changed, {}
        for task in changed.values():
            for partition, queue in task.queues.items():
                if partition in self._queues and queue.is_empty and self._has_more(partition):
                    self._lacking[partition] = queue
                else:
                    self._lacking.pop(partition, None)
        return changed.values()

    def fetch(self, timeout_ms: int, clock: Clock, *, is_idle: bool) -> bool:
        """Ask the log if it is time to; an idle worker waits up to `timeout_ms`. Says whether anything came."""
        now = clock.seconds()
        if not is_idle and now < self._next_fetch:
            return False
        self._resume()
        chunks = self.reader.poll(timeout_ms if is_idle else 0)
        self._next_fetch = now + _FETCH_SECONDS
        self._note(now, clock.seconds(), chunks)
        share = max(_PARTITION_BYTES_MIN, self._bytes_max // max(1, len(self._queues)))
        for chunk in chunks:
            partition = TopicPartition(chunk.topic, chunk.partition)
            queue = self._queues[partition]
            queue.add(chunk)
            self.changed(self._tasks[partition])
            if queue.queued_bytes >= share and partition not in self._paused:
                self._paused.add(partition)
                self.reader.pause([partition])
        if chunks:
            self._next_look = self._earliest_look
        return bool(chunks)

    def _note(self, began: float, now: float, chunks: Iterable[Chunk]) -> None:
        self._figures.polls.record((now - began) * 1000, now)
        records = sum(map(len, chunks))
        if records:
            self._figures.polled_records.record(records, now)

    def _resume(self) -> None:
        share = max(_PARTITION_BYTES_MIN, self._bytes_max // max(1, len(self._queues)))
        ready = [
            partition for partition in self._paused if self._queues[partition].queued_bytes <= share // 4
        ]
        if ready:
            self._paused.difference_update(ready)
            self.reader.resume(ready)

    def time_of_lacking(self, clock: Clock) -> int:
        """Record time of the tasks that have run out of records that the log still has; NEVER where none has.

        What is to be fetched is about as old as what came last of its partition: the others must not run far ahead.
        """
        self._look(clock)
        return min(
            (
                queue.partition_time
                for partition, queue in self._lacking.items()
                if queue.is_empty and self._has_more(partition)
            ),
            default=NEVER,
        )

    def _look(self, clock: Clock) -> None:
        now = clock.seconds()
        if now >= self._next_look:
            self._lacking = {
                partition: queue
                for partition, queue in self._queues.items()
                if queue.is_empty and self._has_more(partition)
            }
            looked = clock.seconds()
            self._earliest_look = looked + _LOOK_SHARE * (looked - now)
            self._next_look = max(self._earliest_look, looked + _LOOK_SECONDS)

    def _has_more(self, partition: TopicPartition) -> bool:
        end = self.reader.end(partition)
        # A reader that has not heard of an end yet has something to fetch, for all that is known.
        return end is None or self.reader.position(partition) < end

    def _has_more_of(self, task: Task) -> bool:
        return any(not queue.is_empty or self._has_more(each) for each, queue in task.queues.items())

    def is_processable(self, task: Task, idle_max_ms: int, clock: Clock) -> bool:
        """Whether a task may go on although some of its inputs have nothing waiting (`max.task.idle.ms`).

        Source: KIP-695. An empty input that the log has more of is always waited for, unless `idle_max_ms` is -1; one
        without lag for `idle_max_ms`.
        """
        if len(task.queues) == 1 or idle_max_ms < 0:
            return True
        empty = task.empty_partitions
        if not empty:
            self._idle_since.pop(task, None)
            return True
        if any(self._has_more(partition) for partition in empty):
            self.expect_more()
            return False
        if idle_max_ms == 0:
            return True
        since = self._idle_since.setdefault(task, clock.seconds())
        return (clock.seconds() - since) * 1000 >= idle_max_ms

    def inputs(self, tasks: Iterable[Task]) -> Mapping[TopicPartition, InputStatus]:
        """Return how far the tasks' inputs are processed, those whose end is known."""
        found = {}
        for task in tasks:
            for partition, queue in task.queues.items():
                end = self.reader.end(partition)
                if end is not None:
                    offset, head = queue.next_offset, queue.head_timestamp
                    lag = max(0, end - (self.reader.position(partition) if offset is None else offset))
                    time = queue.partition_time
                    found[partition] = InputStatus(lag, head, None if time < 0 else time)
        return found

    def close(self) -> None:
        """Release the reader."""
        self.reader.close()
