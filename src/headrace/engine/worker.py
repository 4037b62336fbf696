"""A worker: one thread that reads, runs tasks, restores and commits. See `commit` for what is durable when."""

import logging
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from threading import Event
from typing import Any

from headrace.base.errors import (
    OffsetOutOfRangeError,
    StateCorruptionError,
    TransactionAbortedError,
    UnknownTopicError,
)
from headrace.base.ids import TaskId
from headrace.base.last_words import log_safely
from headrace.engine.assignment import DONE_AGAIN
from headrace.engine.forked import end_if_forked
from headrace.engine.measuring import measure_tasks, measure_thread, measure_written
from headrace.engine.progress import progress_of
from headrace.engine.reporting import Reporting
from headrace.engine.status import WorkerStatus
from headrace.engine.store_read import StoreRead
from headrace.engine.task import Task
from headrace.engine.worker_parts import WorkerParts
from headrace.group.user_data import TaskProgress
from headrace.metrics.metric import MetricsOf

__all__ = ["STOP_SECONDS", "Worker", "is_left_undone"]

_log = logging.getLogger("headrace.worker")

#: A restore's share of one turn of the loop while other tasks run.
_RESTORE_SECONDS = 0.050

#: How long an idle worker may wait for input while its standbys may have got something.
_STANDBY_WAIT_MS = 100

#: How long an idle worker may wait while another one catches up with global stores.
_GLOBAL_WAIT_MS = 20

#: How long to wait for a word of the group that takes no commit now.
_GROUP_SECONDS = 0.020

#: How long whoever is told to stop waits for a log that does not answer: less than who stops it is likely to wait.
STOP_SECONDS = 5.0


