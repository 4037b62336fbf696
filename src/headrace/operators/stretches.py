"""How a stateless node takes a stretch: the user's function on each record, then all records on to the next node."""

from collections.abc import Callable, Iterator
from itertools import compress
from typing import Any

from headrace.base.columns import Stretch
from headrace.topology.wiring import ForwardStretch, Wiring

__all__ = ["call_on_stretches", "every", "not_passing", "passing", "with_values"]


def call_on_stretches(
    wiring: Wiring,
    call: Callable[[Stretch], Iterator[Any]],
    onward: Callable[[ForwardStretch, Stretch, list[Any]], None],
) -> None:
    """Let a node take stretches, if its child does: `call` calls the user's function on each record of one, lazily.

    `onward` gets the records on which it did not fail, and what it returned for each.
    """
    context, failed, forward = wiring.context, wiring.failed, wiring.forward_stretch
    if forward is None:
        return

    def run(stretch: Stretch) -> None:
        start, end = 0, len(stretch.keys)
        while start < end:
            part = stretch if start == 0 else stretch.part(start, end)
            results: list[Any] = []
            try:
                # What came before a failure stays in the list, and so tells on which record it was.
                results.extend(call(part))
                if len(results) < len(part.keys):
                    raise StopIteration("raised by the function")  # which `extend` takes for the end
            except Exception as error:
                at = start + len(results)
                onward(forward, stretch.part(start, at), results)
                context.offset = stretch.offsets[at]
                failed(
                    error, stretch.keys[at], stretch.values[at], stretch.timestamps[at], stretch.headers[at]
                )
                start = at + 1
            else:
                onward(forward, part, results)
                return

    wiring.take_stretches(run, calls_user=True)


def every(forward: ForwardStretch, stretch: Stretch, _: list[Any]) -> None:
    """Forward all records."""
    forward(stretch)


def with_values(forward: ForwardStretch, stretch: Stretch, results: list[Any]) -> None:
    """Forward all records with the results as their values."""
    forward(stretch._replace(values=results))


def passing(forward: ForwardStretch, stretch: Stretch, results: list[Any]) -> None:
    """Forward the records whose result is true."""
    forward(Stretch(*(list(compress(column, results)) for column in stretch)))


def not_passing(forward: ForwardStretch, stretch: Stretch, results: list[Any]) -> None:
    """Forward the records whose result is false."""
    passing(forward, stretch, [not passes for passes in results])
