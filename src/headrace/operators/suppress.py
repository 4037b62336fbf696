"""Suppression: updates of a table are held back, and the last one of each key goes on when its time has come.

Source: `KTableSuppressProcessorSupplier`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.base.columns import Stretch
from headrace.base.errors import ProcessingError
from headrace.base.records import Headers
from headrace.operators.getters import Get, GetAsOf, Getter
from headrace.operators.silence import Idle, silence_of
from headrace.operators.updates import changelog_topic, key_serializer
from headrace.processor.kept import KeptTogether
from headrace.processor.parts import TIMESTAMP_MAX
from headrace.processor.window_clock import WindowClock
from headrace.state.buffer.row import ENCODED
from headrace.state.buffer.suppress import SuppressBuffer
from headrace.state.held_change import HeldChange
from headrace.topology.wiring import Change, Forward, Wiring

__all__ = ["Holding", "Suppress", "SuppressGetter"]


@dataclass(frozen=True, slots=True)
class Holding:
    """How long updates are held back, and how many.

    Attributes:
        wait_ms: they go on when stream time is so far behind their time: that of a key's first one, or the end of
            their window.
        until_windows_close: whether it is the end of the window. Keys have windows then, and deletions are dropped:
            nobody has heard of what they delete.
        idle: of the windows above, which may close although nothing comes; None where they do not.
        records_max, bytes_max: what the buffer may hold. Where it is more, the oldest go on early, or it is an error.
    """

    wait_ms: int
    until_windows_close: bool
    records_max: int | None
    bytes_max: int | None
    emits_early: bool
    idle: Idle | None = None


class Suppress:
    """Holds updates back in the store `buffer`. Stream time is this node's own.

    An update goes on as the record that caused it: with its time, headers, topic and offset. Where old values are asked
    for it is the one that the last update has replaced, as in Kafka Streams, and not the one that was last sent on.
    """

    #: No store in which the table could be looked up.
    store: str | None = None

    def __init__(self, holding: Holding, buffer: str) -> None:
        self._holding = holding
        self._buffer = buffer
        self.send_old = False

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        holding, wait_ms = self._holding, self._holding.wait_ms
        buffer: SuppressBuffer = wiring.store(self._buffer)
        wiring.on_start(buffer.load)
        put, serialize, failed = buffer.put, key_serializer(wiring, buffer), wiring.failed
        context = wiring.context
        by_window = holding.until_windows_close
        emit, is_full, emits_early = (
            self._emitter(wiring, buffer),
            _fullness(buffer, holding),
            holding.emits_early,
        )
        stream_time = -1

        def follow(time: int) -> None:
            nonlocal stream_time
            stream_time = max(stream_time, time)
            if buffer.oldest <= stream_time - wait_ms:
                emit(stream_time - wait_ms)

        if holding.idle is not None:
            silence_of(wiring, holding.idle).followers.append(follow)
        wiring.context.window_clocks[wiring.name] = WindowClock(
            lambda: stream_time,
            wait_ms,
            ends_included=False,
            emits_final=True,
            idle_ms=None if holding.idle is None else holding.idle.idle_ms,
            held=lambda: (len(buffer), buffer.oldest if len(buffer) else None),
        )

        def run(key: Any, change: Change, timestamp: int, headers: Headers) -> None:
            nonlocal stream_time
            stream_time = max(stream_time, timestamp)
            try:
                time = min(key.window.end, TIMESTAMP_MAX) if by_window else timestamp
                put(serialize(key), time, change[0], change[1], timestamp, headers)
            except BaseException as error:
                failed(error, key, change[0], timestamp, headers)
                return
            if buffer.oldest <= stream_time - wait_ms:
                emit(stream_time - wait_ms)
            if is_full is not None and is_full():
                if not emits_early:
                    raise _too_full(wiring, buffer, holding)
                while is_full():
                    emit(None)

        def run_together(stretch: Stretch) -> None:
            for key, change, timestamp, headers, context.offset in stretch.records():
                run(key, change, timestamp, headers)

        wiring.take_stretches(run_together)
        return run

    def _emitter(self, wiring: Wiring, buffer: SuppressBuffer) -> Callable[[int | None], None]:
        """Make what sends on all that is due by a time, or the oldest alone."""
        forward, failed, context, send_old = wiring.forward, wiring.failed, wiring.context, self.send_old
        open_key = buffer.spec.key.deserializer(changelog_topic(wiring, buffer))
        value_of, to_value = buffer.value_of, buffer.to_value
        drops_deletions = self._holding.until_windows_close

        def send(change: HeldChange) -> None:
            value = change.value
            if value is None and drops_deletions:
                return
            timestamp, headers = change.timestamp, change.headers
            context.kept = change
            context.topic, context.offset = change.topic, change.offset
            context.timestamp, context.headers = timestamp, headers
            key = None
            try:
                key = open_key(change.key)
                if value is ENCODED:
                    value = value_of(change)
                old = to_value(change.old) if send_old else None
            except BaseException as error:
                failed(error, key, None, timestamp, headers)
                return
            forward(key, (value, old, True), timestamp, headers)

        send_together = self._sender_of_many(wiring, buffer, open_key)

        def emit(until: int | None) -> None:
            saved = context.save()
            try:
                if until is None:
                    buffer.let_first_go(send)
                else:
                    buffer.let_go(until, send, send_together)
            finally:
                context.return_to(saved)

        return emit

    def _sender_of_many(
        self, wiring: Wiring, buffer: SuppressBuffer, open_key: Callable[[bytes], Any]
    ) -> Callable[[Sequence[HeldChange]], bool] | None:
        """Make what sends on what leaves together, if it can go so, and says whether it did; None where nothing can."""
        onward, context, send_old = wiring.onward_together(), wiring.context, self.send_old
        if onward is None:
            return None
        value_of, to_value = buffer.value_of, buffer.to_value
        drops_deletions = self._holding.until_windows_close

        def send_together(changes: Sequence[HeldChange]) -> bool:
            if len(changes) < 2 or len({change.topic for change in changes}) > 1:
                return False
            leaving = [change for change in changes if not drops_deletions or change.value is not None]
            try:
                keys = [open_key(change.key) for change in leaving]
                values = [
                    (
                        value_of(change) if change.value is ENCODED else change.value,
                        to_value(change.old) if send_old else None,
                        True,
                    )
                    for change in leaving
                ]
            except Exception:  # found again one by one
                return False
            stretch = Stretch(
                keys,
                values,
                [change.timestamp for change in leaving],
                [change.headers for change in leaving],
                [change.offset for change in leaving],
            )
            context.topic, context.kept = changes[0].topic, KeptTogether(context, stretch)
            if keys:
                onward(stretch)
            return True

        return send_together


def _fullness(buffer: SuppressBuffer, holding: Holding) -> Callable[[], bool] | None:
    """Make what says whether there is more in the buffer than it may hold; None where it may hold anything."""
    if holding.records_max is None and holding.bytes_max is None:
        return None
    records_max = TIMESTAMP_MAX if holding.records_max is None else holding.records_max
    bytes_max = TIMESTAMP_MAX if holding.bytes_max is None else holding.bytes_max

    def is_full() -> bool:
        return len(buffer) > records_max or buffer.size_bytes > bytes_max

    return is_full


def _too_full(wiring: Wiring, buffer: SuppressBuffer, holding: Holding) -> ProcessingError:
    """Make the error of a buffer that may not send on early. No handler is asked: the bound would be none."""
    context = wiring.context
    bounds = [
        f"{found:,} {noun} of at most {most:,}"
        for found, noun, most in (
            (len(buffer), "keys", holding.records_max),
            (buffer.size_bytes, "bytes", holding.bytes_max),
        )
        if most is not None
    ]
    early = "" if holding.until_windows_close else ', or write when_full="emit" to let the oldest go early'
    node = f"{wiring.name} ({wiring.where})"
    return ProcessingError(
        f"{node} holds back {' and '.join(bounds)}, in task {context.task_id}: raise the bound, wait for less{early}. "
        "Nothing is lost: what was not committed is read again",
        node=node,
        task_id=str(context.task_id),
        topic=context.topic,
        partition=context.partition,
        offset=context.offset,
    )


class SuppressGetter:
    """Looks up what was last sent on of a key: where nothing is held back, that is what the table above has."""

    def __init__(self, above: Getter, buffer: str) -> None:
        self._above = above
        self._buffer = buffer

    @property
    def stores(self) -> tuple[str, ...]:
        """Names of the stores that are read."""
        return (self._buffer, *self._above.stores)

    def compile(self, wiring: Wiring) -> Get:
        """Make the closure."""
        above = self._above.compile(wiring)
        buffer: SuppressBuffer = wiring.store(self._buffer)
        serialize = key_serializer(wiring, buffer)

        def look_up(key: Any) -> tuple[Any, int] | None:
            change = buffer.get(serialize(key))
            if change is None:
                return above(key)
            # Nobody has kept when that was.
            return None if change.prior is None else (buffer.to_value(change.prior), -1)

        return look_up

    def compile_as_of(self, wiring: Wiring) -> GetAsOf | None:
        """Nothing has versions: None."""
        return None
