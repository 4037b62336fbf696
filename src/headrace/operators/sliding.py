"""Aggregations over sliding windows. Source: `KStreamSlidingWindowAggregate` (KIP-450), going backwards.

A null key or value is dropped, and so is a record at t where even [t, t + d] has closed: its end is before stream time
minus grace. Windows that have closed do not get the others either. Stream time is this node's own.

Which windows there are, `sliding_windows` says. Where results leave when windows close, records earlier than the
difference close none.
"""

from functools import partial
from typing import NamedTuple

from headrace.operators.fold import Fold
from headrace.operators.silence import Idle
from headrace.operators.sliding_windows import NONE_YET, touching
from headrace.operators.updates import forward_flushed_windows
from headrace.operators.window_close import NEVER_EMITTED, Closing, results_of_size
from headrace.operators.windowed import PUT_UPDATES
from headrace.operators.windowing import folded
from headrace.topology.wiring import Forward, Wiring

__all__ = ["SlidingAggregate", "SlidingShape"]

_PROGRAM = f"""\
if key is None or value is None:
    drop("null key or value")
    return
if timestamp > stream_time.ms:
    <make room>
    stream_time.ms = timestamp
closed = stream_time.ms - grace
if timestamp + size < closed:
    drop("expired window")
    late(key, value, timestamp, headers, stream_time.ms, timestamp + size + grace + 1)
    return
updates = []
closed_at = -1
is_taken = False
try:
    key_bytes = serialize(key)
    for start, old, latest, is_copy in touched(key_bytes, timestamp):
        if is_copy:
            updates.append((start, old, None, latest))
        elif start + size < closed:
            drop("expired window")
            closed_at = max(closed_at, start + size + grace + 1)
        else:
            is_taken = True
            if old is none_yet:
                old = {{first}}
            updates.append((start, {{add}}, old, latest))
except BaseException as error:
    failed(error, key, value, timestamp, headers)
    return
if closed_at >= 0 and not is_taken:
    late(key, value, timestamp, headers, stream_time.ms, closed_at)
{PUT_UPDATES}if timestamp >= size:
    <emit>
"""


class SlidingShape(NamedTuple):
    """Windows [start, start + difference], which stay open for `grace_ms` longer."""

    difference_ms: int
    grace_ms: int

    def closed_at(self, time: int) -> int:
        """Return the stream time at which all windows that hold a time are closed."""
        return time + self.difference_ms + self.grace_ms + 1

    def closed_since(self, last: int, closed: int) -> tuple[int, int] | None:
        """Return the starts of windows that have closed: see `ClosingWindows`."""
        highest = closed - self.difference_ms - 1
        if highest < 0:
            return None
        return (0 if last == NEVER_EMITTED else max(0, last - self.difference_ms)), highest


class SlidingAggregate:
    """Folds records into one value for each key and window. A result of None deletes it.

    With `emits_final`, results leave when windows close, not with each update.
    """

    def __init__(
        self,
        shape: SlidingShape,
        fold: Fold,
        store: str,
        *,
        emits_final: bool = False,
        idle: Idle | None = None,
    ) -> None:
        self._shape = shape
        self._idle = idle
        self._emits_final = emits_final
        self._fold = fold
        self._name = store
        self.store: str | None = store
        self.send_old = False

    @property
    def windows(self) -> str:
        """Say which windows a record falls into; see `topology.wiring.Windowing`."""
        return f"sliding, of {self._shape.difference_ms} ms"

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        size, grace = self._shape
        state = wiring.store(self._name)
        closing = Closing(
            self._shape,
            grace,
            results_of_size(size),
            ends_included=True,
            emits_final=self._emits_final,
            idle=self._idle,
        )
        return folded(
            self._fold,
            _PROGRAM,
            wiring,
            state,
            closing,
            partial(forward_flushed_windows, size_ms=size),
            send_old=self.send_old,
            cell="key_bytes, start",
            size=size,
            grace=grace,
            touched=touching(state, size),
            none_yet=NONE_YET,
        )
