"""Records of a key in order: those that come too early wait for those before them.

By a number, a record goes on as soon as all before it have; where one is missing, it is waited for. By timestamps
nobody can tell whether one is missing: each record waits. What comes too late, or twice, is dropped. The wait is
measured in stream time, the highest timestamp that has reached the node in this task: it is committed with the offsets,
so that a restart neither waits anew nor takes what was late before. Where more waits than may, the longest wait ends
early. After a silence of the input, if one is given, stream time goes on to where no wait is left: that follows from
what waits, and not from the clock.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headrace.base.rare_warnings import is_worth_a_warning
from headrace.base.records import NO_HEADERS, Headers
from headrace.operators.late import late_sender
from headrace.operators.silence import Idle, after_silence
from headrace.operators.waiting_records import WaitingRecords
from headrace.serde.serde import Serde
from headrace.topology.wiring import Forward, Wiring

__all__ = ["Resequence", "Waiting"]

_log = logging.getLogger("headrace.gaps")

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1

_TOO_LATE = "out of order by too much, or repeated"


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long records wait (ms of stream time), in which store, and how many of them, or bytes, at most.

    `idle` is the silence after which no wait goes on; None where waits wait for records.
    """

    within_ms: int
    buffer: str
    key: Serde[Any]
    value: Serde[Any]
    records_max: int
    bytes_max: int | None
    idle: Idle | None = None


