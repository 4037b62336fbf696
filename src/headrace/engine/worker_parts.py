"""What a worker is made of: built first, by `worker_building`, and then only stored."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from headrace.engine.assignment import Assignment
from headrace.engine.changelog_reader import ChangelogReader
from headrace.engine.clock import Clock
from headrace.engine.commit_round import CommitRound
from headrace.engine.commit_schedule import CommitSchedule
from headrace.engine.fetch import Fetcher
from headrace.engine.global_seats import GlobalSeat
from headrace.engine.owned_tasks import OwnedTasks
from headrace.engine.progress_memory import ProgressMemory
from headrace.engine.rebalancing import Rebalancing
from headrace.engine.reporting import Reporting
from headrace.engine.running import Runner
from headrace.engine.standbys import Standbys
from headrace.engine.task_factory import TaskFactory
from headrace.engine.task_picking import Picker
from headrace.engine.topic_watch import TopicWatch
from headrace.engine.uncommitted import Uncommitted
from headrace.engine.upkeep import Upkeep
from headrace.log.port import Log, Writer
from headrace.state.state_directory import StateDirectory

__all__ = ["WorkerParts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerParts:
    """A worker's collaborators, which share one thread. What must be closed is closed by the worker.

    Attributes:
        close_instance: gives back what it has of its instance, all of it where it is the only worker there will be.
    """

    log: Log
    clock: Clock
    writer: Writer
    directory: StateDirectory
    progress: ProgressMemory
    close_instance: Callable[[], None]
    factory: TaskFactory
    global_stores: GlobalSeat
    changelog_reader: ChangelogReader
    standbys: Standbys
    fetcher: Fetcher
    picker: Picker
    runner: Runner
    owned: OwnedTasks
    rebalancing: Rebalancing
    assignment: Assignment
    commit_round: CommitRound
    schedule: CommitSchedule
    uncommitted: Uncommitted
    upkeep: Upkeep
    watch: TopicWatch
    reporting: Reporting
    stop: threading.Event
    poll_ms: int
