"""What a worker says of itself: snapshots that other threads read without locks."""

from dataclasses import dataclass
from typing import Literal

from headrace.base.ids import TaskId

__all__ = ["TaskStatus", "WorkerStatus"]


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """One task.

    Attributes:
        restored: changelog records that its present restore has applied.
        remaining: changelog offsets that it still has to read, or is behind as a standby.
        records_per_second: how fast it restores, 0 when it does not.
    """

    id: TaskId
    state: Literal["restoring", "running", "standby"]
    restored: int = 0
    remaining: int = 0
    records_per_second: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker at one moment.

    Attributes:
        records: records processed since it started.
        records_per_second: over the last second or so.
        lag_records: records of its inputs that are not processed yet, internal topics included.
        dropped: records dropped since it started.
        misplaced_keys: keys found in another partition than they should be, of the first of each input.
        commits: transactions committed since it started.
        commit_ms_average, commit_ms_max: how long these took.
        restored: changelog records applied since it started.
        standbys: the tasks that it follows and does not run.
        global_stores: how far what fills them is, whose `remaining` is their lag; None where there are none.
    """

    state: Literal["starting", "restoring", "running", "stopped"]
    records: int = 0
    records_per_second: float = 0.0
    lag_records: int = 0
    dropped: int = 0
    misplaced_keys: int = 0
    commits: int = 0
    commit_ms_average: float = 0.0
    commit_ms_max: float = 0.0
    restored: int = 0
    global_stores: TaskStatus | None = None
    tasks: tuple[TaskStatus, ...] = ()
    standbys: tuple[TaskStatus, ...] = ()
