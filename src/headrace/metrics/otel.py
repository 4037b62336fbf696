"""Metrics for OpenTelemetry: `instrument(streams)`. Needs `opentelemetry-api`: `pip install headrace[otel]`.

Each metric is one observable instrument for all applications of a process: OpenTelemetry drops a second one of the same
name without a word, and the series of all but the first application with it.
"""

import math
import threading
import weakref
from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter_provider

from headrace.base.version import headrace_version
from headrace.metrics.catalogue import CATALOGUE
from headrace.metrics.declaration import Declaration
from headrace.metrics.measured import Measured
from headrace.metrics.naming import is_exported, labels_of, opentelemetry_name

__all__ = ["instrument"]

#: Units as OpenTelemetry writes them; others are words in braces.
_UNITS = {"": "1", "ms": "ms", "bytes": "By", "bytes/s": "By/s", "ratio": "1"}


class _Instruments:
    """The instruments of one provider, and the applications that they observe, as long as these are there."""

    def __init__(self, provider: MeterProvider) -> None:
        self._lock = threading.Lock()
        self._applications: weakref.WeakSet[Measured] = weakref.WeakSet()
        self._found: dict[str, list[Observation]] = {}
        self._given: set[str] = set()
        meter = provider.get_meter("headrace", headrace_version())
        for declared in filter(is_exported, CATALOGUE):
            name = opentelemetry_name(declared)
            create = (
                meter.create_observable_counter
                if declared.kind == "counter"
                else meter.create_observable_gauge
            )
            create(name, callbacks=[self._observing(name)], unit=_unit(declared), description=declared.text)

    def add(self, application: Measured) -> None:
        """Observe an application too."""
        with self._lock:
            self._applications.add(application)

    def _observing(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            with self._lock:
                if name in self._given or not self._given:
                    # Asked again: this is another round. All of a round are of one moment.
                    # If that fails, the other instruments of the round have nothing to show, and do not try again.
                    self._found, self._given = {}, {name}
                    self._found = self._gathered()
                self._given.add(name)
                return self._found.get(name, [])

        return observe

    def _gathered(self) -> dict[str, list[Observation]]:
        found: dict[str, list[Observation]] = {}
        for application in list(self._applications):
            for metric in application.metrics():
                if not is_exported(metric.declaration):
                    continue
                attributes = labels_of(metric.tags, application.application_id)
                if isinstance(metric.value, str):
                    observation = Observation(1, {**attributes, "value": metric.value})
                else:
                    observation = Observation(metric.value, attributes)
                if not math.isnan(observation.value):
                    found.setdefault(opentelemetry_name(metric.declaration), []).append(observation)
        return found


#: By provider, since a second set of instruments would be dropped.
_INSTRUMENTS: weakref.WeakKeyDictionary[MeterProvider, _Instruments] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def instrument(application: Measured, provider: MeterProvider | None = None) -> None:
    """Let OpenTelemetry observe the metrics of an application, as long as it is there; twice is fine.

    The provider is the global one if none is given: set it first, since instruments stay with the one that made them.
    """
    provider = provider or get_meter_provider()
    with _LOCK:
        instruments = _INSTRUMENTS.get(provider)
        if instruments is None:
            instruments = _INSTRUMENTS[provider] = _Instruments(provider)
    instruments.add(application)


def _unit(declared: Declaration) -> str:
    unit = declared.unit
    if unit in _UNITS:
        return _UNITS[unit]
    thing, _, each = unit.partition("/")
    return f"{{{thing}}}/{each}" if each else f"{{{thing}}}"
