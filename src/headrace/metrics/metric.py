"""A metric's value at one moment, and all of them together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from headrace.metrics.catalogue import declared
from headrace.metrics.declaration import Declaration, Level
from headrace.metrics.meter import Meter
from headrace.metrics.rates import Rates

__all__ = ["Metric", "Metrics", "MetricsOf"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One series at one moment.

    Attributes:
        declaration: what the catalogue says of it.
        tags: what tells it apart from others of its name.
        value: a number, NaN where nothing was recorded in the last minute, or a text.
    """

    declaration: Declaration
    tags: Mapping[str, str]
    value: float | str

    @property
    def name(self) -> str:
        """Kafka Streams' name, such as `process-total`."""
        return self.declaration.name

    @property
    def group(self) -> str:
        """Kafka Streams' group, such as `stream-thread-metrics`."""
        return self.declaration.group

    @property
    def description(self) -> str:
        """What it says, in a line."""
        return self.declaration.text


class Metrics(Sequence[Metric]):
    """All metrics of an application at one moment."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    @overload
    def __getitem__(self, index: int) -> Metric: ...
    @overload
    def __getitem__(self, index: slice) -> "Metrics": ...
    def __getitem__(self, index: int | slice) -> "Metric | Metrics":
        found = self._metrics[index]
        return found if isinstance(found, Metric) else Metrics(found)

    def __len__(self) -> int:
        return len(self._metrics)

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._metrics)

    def find(self, name: str, group: str | None = None, **tags: str) -> "Metrics":
        """Return those of a name, and of a group and of tags where they are given (`task_id="0_1"`)."""
        wanted = {tag.replace("_", "-"): value for tag, value in tags.items()}
        return Metrics(
            [
                each
                for each in self._metrics
                if each.name == name
                and (group is None or each.group == group)
                and all(each.tags.get(tag) == value for tag, value in wanted.items())
            ]
        )

    def total(self, name: str, group: str = "stream-thread-metrics", **tags: str) -> float:
        """Return the sum of the numbers that `find` finds, 0 where there are none: of threads, if no group is given."""
        return sum(
            each.value for each in self.find(name, group, **tags) if isinstance(each.value, int | float)
        )


class MetricsOf:
    """Gathers metrics of one level or below."""

    def __init__(self, level: Level, rates: Rates, now: float) -> None:
        """`rates` are those of the reader, `now` is the moment of reading by its clock (seconds)."""
        self._level = level
        self._rates = rates
        self._now = now
        self.found: list[Metric] = []
        rates.begin(now)

    def put(self, group: str, tags: Mapping[str, str], values: Mapping[str, float | str]) -> None:
        """Take values by name; those that are recorded at a deeper level only are left out.

        Raises:
            KeyError: the catalogue has no such metric.
        """
        for name, value in values.items():
            declaration = declared(group, name)
            if declaration.level <= self._level:
                self.found.append(Metric(declaration, tags, value))

    def put_counted(self, group: str, tags: Mapping[str, str], totals: Mapping[str, float]) -> None:
        """Take totals, and the rates that follow from them: names are without `-total` and `-rate`."""
        for name, total in totals.items():
            rate = self.rate(group, tags, name, total)
            self.put(group, tags, {f"{name}-rate": rate, f"{name}-total": total})

    def put_extremes(
        self,
        group: str,
        tags: Mapping[str, str],
        name: str,
        meter: Meter,
        now: float,
        *,
        least: bool = False,
    ) -> None:
        """Take a meter's average and maximum of the last minute by its own clock, and the minimum if there is one."""
        self.put(group, tags, {f"{name}-avg": meter.average(now), f"{name}-max": meter.maximum(now)})
        if least:
            self.put(group, tags, {f"{name}-min": meter.minimum(now)})

    def put_latency(self, group: str, tags: Mapping[str, str], name: str, meter: Meter, now: float) -> None:
        """Take average and maximum of how long something takes (ms)."""
        self.put_extremes(group, tags, f"{name}-latency", meter, now)

    def rate(self, group: str, tags: Mapping[str, str], name: str, total: float) -> float:
        """Return the rate of what is only counted."""
        return self._rates.rate((group, name, *tags.values()), total, self._now)
