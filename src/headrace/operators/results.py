"""Results of ready-made aggregations, in place of the rows that their stores keep: in all that leaves such a node."""

from collections.abc import Callable
from typing import Any, cast

from headrace.base.records import Headers
from headrace.topology.wiring import Change, Forward, Operator, Wiring

__all__ = ["ShowingResults"]


class ShowingResults:
    """An aggregation whose updates carry results.

    `operator` folds records into rows, of which `result` makes what is shown; None is no value.
    """

    def __init__(self, operator: Any, result: Callable[[Any], Any]) -> None:
        self._operator = operator
        self._result = result

    @property
    def store(self) -> str | None:
        """Name of the store of rows."""
        store: str | None = self._operator.store
        return store

    @store.setter
    def store(self, name: str | None) -> None:
        self._operator.store = name

    @property
    def send_old(self) -> bool:
        """Whether updates carry the results of before."""
        wanted: bool = self._operator.send_old
        return wanted

    @send_old.setter
    def send_old(self, wanted: bool) -> None:
        self._operator.send_old = wanted

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        forward, failed, result = wiring.forward, wiring.failed, self._result

        def forward_result(key: Any, change: Change, timestamp: int, headers: Headers) -> None:
            new, old, is_latest = change
            try:
                shown = (
                    None if new is None else result(new),
                    None if old is None else result(old),
                    is_latest,
                )
            except BaseException as error:
                failed(error, key, None, timestamp, headers)
                return
            forward(key, shown, timestamp, headers)

        operator: Operator = self._operator
        # It has all that a wiring has.
        return operator.compile(cast("Wiring", _Forwarding(wiring, forward_result)))


class _Forwarding:
    """A node's wiring, but for where updates go."""

    def __init__(self, wiring: Wiring, forward: Forward) -> None:
        self._wiring = wiring
        self.forward = forward

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wiring, name)
