"""The demonstration's results by plain Python over the rows: no streams, no windows, no stores."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Results", "evaluate"]

_HOUR_MS = 3_600_000
_QUARTER_MS = 900_000
_DAY_MS = 86_400_000
_REST_MS = 8 * _HOUR_MS


@dataclass(frozen=True)
class Results:
    """What the job gives. Keys of windows are (key, start); a day is (n, cancelled, late, delay, worst).

    Attributes:
        dead: timestamp and number of the flight.
        enriched: tail number, number of the flight, airline, airport.
        seats: tail number, seats, timestamp.
        windy: airport, timestamp, delay, wind.
        tours: (tail number, first, last): (legs, distance).
        never_left: timestamp and number of the flight.
    """

    dead: list[tuple[int, int]] = field(default_factory=list)
    enriched: list[tuple[str, int, str | None, str | None]] = field(default_factory=list)
    seats: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    windy: Counter[tuple[str, int, int | None, float]] = field(default_factory=Counter)
    quarters: Counter[tuple[str, int]] = field(default_factory=Counter)
    days: dict[tuple[str, int], tuple[int, int, int, int, int | None]] = field(default_factory=dict)
    routes: Counter[str] = field(default_factory=Counter)
    origins: Counter[str] = field(default_factory=Counter)
    tours: dict[tuple[str, int, int], tuple[int, int]] = field(default_factory=dict)
    fleet: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    never_left: Counter[tuple[int, int]] = field(default_factory=Counter)


def evaluate(flights: Iterable[Any], reference: Mapping[str, Sequence[tuple[Any, Any, int]]]) -> Results:
    """Evaluate the flights, given the reference data: by topic, rows of key, value and timestamp."""
    results = Results()
    known = {name: {key: value for key, value, _ in rows} for name, rows in reference.items()}
    winds: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for airport, hour, time in reference["weather"]:
        winds[airport].append((time, hour.wind_speed or 0))
    schedules: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for flight in flights:
        if flight.dep_delay is None or flight.dep_delay > 360:
            results.never_left[flight.sched, flight.flight] += 1
        if flight.tailnum is None:
            results.dead.append((flight.sched, flight.flight))
            continue
        airline, airport = known["airlines"].get(flight.carrier), known["airports"].get(flight.dest)
        names = airline and airline.name, airport and airport.name
        results.enriched.append((flight.tailnum, flight.flight, *names))
        results.fleet[flight.tailnum] = flight.dest, names[1]
        if flight.tailnum in known["planes"]:
            results.seats[flight.tailnum, known["planes"][flight.tailnum].seats, flight.sched] += 1
        _add_wind(results, flight, winds[flight.origin])
        first = flight.sched // _QUARTER_MS * _QUARTER_MS
        for start in range(first, flight.sched - _HOUR_MS, -_QUARTER_MS):
            results.quarters[flight.origin, start] += 1
        _add_to_day(results.days, flight)
        results.routes[f"{flight.origin}-{flight.dest}"] += 1
        results.origins[flight.origin] += 1
        schedules[flight.tailnum].append((flight.sched, flight.distance))
    for aircraft, schedule in schedules.items():
        _add_tours(results, aircraft, sorted(schedule))
    return results


def _add_wind(results: Results, flight: Any, winds: list[tuple[int, float]]) -> None:
    index = bisect_right(winds, flight.sched, key=lambda each: each[0])
    if index and winds[index - 1][1] >= 20:
        results.windy[flight.origin, flight.sched, flight.dep_delay, winds[index - 1][1]] += 1


def _add_tours(results: Results, aircraft: str, schedule: list[tuple[int, int]]) -> None:
    tour = [schedule[0]]
    for flight in [*schedule[1:], None]:
        if flight is not None and flight[0] - tour[-1][0] <= _REST_MS:
            tour.append(flight)
            continue
        distance = sum(distance for _, distance in tour)
        results.tours[aircraft, tour[0][0], tour[-1][0]] = len(tour), distance
        if flight is not None:
            tour = [flight]


def _add_to_day(days: dict[tuple[str, int], tuple[int, int, int, int, int | None]], flight: Any) -> None:
    key = flight.carrier, flight.sched // _DAY_MS * _DAY_MS
    n, cancelled, late, delay, worst = days.get(key, (0, 0, 0, 0, None))
    if flight.dep_delay is None:
        days[key] = (n + 1, cancelled + 1, late, delay, worst)
    else:
        worst = flight.dep_delay if worst is None else max(worst, flight.dep_delay)
        days[key] = (n + 1, cancelled, late + (flight.dep_delay > 15), delay + flight.dep_delay, worst)
