"""What a worker says of itself: adds up the figures of its tasks, several times a second. See `status`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Literal

from headrace.base.ids import TaskId, TopicPartition
from headrace.engine.restoration import Restoration
from headrace.engine.status import InputStatus, LagInfo, TaskStatus, WindowStatus, WorkerStatus
from headrace.engine.task import Task
from headrace.engine.thread_figures import ThreadFigures
from headrace.engine.work_history import WorkHistory
from headrace.processor.window_clock import WindowClock

__all__ = ["Reporting"]

_STATUS_SECONDS = 0.25

#: What a rate is taken over.
_RATE_SECONDS = 1.0


class Reporting:
    """Makes a worker's snapshots, and keeps what outlives its tasks: these are made again when stores are
    rebuilt, and by the next worker when topics have changed.

    Attributes:
        latest: the last snapshot; other threads read it.
        restored: changelog records applied by restores that are done.
        figures: what is measured of the thread.
        history: an hour of it.
    """

    def __init__(self, on_status: Callable[[WorkerStatus], None], figures: ThreadFigures) -> None:
        self._on_status = on_status
        self.latest = WorkerStatus("starting")
        self.figures = figures
        self.history = WorkHistory(figures)
        self.restored = 0
        self._next = 0.0
        self._counted = (0.0, 0)
        self._dropped = 0  # of tasks that are gone

    def begin(self, now: float) -> None:
        """Count from now on."""
        self._next = now
        self._counted = (now, self.figures.turns.count)

    def retire(self, tasks: Iterable[Task]) -> None:
        """Keep the figures of tasks that go."""
        for task in tasks:
            self._dropped += task.figures.dropped

    def stopped(self) -> None:
        """Leave the figures as they are at the end, when all tasks are gone."""
        self.latest = replace(
            self.latest,
            state="stopped",
            records=self.figures.turns.count,
            records_per_second=0.0,
            dropped=self._dropped,
            commits=self.figures.commits.count,
            commit_ms_average=self.figures.commits.sum / max(1, self.figures.commits.count),
            commit_ms_max=self.figures.commits.most,
            tasks=(),
            standbys=(),
        )

    def is_due(self, now: float) -> bool:
        """Whether it is time for a snapshot."""
        return now >= self._next

    def report(
        self,
        now: float,
        tasks: Mapping[TaskId, Task],
        restorations: Mapping[TaskId, Restoration],
        *,
        global_stores: TaskStatus | None,
        inputs: Mapping[TopicPartition, InputStatus],
        misplaced_keys: int,
        standbys: Mapping[TaskId, Mapping[str, LagInfo | None]],
        has_roles: bool,
    ) -> None:
        """Make a snapshot and hand it on."""
        self._next = now + _STATUS_SECONDS
        self.history.note(now)
        processed = self.figures.turns.count
        since, before = self._counted
        rate = self.latest.records_per_second
        if now - since >= _RATE_SECONDS or not rate:
            rate = (processed - before) / max(now - since, 1e-3)
            self._counted = (now, processed)
        is_restoring = not all(task.is_running for task in tasks.values())
        is_catching_up = global_stores is not None and global_stores.state == "restoring"
        state: Literal["starting", "restoring", "running"] = "running" if has_roles else "starting"
        if is_restoring or is_catching_up:
            state = "restoring"
        self.latest = WorkerStatus(
            state=state,
            records=processed,
            records_per_second=rate,
            lag_records=sum(each.lag_records for each in inputs.values()),
            dropped=self._dropped + sum(task.figures.dropped for task in tasks.values()),
            misplaced_keys=misplaced_keys,
            commits=self.figures.commits.count,
            commit_ms_average=self.figures.commits.sum / max(1, self.figures.commits.count),
            commit_ms_max=self.figures.commits.most,
            restored=self.restored + sum(each.restored_records for each in restorations.values()),
            global_stores=global_stores,
            tasks=tuple(_task_status(task, restorations.get(task.id), inputs) for task in tasks.values()),
            standbys=tuple(_standby_status(task_id, lags) for task_id, lags in standbys.items()),
        )
        self._on_status(self.latest)


def _task_status(
    task: Task, restoration: Restoration | None, inputs: Mapping[TopicPartition, InputStatus]
) -> TaskStatus:
    own = {partition: inputs[partition] for partition in task.queues if partition in inputs}
    if restoration is None:
        if not task.is_running:  # its stores are still to be opened
            return TaskStatus(task.id, "restoring", inputs=own)
        lags = {name: LagInfo.between(at, at) for name, at in task.stores.positions.items()}
        return TaskStatus(
            task.id,
            "running",
            stores=lags,
            inputs=own,
            stream_time=_known(task.context.stream_time),
            windows={name: _window_status(clock) for name, clock in task.context.window_clocks.items()},
        )
    stores = restoration.progress()
    return TaskStatus(
        task.id,
        "restoring",
        sum(store.restored for store in stores),
        sum(store.lag.offset_lag for store in stores),
        sum(store.records_per_second for store in stores),
        {store.store: store.lag for store in stores},
        own,
    )


def _window_status(clock: WindowClock) -> WindowStatus:
    held, first_held = clock.held()
    return WindowStatus(
        stream_time=_known(clock.stream_time()),
        closed_until=clock.closed_until,
        grace_ms=clock.grace_ms,
        emits_final=clock.emits_final,
        idle_ms=clock.idle_ms,
        held=held,
        first_held=first_held,
        held_in=clock.held_in(),
    )


def _known(time: int) -> int | None:
    return None if time < 0 else time


def _standby_status(task_id: TaskId, lags: Mapping[str, LagInfo | None]) -> TaskStatus:
    stores = {name: lag for name, lag in lags.items() if lag is not None}
    return TaskStatus(
        task_id, "standby", remaining=sum(lag.offset_lag for lag in stores.values()), stores=stores
    )
