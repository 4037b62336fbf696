"""The record cache: updates that are neither forwarded nor logged yet, and clean copies of rows, within a budget.

Between an operator and a store's buffer. Only the last value of a key leaves it, at a flush or when the budget is
used up. What waits leaves in the order of the last puts, always: an eviction that meets an update lets all of them go.
Else an update would reach what lies below after later ones, and be late there: a window that suppression has closed by
then would close once more. Source: `ThreadCache`, `NamedCache`. We differ in the order of eviction: a second chance in
place of strict LRU, which would cost a move for each access.

What a handler drops changes nothing. An update is judged when it is put, its bytes and its change record, while the
cache still holds the one before it: a put that is refused leaves what `get` finds, the changelog, what goes downstream
and the old value of the next update as if it had not been. Little is left that can be refused when the cache lets go of
an entry: a serde that changes its mind, a timestamp that has grown too old meanwhile. All that can fail comes before
the row below is changed. If a handler drops the update then, the row below is what everybody sees again, and what was
put over it since the last flush is forgotten.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from operator import attrgetter
from typing import Any, Generic

from typing_extensions import TypeVar

from headrace.base.compiled import is_compiled_wanted
from headrace.base.errors import HeadraceError, SerializationError, StateError
from headrace.base.records import NO_HEADERS, Headers
from headrace.processor.context import TaskContext
from headrace.processor.parts import TIMESTAMP_MAX
from headrace.state.buffer.row import ENCODED, Row
from headrace.state.in_place import InPlace
from headrace.state.port import ChangelogAdmission, FlushRefused, OpenKey
from headrace.state.spec import StoreSpec
from headrace.state.values import ValueCodec

__all__ = ["CacheBudget", "CacheEntry", "RecordCache"]

_ORDER = attrgetter("order")

_SIZED = (bytes, str)

C = TypeVar("C", bound=Hashable)

#: What an entry weighs beside its key and value (CPython 3.11): entry 120, row 56, timestamp 32, key object 33, its
#: parts of the ordered dictionary 160.
_ENTRY_BYTES = 400

#: Weight of a value whose size nobody knows before it is serialised.
_UNKNOWN_BYTES = 100


class CacheBudget:
    """`statestore.cache.max.bytes` of one worker, shared by the caches of all its tasks.

    A cache that grows beyond it lets go of its own entries, as in Kafka Streams.
    """

    __slots__ = ("is_compiled", "max_bytes", "used_bytes")

    def __init__(self, max_bytes: int, *, is_compiled: bool | None = None) -> None:
        """`is_compiled` chooses the cache of numbers that is compiled, or its twin; by default, what is there."""
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self.is_compiled = is_compiled_wanted() if is_compiled is None else is_compiled


class CacheEntry(Generic[C]):
    """One key. `row` is (value, or its bytes where the store keeps bytes only; timestamp), None if deleted.

    A dirty entry carries the context of the record that put it last; while it is let go of it is the context's `kept`.
    """

    __slots__ = (
        "headers",
        "is_dirty",
        "is_unheard",
        "is_used",
        "key",
        "offset",
        "order",
        "row",
        "size_bytes",
        "timestamp",
        "topic",
    )

    def __init__(self, key: C, row: tuple[Any, int] | None, size_bytes: int) -> None:
        self.key = key
        self.row = row
        self.size_bytes = size_bytes
        self.is_dirty = False
        #: Whether it is known that the store below has no such row.
        self.is_unheard = False
        self.is_used = False
        self.order = 0
        self.topic: str | None = None
        self.offset = -1
        self.timestamp = -1
        self.headers: Headers = NO_HEADERS


class RecordCache(Generic[C]):
    """What the caches of all kinds of store share. C is the key of an entry. A declared extension point.

    Subclasses write through `_set`, and say in `_release` where an entry goes.
    """

    __slots__ = (
        "_accepts",
        "_admit",
        "_budget",
        "_codec",
        "_context",
        "_dirty",
        "_entries",
        "_horizon",
        "_kept_type",
        "_listener",
        "_open_key",
        "_refused",
        "_send_old",
        "_store",
        "_timestamped",
        "_weighs",
        "moves",
        "safe_ms",
    )

    def __init__(
        self,
        spec: StoreSpec,
        codec: ValueCodec,
        context: TaskContext,
        budget: CacheBudget,
        admission: ChangelogAdmission | None,
    ) -> None:
        self._store = spec.name
        self._timestamped = spec.timestamped
        self._admit = None if admission is None else admission.check
        self._horizon = _no_horizon if admission is None else admission.horizon
        #: Up to this timestamp a number needs no judging; found anew after each abort.
        self.safe_ms = TIMESTAMP_MAX if admission is None else -2
        self._codec = codec
        self._context = context
        self._budget = budget
        self._kept_type = codec.kept_type
        self._accepts = codec.accepts
        self._weighs = not codec.weighs_alike
        #: How many puts there were: an entry's order tells which was put after which.
        self.moves = 0
        self._listener: Callable[..., None] | None = None
        self._send_old = False
        self._open_key: OpenKey = bytes
        self._refused: FlushRefused | None = None
        #: Least recently entered first.
        self._entries: OrderedDict[C, CacheEntry[C]] = OrderedDict()
        self._dirty: dict[C, CacheEntry[C]] = {}

    def in_place(self) -> InPlace | None:
        """Return how a loop reads and writes entries itself; None where each value is to be judged, or weighed."""
        if self._kept_type is None or self._weighs or not self._timestamped:
            return None
        return InPlace.of(
            self._codec,
            self._entry_of_cell,
            context=self._context,
            dirty_again=self._dirty_again,
            find=self._entries.get,
            rows=self,
        )

    #: The expression that gives a loop the entry of `{cell}`, as `find` is told; None where it is not `{live}`.
    _entry_of_cell = "find({cell})"

    def _release(self, entry: CacheEntry[C]) -> None:
        """Log and forward a dirty entry, in its own context."""
        raise NotImplementedError

    def _row(self, value: Any, timestamp: int) -> tuple[tuple[Any, int] | None, bytes | None]:
        """Return the row of a value, judged, and its bytes. Raises SerializationError: the serde refuses it."""
        if value is None:
            return None, None
        raw = self._encoded(value)
        kept = self._kept_type
        if kept is None:
            return (raw, timestamp), raw
        return (value if type(value) is kept else self._codec.to_value(raw), timestamp), raw

    def _row_below(self, row: tuple[Any, int] | None, *, is_forwarded: bool) -> tuple[Any, bytes | None, Any]:
        """Return the value that the store below keeps, its bytes, and the value that is forwarded.

        Raises:
            SerializationError: the serde says otherwise than it did when the row was put.
        """
        if row is None:
            return None, None, None
        if self._kept_type is None:
            return ENCODED, row[0], self._codec.to_value(row[0]) if is_forwarded else None
        return row[0], self._encoded(row[0]), row[0]

    def _over(self, entry: CacheEntry[C]) -> Row | None:
        """Return a row as it lies over those of the buffer."""
        if entry.row is None:
            return None
        value, timestamp = entry.row
        return (ENCODED, timestamp, value) if self._kept_type is None else (value, timestamp, b"")

    def _encoded(self, value: Any) -> bytes:
        """Bytes of a value. Raises SerializationError: the serde refuses it."""
        try:
            return self._codec.encode(value)
        except Exception:
            return self._codec.to_bytes(value)  # raises with words

    def _opened(self, row: tuple[Any, int] | None) -> tuple[Any, int] | None:
        if row is None or self._kept_type is not None:
            return row
        return self._codec.to_value(row[0]), row[1]

    def _set(self, key: C, row: tuple[Any, int] | None, timestamp: int, headers: Headers) -> None:
        """Put a row that waits for the next flush."""
        entry = self._entries.get(key)
        may_exceed = self._weighs
        if entry is None:
            entry = self._enter(key, row)
            may_exceed = True
        else:
            entry.row = row
            entry.is_used = True
            if may_exceed:
                self._weigh(entry)
        context = self._context
        if context.kept is entry:
            # Put again by what hears of it: who comes after that is told of the record as it was.
            context.kept = _copy(entry)
        if not entry.is_dirty:
            self._dirty_again(entry)
        # A flush goes in the order of the last puts.
        self.moves = entry.order = self.moves + 1
        entry.topic, entry.offset = context.topic, context.offset
        entry.timestamp = timestamp
        entry.headers = headers
        if may_exceed and self._budget.used_bytes > self._budget.max_bytes:
            self._evict()

    def _dirty_again(self, entry: CacheEntry[C]) -> None:
        entry.is_dirty = True
        self._dirty[entry.key] = entry
        self._dirtied(entry)

    def _enter(self, key: C, row: tuple[Any, int] | None) -> CacheEntry[C]:
        entry = self._entries[key] = CacheEntry(key, row, 0)
        self._weigh(entry)
        return entry

    def _leave(self, entry: CacheEntry[C]) -> None:
        del self._entries[entry.key]

    def _remember(self, key: C, row: tuple[Any, int]) -> None:
        """Keep a clean copy of a row."""
        self._enter(key, row)
        if self._budget.used_bytes > self._budget.max_bytes:
            self._evict()

    def _weigh(self, entry: CacheEntry[C]) -> None:
        size_bytes = _ENTRY_BYTES + self._key_bytes(entry.key)
        if self._weighs:
            value = None if entry.row is None else entry.row[0]
            size_bytes += len(value) if isinstance(value, _SIZED) else _UNKNOWN_BYTES
        self._budget.used_bytes += size_bytes - entry.size_bytes
        entry.size_bytes = size_bytes

    def _key_bytes(self, key: C) -> int:
        raise NotImplementedError

    def _dirtied(self, entry: CacheEntry[C]) -> None:
        """Note that an entry became dirty."""

    def _evict(self) -> None:
        budget, entries = self._budget, self._entries
        while budget.used_bytes > budget.max_bytes and entries:
            key = next(iter(entries))
            entry = entries[key]
            if entry.is_used:
                entry.is_used = False
                entries.move_to_end(key)
                continue
            # Its weight goes first, or caches further on would make room for what is leaving; the entry itself goes
            # last, so that a query finds it here or below at all times.
            budget.used_bytes -= entry.size_bytes
            entry.size_bytes = 0
            if entry.is_dirty:
                self.flush()
                if entries.get(key) is not entry:
                    continue  # a deletion, or evicted by what the listener put
                if entry.is_dirty:
                    self._weigh(entry)  # put again by the listener: it stays
                    entries.move_to_end(key)
                    return
            self._leave(entry)

    def flush(self) -> bool:
        """Let go of everything dirty, in the order of the last puts. Clean copies stay. Says whether anything was.

        Safe if a listener puts into this very store: what it puts waits for the next call.
        """
        if not self._dirty:
            return False
        waiting = sorted(self._dirty.values(), key=_ORDER)
        last = waiting[-1].order
        saved = self._context.save()
        try:
            for entry in waiting:
                if not entry.is_dirty or entry.order > last:
                    continue  # evicted meanwhile, or put again
                del self._dirty[entry.key]
                self._let_go(entry)
                # A deletion needs no clean copy: absence is cheap to find out.
                if (
                    entry.row is None
                    and entry.key not in self._dirty
                    and self._entries.get(entry.key) is entry
                ):
                    self._leave(entry)
                    self._budget.used_bytes -= entry.size_bytes
        finally:
            self._context.return_to(saved)
        return True

    def _let_go(self, entry: CacheEntry[C]) -> None:
        """Log and forward a dirty entry in its own context. The caller goes back to where the task was."""
        entry.is_dirty = entry.is_unheard = False
        context = self._context
        context.kept = entry
        context.topic, context.offset = entry.topic, entry.offset
        context.timestamp, context.headers = entry.timestamp, entry.headers
        self._release(entry)

    def _opened_key(self, key: bytes) -> Any:
        """Make a key for the listener. Raises SerializationError: the serde does not read what it has written."""
        try:
            return self._open_key(key)
        except Exception as error:
            raise SerializationError(f"cannot deserialize a key of store {self._store!r}: {error}") from error

    def on_flush(
        self,
        listener: Callable[..., None],
        *,
        send_old: bool,
        refused: FlushRefused | None = None,
        open_key: OpenKey = bytes,
    ) -> None:
        """Name the one who forwards what the cache lets go of, and who decides about what cannot be written."""
        self._listener = listener
        self._send_old = send_old
        self._open_key = open_key
        if refused is not None:
            self._refused = refused

    def on_refused(self, refused: FlushRefused) -> None:
        """Name the one who decides about what cannot be written after all."""
        self._refused = refused

    def _refuse(self, entry: CacheEntry[C], key: Any, error: HeadraceError) -> None:
        """Hand an update that cannot be written to whoever put it; if it may be dropped, the row stays what it was."""
        if self._refused is None:
            raise error
        value = None if entry.row is None else entry.row[0]
        self._refused(error, key, value, entry.timestamp, entry.headers)
        entry.row = None  # forgotten, since it is no copy of the row below

    def ensure_flushed(self) -> None:
        """Refuse a commit that would leave updates behind.

        Raises:
            StateError: something is dirty.
        """
        if self._dirty:
            raise StateError(
                f"cannot commit store {self._store!r}: {len(self._dirty)} updates wait in its cache; flush it first"
            )

    def empty(self) -> None:
        """Forget everything, dirty or not."""
        self.safe_ms = TIMESTAMP_MAX if self._admit is None else -2
        self._dirty.clear()
        self._budget.used_bytes -= sum(entry.size_bytes for entry in self._entries.values())
        self._entries.clear()


def _no_horizon() -> int:
    return TIMESTAMP_MAX


def _copy(entry: CacheEntry[C]) -> CacheEntry[C]:
    copy = CacheEntry(entry.key, entry.row, 0)
    copy.timestamp, copy.headers = entry.timestamp, entry.headers
    return copy
