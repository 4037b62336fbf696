"""Windows that close although nothing comes: after a silence of the input, their stream time goes on without it.

Then stream time becomes that at which all windows that have records are closed. It follows from the records alone, not
from how long it was silent. It is committed with the offsets, as is what has left by it: after a restart the same
records are late, and nothing leaves twice. So it is for such nodes where a record moves stream time; others begin with
none after a restart, as in Kafka Streams.

Nodes of a cogrouped stream have one store, and a stream time each. They fall silent together, and so do they close.

Suppression below is told, once it has the updates that a cache held back.
"""

from typing import Any

from headrace.base.records import NO_HEADERS, Headers
from headrace.operators.silence import Idle, after_silence, silence_of
from headrace.operators.stream_time import StreamTime
from headrace.operators.window_close import Closing, WindowCloser
from headrace.topology.wiring import Forward, Wiring

__all__ = ["closing_when_idle"]


class _IdleWindows:
    """Closes the windows of one node in one task."""

    def __init__(
        self,
        wiring: Wiring,
        state: Any,
        closing: Closing,
        idle: Idle,
        stream_time: StreamTime,
        emit: WindowCloser | None,
    ) -> None:
        self._state = state
        self._stream_time = stream_time
        self._closed_at = closing.windows.closed_at
        self._closing = closing
        self._emit = emit
        self._followers = silence_of(wiring, idle).followers
        #: Under this name it is committed how far stream time has gone on.
        self._name = f"{wiring.name if idle.is_shared else state.spec.name}-idle"
        self._metadata = wiring.context.processor_metadata
        stream_time.ms = self._metadata.get(self._name, -1)

    def is_any_open(self) -> bool:
        """Whether there is a window to close."""
        # What the store has seen, not the records: those that are late open no window.
        newest: int = self._state.observed_stream_time
        return newest >= 0 and self._closed_at(newest) > self._stream_time.ms

    def note_time(self) -> None:
        """Let the node's stream time be committed."""
        self._metadata[self._name] = self._stream_time.ms

    def close(self) -> None:
        """Move stream time to where all windows are closed."""
        stream_time = self._stream_time
        stream_time.ms = self._closed_at(self._state.observed_stream_time)
        self.note_time()
        if self._emit is not None:
            self._emit(stream_time.ms - self._closing.grace_ms, NO_HEADERS, at_once=True)
        elif self._state.caching:
            self._state.flush()
        # Suppression takes a window for closed when stream time is at its end and grace, whether that is in it or not.
        for follow in self._followers:
            follow(stream_time.ms - self._closing.ends_included)


def closing_when_idle(
    wiring: Wiring,
    run: Forward,
    state: Any,
    closing: Closing,
    stream_time: StreamTime,
    emit: WindowCloser | None,
) -> Forward:
    """Make the closure of a windowed node whose windows close when the input is silent; if they do not, it is `run`.

    To be called before anything comes: it says how far stream time has gone.
    """
    if closing.idle is None:
        return run
    windows = _IdleWindows(wiring, state, closing, closing.idle, stream_time, emit)

    def run_and_note(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        run(key, value, timestamp, headers)
        windows.note_time()

    return after_silence(wiring, run_and_note, closing.idle, windows.is_any_open, windows.close)
