"""Runs the tasks of a worker in a turn of its loop: records for about ten milliseconds, and punctuations."""

import os
from collections.abc import Mapping

from headrace.base.ids import TaskId
from headrace.base.log_fields import at_work
from headrace.engine.clock import Clock
from headrace.engine.forked import end_if_forked
from headrace.engine.stretch_length import TURN_SECONDS, StretchLength
from headrace.engine.task import Task
from headrace.engine.task_factory import TaskFactory
from headrace.engine.task_picking import Picker
from headrace.engine.thread_figures import ThreadFigures
from headrace.engine.uncommitted import Uncommitted
from headrace.log.port import Writer

__all__ = ["Runner"]

#: How long outputs of a busy worker may wait for more of their kind, where they need not wait for a commit: as long as
#: Kafka Streams' producer lets them (`linger.ms`).
_LINGER_SECONDS = 0.1


class Runner:
    """Runs tasks and hands what they make to the writer. `one_stretch` ends each turn after the first stretch.

    A child that a function has forked, and that comes back, ends here.
    """

    def __init__(
        self,
        clock: Clock,
        picker: Picker,
        factory: TaskFactory,
        writer: Writer,
        uncommitted: Uncommitted,
        figures: ThreadFigures,
        *,
        records_max: int,
        one_stretch: bool,
    ) -> None:
        self._clock = clock
        self._picker = picker
        self._collector = factory.collector
        self._writer = writer
        self._uncommitted = uncommitted
        self._figures = figures
        self._wall_punctuations = factory.wall_punctuations
        self._length = StretchLength(records_max)
        self._one_stretch = one_stretch
        self._process_id = os.getpid()
        self._next_send = 0.0

    def run(self, picked: tuple[Task, int], tasks: Mapping[TaskId, Task]) -> bool:
        """Run what was picked, and then what is next, as long as the turn lasts; say whether there was a record.

        Tasks that are aligned have few records each until the next one is due: a turn of the loop for each of them
        costs more than their records.
        """
        began = self._clock.seconds()
        taken = 0
        following: tuple[Task, int] | None = picked
        while following is not None:
            task, until = following
            with at_work(task.context):
                taken += self._run(task, until, began)
            if (
                self._one_stretch
                or task.context.commit_requested
                or self._clock.seconds() >= began + TURN_SECONDS
            ):
                break
            following = self._picker.pick(tasks)
        if taken:
            now = self._clock.seconds()
            self._figures.turns.record((now - began) * 1000, now, taken)
            self._figures.turn_records.record(taken, now)
        return taken > 0

    def _run(self, task: Task, until: int, began: float) -> int:
        """Run a task's records up to a record time, in a turn that began at this moment; return how many there were."""
        deadline = began + TURN_SECONDS
        taken = 0
        started = self._clock.seconds()
        while True:
            ran = task.run_stretch(self._length.records, until)
            end_if_forked(self._process_id)
            taken += ran
            task.punctuate_by_stream_time()
            now = self._clock.seconds()
            self._length.learn(ran, now - began)
            self._collector.drain_long(self._writer, ran)
            self._writer.send()
            head = task.head_timestamp
            if self._one_stretch or head is None or head > until or now >= deadline:
                break
            if task.context.commit_requested or not self._picker.is_ready(task):
                break
        if taken:
            task.figures.turns.record((now - started) * 1000, now, taken)
        if task.has_progress:
            self._uncommitted.add(task)
        return taken

    def punctuate(self, tasks: Mapping[TaskId, Task]) -> bool:
        """Run what the wall clock has made due; say whether there was any."""
        punctuated = False
        began = self._clock.seconds()
        for task_id in self._wall_punctuations.until(self._clock.wall_ms()):
            task = tasks[task_id]
            with at_work(task.context):
                punctuated |= task.punctuate_by_wall_clock()
                self._uncommitted.add(task)
        if punctuated:
            end_if_forked(self._process_id)
            now = self._clock.seconds()
            self._figures.punctuations.record((now - began) * 1000, now)
        return punctuated

    def send(self, now: float, *, is_idle: bool) -> None:
        """Let go of outputs that are seen before the commit: at least once, a commit may be half a minute away."""
        if is_idle or now >= self._next_send:
            self._next_send = now + _LINGER_SECONDS
            self._collector.drain(self._writer)
            self._writer.send()
