"""The demonstration's results by plain Python over the rows: no streams, no windows, no stores."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

__all__ = ["Results", "evaluate"]

_HOUR_MS = 3_600_000
_QUARTER_MS = 900_000
_DAY_MS = 86_400_000


class Results(NamedTuple):
    """What the job gives. Keys of windows are (key, start); a day is (n, cancelled, late, delay, worst)."""

    dead: list[tuple[int, int]]  # timestamp, number of the flight
    seats: Counter[tuple[str, int, int]]  # tail number, seats, timestamp
    quarters: Counter[tuple[str, int]]
    days: dict[tuple[str, int], tuple[int, int, int, int, int | None]]
    routes: Counter[str]


def evaluate(flights: Iterable[Any], seats_of: dict[str, int]) -> Results:
    """Evaluate the flights, given the seats of each known aircraft."""
    results = Results([], Counter(), Counter(), {}, Counter())
    for flight in flights:
        if flight.tailnum is None:
            results.dead.append((flight.sched, flight.flight))
            continue
        if flight.tailnum in seats_of:
            results.seats[flight.tailnum, seats_of[flight.tailnum], flight.sched] += 1
        first = flight.sched // _QUARTER_MS * _QUARTER_MS
        for start in range(first, flight.sched - _HOUR_MS, -_QUARTER_MS):
            results.quarters[flight.origin, start] += 1
        _add_to_day(results.days, flight)
        results.routes[f"{flight.origin}-{flight.dest}"] += 1
    return results


def _add_to_day(days: dict[tuple[str, int], tuple[int, int, int, int, int | None]], flight: Any) -> None:
    key = flight.carrier, flight.sched // _DAY_MS * _DAY_MS
    n, cancelled, late, delay, worst = days.get(key, (0, 0, 0, 0, None))
    if flight.dep_delay is None:
        days[key] = (n + 1, cancelled + 1, late, delay, worst)
    else:
        worst = flight.dep_delay if worst is None else max(worst, flight.dep_delay)
        days[key] = (n + 1, cancelled, late + (flight.dep_delay > 15), delay + flight.dep_delay, worst)
