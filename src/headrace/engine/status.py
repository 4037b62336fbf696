"""What a worker says of itself: snapshots that other threads read without locks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from headrace.base.ids import TaskId, TopicPartition
from headrace.processor.window_clock import HeldInStore

__all__ = ["InputStatus", "LagInfo", "TaskStatus", "WindowStatus", "WorkerStatus", "together"]


@dataclass(frozen=True, slots=True)
class LagInfo:
    """How far one store's partition is. Source: `org.apache.kafka.streams.LagInfo`.

    Attributes:
        current_offset_position: next changelog offset to apply; of a store that a task runs on, as of its last commit.
        end_offset_position: where the changelog ends, as far as that concerns the store.
        offset_lag: offsets between the two.
    """

    current_offset_position: int
    end_offset_position: int
    offset_lag: int

    @classmethod
    def between(cls, current: int, end: int) -> "LagInfo":
        """Make it of the two; nothing is ahead of its end."""
        return cls(current, max(current, end), max(0, end - current))


@dataclass(frozen=True, slots=True)
class InputStatus:
    """How far one input partition of a task is processed.

    Attributes:
        lag_records: records that are not processed yet; transaction markers before them count too.
        oldest_timestamp: of the record that comes next; None where none was fetched.
        partition_time: highest timestamp of what was processed, also before a restart; None where nothing was.
    """

    lag_records: int
    oldest_timestamp: int | None
    partition_time: int | None = None


@dataclass(frozen=True, slots=True)
class WindowStatus:
    """How far a node is, in one task, whose results wait for stream time. Times are epoch ms.

    Attributes:
        stream_time: the node's own; None before its first record since the task began.
        closed_until: windows that end then or earlier have closed; None as well.
        grace_ms: how far behind stream time that is; of sessions, with their gap.
        emits_final: whether results leave when windows close, and not with each update.
        idle_ms: the silence after which windows close without a record; None where they wait for one.
        held: results that are held back, as far as the node keeps them itself.
        first_held: the time that the first of them waits for to be closed; None where none is held.
        held_in: which rows of a store are results that are held back, where the node does not count them; else None.
    """

    stream_time: int | None
    closed_until: int | None
    grace_ms: int
    emits_final: bool
    idle_ms: int | None
    held: int
    first_held: int | None
    held_in: HeldInStore | None = None


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """One task.

    Attributes:
        restored: changelog records that its present restore has applied.
        remaining: changelog offsets that it still has to read, or is behind as a standby.
        records_per_second: how fast it restores, 0 when it does not.
        stores: how far each store with a changelog is; without those of which that is not known yet.
        inputs: how far each input is processed; without those of which that is not known yet.
        stream_time: highest timestamp that it has processed (epoch ms); None where there is none.
        windows: by node, how far those are whose results wait for stream time.
    """

    id: TaskId
    state: Literal["restoring", "running", "standby"]
    restored: int = 0
    remaining: int = 0
    records_per_second: float = 0.0
    stores: Mapping[str, LagInfo] = field(default_factory=dict)
    inputs: Mapping[TopicPartition, InputStatus] = field(default_factory=dict)
    stream_time: int | None = None
    windows: Mapping[str, WindowStatus] = field(default_factory=dict)


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


def together(statuses: Sequence[WorkerStatus]) -> WorkerStatus:
    """Add up what several workers say of themselves, at least one; those that have stopped are counted only.

    >>> both = together([WorkerStatus("running", records=3), WorkerStatus("stopped", records=4)])
    >>> both.state, both.records
    ('running', 7)
    """
    if len(statuses) == 1:
        return statuses[0]
    alive = [each for each in statuses if each.state != "stopped"]
    states = {each.state for each in alive}
    state: Literal["starting", "restoring", "running", "stopped"] = "running" if alive else "stopped"
    if "restoring" in states:
        state = "restoring"
    elif "starting" in states:
        state = "starting"
    commits = sum(each.commits for each in statuses)
    return WorkerStatus(
        state=state,
        records=sum(each.records for each in statuses),
        records_per_second=sum(each.records_per_second for each in alive),
        lag_records=sum(each.lag_records for each in alive),
        dropped=sum(each.dropped for each in statuses),
        misplaced_keys=sum(each.misplaced_keys for each in statuses),
        commits=commits,
        commit_ms_average=sum(each.commit_ms_average * each.commits for each in statuses) / max(1, commits),
        commit_ms_max=max(each.commit_ms_max for each in statuses),
        restored=sum(each.restored for each in statuses),
        global_stores=next((each.global_stores for each in alive if each.global_stores is not None), None),
        tasks=tuple(sorted((task for each in alive for task in each.tasks), key=lambda task: task.id)),
        standbys=tuple(sorted((task for each in alive for task in each.standbys), key=lambda task: task.id)),
    )
