"""What a topic takes, judged for each record before it is written: between sinks or stores, and the collector.

A log refuses whole batches, and with one a whole transaction. Judged here, a record that will be refused is one failure
in the node that made it, and the production handler decides.
"""

import sys
from collections.abc import Callable, Sequence

from headrace.base.columns import Part
from headrace.base.errors import LogError, ProductionError
from headrace.base.records import NO_HEADERS, Headers, RawRecord
from headrace.engine.refusals import Refusals
from headrace.log.limits import NO_LIMITS, RecordLimits
from headrace.log.port import TopicInfo
from headrace.processor.parts import TIMESTAMP_MAX

__all__ = ["Admission", "admission_of"]

#: What a record takes at most beside its bytes, with the batch around it, and a header beside its own.
#: Source: AbstractRecords.estimateSizeInBytesUpperBound, by which Kafka's producer judges.
_RECORD_BYTES, _HEADER_BYTES = 82, 10

#: Left to headers and to what is around a record, where only keys and values are looked at.
_ROOM_BYTES = 4096


#: How often a topic's limits are asked for again while it refuses records.
_ASK_MS = 10_000


class Admission:
    """Judges the records of one topic.

    Almost all of them are admitted by three comparisons. The latest timestamp is a limit that moves with the clock; the
    one that is compared with lags behind, and is moved when a record reaches it. The earliest moves the other way, so
    where there is one each record is judged by the clock.

    Limits are asked for again when a record is refused, now and then: once somebody has raised them, they hold.

    Attributes:
        bytes_max: a key and a value are both admitted whose sizes are not above this.
    """

    __slots__ = (
        "_ask",
        "_earliest",
        "_latest",
        "_limits",
        "_needs_key",
        "_next_ask_ms",
        "_now_ms",
        "_refusals",
        "_topic",
        "bytes_max",
    )

    def __init__(
        self,
        info: TopicInfo,
        now_ms: Callable[[], int],
        *,
        needs_key: bool,
        ask: Callable[[], RecordLimits] | None = None,
    ) -> None:
        self._now_ms = now_ms
        self._needs_key = needs_key
        self._ask = ask
        self._next_ask_ms = 0
        self._refusals = Refusals()
        self._topic = info.name
        self._take(info.limits)

    def _take(self, limits: RecordLimits) -> None:
        self._limits = limits
        most = limits.bytes_max
        self.bytes_max = sys.maxsize if most is None else (most - _ROOM_BYTES) // 2
        self._earliest = -1 if limits.before_max_ms is None else TIMESTAMP_MAX
        self._latest = TIMESTAMP_MAX if limits.after_max_ms is None else -1

    def check(
        self,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        timestamp: int,
        headers: Headers = NO_HEADERS,
    ) -> None:
        """Admit a record.

        Raises:
            ProductionError: the log would refuse it.
        """
        if (
            (value is None or len(value) <= self.bytes_max)
            and self._earliest <= timestamp <= self._latest
            and (not self._needs_key if key is None else len(key) <= self.bytes_max)
        ):
            return
        topic = self._topic
        problem = self._problem(key, value, timestamp, headers)
        if problem is not None and self._has_new_limits():
            problem = self._problem(key, value, timestamp, headers)
        if problem is not None:
            raise ProductionError(
                f"cannot write a record to partition {partition} of topic '{topic}': {problem}",
                topic=topic,
                partition=partition,
            )
        refused = (
            self._refusals.reason(partition, RawRecord(key, value, timestamp)) if self._refusals else None
        )
        if refused is not None:
            raise ProductionError(refused, topic=topic, partition=partition)

    def refuse(self, partition: int, records: Sequence[RawRecord], reason: str) -> None:
        """Refuse records that the log has refused, when they come again."""
        self._refusals.add(partition, records, reason)
        self._latest = -2  # so that each record is looked at closely

    def committed(self) -> None:
        """Forget the refused records that a handler has decided about."""
        if self._refusals:
            self._refusals.committed()
        if not self._refusals and self._latest == -2:
            self._latest = TIMESTAMP_MAX if self._limits.after_max_ms is None else -1

    def admits_all(
        self,
        keys: Sequence[Part],
        values: Sequence[Part],
        timestamps: Sequence[int],
        *,
        key_bytes: int | None = None,
        value_bytes: int | None = None,
    ) -> bool:
        """Whether it is clear at a glance that all of these records are admitted.

        Where keys or values are text, in ASCII, it is said how many bytes they have together.
        """
        if not timestamps:
            return True
        if self._earliest >= 0 or (self._needs_key and None in keys):
            return False
        if not (self._has_room(values, value_bytes) and self._has_room(keys, key_bytes)):
            return False
        return max(timestamps) <= self._latest

    def _has_room(self, parts: Sequence[Part], together: int | None) -> bool:
        most = self.bytes_max
        if most == sys.maxsize:
            return True
        if together is None:
            try:
                # Most columns are together no larger than one record may be, and nothing tells their size as fast.
                together = len(b"".join(parts))  # type: ignore[arg-type]
            except TypeError:  # there are some of None
                return self._has_room([part for part in parts if part is not None], None)
        return together <= most or max(map(len, filter(None, parts)), default=0) <= most

    def horizon(self) -> int:
        """Return the latest timestamp that is taken now, if all earlier ones are too; else -2: check each record."""
        if self._earliest >= 0 or self._refusals:
            return -2
        self._timestamp_problem(0)
        return self._latest

    def nearest(self, timestamp: int) -> int:
        """Return a timestamp that the topic takes: this one, or else the present."""
        return timestamp if self._timestamp_problem(timestamp) is None else self._now_ms()

    def _has_new_limits(self) -> bool:
        now = self._now_ms()
        if self._ask is None or now < self._next_ask_ms:
            return False
        self._next_ask_ms = now + _ASK_MS
        try:
            found = self._ask()
        except LogError:
            return False  # who writes to it will tell
        has_changed = found != self._limits
        if has_changed:
            self._take(found)
        return has_changed

    def _problem(
        self, key: bytes | None, value: bytes | None, timestamp: int, headers: Headers
    ) -> str | None:
        if key is None and self._needs_key:
            return (
                "the topic is compacted, and takes no record without a key; give it one before this sink, or filter it "
                "out"
            )
        most = self._limits.bytes_max
        size = _RECORD_BYTES + len(key or b"") + len(value or b"")
        size += sum(_HEADER_BYTES + len(name.encode()) + len(content or b"") for name, content in headers)
        if most is not None and size > most:
            return (
                f"it has {size:,} bytes, and the topic takes {most:,}. Raise max.request.size and the topic's "
                f"max.message.bytes, or store large objects elsewhere and a reference in the topic"
            )
        return self._timestamp_problem(timestamp)

    def _timestamp_problem(self, timestamp: int) -> str | None:
        if timestamp < 0:
            return None  # no timestamp: the log judges none
        now, limits = self._now_ms(), self._limits
        after, before = limits.after_max_ms, limits.before_max_ms
        if after is not None:
            if not self._refusals:
                self._latest = now + after
            if timestamp > now + after:
                return (
                    f"its timestamp {timestamp} lies {timestamp - now:,} ms in the future, and the topic takes "
                    f"{after:,}. Raise the topic's message.timestamp.after.max.ms, or give the record another timestamp"
                )
        if before is not None and timestamp < now - before:
            return (
                f"its timestamp {timestamp} is {now - timestamp:,} ms old, and the topic takes {before:,}. Raise the "
                f"topic's message.timestamp.before.max.ms, or give the record another timestamp"
            )
        return None


def admission_of(
    info: TopicInfo,
    now_ms: Callable[[], int],
    *,
    are_keyed: bool,
    ask: Callable[[], RecordLimits] | None = None,
) -> Admission | None:
    """Make the judge of a topic's records; None where the topic takes any.

    `are_keyed`: nobody writes null keys. `ask` looks up the topic's limits as they are then.
    """
    needs_key = not are_keyed and "compact" in info.config.get("cleanup.policy", "")
    if not needs_key and info.limits == NO_LIMITS:
        return None
    return Admission(info, now_ms, needs_key=needs_key, ask=ask)
