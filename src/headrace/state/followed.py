"""The stores of a task that runs elsewhere, as its standby here can be read: rows as they are in the database."""

from collections.abc import Callable

from headrace.base.errors import StoreUnavailableError
from headrace.base.ids import TaskId
from headrace.processor.context import TaskContext
from headrace.state.buffer.live_cells import LiveBudget
from headrace.state.port import StoreReads
from headrace.state.store_parts import Opening, parts_of
from headrace.state.task_rows import TaskRows

__all__ = ["followed_reads"]


def followed_reads(
    rows: TaskRows, store: str, application_id: str, task_id: TaskId, now_ms: Callable[[], int]
) -> StoreReads:
    """Return what can be read of a store by its rows, as of the last position that was written. From any thread.

    It is made anew for each question: the stream time, by which cells expire, is that of the position.

    Raises:
        StoreUnavailableError: there is nothing yet, or in another layout than ours.
        TopologyError: it is of a kind that cannot be read.
    """
    found = rows.stores[store]
    position = found.trusted_position
    if position is None:
        raise StoreUnavailableError(f"store {store!r} of task {task_id} is not followed yet; try again")
    parts = parts_of(
        found.spec,
        Opening(
            found.database,
            None,
            found.codec,
            TaskContext(application_id, task_id, now_ms),
            None,
            lambda store, reason: None,
            None,
            LiveBudget(0),
            found.used,
        ),
    )
    parts.buffer.restored(position.stream_time, position.sequence)
    return parts.reader(True)
