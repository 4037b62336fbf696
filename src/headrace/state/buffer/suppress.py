"""Updates that suppression holds back: all of them in memory, and those of the last commit in the database too.

A row has the key's own bytes, so a restart reads the rows and no changelog. Source:
`InMemoryTimeOrderedKeyValueChangeBuffer`.
"""

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any

from headrace.base.columns import Columns
from headrace.base.errors import StateCorruptionError, StateError
from headrace.base.records import NO_HEADERS, Headers
from headrace.processor.context import TaskContext
from headrace.processor.parts import TIMESTAMP_MAX
from headrace.state.buffer.row import ENCODED, ROW_BYTES
from headrace.state.held_change import (
    HeldChange,
    Stamps,
    change_headers,
    decode_change,
    decode_stamped_row,
    encode_change,
    stamped_row,
)
from headrace.state.port import ChangelogAdmission, Database, Rows
from headrace.state.spec import StoreSpec
from headrace.state.stamped import pack_stamp
from headrace.state.values import ValueCodec

__all__ = ["SuppressBuffer"]

#: Sizes that a topic is asked about. With the limits that brokers have, it is the first.
_SAFE_SIZES = (65_536, 8_192)

#: More than stands around the values of an update: the name of a topic (249 bytes), numbers, lengths.
_AROUND_BYTES = 1_024


