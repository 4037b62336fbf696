"""What a table's updates wait for before they go on, as users write it. Source: `Suppressed`."""

from dataclasses import dataclass
from typing import Literal

from headrace.base.durations import Duration, milliseconds
from headrace.state.declaration import Logging, check_logging

__all__ = ["Suppressed", "until_time_limit", "until_window_closes"]


@dataclass(frozen=True, slots=True)
class Suppressed:
    """How `KTable.suppress` holds updates back. Make one with `until_window_closes` or `until_time_limit`.

    Attributes:
        limit_ms: how long after a key's first update its last one goes on; None where windows have to close.
        max_records, max_bytes: how many keys are held back at most, and how many bytes; None is no bound.
        emits_early: whether the oldest go on where that is exceeded; else it ends the application.
        logging: whether the buffer has a changelog; a mapping holds topic properties for it.
    """

    limit_ms: int | None
    max_records: int | None
    max_bytes: int | None
    emits_early: bool
    name: str | None
    logging: Logging


def until_window_closes(
    *,
    max_records: int | None = None,
    max_bytes: int | None = None,
    name: str | None = None,
    logging: Logging = True,
) -> Suppressed:
    """Hold each window's updates back until it takes no more records: one result a window, the final one.

    A window is closed when stream time is at its end and its grace. Stream time moves with records, so the last windows
    wait until there is a later record. Where more keys and windows are open than the bounds allow, the application
    stops: what is sent on early would not be final.

    Raises:
        TypeError: a bound is no whole number.
        ValueError: another argument is impossible.
    """
    return Suppressed(None, *_bounds(max_records, max_bytes), False, name, check_logging(logging))


def until_time_limit(
    limit: Duration,
    *,
    max_records: int | None = None,
    max_bytes: int | None = None,
    when_full: Literal["emit", "shutdown"] = "emit",
    name: str | None = None,
    logging: Logging = True,
) -> Suppressed:
    """Hold the updates of a key back until `limit` after the first of them, in stream time; then the last one goes on.

    Where more than `max_records` keys wait, or more than `max_bytes` bytes, the oldest go on early, or the application
    stops (`when_full`).

    Raises:
        TypeError: a bound is no whole number; the limit is a bare number.
        ValueError: another argument is impossible.
    """
    if when_full not in {"emit", "shutdown"}:
        raise ValueError(f"when_full={when_full!r} is wrong: write 'emit' or 'shutdown'")
    limit_ms = milliseconds(limit, name="limit")
    emits_early = when_full == "emit"
    return Suppressed(limit_ms, *_bounds(max_records, max_bytes), emits_early, name, check_logging(logging))


def _bounds(max_records: int | None, max_bytes: int | None) -> tuple[int | None, int | None]:
    for name, bound in (("max_records", max_records), ("max_bytes", max_bytes)):
        if bound is None:
            continue
        if isinstance(bound, bool) or not isinstance(bound, int):
            raise TypeError(f"{name}={bound!r} is no bound: a whole number is wanted, or None for no bound")
        if bound < 0:
            raise ValueError(f"{name}={bound!r} is negative: leave it out for no bound")
    return max_records, max_bytes
