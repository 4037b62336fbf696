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
from headrace.engine.options import EngineOptions
from headrace.engine.punctuation import NEVER
from headrace.engine.reporting import Reporting
from headrace.engine.starting_offsets import StartingOffsets
from headrace.engine.status import WorkerStatus
from headrace.engine.task import Task
from headrace.engine.task_factory import TaskFactory
from headrace.engine.task_picking import Picker
from headrace.engine.topic_preparation import prepare
from headrace.engine.topic_watch import TopicWatch
from headrace.engine.upkeep import Upkeep
from headrace.log.port import Log
from headrace.state.cache import CacheBudget
from headrace.topology.topology import Topology

__all__ = ["STOP_SECONDS", "Worker"]

_log = logging.getLogger("headrace.worker")

#: A stretch aims at this long: short enough that punctuations and commits are on time.
_STRETCH_SECONDS = 0.010

#: A restore's share of one turn of the loop while other tasks run.
_RESTORE_SECONDS = 0.050

#: How long outputs of a busy worker may wait for more of their kind, where they need not wait for a commit: as long as
#: Kafka Streams' producer lets them (`linger.ms`).
_LINGER_SECONDS = 0.1

#: How long whoever is told to stop waits for a log that does not answer: less than who stops it is likely to wait.
STOP_SECONDS = 5.0

#: What a worker gets over by going back to the last commit; where it is to stop, the next start does the same work.
_DONE_AGAIN = (LogUnavailableError, RecordsRefusedError, RetryRequested, TransactionAbortedError)

