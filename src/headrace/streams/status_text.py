"""How an application is, in one line: for the terminal, and for whoever waited in vain."""

from collections.abc import Sequence

from headrace.engine.status import TaskStatus, WorkerStatus
from headrace.streams.states import in_words

__all__ = ["status_text", "waiting_text"]


def status_text(
    state: str, status: WorkerStatus | None, *, paused: bool = False, trouble: str | None = None
) -> str:
    """Say in one line how an application is. Where it waits for brokers, nothing else matters.

    >>> from headrace.base.ids import TaskId
    >>> from headrace.engine.status import TaskStatus, WorkerStatus
    >>> status_text("running", WorkerStatus("running", 1500, 12000.4, 25, tasks=(TaskStatus(TaskId(0, 0), "running"),)))
    'running: 12,000 records/s, lag 25, 1 task, 1,500 records processed'
    """
    shown = in_words(state)
    if trouble is not None:
        return f"{shown}: waits: {trouble}"
    if status is None or status.state == "starting":
        return shown
    filling = status.global_stores
    if filling is not None and filling.state == "restoring":
        return f"{shown}: reading global stores, {_progress([filling])}"
    count = len(status.tasks)
    tasks = f"{count} task" + ("" if count == 1 else "s")
    restoring = [task for task in status.tasks if task.state == "restoring"]
    if restoring:
        return f"{shown}: restoring {len(restoring)} of {tasks}, {_progress(restoring)}, lag {status.lag_records:,}"
    parts = [
        f"{status.records_per_second:,.0f} records/s",
        f"lag {status.lag_records:,}",
        tasks,
        f"{status.records:,} record{'' if status.records == 1 else 's'} processed",
    ]
    if filling is not None and filling.remaining:
        parts.append(f"global stores {filling.remaining:,} behind")
    if status.dropped:
        parts.append(f"{status.dropped:,} dropped")
    return f"{'paused' if paused else shown}: {', '.join(parts)}"


def _progress(restoring: Sequence[TaskStatus]) -> str:
    done, remaining = sum(task.restored for task in restoring), sum(task.remaining for task in restoring)
    share = 100 * done // max(1, done + remaining)
    speed = sum(task.records_per_second for task in restoring)
    return f"{share} % ({done:,} of {done + remaining:,} records, {speed:,.0f} records/s)"


def waiting_text(state: str, status: WorkerStatus | None, trouble: str | None) -> str:
    """Say what an application is about that does not run yet.

    >>> waiting_text("rebalancing", None, None)
    'rebalancing: it looks at its topics and opens its stores'
    """
    text = status_text(state, status, trouble=trouble)
    if text == "created":
        return "created: start() was not called"
    return f"{text}: it looks at its topics and opens its stores" if text == "rebalancing" else text
