"""Aggregations over tumbling and hopping windows. Source: `KStreamWindowAggregate`, `TimeWindows`.

A null key is dropped; a null value goes to the aggregator, unlike without windows. Stream time is this node's own: the
highest timestamp that reached it in this task. A record is late for a window whose end is not after stream time minus
grace; it still counts in its other windows.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from headrace.base.records import Headers, Window, Windowed
from headrace.operators.deletions import Deletions
from headrace.operators.first_aggregates import first_aggregates
from headrace.operators.updates import forward_flushed_windows, key_serializer
from headrace.state.port import StreamTime
from headrace.topology.wiring import Forward, Wiring

__all__ = ["WindowAggregate", "WindowCount", "WindowReduce", "WindowShape"]

_NULL = "null key"
_LATE = "expired window"


class WindowShape(NamedTuple):
    """Windows [start, start + size) that start at multiples of `advance_ms`, and stay open for `grace_ms` longer."""

    size_ms: int
    advance_ms: int
    grace_ms: int


class WindowAggregate:
    """Folds records into one value for each key and window. A result of None deletes it."""

    def __init__(
        self,
        shape: WindowShape,
        init: Callable[[], Any],
        fn: Callable[[Any, Any, Any], Any],
        store: str,
        deletions: Deletions,
    ) -> None:
        self._shape = shape
        self._init = init
        self._fn = fn
        self._deletions = deletions
        self._name = store
        self.store: str | None = store
        self.send_old = False

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        (size, advance, grace), init = self._shape, first_aggregates(self._init)
        fn, send_old = self._fn, self.send_old
        deletions = self._deletions
        forward, failed, drop = wiring.forward, wiring.failed, wiring.drop
        state = wiring.store(self._name)
        get, put, cached, serialize = state.get, state.put, state.caching, key_serializer(wiring, state)
        if cached:
            forward_flushed_windows(wiring, state, size, send_old=send_old)
        stream_time = -1

        def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            nonlocal stream_time
            if key is None:
                drop(_NULL)
                return
            stream_time = max(stream_time, timestamp)
            closed = stream_time - grace
            start = max(0, timestamp - size + advance) // advance * advance
            updates = []
            try:
                key_bytes = serialize(key)
                # All results are made before the first is put: if the function fails at a later window, no window has
                # the record.
                while start <= timestamp:
                    if start + size <= closed:
                        drop(_LATE)
                        start += advance
                        continue
                    row = get(key_bytes, start)
                    latest = timestamp
                    if row is None:
                        old = init()
                    else:
                        old, stored = row
                        latest = max(latest, stored)
                    updates.append((start, fn(key, value, old), old, latest))
                    start += advance
            except BaseException as error:
                failed(error, key, value, timestamp, headers)
                return
            for start, new, old, latest in updates:
                try:
                    if new is None:
                        deletions.seen(wiring, old)
                        put(key_bytes, start, None, timestamp, headers)
                    else:
                        put(key_bytes, start, new, latest, headers)
                except BaseException as error:
                    failed(error, key, value, timestamp, headers)
                    return
                if not cached:
                    change = (new, old if send_old else None, True)
                    forward(Windowed(key, Window(start, start + size)), change, latest, headers)

        return run


class WindowReduce(WindowAggregate):
    """Folds values of one type for each key and window: the first value is the first result."""

    def __init__(
        self, shape: WindowShape, fn: Callable[[Any, Any], Any], store: str, deletions: Deletions
    ) -> None:
        def reduce(key: Any, value: Any, aggregate: Any) -> Any:
            return value if aggregate is None else fn(aggregate, value)

        super().__init__(shape, _nothing, reduce, store, deletions)


def _nothing() -> None:
    return None


class WindowCount:
    """Counts records for each key and window, without a call of user code."""

    def __init__(self, shape: WindowShape, store: str) -> None:
        self._shape = shape
        self._name = store
        self.store: str | None = store
        self.send_old = False

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure; tumbling windows, where each record has one, get a shorter one."""
        if self._shape.advance_ms == self._shape.size_ms:
            return self._tumbling(wiring)
        count = WindowAggregate(self._shape, int, _add_one, self._name, Deletions(None))
        count.send_old = self.send_old
        return count.compile(wiring)

    def _tumbling(self, wiring: Wiring) -> Forward:
        size, _, grace = self._shape
        send_old = self.send_old
        forward, failed, drop = wiring.forward, wiring.failed, wiring.drop
        state = wiring.store(self._name)
        get, put, cached, serialize = state.get, state.put, state.caching, key_serializer(wiring, state)
        if cached:
            forward_flushed_windows(wiring, state, size, send_old=send_old)
        stream_time = StreamTime()
        # Neighbouring records share their window, and making one takes as long as looking a row up.
        window = Window(-1, -1)

        def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            nonlocal window
            if key is None:
                drop(_NULL)
                return
            start = timestamp - timestamp % size
            if timestamp > stream_time.ms:
                stream_time.ms = timestamp
            elif start + size <= stream_time.ms - grace:
                drop(_LATE)
                return
            try:
                key_bytes = serialize(key)
                row = get(key_bytes, start)
                latest = timestamp
                if row is None:
                    old = 0
                else:
                    old, stored = row
                    latest = max(latest, stored)
                put(key_bytes, start, old + 1, latest, headers)
            except BaseException as error:
                failed(error, key, value, timestamp, headers)
                return
            if not cached:
                change = (old + 1, old if send_old else None, True)
                if window.start != start:
                    window = Window(start, start + size)
                forward(Windowed(key, window), change, latest, headers)

        columns = state.column_counter(size, grace, stream_time, serialize, run)
        if columns is not None:
            wiring.take_stretches(columns)
        counter: Forward = state.counter(size, grace, stream_time, serialize, run)
        return counter


def _add_one(key: Any, value: Any, count: int) -> int:
    return count + 1