#: How often each place is committed, moved or not. A cluster forgets what a group has committed of a topic that none of
#: its members subscribes to `offsets.retention.minutes` (a week) after the commit, whether anybody reads there or not:
#: the next start would process a quiet partition from its beginning once more.
_RENEW_SECONDS = 3600.0

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
        # Grows while stretches are quick: a function that takes a second a record must not keep a stop waiting for
        # a thousand of them.
        self._stretch_records = 1
        self._stop = threading.Event()
        self._is_paused = False
        self._next_send = 0.0
        self._next_renewal = 0.0

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
            described,
            self._log,
            self._application_id,
            self._options,
            partitions=self._partitions,
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
        self._fetcher = Fetcher(self._log.reader(), self._options.input_buffer_max_bytes)
        alignment = alignment_ms(self._options.task_alignment_ms, self._topology.stores.values())
        self._picker = Picker(self._fetcher, clock, self._options.max_task_idle_ms, alignment)
        self._committer = Committer(
            log=self._log,
            writer=self._writer,
            collector=self._factory.collector,
            reader=self._fetcher.reader,
            changelog_name=self._factory.changelog_name,
            reached=self._reached,
        )
        self._assignment = Assignment(
            topology=self._topology,
            application_id=self._application_id,
            factory=self._factory,
            starting=StartingOffsets(self._log, self._application_id, clock.wall_ms, known=self._known),
            changelog_reader=self._changelog_reader,
            fetcher=self._fetcher,
            committer=self._committer,
            writer=self._writer,
            reporting=self._reporting,
            stop=self._stop,
        )
        self._upkeep = self._new_upkeep()
        self._watch = TopicWatch(
            self._log,
            described,
            self._application_id,
            self._metadata_max_age_ms,
            read=plan.read,
            written=self._factory.known_partition_counts,
        )
        self._begin(clock.seconds())
        self._assignment.assign(plan.tasks)

    def _new_upkeep(self) -> Upkeep:
        topology = self._topology
        purged = (topology.decorate(topic, self._application_id) for topic in topology.repartition_topics)
        return Upkeep(self._log, frozenset(purged), self._options.repartition_purge_interval_ms)

    def _begin(self, now: float) -> None:
        """Let all that is done now and then count from here."""
        self._watch.begin(now)
        self._schedule.begin(now)
        self._next_renewal = now + _RENEW_SECONDS
        self._upkeep.begin(now)
        self._reporting.begin(now)

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
        restored = self._assignment.restore(_RESTORE_SECONDS)
        picked = None if self._is_paused else self._picker.pick(self._tasks.values())
        is_idle = picked is None
        wait_ms = self._wait_ms(timeout_ms) if is_idle and not restored else 0
        fetched = self._fetcher.fetch(wait_ms, self._clock, is_idle=is_idle)
        if picked is None and fetched and not self._is_paused:
            picked = self._picker.pick(self._tasks.values())
        ran = picked is not None and self._run(*picked)
        punctuated = False if self._is_paused else self._punctuate()
        now = self._clock.seconds()
        if not self._writer.is_atomic and (is_idle or now >= self._next_send):
            self._send(now)
        if self._is_commit_due(now, worked=ran or punctuated):
            self.commit()
        if not self._changelog_reader.under_way:
            self._upkeep.maintain(now)
        if self._reporting.is_due(now):
            lag = self._fetcher.lag(self._tasks.values())
            self._reporting.report(
                now,
                self._tasks,
                self._changelog_reader.under_way,
                lag=lag,
                misplaced_keys=self._factory.misplaced_keys,
            )
        return ran or restored or punctuated or fetched

    def _run(self, task: Task, until: int) -> bool:
        began = self._clock.seconds()
        deadline = began + _STRETCH_SECONDS
        taken = 0
        while True:
            asked = self._stretch_records
            ran = task.run_stretch(asked, until)
            end_if_forked(self._process_id)
            taken += ran
            task.punctuate_by_stream_time()
            now = self._clock.seconds()
            if now - began > 2 * _STRETCH_SECONDS:
                self._stretch_records = max(1, asked // 2)
            elif ran == asked and asked < self._options.stretch_records_max:
                self._stretch_records = min(self._options.stretch_records_max, asked * 2)
            self._factory.collector.drain_long(self._writer, ran)
            self._writer.send()
            head = task.head_timestamp
            if self._commit_each_stretch or head is None or head > until or now >= deadline:
                break
            if task.context.commit_requested or not self._picker.is_ready(task):
                break
        return taken > 0

    def _send(self, now: float) -> None:
        """Let go of outputs that are seen before the commit: at least once, a commit may be half a minute away."""
        self._next_send = now + _LINGER_SECONDS
        self._factory.collector.drain(self._writer)
        self._writer.send()

    def _punctuate(self) -> bool:
        punctuated = False
        for task in self._tasks.values():
            if task.is_running:
                punctuated |= task.punctuate_by_wall_clock()
        if punctuated:
            end_if_forked(self._process_id)
        return punctuated

    def _wait_ms(self, timeout_ms: int) -> int:
        """How long an idle worker may wait: not beyond the next commit, punctuation or turn of a restore."""
        if self._changelog_reader.under_way:
            return 0
        if any(task.has_progress for task in self._tasks.values()):
            timeout_ms = min(timeout_ms, self._schedule.idle_wait_ms(self._clock.seconds()))
        if self._is_paused:
            return timeout_ms
        due = min((task.wall_punctuation_due for task in self._tasks.values()), default=NEVER)
        return min(timeout_ms, max(0, due - self._clock.wall_ms()))

    # ── commit ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _is_commit_due(self, now: float, *, worked: bool) -> bool:
        if self._commit_each_stretch:
            return worked
        if self._schedule.is_due(now, is_busy=worked):
            return True
        if not worked:
            return False
        tasks = self._tasks.values()
        if any(task.context.commit_requested for task in tasks):
            return True
        waiting = self._writer.pending_bytes + sum(task.state.buffered_bytes for task in tasks)
        return waiting >= self._options.statestore_uncommitted_max_bytes

    def commit(self) -> None:
        """Commit all tasks that have progress, or whose inputs' positions moved without any; now and then all."""
        began = self._clock.seconds()
        renews = began >= self._next_renewal
        tasks = [
            task
            for task in self._tasks.values()
            if task.has_progress or (task.is_running and (renews or self._committer.has_moved(task)))
        ]
        if tasks:
            self._committer.commit(tasks)
            if renews:
                self._next_renewal = began + _RENEW_SECONDS
            self._reporting.committed(self._clock.seconds() - began)
            self._assignment.committed()
            self._fetcher.expect_more()  # what went to repartition topics can be read now
        for task in self._tasks.values():
            task.context.commit_requested = False  # also of a task that had nothing to commit
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
        """The tasks, for the test driver."""
        return self._tasks.values()

    @property
    def _tasks(self) -> Mapping[TaskId, Task]:
        return self._assignment.tasks if hasattr(self, "_assignment") else {}
