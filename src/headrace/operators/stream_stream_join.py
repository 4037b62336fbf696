"""Joins of two streams: each record with those of the other stream that have its key and lie in its window.

Source: `KStreamJoinWindow`, `KStreamKStreamJoin`.

Four nodes make a join. On each side one hands a record on to the join and then puts it into the side's store, and one
looks the other side's store up; both results lead into one node. A left or outer join has a third store, in which both
sides keep what has no match yet: see `unmatched`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from headrace.base.records import Headers
from headrace.operators.late import late_sender
from headrace.operators.silence import Idle, after_silence
from headrace.operators.unmatched import UnmatchedRecords
from headrace.operators.updates import key_serializer
from headrace.processor.window_clock import WindowClock
from headrace.topology.wiring import Forward, Wiring

__all__ = ["JoinSpan", "StreamJoinSide", "StreamJoinWindow", "StreamJoining", "StreamSelfJoin"]


class JoinSpan(NamedTuple):
    """A record of this stream meets those of the other from `before_ms` before to `after_ms` after it.

    Either may be negative, not their sum. `grace_ms` is how much longer, in stream time, records may be late.
    """

    before_ms: int
    after_ms: int
    grace_ms: int

    @property
    def size_ms(self) -> int:
        """From the first record of the other stream that one meets to the last."""
        return self.before_ms + self.after_ms

    @property
    def retention_ms(self) -> int:
        """How long records are kept."""
        return self.size_ms + self.grace_ms

    @property
    def reversed(self) -> "JoinSpan":
        """The same, as the other stream's records see it."""
        return JoinSpan(self.after_ms, self.before_ms, self.grace_ms)


@dataclass(frozen=True, slots=True, eq=False)
class StreamJoining:
    """What both sides of a join have together: `joiner(value of this stream, value of the other)`.

    Attributes:
        keeps_this, keeps_other: whether a record of this stream, or of the other, has a result without a match, for
            which the joiner gets None. An inner join keeps neither, a left join this one's, an outer join both.
        unmatched: the store of records without a match; None for an inner join.
        idle: the silence of both sides after which none of them waits; None where they wait for records.
    """

    span: JoinSpan
    joiner: Callable[..., Any]
    with_key: bool
    keeps_this: bool
    keeps_other: bool
    unmatched: str | None
    idle: Idle | None = None

    @property
    def waits_ms(self) -> tuple[int, int]:
        """How long after its time a record of this stream, and of the other, waits for a match."""
        before, after, grace = self.span
        return after + grace, before + grace

    def joined(self) -> Callable[[Any, Any, Any], Any]:
        """Return what makes a result of key, this value and the other one."""
        joiner = self.joiner
        return joiner if self.with_key else lambda key, value, other: joiner(value, other)


class StreamJoinWindow:
    """Hands each record to the join, and keeps it then for what comes from the other side. Null keys are not kept.

    A late record, which the store does not keep, has met what is there of the other side; with `late_to=` it goes there
    too, behind its results.
    """

    def __init__(self, store: str) -> None:
        self._name = store

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        state = wiring.store(self._name)
        put, serialize = state.put, key_serializer(wiring, state)
        forward, failed = wiring.forward, wiring.failed
        late, tells_late, kept_ms = late_sender(wiring), wiring.late is not None, state.spec.lifetime_ms

        def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            forward(key, value, timestamp, headers)
            if key is None:
                return
            try:
                put(serialize(key), timestamp, value, timestamp, headers)
            except BaseException as error:
                failed(error, key, value, timestamp, headers)
                return
            if tells_late and value is not None and timestamp <= state.observed_stream_time - kept_ms:
                late(key, value, timestamp, headers, state.observed_stream_time, timestamp + kept_ms)

        return run


