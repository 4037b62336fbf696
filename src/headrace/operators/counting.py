"""Counts a stretch at once where the store's cache is compiled: what is in it, as far as nothing is to be judged.

All else goes through the node's closure, record by record: what needs a flush first, late records, what is dropped.
"""

from collections.abc import Callable
from typing import Any

from headrace.base.columns import Stretch
from headrace.operators.stream_time import StreamTime
from headrace.serde.primitives import raw
from headrace.state.number_cache import NumbersCache
from headrace.state.number_stores import WindowNumbers
from headrace.topology.wiring import Forward, Wiring

__all__ = ["count_together", "count_tumbling_together"]


def count_together(wiring: Wiring, state: Any, run: Forward) -> None:
    """Offer to count the records of each key."""
    is_text = _is_text(state)
    if is_text is None:
        return
    count, context = state.counter(is_tumbling=False), wiring.context

    def taken(stretch: Stretch, at: int) -> int:
        keys, values, timestamps, headers, offsets = stretch
        columns = keys, values, timestamps, headers, offsets, context.topic
        counted: int = state.counted(
            lambda below, bytes_max: count(*columns, at, state.safe_ms, is_text, below, bytes_max)
        )
        return counted

    _offer(wiring, taken, run)


def count_tumbling_together(
    wiring: Wiring, state: Any, run: Forward, stream_time: StreamTime, size_ms: int, grace_ms: int
) -> None:
    """Offer to count the records of each key and window."""
    is_text = _is_text(state)
    if is_text is None or not isinstance(state, WindowNumbers):
        return
    count, context, retention_ms = state.counter(is_tumbling=True), wiring.context, state.spec.lifetime_ms

    def taken(stretch: Stretch, at: int) -> int:
        keys, _, timestamps, headers, offsets = stretch
        columns = keys, timestamps, headers, offsets, context.topic
        times = stream_time.ms, state.observed_stream_time
        counted: int
        counted, stream_time.ms, state.observed_stream_time = state.counted(
            lambda below, bytes_max: count(
                *columns,
                at,
                state.safe_ms,
                is_text,
                below,
                bytes_max,
                size_ms,
                grace_ms,
                retention_ms,
                *times,
            )
        )
        return counted

    _offer(wiring, taken, run)


def _is_text(state: Any) -> bool | None:
    """Whether keys are text; None where they are neither that nor bytes, or the cache is not compiled."""
    if not isinstance(state, NumbersCache):
        return None
    serde = state.spec.key
    return True if serde.is_text else False if serde == raw else None


def _offer(wiring: Wiring, taken: Callable[[Stretch, int], int], run: Forward) -> None:
    context = wiring.context

    def stretch_counted(stretch: Stretch) -> None:
        keys, values, timestamps, headers, offsets = stretch
        at, end = 0, len(keys)
        while at < end:
            at = taken(stretch, at)
            if at < end:
                context.offset = offsets[at]
                run(keys[at], values[at], timestamps[at], headers[at])
                at += 1
        if end:
            context.offset = offsets[-1]

    wiring.take_stretches(stretch_counted)
