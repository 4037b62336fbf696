"""A worker: one thread that reads, runs tasks, restores and commits. See `commit` for what is durable when."""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from headrace.base.errors import (
    LogUnavailableError,
    OffsetOutOfRangeError,
    RecordsRefusedError,
    RetryRequested,
    StateCorruptionError,
    StoreUnavailableError,
    TransactionAbortedError,
    UnknownTopicError,
)
from headrace.base.ids import TaskId
from headrace.base.last_words import log_safely
from headrace.engine.alignment import alignment_ms
from headrace.engine.assignment import Assignment
from headrace.engine.changelog_reader import ChangelogReader
from headrace.engine.clock import Clock
from headrace.engine.commit import Committer
from headrace.engine.commit_schedule import CommitSchedule
from headrace.engine.fetch import Fetcher
from headrace.engine.forked import end_if_forked
from headrace.engine.global_stores import GlobalStores
from headrace.engine.options import EngineOptions
from headrace.engine.reporting import Reporting
from headrace.engine.running import Runner
from headrace.engine.starting_offsets import StartingOffsets
from headrace.engine.status import WorkerStatus
from headrace.engine.task import Task
from headrace.engine.task_factory import TaskFactory
from headrace.engine.task_picking import Picker
from headrace.engine.topic_preparation import prepare
from headrace.engine.topic_watch import TopicWatch
from headrace.engine.uncommitted import Uncommitted
from headrace.engine.upkeep import Upkeep
from headrace.log.port import Log
from headrace.state.cache import CacheBudget
from headrace.topology.topology import Topology

__all__ = ["STOP_SECONDS", "Worker"]

_log = logging.getLogger("headrace.worker")

#: A restore's share of one turn of the loop while other tasks run.
_RESTORE_SECONDS = 0.050

#: How long whoever is told to stop waits for a log that does not answer: less than who stops it is likely to wait.
STOP_SECONDS = 5.0

#: What a worker gets over by going back to the last commit; where it is to stop, the next start does the same work.
_DONE_AGAIN = (LogUnavailableError, RecordsRefusedError, RetryRequested, TransactionAbortedError)

#: The default of `metadata.max.age.ms`.
_METADATA_AGE_MS = 300_000