class Worker:
    """Runs the tasks that it is told to. All methods but `status`, `pause`, `resume` and `query` belong to one thread.

    Made by `build_worker`.

    Attributes:
        reporting: its figures, which the worker after it goes on with.
        topics_read: partition counts of the user topics that the tasks read.
        stops_all: asked when it dies, before it leaves its group: whether all instances of the application are to stop.
        leaves_group: whether `close` leaves the group at once, so that others take over; else they wait for the end of
            its session, and whoever comes back as the same member before that has its tasks again.
        leaves_for_good: whether a static member that leaves gives up its place, too, since it will not come back.
    """

    def __init__(self, parts: WorkerParts) -> None:
        self._log = parts.log
        self._clock = parts.clock
        self._writer = parts.writer
        self._close_instance = parts.close_instance
        self._directory = parts.directory
        self._progress = parts.progress
        self._factory = parts.factory
        self._global_stores = parts.global_stores
        self._changelog_reader = parts.changelog_reader
        self._standbys = parts.standbys
        self._fetcher = parts.fetcher
        self._picker = parts.picker
        self._runner = parts.runner
        self._owned = parts.owned
        self._rebalancing = parts.rebalancing
        self._assignment = parts.assignment
        self._commits = parts.commit_round
        self._schedule = parts.schedule
        self._uncommitted = parts.uncommitted
        self._upkeep = parts.upkeep
        self._watch = parts.watch
        self.reporting: Reporting = parts.reporting
        self._stop = parts.stop
        self._poll_ms = parts.poll_ms
        self._tasks: Mapping[TaskId, Task] = parts.owned.tasks
        self._process_id = os.getpid()
        self._is_paused = False
        self.stops_all: Callable[[BaseException], bool] = lambda reason: False
        self.leaves_group = True
        self.leaves_for_good = False

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> None:
        """Begin to fill the global stores, and take up what tasks the group has for it already: if it is alone, all.

        Restoring begins with the first `step`.

        Raises:
            LogError: the log cannot be read or written.
        """
        now = self._clock.seconds()
        for each in (self._watch, self._commits, self.reporting):
            each.begin(now)  # what is done now and then counts from here
        self._global_stores.open()
        self._rebalancing.heed()

    def run(self) -> None:
        """Work until it is to stop or the topics have changed, then commit and close.

        On any failure close without a commit, and raise it. A transaction that comes to nothing once it is to stop is
        no failure: it is warned of.

        # Invariant: where topics have changed, the positions of all inputs are committed before the next worker asks
        # for them, or nothing is. A partition that has come, or moved to another task, is neither skipped nor doubled.
        """
        try:
            self.open()
            while not (self._stop.is_set() or self._is_outdated()):
                self.step(self._poll_ms)
            if self._stop.is_set():
                self._log.hurry(STOP_SECONDS)
                self._commit_at_last()
        except BaseException as reason:
            try:
                if self._is_none(reason):
                    return
                if self.stops_all(reason):
                    self._rebalancing.stop_application(self._clock.seconds)
            finally:
                try:
                    self.close()
                except BaseException as error:  # what came first is the reason
                    log_safely(_log, logging.ERROR, "closing failed as well", exc_info=error)
            raise
        self.close()

    def _is_none(self, reason: BaseException) -> bool:
        """Whether what has ended the work is no failure: the next start does the same, or another worker can go on."""
        if isinstance(reason, UnknownTopicError) and not self._stop.is_set():
            return self._can_do_without()
        return is_left_undone(reason, self._stop)

    def _commit_at_last(self) -> None:
        try:
            deadline = self._clock.seconds() + STOP_SECONDS
            while not self.commit():
                if self._clock.seconds() >= deadline:
                    raise TransactionAbortedError("cannot commit: the group is about to assign anew")
                self._rebalancing.heed(_GROUP_SECONDS)
        except StateCorruptionError as error:
            # What the log has is complete, or will be done again: the next start restores the stores in either case.
            self._assignment.delete_damaged(error)

    def _is_outdated(self) -> bool:
        """Whether topics have changed, and everything is committed, so that the next worker can take over."""
        if not self._rebalancing.is_outdated and not self._watch.has_changed(self._clock.seconds()):
            return False
        try:
            if not self.commit():
                return False
        except (StateCorruptionError, *DONE_AGAIN) as reason:
            self._assignment.start_over(reason)
            return False
        self.leaves_group = False  # the next worker is the same member
        return True

    def _can_do_without(self) -> bool:
        """Whether a topic is gone that a pattern matched, so that other tasks can go on; what was read goes with it.

        Raises:
            UnknownTopicError: a source names it.
        """
        found = self._watch.look()
        if found:
            _log.warning("all tasks are made anew from their last commit: %s", "; ".join(found))
        return bool(found)

    @property
    def topics_read(self) -> Mapping[str, int]:
        """Partition counts of the user topics that the tasks read."""
        return self._watch.read

    def close(self) -> None:
        """Release everything. What was not committed is forgotten; the next start reads it again.

        Raises what a processor's `close` raises, when all the rest is closed.
        """
        end_if_forked(self._process_id)
        self.reporting.retire(self._tasks.values())
        self.reporting.stopped()
        with ExitStack() as closing:  # the last one first
            closing.callback(self._close_instance)
            closing.callback(self._leave)
            closing.callback(self._writer.close)
            closing.callback(self._fetcher.close)
            closing.callback(self._upkeep.close)
            closing.callback(self._standbys.close)
            closing.callback(self._owned.close)

    def _leave(self) -> None:
        self._rebalancing.close(remain=not self.leaves_group, for_good=self.leaves_for_good)

    # ── what it is told ──────────────────────────────────────────────────────────────────────────────────────────

    def assign(self, task_ids: Iterable[TaskId]) -> None:
        """Take up tasks beside those that are there, which go on meanwhile; ones that are there already stay."""
        self._rebalancing.assign(task_ids)

    def revoke(self, task_ids: Collection[TaskId]) -> bool:
        """Commit, and give tasks up. When this returns True somebody else may run them: see `Assignment.revoke`."""
        return self._assignment.revoke(task_ids)

    def lost(self, task_ids: Collection[TaskId]) -> None:
        """Give tasks up that somebody else may run already, without a commit."""
        self._assignment.lost(task_ids)

    def follow(self, task_ids: Iterable[TaskId]) -> None:
        """Follow tasks that run elsewhere, beside those that are followed, until they are assigned or given up."""
        self._standbys.follow(task_ids)

    def unfollow(self, task_ids: Collection[TaskId]) -> None:
        """Follow tasks no more, which keep their state for a while."""
        self._standbys.drop(task_ids)

    def progress(self) -> Mapping[TaskId, TaskProgress]:
        """Return how far the state in the directory is, also what earlier runs have left; see `progress_of`."""
        return self._progress.learn(progress_of(self._directory, self._changelog_reader, self._standbys))

    def standby_lags(self) -> Mapping[TaskId, Mapping[str, int | None]]:
        """How many records each store of each task that is followed is behind; None where that is not known yet."""
        return {
            task_id: {store: None if lag is None else lag.offset_lag for store, lag in lags.items()}
            for task_id, lags in self._standbys.lags().items()
        }

    # ── the loop ─────────────────────────────────────────────────────────────────────────────────────────────────

    def step(self, timeout_ms: int) -> bool:
        """Do one turn: fetch, restore, run a stretch, punctuate, commit if due. Wait up to `timeout_ms` if idle.

        Returns whether anything was done.
        """
        try:
            return self._step(timeout_ms)
        except (StateCorruptionError, *DONE_AGAIN) as reason:
            self._assignment.start_over(reason)
            return True
        except OffsetOutOfRangeError as error:
            self._watch.ensure_known()  # what a source's reset policy has no say in
            self._owned.move(error)
            return True

    def _step(self, timeout_ms: int) -> bool:
        heeded = self._rebalancing.heed()
        followed = self._global_stores.follow()
        if self._global_stores.are_others:
            self._assignment.make_anew()
        restored = self._owned.restore(_RESTORE_SECONDS)
        picked = self._picked()
        is_idle = picked is None
        applied = bool(self._standbys) and not restored and self._standbys.step(is_busy=not is_idle)
        is_waiting = is_idle and not (heeded or restored or followed or applied)
        wait_ms = self._wait_ms(timeout_ms) if is_waiting else 0
        fetched = self._fetcher.fetch(wait_ms, self._clock, is_idle=is_idle)
        if is_idle and fetched:
            # What a global topic has got before these records must be there when they look it up.
            followed = self._global_stores.follow() or followed
            picked = self._picked()
        ran = picked is not None and self._runner.run(picked, self._tasks)
        punctuated = self._can_run and self._runner.punctuate(self._tasks)
        now = self._clock.seconds()
        self._rebalancing.report(now, self.progress)
        if not self._writer.is_atomic:
            self._runner.send(now, is_idle=is_idle)
        if self._commits.is_due(now, worked=ran or punctuated or followed):
            self.commit()
        is_restoring = bool(self._changelog_reader or self._standbys) or not self._global_stores.is_caught_up
        self._upkeep.maintain(now, is_restoring=is_restoring)
        self._upkeep.clean(now)
        if self.reporting.is_due(now):
            self.reporting.report(
                now,
                self._tasks,
                self._changelog_reader.under_way,
                global_stores=self._global_stores.status(),
                inputs=self._fetcher.inputs(self._tasks.values()),
                misplaced_keys=self._factory.misplaced_keys,
                standbys=self._standbys.lags(),
                has_roles=self._rebalancing.has_roles,
            )
        return heeded or ran or restored or punctuated or fetched or followed or applied

    @property
    def _can_run(self) -> bool:
        """Whether tasks may process and punctuate now."""
        return self._global_stores.is_caught_up and not self._is_paused

    def _picked(self) -> tuple[Task, int] | None:
        return self._picker.pick(self._tasks) if self._can_run else None

    def _wait_ms(self, timeout_ms: int) -> int:
        """How long an idle worker may wait: not beyond the next commit, punctuation or turn of a restore."""
        if not self._global_stores.is_caught_up:
            return 0 if self._global_stores.leads else min(timeout_ms, _GLOBAL_WAIT_MS)
        if self._changelog_reader:
            return 0
        if self._standbys:
            timeout_ms = min(timeout_ms, _STANDBY_WAIT_MS)
        if self._uncommitted:
            timeout_ms = min(timeout_ms, self._schedule.idle_wait_ms(self._clock.seconds()))
        if self._is_paused:
            return timeout_ms
        due = self._factory.wall_punctuations.earliest
        return min(timeout_ms, max(0, due - self._clock.wall_ms()))

    def commit(self) -> bool:
        """Commit all tasks that have something to commit, and then the global stores; say whether the group let it."""
        return self._commits.commit()

    # ── what others see ──────────────────────────────────────────────────────────────────────────────────────────

    def pause(self) -> None:
        """Stop processing and punctuating until `resume`; commits and restores go on. From any thread."""
        self._is_paused = True

    def resume(self) -> None:
        """Undo `pause`. From any thread."""
        self._is_paused = False

    def status(self) -> WorkerStatus:
        """Return the last snapshot, at most a quarter of a second old. From any thread."""
        return self.reporting.latest

    def measure(self, into: MetricsOf, thread: str) -> None:
        """Gather the metrics of the worker, whose thread has this name. From any thread."""
        status, now_ms = self.status(), self._clock.wall_ms()
        measure_thread(into, thread, self.reporting.figures, status)
        measure_written(into, thread, self._factory.collector, now_ms)
        measure_tasks(into, thread, list(self._owned.with_global), status, now_ms)

    @property
    def trouble(self) -> str | None:
        """What its group waits for; None where all is well. From any thread."""
        return self._rebalancing.trouble

    def query(self, store: str, *, committed: bool = False) -> Mapping[int, Any]:
        """See `OwnedTasks.query`. From any thread."""
        return self._owned.query(store, committed=committed)

    def read(self, store: str, partition: int, *, committed: bool) -> StoreRead | None:
        """See `OwnedTasks.read`. From any thread."""
        return self._owned.read(
            store, partition, committed=committed, vouched_until=lambda: self._rebalancing.vouched_until
        )

    def followed(self, store: str, partition: int) -> StoreRead | None:
        """See `Standbys.read`. From any thread."""
        return self._standbys.read(store, partition)

    @property
    def tasks(self) -> Iterable[Task]:
        """The tasks, for the test driver; what fills global stores comes last."""
        return self._owned.with_global


def is_left_undone(reason: BaseException, stop: Event) -> bool:
    """Whether a worker that is to stop has ended of something that is no failure then, which this warns of."""
    if not stop.is_set() or not isinstance(reason, DONE_AGAIN):
        return False
    log_safely(
        _log,
        logging.WARNING,
        "stopped without a last commit: %s. Nothing is lost: the next start does again what was not committed",
        reason,
    )
    return True
