"""How far the tasks of a worker may drift apart in record time."""

from collections.abc import Iterable

from headrace.state.spec import StoreSpec

__all__ = ["alignment_ms"]

#: Wide enough that a task runs some records in one go, narrow enough for windows with a grace of a day.
_HOUR_MS = 3_600_000

#: A topology without grace gains nothing by a tighter bound, and switching tasks for each record costs.
_SECOND_MS = 1_000


def alignment_ms(wanted: int | None, stores: Iterable[StoreSpec]) -> int:
    """Return `task.alignment.ms`: as set, else an hour, or a quarter of the smallest grace if that is less.

    A catch-up makes records late by the disorder of the input *and* by the drift of the tasks that feed a repartition
    topic; a quarter leaves the greater part of the grace to the input.
    """
    if wanted is not None:
        return wanted
    graces = [store.grace_ms for store in stores if store.grace_ms is not None]
    return max(_SECOND_MS, min([_HOUR_MS, *(grace // 4 for grace in graces)]))