class Worker:
    """Runs the tasks it is given. All methods but `status`, `pause`, `resume` and `query` belong to one thread.

    `on_status` gets each snapshot, in the worker's thread, several times a second. `partitions` is the count for user
    topics that must be made and do not declare one. `commit_each_stretch` commits after every stretch and every round
    of punctuations (test driver). `reached` is told of each step of a commit. `transactional_id` makes commits exactly
    once on a log that also offers less, which aborts a transaction that is open for `transaction_timeout_ms`. Topics
    are looked at every `metadata_max_age_ms`. The worker that this one `follows`, which is closed, hands over its
    figures, and what it knew of the topics.
    """

    def __init__(
        self,
        topology: Topology,
        log: Log,
        options: EngineOptions,
        *,
        application_id: str,
        state_dir: Path,
        clock: Clock,
        on_status: Callable[[WorkerStatus], None] = lambda status: None,
        partitions: int = 1,
        commit_each_stretch: bool = False,
        reached: Callable[[str], None] = lambda step: None,
        transactional_id: str | None = None,
        transaction_timeout_ms: int | None = None,
        metadata_max_age_ms: int = _METADATA_AGE_MS,
        follows: "Worker | None" = None,
    ) -> None:
        self._topology = topology
        self._log = log
        self._partitions = partitions
        self._transactional_id = transactional_id
        self._metadata_max_age_ms = metadata_max_age_ms
        self._known = None if follows is None else follows._topics_read
        self._options = options
        self._application_id = application_id
        self._process_id = os.getpid()
        self._clock = clock
        self._commit_each_stretch = commit_each_stretch
        self._reached = reached
        self._state_dir = state_dir
        self._changelog_reader = ChangelogReader(log, clock.wall_ms, clock.seconds)
        self._reporting: Reporting = Reporting(on_status) if follows is None else follows._reporting
        self._schedule = CommitSchedule(options.commit_interval_ms, transaction_timeout_ms)
        self._uncommitted = Uncommitted(options.statestore_uncommitted_max_bytes)
        self._stop = threading.Event()
        self._is_paused = False

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> None:
        """Make the topics that are missing, and take up all tasks. Restoring begins with the first `step`.

        Raises:
            AlreadyRunningError: another instance of the application is alive.
            TopologyError: topics that must be co-partitioned are not.
            LogError: the log cannot be read or written.
        """
        self._log.occupy(self._application_id, self._state_dir)
        described = self._topology
        self._topology, plan = prepare(
            described, self._log, self._application_id, self._options, partitions=self._partitions
        )
        clock = self._clock
        # First of all: it ends what an older self has left open, before anybody asks for offsets.
        self._writer = self._log.writer(self._application_id, self._transactional_id)
        self._factory = TaskFactory(
            topology=self._topology,
            log=self._log,
            options=self._options,
            application_id=self._application_id,
            state_dir=self._state_dir,
            clock=clock,
            cache=CacheBudget(self._options.statestore_cache_max_bytes),
        )
        self._factory.remove_destroyed()
        part, records_max = self._topology.global_part, self._options.stretch_records_max
        self._global_stores = GlobalStores(part, self._log, self._factory, clock, records_max)
        self._prepare_to_run()
        self._committer = Committer(
            log=self._log,
            writer=self._writer,
            collector=self._factory.collector,
            reader=self._fetcher.reader,
            changelog_name=self._factory.changelog_name,
            reached=self._reached,
        )
        self._assignment = Assignment(
            factory=self._factory,
            global_stores=self._global_stores,
            starting=StartingOffsets(self._log, self._application_id, clock.wall_ms, known=self._known),
            changelog_reader=self._changelog_reader,
            fetcher=self._fetcher,
            committer=self._committer,
            writer=self._writer,
            reporting=self._reporting,
            uncommitted=self._uncommitted,
            stop=self._stop,
        )
        self._upkeep = Upkeep(
            self._log, self._topology, self._application_id, self._options.repartition_purge_interval_ms
        )
        self._watch = TopicWatch(
            self._log,
            described,
            self._application_id,
            self._metadata_max_age_ms,
            read=plan.read,
            written=self._factory.known_partition_counts,
        )
        for each in (self._watch, self._schedule, self._committer, self._upkeep, self._reporting):
            each.begin(clock.seconds())  # what is done now and then counts from here
        self._global_stores.open()
        self._assignment.assign(plan.tasks)

    def _prepare_to_run(self) -> None:
        clock, options = self._clock, self._options
        self._fetcher = Fetcher(self._log.reader(), options.input_buffer_max_bytes)
        alignment = alignment_ms(options.task_alignment_ms, self._topology.stores.values())
        self._picker = Picker(self._fetcher, clock, options.max_task_idle_ms, alignment)
        self._runner = Runner(
            clock,
            self._picker,
            self._factory,
            self._writer,
            self._uncommitted,
            records_max=options.stretch_records_max,
            one_stretch=self._commit_each_stretch,
        )

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set or the topics have changed, then commit and close.

        On any failure close without a commit, and raise it. A transaction that comes to nothing once `stop` is set is
        no failure: it is warned of.

        # Invariant: where topics have changed, the positions of all inputs are committed before the next worker asks
        # for them, or nothing is. A partition that has come, or moved to another task, is neither skipped nor doubled.
        """
        self._stop = stop
        try:
            self.open()
            while not (stop.is_set() or self._is_outdated()):
                self.step(self._options.poll_ms)
            if stop.is_set():
                self._log.hurry(STOP_SECONDS)
                self._commit_at_last()
        except BaseException as reason:
            try:
                self.close()
            except BaseException as error:  # what came first is the reason
                log_safely(_log, logging.ERROR, "closing failed as well", exc_info=error)
            if isinstance(reason, UnknownTopicError) and not stop.is_set() and self._can_do_without():
                return
            if not stop.is_set() or not isinstance(reason, _DONE_AGAIN):
                raise
            log_safely(
                _log,
                logging.WARNING,
                "stopped without a last commit: %s. Nothing is lost: the next start does again what was not committed",
                reason,
            )
            return
        self.close()

    def _commit_at_last(self) -> None:
        try:
            self.commit()
        except StateCorruptionError as error:
            # What the log has is complete, or will be done again: the next start restores the stores in either case.
            self._assignment.delete_damaged(error)

    def _is_outdated(self) -> bool:
        """Whether topics have changed, and everything is committed, so that the next worker can take over."""
        if not self._watch.has_changed(self._clock.seconds()):
            return False
        try:
            self.commit()
        except (StateCorruptionError, *_DONE_AGAIN) as reason:
            self._assignment.start_over(reason)
            return False
        return True

    def _can_do_without(self) -> bool:
        """Whether a topic is gone that a pattern matched, so that other tasks can go on; what was read goes with it.

        Raises:
            UnknownTopicError: a source names it.
        """
        found = self._watch.look() if hasattr(self, "_watch") else ()
        if found:
            _log.warning("all tasks are made anew from their last commit: %s", "; ".join(found))
        return bool(found)

    @property
    def _topics_read(self) -> Mapping[str, int] | None:
        """Partition counts of the user topics that the tasks read; what was `known` before there are tasks."""
        return self._watch.read if hasattr(self, "_watch") else self._known

    def close(self) -> None:
        """Release everything. What was not committed is forgotten; the next start reads it again.

        Raises what a processor's `close` raises, when all the rest is closed.
        """
        end_if_forked(self._process_id)
        self._reporting.retire(self._tasks.values())
        self._reporting.stopped()
        with ExitStack() as closing:  # the last one first
            if hasattr(self, "_writer"):
                closing.callback(self._writer.close)
            if hasattr(self, "_fetcher"):
                closing.callback(self._fetcher.close)
            closing.callback(
                self._assignment.close if hasattr(self, "_assignment") else self._changelog_reader.close
            )

    # ── the loop ─────────────────────────────────────────────────────────────────────────────────────────────────

    def step(self, timeout_ms: int) -> bool:
        """Do one turn: fetch, restore, run a stretch, punctuate, commit if due. Wait up to `timeout_ms` if idle.

        Returns whether anything was done.
        """
        try:
            return self._step(timeout_ms)
        except (StateCorruptionError, *_DONE_AGAIN) as reason:
            self._assignment.start_over(reason)
            return True
        except OffsetOutOfRangeError as error:
            self._assignment.move(error)
            return True

    def _step(self, timeout_ms: int) -> bool:
        followed = self._global_stores.follow()
        restored = self._assignment.restore(_RESTORE_SECONDS)
        picked = self._picked()
        is_idle = picked is None
        wait_ms = self._wait_ms(timeout_ms) if is_idle and not (restored or followed) else 0
        fetched = self._fetcher.fetch(wait_ms, self._clock, is_idle=is_idle)
        if is_idle and fetched:
            # What a global topic has got before these records must be there when they look it up.
            followed = self._global_stores.follow() or followed
            picked = self._picked()
        ran = picked is not None and self._runner.run(picked, self._tasks)
        punctuated = self._can_run and self._runner.punctuate(self._tasks)
        now = self._clock.seconds()
        if not self._writer.is_atomic:
            self._runner.send(now, is_idle=is_idle)
        if self._is_commit_due(now, worked=ran or punctuated or followed):
            self.commit()
        if not self._changelog_reader.under_way and self._global_stores.is_caught_up:
            self._upkeep.maintain(now)
        if self._reporting.is_due(now):
            self._reporting.report(
                now,
                self._tasks,
                self._changelog_reader.under_way,
                global_stores=self._global_stores.status(),
                lag=self._fetcher.lag(self._tasks.values()),
                misplaced_keys=self._factory.misplaced_keys,
            )
        return ran or restored or punctuated or fetched or followed

    @property
    def _can_run(self) -> bool:
        """Whether tasks may process and punctuate now."""
        return self._global_stores.is_caught_up and not self._is_paused

    def _picked(self) -> tuple[Task, int] | None:
        return self._picker.pick(self._tasks) if self._can_run else None

    def _wait_ms(self, timeout_ms: int) -> int:
        """How long an idle worker may wait: not beyond the next commit, punctuation or turn of a restore."""
        if self._changelog_reader.under_way or not self._global_stores.is_caught_up:
            return 0
        if self._uncommitted:
            timeout_ms = min(timeout_ms, self._schedule.idle_wait_ms(self._clock.seconds()))
        if self._is_paused:
            return timeout_ms
        due = self._factory.wall_punctuations.earliest
        return min(timeout_ms, max(0, due - self._clock.wall_ms()))

    # ── commit ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _is_commit_due(self, now: float, *, worked: bool) -> bool:
        if self._commit_each_stretch:
            return worked
        if self._schedule.is_due(now, is_busy=worked):
            return True
        pending_bytes = self._writer.pending_bytes + self._global_stores.buffered_bytes
        return worked and self._uncommitted.is_commit_due(pending_bytes)

    def commit(self) -> None:
        """Commit all tasks that have something to commit, and then the global stores."""
        began = self._clock.seconds()
        if self._committer.commit_due(self._tasks.values(), began):
            self._reporting.committed(self._clock.seconds() - began)
            self._assignment.committed()
            self._fetcher.expect_more()  # what went to repartition topics can be read now
        self._global_stores.commit()
        self._uncommitted.clear()
        now = self._clock.seconds()
        self._schedule.committed(began, now)
        self._upkeep.purge(now, self._tasks.values(), self._committer.committed)

    # ── what others see ──────────────────────────────────────────────────────────────────────────────────────────

    def pause(self) -> None:
        """Stop processing and punctuating until `resume`; commits and restores go on. From any thread."""
        self._is_paused = True

    def resume(self) -> None:
        """Undo `pause`. From any thread."""
        self._is_paused = False

    def status(self) -> WorkerStatus:
        """Return the last snapshot, at most a quarter of a second old. From any thread."""
        return self._reporting.latest

    def query(self, store: str) -> Mapping[int, Any]:
        """See `Assignment.query`. From any thread."""
        if not hasattr(self, "_assignment"):
            raise StoreUnavailableError(
                f"store '{store}' is in no task yet; wait_running() first, or try again"
            )
        return self._assignment.query(store)

    @property
    def tasks(self) -> Iterable[Task]:
        """The tasks, for the test driver; what fills global stores comes last."""
        return self._assignment.all_tasks if hasattr(self, "_assignment") else ()

    @property
    def _tasks(self) -> Mapping[TaskId, Task]:
        return self._assignment.tasks if hasattr(self, "_assignment") else {}
