"""Final results: what leaves when a window closes, once, in place of each update. Source: `EmitStrategy.onWindowClose`.

After each record that its windows take, the node looks whether stream time less grace has passed the end of windows
since it looked last, but not more often than the wall clock allows. Their results leave in the order of their times and
keys, each with the highest time that went into it (a session with its end), and the headers of the record that closed
them.

How far it has emitted is committed beside the offsets, so that a restart emits nothing twice and leaves nothing out.

What has left the store by then is not emitted, as in Kafka Streams: where a stream is silent for longer than a store
keeps its windows, the windows before that have expired with the next record, unless a cache still holds them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from headrace.base.records import Headers, Window, Windowed
from headrace.operators.silence import Idle
from headrace.operators.updates import key_deserializer
from headrace.state.port import TimeOrderedState
from headrace.topology.wiring import Wiring

__all__ = [
    "NEVER_EMITTED",
    "Closing",
    "ClosingWindows",
    "Emit",
    "ResultOf",
    "results_of_size",
    "window_closer",
]

#: In place of the close time up to which results have left.
NEVER_EMITTED = -1

#: Tells the window of a cell, and the time of its result, by its slot and the time in its row.
ResultOf: TypeAlias = Callable[[int, int], tuple[Window, int]]


class ClosingWindows(Protocol):
    """Windows of a size and a grace, by which they close."""

    def closed_at(self, time: int, /) -> int:
        """Return the stream time at which all windows that hold a time are closed."""

    def closed_since(self, last: int, closed: int, /) -> tuple[int, int] | None:
        """Tell what to emit, given the close time of before (or `NEVER_EMITTED`) and that of now.

        That is the times between which cells have closed since, both included; None where there are none.
        """


@dataclass(frozen=True, slots=True)
class Closing:
    """How the windows of a node close.

    Attributes:
        grace_ms: how far behind stream time windows end that have closed; a millisecond more where the end is in them.
        result_of: tells the window of a result.
        ends_included: whether a window's end is in it.
        emits_final: whether results leave then, and not with each update.
        idle: the silence after which they close; None where they wait for records.
    """

    windows: ClosingWindows
    grace_ms: int
    result_of: ResultOf
    ends_included: bool
    emits_final: bool
    idle: Idle | None


class Emit(Protocol):
    """Looks whether windows have closed."""

    def __call__(self, closed: int, headers: Headers, *, at_once: bool = False) -> None:
        """Take stream time less grace, and the headers of the record that moved it.

        With `at_once`, the wall clock has no say in it.
        """


def window_closer(wiring: Wiring, state: TimeOrderedState, closing: Closing) -> Emit:
    """Make what emits the results of windows that have closed."""
    closed_since, result_of = closing.windows.closed_since, closing.result_of
    context, forward, open_key = wiring.context, wiring.forward, key_deserializer(wiring, state)
    metadata, store = context.processor_metadata, state.spec.name
    now_ms, interval_ms = context.now_ms, context.window_emit_interval_ms
    next_ms = 0

    def emit(closed: int, headers: Headers, *, at_once: bool = False) -> None:
        nonlocal next_ms
        now = now_ms()
        if now < next_ms and not at_once:
            return
        next_ms = now + interval_ms
        last = metadata.get(store, NEVER_EMITTED)
        if last != NEVER_EMITTED and last >= closed:
            return
        times = closed_since(last, closed)
        if times is None:
            return
        for key, slot, value, latest in state.by_time(*times):
            window, timestamp = result_of(slot, latest)
            forward(Windowed(open_key(key), window), (value, None, True), timestamp, headers)
        metadata[store] = closed

    return emit


def results_of_size(size_ms: int) -> ResultOf:
    """Tell the windows of a size by their starts."""
    return lambda start, latest: (Window(start, start + size_ms), latest)
