"""Why windows do not close: the stream time of each task and node, and what it waits for, in one instance."""

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.base.ids import TopicPartition
from headrace.engine.status import InputStatus, TaskStatus, WindowStatus, WorkerStatus
from headrace.server.held_results import NOTHING_HELD, Held, HeldResults
from headrace.streams.streams import Streams
from headrace.topology.nodes import ProcessorNode
from headrace.topology.wiring import Windowing

__all__ = ["waited_for", "windows_here"]


def windows_here(streams: Streams, results: HeldResults) -> list[dict[str, Any]]:
    """Return the nodes that wait for stream time, with what the tasks of this instance tell of each."""
    status = streams.status() or WorkerStatus("starting")
    topology = streams.topology
    waiting = {name for task in status.tasks for name in task.windows}
    nodes = []
    for part in topology.subtopologies:
        tasks = [task for task in status.tasks if task.id.subtopology == part.id]
        for name in part.nodes:
            node = topology.nodes[name]
            is_windowed = isinstance(node, ProcessorNode) and isinstance(node.operator, Windowing)
            if not is_windowed and name not in waiting:
                continue
            assert isinstance(node, ProcessorNode)
            windows = node.operator.windows if isinstance(node.operator, Windowing) else None
            nodes.append(
                {
                    "node": name,
                    "subtopology": part.id,
                    "declared": str(node.where),
                    "windows": windows,
                    **_common(tasks, name),
                    "tasks": [
                        _task(
                            each,
                            window := each.windows.get(name),
                            _held(each, window, results),
                            is_paused=streams.is_paused,
                        )
                        for each in tasks
                    ],
                }
            )
    return nodes


def _common(tasks: Sequence[TaskStatus], node: str) -> Mapping[str, Any]:
    found = next((task.windows[node] for task in tasks if node in task.windows), None)
    if found is None:
        return {"grace_ms": None, "emits_final": None, "idle_ms": None}
    return {"grace_ms": found.grace_ms, "emits_final": found.emits_final, "idle_ms": found.idle_ms}


def _held(task: TaskStatus, window: WindowStatus | None, results: HeldResults) -> Held:
    if window is None:
        return NOTHING_HELD
    if window.held_in is not None:
        return results.of(task.id.partition, window.held_in)
    first = window.first_held
    return Held(window.held, None if first is None else first + window.grace_ms)


def _task(task: TaskStatus, window: WindowStatus | None, held: Held, *, is_paused: bool) -> dict[str, Any]:
    reason, text, partition = waited_for(task, window, is_paused=is_paused)
    return {
        "task": str(task.id),
        "state": task.state,
        "task_stream_time": task.stream_time,
        "stream_time": None if window is None else window.stream_time,
        "closed_until": None if window is None else window.closed_until,
        "held": held.count,
        "held_is_exact": held.is_exact,
        "first_held": None
        if window is None or held.first_leaves_at is None
        else held.first_leaves_at - window.grace_ms,
        "first_leaves_at": held.first_leaves_at,
        "reason": reason,
        "text": text,
        "inputs": [
            {
                "partition": str(each),
                "partition_time": found.partition_time,
                "lag_records": found.lag_records,
                "oldest_timestamp": found.oldest_timestamp,
                "holds_back": each == partition,
            }
            for each, found in sorted(task.inputs.items())
        ],
    }


def waited_for(
    task: TaskStatus, window: WindowStatus | None, *, is_paused: bool = False
) -> tuple[str, str, TopicPartition | None]:
    """Say what the next window of a node in a task waits for: in a word, in a sentence, and which input holds it back.

    >>> from headrace.base.ids import TaskId
    >>> status = InputStatus(lag_records=3, oldest_timestamp=50, partition_time=40)
    >>> waited_for(TaskStatus(TaskId(0, 1), "running", inputs={TopicPartition("clicks", 1): status}), None)[:2]
    ('behind', '3 records of clicks-1 are still to be processed')
    """
    if task.state == "restoring":
        return "restoring", f"the task restores its stores: {task.remaining:,} records are left", None
    if is_paused:
        return "paused", "the application is paused", None
    behind = {each: found for each, found in task.inputs.items() if found.lag_records}
    if behind:
        partition = min(behind, key=lambda each: (_time(behind[each]), each))
        count = behind[partition].lag_records
        are = "record" if count == 1 else "records"
        is_left = "is" if count == 1 else "are"
        return "behind", f"{count:,} {are} of {partition} {is_left} still to be processed", partition
    furthest = min(task.inputs, key=lambda each: (_time(task.inputs[each]), each), default=None)
    if window is None or window.stream_time is None:
        return "no record", "no record has reached the node since the task began", furthest
    later = "all that came is processed: windows that are open wait for a record of a later time"
    if window.idle_ms is not None:
        return "silent", f"{later}, or for {window.idle_ms / 1000:g} s of silence", furthest
    return "silent", later, furthest


def _time(status: InputStatus) -> int:
    return -1 if status.partition_time is None else status.partition_time
