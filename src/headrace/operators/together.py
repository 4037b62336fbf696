"""Values of several records mapped at once: by one call for all of them, or by async calls side by side.

Where records come in a stretch, all of it is mapped before the first goes on, in the order of the input and each with
its own timestamp and headers; elsewhere they are mapped one by one. Nothing waits outside of a stretch, so that commits
and restarts are those of `map_values`. The price: what lies above runs for the whole stretch before what lies below,
and the slowest call is waited for.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from inspect import isawaitable
from itertools import chain
from typing import Any

from headrace.base.callables import named
from headrace.base.columns import Stretch
from headrace.base.records import Headers
from headrace.topology.wiring import Forward, Outcomes, Wiring

__all__ = ["MapValuesAsync", "MapValuesBatch"]


class MapValuesBatch:
    """Replaces values by those that one call of the function returns: as many as it is given, in the same order.

    A call that fails is made again for each of its records alone, so that only those fail that make it fail.
    """

    def __init__(self, fn: Callable[[list[Any]], Sequence[Any]], batch_max: int) -> None:
        self._fn = fn
        self._batch_max = batch_max

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        return _mapped(wiring, self._outcomes, self._batch_max)

    def _outcomes(self, keys: Sequence[Any], values: Sequence[Any]) -> Outcomes:
        size = self._batch_max
        batches = (list(values[start : start + size]) for start in range(0, len(values), size))
        return list(chain.from_iterable(map(self._of_batch, batches)))

    def _of_batch(self, values: list[Any]) -> Outcomes:
        try:
            results = list(self._fn(values))
            if len(results) != len(values):
                raise ValueError(
                    f"{named(self._fn)} was given {len(values)} values and returned {len(results)}: one for each is "
                    "wanted, in the same order"
                )
        except BaseException as error:
            if len(values) == 1 or not isinstance(error, Exception):
                return [(None, error)] * len(values)
            return [outcome for value in values for outcome in self._of_batch([value])]
        return [(result, None) for result in results]


class MapValuesAsync:
    """Replaces values by what an async function makes of them, many calls at a time."""

    def __init__(
        self,
        fn: Callable[..., Awaitable[Any]],
        *,
        with_key: bool,
        concurrency: int,
        timeout_seconds: float | None,
    ) -> None:
        self._fn = fn
        self._with_key = with_key
        self._concurrency = concurrency
        self._timeout_seconds = timeout_seconds

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        awaited, concurrency, timeout_seconds = wiring.awaited, self._concurrency, self._timeout_seconds
        call, with_key = self._call, self._with_key

        def outcomes(keys: Sequence[Any], values: Sequence[Any]) -> Outcomes:
            arguments = zip(keys, values) if with_key else zip(values)
            return awaited([partial(call, *each) for each in arguments], concurrency, timeout_seconds)

        return _mapped(wiring, outcomes, concurrency)

    async def _call(self, *arguments: Any) -> Any:
        made = self._fn(*arguments)
        if not isawaitable(made):
            raise TypeError(
                f"{named(self._fn)} returned {made!r}, which nobody can await: make it `async def`, or write "
                "map_values()"
            )
        return await made


def _mapped(
    wiring: Wiring, outcomes_of: Callable[[Sequence[Any], Sequence[Any]], Outcomes], records: int
) -> Forward:
    """Make the closure that maps by `outcomes_of`, best many records at once."""
    context, failed, onward = wiring.context, wiring.failed, wiring.onward()

    def run_together(stretch: Stretch) -> None:
        outcomes = outcomes_of(stretch.keys, stretch.values)
        kept: list[bool] = []
        for (_, error), (key, value, timestamp, headers, offset) in zip(outcomes, stretch.records()):
            kept.append(error is None)
            if error is not None:
                context.offset = offset
                failed(error, key, value, timestamp, headers)
        onward(stretch.left(kept, values=[result for result, error in outcomes if error is None]))

    def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        run_together(Stretch([key], [value], [timestamp], [headers], [context.offset]))

    wiring.take_stretches(run_together, records=records)
    return run