class SuppressBuffer:
    """The last update of each key, in the order of the keys' first times; equal times go by the bytes of the key.

    The changelog gets what has changed since the last commit, in one record a key: most updates do not live that long.

    # Invariant: `load` comes before anything else, at the start and after `forget`.
    """

    __slots__ = (
        "_admission",
        "_changed",
        "_codec",
        "_context",
        "_encode",
        "_family",
        "_held",
        "_is_loaded",
        "_kept_type",
        "_keys",
        "_log",
        "_rows",
        "_safe_bytes",
        "_safe_ms",
        "_times",
        "emitted",
        "oldest",
        "size_bytes",
        "spec",
    )

    caching = False
    #: Stream time is that of the node, and nothing here is a duplicate.
    observed_stream_time = -1
    sequence = 0

    def __init__(
        self,
        spec: StoreSpec,
        database: Database,
        log: Columns | None,
        codec: ValueCodec,
        context: TaskContext,
        admission: ChangelogAdmission | None = None,
    ) -> None:
        self.spec = spec
        self._admission = admission
        #: An update without headers, of no more bytes and no later, needs no judging; found anew after each abort.
        self._safe_bytes, self._safe_ms = -1, -2
        self._codec = codec
        self._encode = codec.encode
        self._kept_type = codec.kept_type
        self._context = context
        self._family = database.family(spec.name)
        self._log = log
        self._held: dict[bytes, HeldChange] = {}
        #: Times, and the keys of each: heaps both, so that the oldest is in front of either.
        self._times: list[int] = []
        self._keys: dict[int, list[bytes]] = {}
        self._changed: dict[bytes, None] = {}
        self._rows: dict[bytes, bytes | None] = {}
        self._is_loaded = False
        #: How many were let go.
        self.emitted = 0
        #: What all updates weigh together, by Kafka's estimate.
        self.size_bytes = 0
        #: The earliest time by which one leaves; later than any if there is none.
        self.oldest = TIMESTAMP_MAX + 1

    def __len__(self) -> int:
        return len(self._held)

    def load(self) -> None:
        """Take over what the rows hold.

        Raises:
            StateCorruptionError: a row cannot be read.
        """
        if self._is_loaded:
            return
        decode = decode_stamped_row if self.spec.stamped else decode_change
        for key, raw in self._family.scan(None, None):
            try:
                change = decode(key, raw)
            except ValueError as error:
                raise StateCorruptionError(
                    f"store {self.spec.name!r} has a row that is no update: {error}"
                ) from error
            self._hold(change)
        self._is_loaded = True

    def get(self, key: bytes) -> HeldChange | None:
        """Return the update that is held of a key."""
        return self._held.get(key)

    def put(self, key: bytes, time: int, new: Any, old: Any, timestamp: int, headers: Headers) -> None:
        """Hold an update of the record that is processed. A key that is held already keeps its time.

        Raises:
            SerializationError: the serde refuses a value.
            ProductionError: the changelog's topic does not take the record. Either way, nothing has changed.
        """
        try:
            raw_new = None if new is None else self._encode(new)
            raw_old = None if old is None else self._encode(old)
        except Exception:
            raw_new, raw_old = self._to_bytes(new), self._to_bytes(old)  # raises with words
        context, held = self._context, self._held.get(key)
        if held is None:
            prior = raw_old
        else:
            time, prior = held.time, held.prior
        change = HeldChange(
            key,
            time,
            prior,
            raw_old,
            raw_new,
            new if new is None or type(new) is self._kept_type else ENCODED,
            context.topic,
            context.offset,
            timestamp,
            headers,
            stamps=_stamps(held, raw_old) if self.spec.stamped else None,
        )
        if self._admission is not None:
            now = context.now_ms()
            if headers or change.size_bytes > self._safe_bytes or now > self._safe_ms:
                change.raw = encode_change(change, context.partition)
                self._judge(self._admission, key, change.raw, now)
        if held is None:
            self._hold(change)
        else:
            self._held[key] = change
            self.size_bytes += change.size_bytes - held.size_bytes
        self._changed[key] = None

    def _judge(self, admission: ChangelogAdmission, key: bytes, raw: bytes, now: int) -> None:
        admission.check(key, raw, now)
        if now > self._safe_ms and (safe_ms := admission.horizon()) >= now:
            self._safe_ms = safe_ms
            # Stamps have the headers of updates before this one, which nobody has weighed.
            self._safe_bytes = -1 if self.spec.stamped else _safe_bytes(admission)

    def let_go(
        self,
        until: int,
        send: Callable[[HeldChange], None],
        send_together: Callable[[Sequence[HeldChange]], bool] | None = None,
    ) -> None:
        """Give all updates to `send` whose time is not above `until`, oldest first.

        Those of one time go to `send_together` first, which may take them all. Each leaves behind that: whoever looks
        its key up meanwhile sees what was sent on before.
        """
        held, changed = self._held, self._changed
        while self.oldest <= until:
            keys = self._keys[self.oldest]
            keys.sort()
            are_sent = send_together is not None and send_together([held[key] for key in keys])
            for key in keys:
                change = held[key]
                if not are_sent:
                    send(change)
                del held[key]
                changed[key] = None
                self.size_bytes -= change.size_bytes
            self.emitted += len(keys)
            self._forget_oldest_time()

    def let_first_go(self, send: Callable[[HeldChange], None]) -> None:
        """Do as `let_go` with the oldest update alone; there must be one."""
        keys = self._keys[self.oldest]
        change = self._held[keys[0]]
        send(change)
        del self._held[heappop(keys)]
        self._changed[change.key] = None
        self.size_bytes -= change.size_bytes
        self.emitted += 1
        if not keys:
            self._forget_oldest_time()

    def _forget_oldest_time(self) -> None:
        del self._keys[heappop(self._times)]
        self.oldest = self._times[0] if self._times else TIMESTAMP_MAX + 1

    def value_of(self, change: HeldChange) -> Any:
        """Return what an update has put.

        Raises:
            SerializationError: the serde refuses the bytes.
        """
        return self.to_value(change.new) if change.value is ENCODED else change.value

    def to_value(self, raw: bytes | None) -> Any:
        """Return the value of bytes that an update carries, None for none; raises as `value_of`."""
        return None if raw is None else self._codec.to_value(raw)

    def _to_bytes(self, value: Any) -> bytes | None:
        if value is None:
            return None
        try:
            return self._encode(value)
        except Exception:
            return self._codec.to_bytes(value)  # raises with words

    def _hold(self, change: HeldChange) -> None:
        time = change.time
        keys = self._keys.get(time)
        if keys is None:
            self._keys[time] = [change.key]
            heappush(self._times, time)
            self.oldest = self._times[0]
        else:
            heappush(keys, change.key)
        self._held[change.key] = change
        self.size_bytes += change.size_bytes

    @property
    def buffered_bytes(self) -> int:
        """Roughly what waits for the commit: as much for each key as one that is held weighs on average."""
        waiting = len(self._changed) + len(self._rows)
        return waiting * (ROW_BYTES + self.size_bytes // max(1, len(self._held)))

    def flush(self) -> None:
        """Log what has changed since this was last called: updates as they are now, deletions of those that left."""
        log, held = self._log, self._held
        partition, now = self._context.partition, self._context.now_ms()
        for key in self._changed:
            change = held.get(key)
            raw: bytes | None = None
            headers: Headers = NO_HEADERS
            if change is not None:
                raw = change.raw
                if raw is None:
                    raw = change.raw = encode_change(change, partition)
                headers = change_headers(change)
            row = raw
            if change is not None and raw is not None and change.stamps is not None:
                row = stamped_row(change, raw)
            self._rows[key] = row
            if log is not None:
                log.append(key, raw, now, headers)
        self._changed.clear()

    def changes(self) -> Rows:
        """What a commit has to write.

        Raises:
            StateError: something was not logged: `flush` first.
        """
        if self._changed:
            raise StateError(
                f"cannot commit store {self.spec.name!r}: {len(self._changed)} changes are not logged; flush it first"
            )
        return self._rows

    def committed(self) -> None:
        """Drop what waited: the database has it."""
        self._rows = {}

    def forget(self) -> None:
        """Drop all that is in memory; the rows are as the last commit left them."""
        self._held.clear()
        self._times.clear()
        self._keys.clear()
        self._changed.clear()
        self._rows = {}
        self._is_loaded = False
        self._safe_ms = -2
        self.size_bytes = 0
        self.oldest = TIMESTAMP_MAX + 1

    def restored(self, stream_time: int, sequence: int) -> None:
        """There is nothing to take over; `load` reads the rows."""

    def expired(self) -> tuple[bytes, bytes] | None:
        """No row expires: None."""
        return None


def _stamps(held: HeldChange | None, raw_old: bytes | None) -> Stamps:
    """Return the stamps of the values before an update: `raw_old` has the one of what was put before, if that is held.

    Of another one nothing is known but the value. Source: `InMemoryTimeOrderedKeyValueChangeBuffer.put`.
    """
    unknown = pack_stamp(-1, NO_HEADERS)
    if held is None:
        old = None if raw_old is None else unknown
        return Stamps(old, old)
    old = None
    if raw_old is not None:
        old = unknown if held.new is None else pack_stamp(held.timestamp, held.headers)
    return Stamps(None if held.stamps is None else held.stamps.prior, old)


def _safe_bytes(admission: ChangelogAdmission) -> int:
    """Return the size of an update that a topic takes for sure, whatever stands around it; -1 if there is none."""
    for size in _SAFE_SIZES:
        if admission.admits_all((bytes(size),), (bytes(size),), (0,)):
            return size - _AROUND_BYTES
    return -1