class StreamJoinSide:
    """Joins the records of one side with those that the other side's store has.

    `other` is that store; `of_other` says that this is the other stream's side.
    """

    def __init__(self, joining: StreamJoining, *, other: str, of_other: bool) -> None:
        self._joining = joining
        self._other = other
        self._of_other = of_other

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure: one of an inner join knows nothing of what has no match."""
        joining, store = self._joining, self._joining.unmatched
        if store is None:
            return self._inner(wiring)
        unmatched = wiring.shared(
            joining,
            lambda: UnmatchedRecords(
                wiring,
                wiring.store(store),
                joining.joined(),
                *joining.waits_ms,
                closes_when_idle=joining.idle is not None,
            ),
        )
        span, idle = self._span(), joining.idle
        wiring.context.window_clocks[wiring.name] = WindowClock(
            lambda: unmatched.stream_time,
            span.after_ms + span.grace_ms,
            ends_included=True,
            emits_final=True,
            idle_ms=None if idle is None else idle.idle_ms,
        )
        run = self._outer(wiring, unmatched)
        if idle is None:
            return run
        forward, failed = wiring.forward, wiring.failed
        return after_silence(
            wiring, run, idle, unmatched.is_any_waiting, lambda: unmatched.close(forward, failed)
        )

    def _span(self) -> JoinSpan:
        span = self._joining.span
        return span.reversed if self._of_other else span

    def _joined(self) -> Callable[[Any, Any, Any], Any]:
        """Return what makes a result of key, own value and the other side's, whichever side this is."""
        if not self._of_other:
            return self._joining.joined()
        joiner = self._joining.joiner
        if self._joining.with_key:
            return lambda key, own, met: joiner(key, met, own)
        return lambda key, own, met: joiner(met, own)

    def _inner(self, wiring: Wiring) -> Forward:
        state = wiring.store(self._other)
        find, open_value, serialize = state.find, state.open_value, key_serializer(wiring, state)
        (before, after, _), joined = self._span(), self._joined()
        forward, failed, drop = wiring.forward, wiring.failed, wiring.drop

        def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if key is None or value is None:
                drop("null join key or value")
                return
            last = timestamp + after
            try:
                found = find(serialize(key), timestamp - before, last if last > 0 else 0)
            except BaseException as error:
                failed(error, key, value, timestamp, headers)
                return
            for time, met in found:
                try:
                    if open_value is not None:
                        met = open_value(met)
                    result = joined(key, value, met)
                except BaseException as error:
                    failed(error, key, value, timestamp, headers)
                    return
                forward(key, result, timestamp if timestamp > time else time, headers)

        return run

    def _outer(self, wiring: Wiring, unmatched: UnmatchedRecords) -> Forward:
        state = wiring.store(self._other)
        find, open_value, serialize = state.find, state.open_value, key_serializer(wiring, state)
        (before, after, grace), joined, is_left = self._span(), self._joined(), not self._of_other
        joining, forward, failed, drop = self._joining, wiring.forward, wiring.failed, wiring.drop
        keeps_own = joining.keeps_this if is_left else joining.keeps_other
        keeps_met = joining.keeps_other if is_left else joining.keeps_this
        # Kafka Streams begins with no time after a restart, and lets late records wait once more.
        unmatched.stream_time = max(unmatched.stream_time, state.observed_stream_time)
        add, remove, wait, wait_of_met = unmatched.add, unmatched.remove, after + grace, before + grace

        def alone(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            try:
                result = joined(key, value, None)
            except BaseException as error:
                failed(error, key, value, timestamp, headers)
                return
            forward(key, result, timestamp, headers)

        def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            unmatched.stream_time = max(unmatched.stream_time, timestamp)
            if key is None or value is None:
                if value is not None and keeps_own:
                    alone(key, value, timestamp, headers)  # KIP-962
                else:
                    drop("null join key or value")
                return
            stream_time = unmatched.stream_time
            if timestamp == stream_time and unmatched.oldest + wait < timestamp:
                unmatched.emit(wait, timestamp, headers, forward, failed)
            last = timestamp + after
            last = max(last, 0)
            try:
                key_bytes = serialize(key)
                found = find(key_bytes, timestamp - before, last)
                closed = unmatched.closed_ms
                if keeps_met and closed >= 0:
                    found = [(time, met) for time, met in found if time + wait_of_met >= closed]
                if not found and keeps_own and last >= stream_time and timestamp + wait >= closed:
                    add(key_bytes, timestamp, is_left, value)
                    return
            except BaseException as error:
                failed(error, key, value, timestamp, headers)
                return
            if not found and keeps_own:
                alone(key, value, timestamp, headers)  # nothing can come that it would wait for
            for time, met in found:
                try:
                    if keeps_met:
                        remove(key_bytes, time, not is_left, timestamp)
                    if open_value is not None:
                        met = open_value(met)
                    result = joined(key, value, met)
                except BaseException as error:
                    failed(error, key, value, timestamp, headers)
                    return
                forward(key, result, timestamp if timestamp > time else time, headers)

        return run


class StreamSelfJoin:
    """Joins a stream with itself in one node and one store: what the optimiser makes of both sides.

    The results come in the order of a join of two sides, but for a record that has expired: it is not joined with
    itself. Source: `KStreamKStreamSelfJoin`.
    """

    def __init__(self, joining: StreamJoining, *, store: str) -> None:
        self._joining = joining
        self._store = store

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        state = wiring.store(self._store)
        find, open_value, serialize = state.find, state.open_value, key_serializer(wiring, state)
        span, joined = self._joining.span, self._joining.joined()
        (before, after, _), retention = span, span.retention_ms
        forward, failed, drop = wiring.forward, wiring.failed, wiring.drop
        stream_time = state.observed_stream_time

        def results(key: Any, value: Any, timestamp: int) -> Iterator[tuple[Any, int]]:
            key_bytes, itself = serialize(key), joined(key, value, value)
            has_itself = timestamp <= stream_time - retention + 1
            for time, met in find(key_bytes, timestamp - before, max(timestamp + after, 0)):
                other = met if open_value is None else open_value(met)
                yield joined(key, value, other), time
            for time, met in find(key_bytes, timestamp - after, max(timestamp + before, 0)):
                if time > timestamp and not has_itself:
                    has_itself = True
                    yield itself, timestamp
                other = met if open_value is None else open_value(met)
                yield joined(key, other, value), time
            if not has_itself:
                yield itself, timestamp

        def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            nonlocal stream_time
            if key is None or value is None:
                drop("null join key or value")
                return
            stream_time = max(stream_time, timestamp)
            made = results(key, value, timestamp)
            while True:
                try:
                    result, time = next(made)
                except StopIteration:
                    return
                except BaseException as error:
                    failed(error, key, value, timestamp, headers)
                    return
                forward(key, result, max(timestamp, time), headers)

        return run
