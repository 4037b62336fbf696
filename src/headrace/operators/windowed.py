"""Aggregations over tumbling and hopping windows. Source: `KStreamWindowAggregate`, `TimeWindows`.

A null key is dropped; a null value goes to the aggregator, unlike without windows. Stream time is this node's own: the
highest timestamp that reached it in this task. A record is late for a window whose end is not after stream time minus
grace; it still counts in its other windows. With `late_to=`, it goes there if there is none.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from headrace.base.records import Window
from headrace.operators.counting import count_tumbling_together
from headrace.operators.fold import COUNT, Fold
from headrace.operators.silence import Idle
from headrace.operators.stream_time import StreamTime
from headrace.operators.updates import forward_flushed_windows
from headrace.operators.window_close import NEVER_EMITTED, Closing, results_of_size
from headrace.operators.windowing import folded
from headrace.topology.wiring import Forward, Wiring

__all__ = ["PUT_UPDATES", "WindowAggregate", "WindowShape"]

#: Where each record has one window. Neighbouring records share theirs: finding it, and making it, takes as long as
#: looking a row up.
_TUMBLING = """\
if key is None:
    drop("null key")
    <next>
if not start <= timestamp < end:
    start = timestamp - timestamp % size
    end = start + size
if timestamp > stream_time.ms:
    <make room>
    stream_time.ms = timestamp
elif end <= stream_time.ms - grace:
    drop("expired window")
    late(key, value, timestamp, headers, stream_time.ms, end + grace)
    <emit>
    <next>
try:
    key_bytes = serialize(key)
    <look up>
    new = {add}
    <put>
except BaseException as error:
    failed(error, key, value, timestamp, headers)
    <next>
if not cached and window.start != start:
    window = Window(start, end)
<send windowed>
<emit>
"""

#: Whether a cell has not expired.
_LIVE = "start > rows.observed_stream_time - retention"

#: The end of a program whose records have several windows. All results are made before the first is put: if the
#: function fails at a later window, no window has the record.
PUT_UPDATES = """\
for start, new, old, latest in updates:
    try:
        <put>
    except BaseException as error:
        failed(error, key, value, timestamp, headers)
        return
    if not cached:
        change = (new, old if send_old else None, True)
        forward(Windowed(key, Window(start, start + size)), change, latest, headers)
"""

_HOPPING = f"""\
if key is None:
    drop("null key")
    return
if timestamp > stream_time.ms:
    <make room>
    stream_time.ms = timestamp
closed = stream_time.ms - grace
start = max(0, timestamp - size + advance) // advance * advance
updates = []
try:
    key_bytes = serialize(key)
    while start <= timestamp:
        if start + size <= closed:
            drop("expired window")
            start += advance
            continue
        <look up>
        updates.append((start, {{add}}, old, latest))
        start += advance
except BaseException as error:
    failed(error, key, value, timestamp, headers)
    return
if not updates:
    # `start` is that of the first window after the record.
    late(key, value, timestamp, headers, stream_time.ms, start - advance + size + grace)
{PUT_UPDATES}<emit>
"""


class WindowShape(NamedTuple):
    """Windows [start, start + size) that start at multiples of `advance_ms`, and stay open for `grace_ms` longer."""

    size_ms: int
    advance_ms: int
    grace_ms: int

    def closed_at(self, time: int) -> int:
        """Return the stream time at which all windows that hold a time are closed."""
        return time - time % self.advance_ms + self.size_ms + self.grace_ms

    def closed_since(self, last: int, closed: int) -> tuple[int, int] | None:
        """Return the starts of windows that have closed: see `ClosingWindows`."""
        highest = closed - self.size_ms
        if highest < 0:
            return None
        if last == NEVER_EMITTED:
            return 0, highest
        before = max(0, last - self.size_ms)
        if self._starts_at(before) == self._starts_at(highest):
            return None  # no window has closed since, so that nothing needs to be looked for
        return before + 1, highest

    def _starts_at(self, time: int) -> tuple[int, int]:
        """Return the first and the last start of windows that hold a time."""
        first = max(0, time - self.size_ms + self.advance_ms) // self.advance_ms
        return first, time // self.advance_ms

    @property
    def is_tumbling(self) -> bool:
        """Whether each record has one window."""
        return self.advance_ms == self.size_ms


class WindowAggregate:
    """Folds records into one value for each key and window. A result of None deletes it.

    With `emits_final`, results leave when windows close, not with each update.
    """

    def __init__(
        self,
        shape: WindowShape,
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
        return f"of {self._shape.size_ms} ms, every {self._shape.advance_ms} ms"

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        size, advance, grace = self._shape
        state = wiring.store(self._name)
        program, live, variables = _HOPPING, None, {}
        together: Callable[[Forward, StreamTime], None] | None = None
        if self._shape.is_tumbling:
            program = _TUMBLING
            # Each record ends a silence, which a loop would not tell.
            live = _LIVE if self._idle is None else None
            if self._idle is None and self._fold is COUNT:
                together = partial(count_tumbling_together, wiring, state, size_ms=size, grace_ms=grace)
            variables = {"start": -1, "end": -1, "window": Window(-1, -1)}
        closing = Closing(
            self._shape,
            grace,
            results_of_size(size),
            ends_included=False,
            emits_final=self._emits_final,
            idle=self._idle,
        )
        return folded(
            self._fold,
            program,
            wiring,
            state,
            closing,
            partial(forward_flushed_windows, size_ms=size),
            send_old=self.send_old,
            together=together,
            cell="key_bytes, start",
            live=live,
            variables=variables,
            size=size,
            advance=advance,
            grace=grace,
            retention=state.spec.lifetime_ms,
        )
