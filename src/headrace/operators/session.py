"""Aggregations over sessions: the records of a key of which no two neighbours are further apart than a gap.

A null key is dropped; a null value goes to the aggregator. A record takes in all sessions within the gap around it:
their aggregates are merged, in the order of their ends, and then the record is added. What was taken in is deleted,
downstream too, before the new session goes on. A session's updates have its end as timestamp.

Stream time is this node's own: the highest timestamp that reached it in this task. A record is late if the session that
it would be in ends before stream time minus grace and gap.

Source: `KStreamSessionWindowAggregate`, `SessionWindows`.
"""

from typing import NamedTuple

from headrace.base.records import NO_HEADERS, Window
from headrace.operators.fold import Fold
from headrace.operators.silence import Idle
from headrace.operators.updates import forward_flushed_sessions
from headrace.operators.window_close import Closing
from headrace.operators.windowing import folded
from headrace.state.buffer.session_layout import session_of, session_slot
from headrace.topology.wiring import Forward, Wiring

__all__ = ["SessionAggregate", "SessionShape"]

#: As in Kafka Streams, updates that no cache has held back carry no headers; those of a cache carry their
#: record's, but for the format with headers.
_PROGRAM = """\
if key is None:
    drop("null key")
    return
if timestamp > stream_time.ms:
    <make room>
    stream_time.ms = timestamp
start = end = timestamp
try:
    key_bytes = serialize(key)
    near = []
    for slot in slots(key_bytes, timestamp - gap):
        found_start, found_end = session_of(slot)
        if found_start > timestamp + gap or found_end < stream_time.ms - reopened:
            continue
        near.append(slot)
        if found_start < start:
            start = found_start
        if found_end > end:
            end = found_end
    if end < stream_time.ms - grace:
        drop("expired session")
        late(key, value, timestamp, headers, stream_time.ms, end + grace + 1)
        <emit>
        return
    old = {first}
    merged = []
    for slot in near:
        other = get(key_bytes, slot)[0]
        old = {merge}
        merged.append(other)
    new = {add}
    if new is None:
        deletions.seen(wiring, old)
    if start == end:
        near = ()  # the very session that is put
    replace(key_bytes, near, session_slot(start, end), new, timestamp, headers)
except BaseException as error:
    failed(error, key, value, timestamp, headers)
    return
if cached:
    <emit>
    return
for slot, other in zip(near, merged):
    window = Window(*session_of(slot))
    forward(Windowed(key, window), (None, other if send_old else None, True), window.end, NO_HEADERS)
forward(Windowed(key, Window(start, end)), (new, None, True), end, NO_HEADERS)
"""


#: Longer than any two times lie apart.
_FOR_EVER = 2**63


class SessionShape(NamedTuple):
    """Sessions that a silence longer than `gap_ms` ends, and that stay open for `grace_ms` longer."""

    gap_ms: int
    grace_ms: int

    def closed_at(self, time: int) -> int:
        """Return the stream time at which all sessions are closed that end at a time."""
        return time + self.gap_ms + self.grace_ms + 1

    def closed_since(self, last: int, closed: int) -> tuple[int, int] | None:
        """Return the ends of sessions that have closed: see `ClosingWindows`."""
        lowest = max(0, last)
        return (lowest, closed - 1) if closed > lowest else None


class SessionAggregate:
    """Folds records into one value for each key and session. A result of None deletes it.

    With `emits_final`, results leave when sessions close, not with each update. A session that has closed is found as
    long as the store has it, as in Kafka Streams; but not with `idle`, where the store may have it for long.
    """

    def __init__(
        self,
        shape: SessionShape,
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
        return f"sessions with a gap of {self._shape.gap_ms} ms"

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        gap, grace = self._shape
        state = wiring.store(self._name)
        closing = Closing(
            self._shape,
            gap + grace,
            _result_of,
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
            forward_flushed_sessions,
            send_old=self.send_old,
            gap=gap,
            # A session is open for as long as a record may join it, and for the grace.
            grace=gap + grace,
            reopened=_FOR_EVER if self._idle is None else gap + grace,
            replace=state.replace,
            session_of=session_of,
            session_slot=session_slot,
            slots=state.slots,
            NO_HEADERS=NO_HEADERS,
        )


def _result_of(slot: int, latest: int) -> tuple[Window, int]:
    start, end = session_of(slot)
    return Window(start, end), end
