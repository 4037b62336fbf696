"""The record cache of stores of whole numbers, and their buffer, in compiled memory: `headrace_native.NumberCache`.

It does what `RecordCache` does, its twin, which says what a cache promises, and what a buffer does; the tests of stores
run on both. An entry costs no object here, so that more of them are in the processor's caches, and what a stretch
counts, and what a flush lets go of, goes by columns.

An entry knows what was let go of last, or is in the database, from when it was made: a flush looks nothing up.

# Invariant: what was let go of stays here until the database has it, also where the cache has no room for it.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from headrace.base.columns import Columns
from headrace.base.compiled import compiled
from headrace.base.errors import ProductionError, SerializationError, StateError
from headrace.base.records import NO_HEADERS, Headers
from headrace.processor.context import TaskContext
from headrace.processor.parts import TIMESTAMP_MAX
from headrace.state.cache import CacheBudget
from headrace.state.in_place import InPlace
from headrace.state.port import ChangelogAdmission, FlushRefused, OpenKey
from headrace.state.spec import StoreSpec
from headrace.state.values import ValueCodec

if TYPE_CHECKING:
    from headrace_native import NumberCache

__all__ = ["Flushed", "NumbersCache", "Released", "keeps_numbers"]


class Released(NamedTuple):
    """Updates that leave the cache, in the order of the last puts, as columns.

    `before` has what the store below had, None where it had nothing; a value of None is a deletion.
    """

    keys: list[bytes]
    slots: list[int]
    values: list[int | None]
    before: list[int | None]
    timestamps: list[int]
    headers: list[Headers]
    topics: list[str | None]
    offsets: list[int]
    orders: list[int]


R = TypeVar("R")

#: Number and time that the store below has of a key and slot.
Below: TypeAlias = Callable[[bytes, int], tuple[Any, int] | None]

#: Hears of updates together: keys as `open_key` makes them, and the columns of what leaves.
Flushed: TypeAlias = Callable[[Sequence[Any], Released], None]


class _Kept(NamedTuple):
    """The context of the record that an entry was put by."""

    topic: str | None
    offset: int
    timestamp: int
    headers: Headers


def keeps_numbers(spec: StoreSpec, codec: ValueCodec) -> bool:
    """Whether a store has whole numbers of 64 bits at most, each with its time, and logs them without headers."""
    return (
        codec.whole is not None
        and codec.kept_type is int
        and codec.whole[0] >= -(2**63)
        and codec.whole[-1] < 2**63
        and spec.timestamped
        and not spec.stamped
        and spec.logged_headers == "none"
    )


class NumbersCache:
    """What the caches of both kinds of store share. A declared extension point.

    Below it is a buffer that stays empty, by which the database is read.
    """

    __slots__ = (
        "_absent",
        "_accepts",
        "_admit",
        "_admits_all",
        "_budget",
        "_codec",
        "_context",
        "_flushed",
        "_horizon",
        "_listener",
        "_log",
        "_numbers",
        "_open_key",
        "_refused",
        "_send_old",
        "_used_bytes",
        "_width",
        "safe_ms",
        "spec",
    )

    caching = True

    def __init__(
        self,
        spec: StoreSpec,
        codec: ValueCodec,
        context: TaskContext,
        budget: CacheBudget,
        admission: ChangelogAdmission | None,
        log: Columns | None,
    ) -> None:
        self.spec = spec
        self._log = log
        self._width = len(codec.encode(0))
        self._numbers: NumberCache = compiled().NumberCache()
        self._codec = codec
        self._accepts = codec.accepts
        self._context = context
        self._budget = budget
        self._used_bytes = 0
        #: The cell that the store below was last asked for in vain, until anything is put.
        self._absent: tuple[bytes, int] | None = None
        self._admit = None if admission is None else admission.check
        self._admits_all = None if admission is None else admission.admits_all
        self._horizon = None if admission is None else admission.horizon
        #: As in `RecordCache`.
        self.safe_ms = self._nothing_safe
        self._listener: Callable[..., None] | None = None
        self._flushed: Flushed | None = None
        self._send_old = False
        self._open_key: OpenKey = bytes
        self._refused: FlushRefused | None = None

    @property
    def _nothing_safe(self) -> int:
        return TIMESTAMP_MAX if self._admit is None else -2

    def _in_place(self, slot: str) -> InPlace:
        numbers = self._numbers
        return InPlace.compiled(
            self._codec, slot, context=self._context, find=numbers.get, put_here=numbers.put, rows=self
        )

    def counter(self, is_tumbling: bool) -> Callable[..., Any]:
        """Return what counts the records of a stretch here, as far as it can: see `NumberCache`."""
        return self._numbers.count_tumbling if is_tumbling else self._numbers.count

    def counted(self, count: Callable[[Below | None, int], R]) -> R:
        """Let one of `counter` count, given what the store below has, and how many bytes new entries may make this."""
        self._absent = None
        others = self._budget.used_bytes - self._used_bytes
        try:
            return count(self._below_for_counts(), max(0, self._budget.max_bytes - others))
        finally:
            self._weigh()

    def _below_for_counts(self) -> Below | None:
        """What looks below for a counter; None while somebody is to hear of each new cell."""
        return self._entry_row

    def _entry_row(self, key: bytes, slot: int) -> tuple[Any, int] | None:
        """What the store below has."""
        raise NotImplementedError

    def _changelog_key(self, key: bytes, slot: int) -> bytes:
        raise NotImplementedError

    def _fresh(self, released: Released) -> list[int | None]:
        """What was let go of before each update, given what it was: cells expire."""
        return released.before

    def _tell(self, key: Any, slot: int, value: Any, before: Any, timestamp: int, headers: Headers) -> None:
        """Tell the listener of one update."""
        raise NotImplementedError

    def _found(self, key: bytes, slot: int) -> tuple[int, int] | None:
        found = self._numbers.get(key, slot)
        return self._load(key, slot) if found is False else found

    def _load(self, key: bytes, slot: int) -> tuple[int, int] | None:
        row = self._entry_row(key, slot)
        if row is None:
            self._absent = key, slot
            return None
        self._numbers.remember(key, slot, row[0], row[1])
        self._entered()
        return row

    def _put(self, key: bytes, slot: int, value: Any, timestamp: int, headers: Headers) -> None:
        if value is not None:
            if type(value) is not int or not self._accepts(value):
                value = self._judged(value)
            raw = None if self._admit is None or timestamp <= self.safe_ms else self._encoded(value)
        else:
            raw = None
        if self._admit is not None and (value is None or timestamp > self.safe_ms):
            self._admit(self._changelog_key(key, slot), raw, timestamp)
            if timestamp > self.safe_ms and self._horizon is not None:
                self.safe_ms = self._horizon()
        numbers, context = self._numbers, self._context
        if numbers.put(key, slot, value, timestamp, headers, context.topic, context.offset):
            return
        below = None if self._absent == (key, slot) else self._entry_row(key, slot)
        self._absent = None
        before = None if below is None else below[0]
        numbers.put_new(key, slot, before, value, timestamp, headers, context.topic, context.offset)
        self._entered()

    def _judged(self, value: Any) -> int:
        """The number that a value comes back as. Raises SerializationError: the serde refuses it."""
        number: int = self._codec.to_value(self._encoded(value))
        return number

    def _encoded(self, value: Any) -> bytes:
        try:
            return self._codec.encode(value)
        except Exception:
            return self._codec.to_bytes(value)  # raises with words

    def _weigh(self) -> None:
        used = self._numbers.used_bytes
        self._budget.used_bytes += used - self._used_bytes
        self._used_bytes = used

    def _entered(self) -> None:
        self._weigh()
        budget = self._budget
        if budget.used_bytes > budget.max_bytes and not self._evict():
            # What is too much goes first, or caches further on would make room for what is leaving.
            excess = budget.used_bytes - budget.max_bytes
            budget.used_bytes -= excess
            self._used_bytes -= excess
            self.flush()
            self._weigh()
            self._evict()

    def _evict(self) -> bool:
        """Let go of clean entries, down to what other caches leave. Says whether that is done."""
        others = self._budget.used_bytes - self._used_bytes
        is_done = self._numbers.evict(max(0, self._budget.max_bytes - others))
        self._weigh()
        return is_done

    def flush(self) -> bool:
        """Let go of everything dirty, in the order of the last puts: see `RecordCache.flush`."""
        if not self._numbers.waits:
            return False
        self._absent = None
        released = Released._make(self._numbers.waiting())
        saved = self._context.save()
        try:
            if not self._release_together(released):
                for update in zip(*released):
                    self._release(Released._make([each] for each in update))
        finally:
            self._context.return_to(saved)
            self._weigh()
        return True

    def _release_together(self, released: Released) -> bool:
        """Log by columns, and forward so where that can be. Says whether it was done: else nothing has changed."""
        listener, log = self._listener, self._log
        if None in released.values or len(released.keys) < 2:
            return False
        try:
            keys = released.keys if listener is None else list(map(self._open_key, released.keys))
            if log is not None:
                raws: list[bytes | None] = list(map(self._codec.encode, released.values))
                logged = list(map(self._changelog_key, released.keys, released.slots))
                if self._admits_all is not None and not self._admits_all(logged, raws, released.timestamps):
                    return False
                log.extend(logged, raws, released.timestamps, [NO_HEADERS] * len(raws))
        except Exception:  # found again by who judges each
            return False
        before = self._fresh(released)
        self._numbers.release_all()
        if listener is None:
            return True
        released = released._replace(before=before if self._send_old else [None] * len(before))
        if self._flushed is not None and len(set(released.topics)) == 1:
            self._context.topic = released.topics[0]
            self._flushed(keys, released)
            return True
        for key, update in zip(keys, zip(*released)):
            _, slot, value, old, timestamp, headers, topic, offset, _ = update
            self._stand_at(topic, offset, timestamp, headers)
            self._tell(key, slot, value, old, timestamp, headers)
        return True

    def _stand_at(self, topic: str | None, offset: int, timestamp: int, headers: Headers) -> None:
        """Let the task be at the record that an entry was put by."""
        context = self._context
        context.kept = _Kept(topic, offset, timestamp, headers)
        context.topic, context.offset = topic, offset
        context.timestamp, context.headers = timestamp, headers

    def _release(self, alone: Released) -> None:
        """Log and forward one update, in its own context, unless a listener has put over it meanwhile."""
        (key,), (slot,), (value,), _, (timestamp,), (headers,), (topic,), (offset,), (order,) = alone
        numbers, listener = self._numbers, self._listener
        self._stand_at(topic, offset, timestamp, headers)
        (before,) = self._fresh(alone)
        is_unheard = listener is not None and value is None and before is None
        try:
            named = key if listener is None else self._opened_key(key)
            if not is_unheard:
                raw, logged = None if value is None else self._encoded(value), self._changelog_key(key, slot)
                if self._admit is not None:
                    self._admit(logged, raw, timestamp)
        except (SerializationError, ProductionError) as error:
            if self._refused is None:
                raise
            self._refused(error, key, value, timestamp, headers)
            numbers.revert(key, slot)  # what was let go of before is what everybody sees again
            return
        if not numbers.release_one(key, slot, order) or is_unheard:
            return
        if self._log is not None:
            self._log.append(logged, raw, timestamp, NO_HEADERS)
        if listener is not None:
            self._tell(named, slot, value, before if self._send_old else None, timestamp, headers)

    def _opened_key(self, key: bytes) -> Any:
        try:
            return self._open_key(key)
        except Exception as error:
            raise SerializationError(
                f"cannot deserialize a key of store {self.spec.name!r}: {error}"
            ) from error

    def on_flush(
        self,
        listener: Callable[..., None],
        *,
        send_old: bool,
        refused: FlushRefused | None = None,
        open_key: OpenKey = bytes,
        together: Flushed | None = None,
    ) -> None:
        """Name those who forward what the cache lets go of, one by one and `together`: see `RecordCache.on_flush`."""
        self._listener = listener
        self._flushed = together
        self._send_old = send_old
        self._open_key = open_key
        if refused is not None:
            self._refused = refused

    def on_refused(self, refused: FlushRefused) -> None:
        """Name the one who decides about what cannot be written after all."""
        self._refused = refused

    def ensure_flushed(self) -> None:
        """Refuse a commit that would leave updates behind.

        Raises:
            StateError: something is dirty.
        """
        if self._numbers.waits:
            raise StateError(
                f"cannot commit store {self.spec.name!r}: {self._numbers.waiting_count} updates wait in its cache; "
                "flush it first"
            )

    @property
    def buffered_bytes(self) -> int:
        """Roughly what waits for the commit."""
        return self._numbers.unwritten_bytes

    def empty(self) -> None:
        """Forget everything, dirty or not."""
        self.safe_ms = self._nothing_safe
        self._absent = None
        self._numbers.clear()
        self._weigh()
