"""The table that several aggregations fill together, each from a stream of its own. Source: `KTablePassThrough`."""

from collections.abc import Sequence
from typing import Protocol

from headrace.topology.wiring import Forward, Wiring

__all__ = ["Cogrouped"]


class _Aggregation(Protocol):
    send_old: bool


class Cogrouped:
    """Passes on the updates of aggregations that share a store.

    A cache lets go of its updates through one of them, whichever was compiled last: all lead here.
    """

    def __init__(self, aggregations: Sequence[_Aggregation], store: str) -> None:
        self._aggregations = aggregations
        self.store: str | None = store

    @property
    def send_old(self) -> bool:
        """Whether updates carry old values: all of them, or none."""
        return all(each.send_old for each in self._aggregations)

    @send_old.setter
    def send_old(self, wanted: bool) -> None:
        for each in self._aggregations:
            each.send_old = wanted

    def compile(self, wiring: Wiring) -> Forward:
        """Return what lies below: there is nothing to do here."""
        return wiring.forward
