"""Aggregations over one window that never ends. Source: `UnlimitedWindows`, `KStreamWindowAggregate`.

A null key is dropped; a null value goes to the aggregator. A record before the start is in no window: it is left out,
and not counted; with `late_to=` it goes there. No other is late.
"""

from headrace.base.records import Window, Windowed
from headrace.operators.fold import Fold
from headrace.operators.updates import forward_flushed_windows
from headrace.processor.parts import TIMESTAMP_MAX
from headrace.topology.wiring import Forward, Wiring

__all__ = ["UnlimitedAggregate"]

_PROGRAM = """\
if key is None:
    drop("null key")
    <next>
if timestamp < start:
    late(key, value, timestamp, headers, context.stream_time, start)
    <next>
try:
    key_bytes = serialize(key)
    <look up>
    new = {add}
    <put>
except BaseException as error:
    failed(error, key, value, timestamp, headers)
    <next>
<send windowed>
"""


class UnlimitedAggregate:
    """Folds records into one value for each key, from `start_ms` on. A result of None deletes it."""

    def __init__(self, start_ms: int, fold: Fold, store: str) -> None:
        self._start_ms = start_ms
        self._fold = fold
        self._name = store
        self.store: str | None = store
        self.send_old = False

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        window = Window(self._start_ms, TIMESTAMP_MAX)
        state = wiring.store(self._name)
        if state.caching:
            forward_flushed_windows(wiring, state, window.end - window.start, send_old=self.send_old)
        return self._fold.compile(
            _PROGRAM,
            wiring,
            state,
            send_old=self.send_old,
            cell="key_bytes, start",
            # Its cells never expire. A late record tells the stream time, which a stretch would be ahead of.
            live="True" if wiring.late is None else None,
            context=wiring.context,
            start=window.start,
            window=window,
            Windowed=Windowed,
        )