class Resequence:
    """Puts the records of each key in order.

    Attributes:
        number: number of a record's value, or of its key and value; None is by timestamp.
        first: the number that a key's first record has; None takes it as it comes.
        on_gap: told of a key and the first and last number that is missing.
        progress: store of the number that comes next, by key.
    """

    def __init__(
        self,
        waiting: Waiting,
        number: Callable[..., Any] | None = None,
        *,
        with_key: bool = False,
        first: int | None = None,
        on_gap: Callable[[Any, int, int], object] | None = None,
        progress: str = "",
    ) -> None:
        self._waiting = waiting
        self._number = number
        self._with_key = with_key
        self._first = first
        self._on_gap = on_gap
        self._progress = progress

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        waiting = WaitingRecords(wiring, self._waiting.buffer, self._waiting.key, self._waiting.value)
        time = _StreamTime(wiring, self._waiting.buffer)
        if self._number is None:
            run, settle = self._by_time(wiring, waiting, time)
        else:
            run, settle = self._by_number(wiring, waiting, time, self._number)
        idle, within_ms = self._waiting.idle, self._waiting.within_ms

        def close() -> None:
            time.see(waiting.newest + within_ms)
            settle()

        if idle is not None:
            run = after_silence(wiring, run, idle, lambda: waiting.count > 0, close)
        # What is asked for last runs first: the start of a silence looks whether anything waits.
        wiring.on_start(waiting.load)
        return run

    def _by_time(
        self, wiring: Wiring, waiting: WaitingRecords, time: "_StreamTime"
    ) -> tuple[Forward, Callable[[], None]]:
        """Make the closure, and what ends the waits that are over."""
        failed, drop, late, within_ms = (
            wiring.failed,
            wiring.drop,
            late_sender(wiring),
            self._waiting.within_ms,
        )

        def end_wait(key: bytes, number: int) -> None:
            while (first := waiting.first(key)) is not None and first[0] <= number:
                waiting.release(key, wiring.forward)

        settle = self._settler(waiting, time, end_wait)

        def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if key is None:
                drop("null key")
                return
            time.see(timestamp)
            if timestamp <= time.ms - within_ms:
                # Later ones may have left.
                drop(_TOO_LATE)
                late(key, value, timestamp, headers, time.ms, timestamp + within_ms)
                return
            try:
                waiting.add(waiting.to_key(key), timestamp, timestamp, value, timestamp, headers)
            except BaseException as error:
                failed(error, key, value, timestamp, headers)
                return
            settle()

        return run, settle

    def _by_number(
        self, wiring: Wiring, waiting: WaitingRecords, time: "_StreamTime", number_of: Callable[..., Any]
    ) -> tuple[Forward, Callable[[], None]]:
        """Make the closure, and what ends the waits that are over."""
        forward, failed, drop, late = (
            wiring.forward,
            wiring.failed,
            wiring.drop,
            late_sender(wiring, "expected"),
        )
        progress, with_key, start = wiring.store(self._progress), self._with_key, self._first
        release, end_wait = self._releasing(wiring, waiting, time)
        settle = self._settler(waiting, time, end_wait)

        def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if key is None:
                drop("null key")
                return
            time.see(timestamp)
            try:
                key_bytes = waiting.to_key(key)
                number = _checked(number_of(key, value) if with_key else number_of(value))
                known = progress.get(key_bytes)
                if known is None and waiting.first(key_bytes) is not None:
                    end_wait(key_bytes, _HIGHEST)
                    known = progress.get(key_bytes)
                expected = known[0] if known is not None else number if start is None else start
                is_next = number == expected
                is_repeated = number < expected or waiting.has(key_bytes, number)
                if not is_next and not is_repeated:
                    waiting.add(key_bytes, number, time.ms, value, timestamp, headers)
                    if known is None:
                        progress.put(key_bytes, expected, timestamp, NO_HEADERS)
            except BaseException as error:
                failed(error, key, value, timestamp, headers)
                return
            if is_next:
                forward(key, value, timestamp, headers)
                release(key_bytes, number + 1, _LOWEST, timestamp)
            elif is_repeated:
                drop(_TOO_LATE)
                late(key, value, timestamp, headers, time.ms, expected)
            settle()

        return run, settle

    def _releasing(
        self, wiring: Wiring, waiting: WaitingRecords, time: "_StreamTime"
    ) -> tuple[Callable[[bytes, int, int, int], None], Callable[[bytes, int], None]]:
        """Make what lets records of a key go on: those that follow, and those whose wait is over."""
        forward, progress = wiring.forward, wiring.store(self._progress)
        report = self._reporter(wiring, waiting)

        def release(key: bytes, following: int, up_to: int, timestamp: int) -> None:
            """Let those go on that follow, and those up to a number whatever is missing before them."""
            while (first := waiting.first(key)) is not None and (first[0] <= up_to or first[0] == following):
                if first[0] > following:
                    report(key, following, first[0] - 1)
                following = max(following, first[0] + 1)
                timestamp = max(timestamp, waiting.release(key, forward))
            progress.put(key, following, timestamp, NO_HEADERS)

        def end_wait(key: bytes, number: int) -> None:
            known, first = progress.get(key), waiting.first(key)
            if known is None and first is not None:
                known = first[0], time.ms  # forgotten meanwhile
            if known is not None:
                release(key, known[0], number, known[1])

        return release, end_wait

    def _settler(
        self, waiting: WaitingRecords, time: "_StreamTime", end_wait: Callable[[bytes, int], None]
    ) -> Callable[[], None]:
        """Make what ends the waits that are over, and those that are one too many."""
        config, within_ms = self._waiting, self._waiting.within_ms
        bytes_max = _HIGHEST if config.bytes_max is None else config.bytes_max

        def settle() -> None:
            while waiting.count:
                is_full = waiting.count > config.records_max or waiting.size_bytes > bytes_max
                if not is_full and waiting.oldest > time.ms - within_ms:
                    return
                longest = waiting.longest()
                if longest is None or (not is_full and longest[0] > time.ms - within_ms):
                    return
                _, key, (number, _) = longest
                end_wait(key, number)

        return settle

    def _reporter(self, wiring: Wiring, waiting: WaitingRecords) -> Callable[[bytes, int, int], None]:
        """Make what tells of numbers that are missing."""
        context, on_gap, failed = wiring.context, self._on_gap, wiring.failed
        name, where, gaps = wiring.name, wiring.where, 0

        def report(key: bytes, first: int, last: int) -> None:
            nonlocal gaps
            gaps += 1
            try:
                named = waiting.named(key)
                if is_worth_a_warning(gaps):
                    _log.warning(
                        "%s (%s): of key %r, numbers %d to %d have not come, and are waited for no longer (task %s); "
                        "%d gaps so far",
                        name, where, named, first, last, context.task_id, gaps, extra={"node": name},
                    )  # fmt: skip
                if on_gap is not None:
                    on_gap(named, first, last)
            except BaseException as error:
                failed(error, None, None, context.timestamp, NO_HEADERS)

        return report


class _StreamTime:
    """Highest timestamp that has reached a node in its task (epoch ms), also before the last restart."""

    __slots__ = ("_metadata", "_name", "ms")

    def __init__(self, wiring: Wiring, name: str) -> None:
        self._metadata = wiring.context.processor_metadata
        self._name = name
        self.ms = self._metadata.get(name, -1)

    def see(self, timestamp: int) -> None:
        if timestamp > self.ms:
            self.ms = self._metadata[self._name] = timestamp


def _checked(number: object) -> int:
    """Return what the user's function gave.

    Raises:
        TypeError, ValueError: it is no number of 64 bits.
    """
    if type(number) is not int:
        raise TypeError(
            f"the function of by= gave {number!r}: an int is wanted, which numbers a key's records"
        )
    if not _LOWEST < number < _HIGHEST:
        raise ValueError(f"the function of by= gave {number}, which does not fit into 64 bits")
    return number
