"""What is put over a store's rows while its task runs: buffer, cache, reader. Here kinds are told apart."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol, TypeAlias

from headrace.base.columns import Columns
from headrace.processor.context import TaskContext
from headrace.state.buffer.custom import CustomBuffer
from headrace.state.buffer.duplicates import DuplicatesBuffer
from headrace.state.buffer.expiring import ExpiringBuffer
from headrace.state.buffer.key_value import KeyValueBuffer
from headrace.state.buffer.live_cells import LiveBudget
from headrace.state.buffer.lru import LruBuffer
from headrace.state.buffer.segment_layout import SegmentLayout
from headrace.state.buffer.segmented import SegmentedBuffer
from headrace.state.buffer.session_layout import SESSIONS
from headrace.state.buffer.stamped import StampedKeyValueBuffer, StampedSegmentedBuffer
from headrace.state.buffer.suppress import SuppressBuffer
from headrace.state.buffer.time_ordered import TimeOrderedBuffer
from headrace.state.buffer.versioned import VersionedBuffer
from headrace.state.buffer.window_layout import WINDOWS
from headrace.state.cache import CacheBudget
from headrace.state.cached_expiring import CachedExpiring
from headrace.state.cached_key_value import CachedKeyValue
from headrace.state.cached_segmented import CachedSegmented
from headrace.state.cached_time_ordered import CachedTimeOrdered
from headrace.state.declaration import unreadable
from headrace.state.number_cache import keeps_numbers
from headrace.state.number_stores import KeyValueNumbers, WindowNumbers
from headrace.state.port import (
    ChangelogAdmission,
    Database,
    KeyValueReads,
    Rows,
    SegmentedReads,
    VersionedReads,
)
from headrace.state.reading import KeyValueReader, SegmentedReader, VersionedReader
from headrace.state.spec import StoreSpec
from headrace.state.values import ValueCodec

__all__ = ["Buffer", "Cache", "Opening", "StoreParts", "parts_of"]


class Buffer(Protocol):
    """What a task asks of a store's buffer, whatever its kind."""

    @property
    def buffered_bytes(self) -> int:
        """Roughly what waits for the commit."""

    @property
    def observed_stream_time(self) -> int:
        """Highest time ever put (epoch ms), -1 if none, or if the kind has none."""

    @property
    def sequence(self) -> int:
        """Last number given to a duplicate, 0 if none."""

    def changes(self) -> Rows:
        """What a commit has to write."""

    def committed(self) -> None:
        """Drop what waited: the database has it."""

    def forget(self) -> None:
        """Drop what waits, and what was seen with it."""

    def restored(self, stream_time: int, sequence: int) -> None:
        """Take over what the database's rows have seen."""

    def expired(self) -> tuple[bytes, bytes] | None:
        """Range of rows that have expired since this was last asked, and None if there are none."""


Cache: TypeAlias = CachedKeyValue | CachedSegmented | KeyValueNumbers | WindowNumbers


@dataclass(frozen=True, slots=True)
class Opening:
    """What a task gives a store that it opens.

    Attributes:
        changelog: where a logged store appends its records.
        cache: the worker's budget, None where the store is not to be cached.
        dropped: told of each put that was dropped: store and reason.
        admission: of a changelog that does not take every record.
        live: the worker's budget of what is looked up in memory although databases have it too.
        used: keys of a store with a bound, the one that was used the longest ago first; kept beside the rows.
        directory: where a store of the user's own may keep files, by its name; None where nobody may.
    """

    database: Database
    changelog: Columns | None
    codec: ValueCodec
    context: TaskContext
    cache: CacheBudget | None
    dropped: Callable[[str, str], None]
    admission: ChangelogAdmission | None
    live: LiveBudget
    used: OrderedDict[bytes, None]
    directory: Callable[[str], Path] | None = None


@dataclass(frozen=True, slots=True)
class StoreParts:
    """A store, taken apart.

    Attributes:
        buffer: over the rows of the database.
        cache: over the buffer, None where nothing is cached.
        state: the upper one of both, as operators use it.
        reader: makes what other threads read; with True, as the last commit left the store.
        log: logs what was changed, of a kind that does so once a commit; the others log each put.
        custom: the buffer, of a store of the user's own.
    """

    buffer: Buffer
    cache: Cache | None
    state: KeyValueBuffer | SegmentedBuffer | SuppressBuffer | VersionedBuffer | CustomBuffer | Cache
    reader: Callable[[bool], KeyValueReads | SegmentedReads | VersionedReads]
    log: Callable[[], None] | None = None
    custom: CustomBuffer | None = None


def parts_of(spec: StoreSpec, opening: Opening) -> StoreParts:
    """Make the parts of a store's kind."""
    match spec.kind:
        case "key_value":
            return _key_value(spec, opening)
        case "window":
            return _window(spec, opening)
        case "session":
            return _session(spec, opening)
        case "suppress":
            return _suppress(spec, opening)
        case "versioned":
            return _versioned(spec, opening)
        case "custom":
            return _custom(spec, opening)


def _key_value(spec: StoreSpec, opening: Opening) -> StoreParts:
    codec, context, budget = opening.codec, opening.context, opening.cache
    if spec.rows_max is not None:
        return _lru(spec, opening)
    buffer: KeyValueBuffer
    cache: CachedKeyValue | None = None
    if budget is not None and spec.ttl_ms is None and _is_compiled(spec, opening):
        below = KeyValueBuffer(spec, opening.database, None, codec, opening.admission)
        numbers = KeyValueNumbers(below, codec, context, budget, opening.changelog)
        return StoreParts(
            numbers, numbers, numbers, lambda committed: KeyValueReader(below, numbers, committed=committed)
        )
    if spec.ttl_ms is not None:
        database = opening.database
        buffer = expiring = ExpiringBuffer(
            spec, database, opening.changelog, codec, context, opening.dropped, opening.admission
        )
        if budget is not None:
            cache = CachedExpiring(expiring, codec, context, budget)
    else:
        # A cache has rows of its own, and what is in memory anyway is found as fast there.
        recent = opening.live if budget is None and spec.engine != "memory" else None
        if spec.stamped:
            buffer = StampedKeyValueBuffer(
                spec, opening.database, opening.changelog, codec, opening.admission
            )
        else:
            buffer = KeyValueBuffer(
                spec, opening.database, opening.changelog, codec, opening.admission, recent=recent
            )
        if budget is not None:
            cache = CachedKeyValue(buffer, codec, context, budget)

    def reader(committed: bool) -> KeyValueReads:
        return KeyValueReader(buffer, cache, committed=committed)

    return StoreParts(buffer, cache, cache or buffer, reader)


def _lru(spec: StoreSpec, opening: Opening) -> StoreParts:
    buffer = LruBuffer(
        spec, opening.database, opening.changelog, opening.codec, opening.admission, used=opening.used
    )

    def reader(committed: bool) -> KeyValueReads:
        return KeyValueReader(buffer, None, committed=committed)

    return StoreParts(buffer, None, buffer, reader)


def _window(spec: StoreSpec, opening: Opening) -> StoreParts:
    if spec.time_ordered:
        return _time_ordered(spec, WINDOWS, opening)
    if not spec.retain_duplicates:
        return _latest(spec, WINDOWS, opening)
    # No value is the last of its window, so there is nothing to wait for in a cache.
    database, log, codec = opening.database, opening.changelog, opening.codec
    buffer = DuplicatesBuffer(spec, database, log, codec, opening.dropped, opening.admission, opening.live)
    return _segmented(spec, buffer, None)


def _session(spec: StoreSpec, opening: Opening) -> StoreParts:
    if spec.time_ordered:
        return _time_ordered(spec, SESSIONS, opening)
    return _latest(spec, SESSIONS, opening)


def _latest(spec: StoreSpec, layout: SegmentLayout, opening: Opening) -> StoreParts:
    """Make what keeps the last value of each cell."""
    database, log, codec = opening.database, opening.changelog, opening.codec
    if layout is WINDOWS and opening.cache is not None and _is_compiled(spec, opening):
        below = SegmentedBuffer(spec, layout, database, None, codec, opening.dropped, opening.admission)
        windows = WindowNumbers(below, layout, codec, opening.context, opening.cache, log)

        def reader(committed: bool) -> SegmentedReads:
            return SegmentedReader(below, windows, committed=committed)

        return StoreParts(windows, windows, windows, reader)
    kind = StampedSegmentedBuffer if spec.stamped else SegmentedBuffer
    buffer = kind(spec, layout, database, log, codec, opening.dropped, opening.admission)
    cache: CachedSegmented | None = None
    if opening.cache is not None:
        cache = CachedSegmented(buffer, layout, codec, opening.context, opening.cache)
    return _segmented(spec, buffer, cache)


def _time_ordered(spec: StoreSpec, layout: SegmentLayout, opening: Opening) -> StoreParts:
    database, log, codec = opening.database, opening.changelog, opening.codec
    buffer = TimeOrderedBuffer(spec, layout, database, log, codec, opening.dropped, opening.admission)
    cache: CachedTimeOrdered | None = None
    if opening.cache is not None:
        cache = CachedTimeOrdered(buffer, layout, codec, opening.context, opening.cache)
    return _segmented(spec, buffer, cache)


def _is_compiled(spec: StoreSpec, opening: Opening) -> bool:
    """Whether the cache of a store may be the compiled one: its twin serves all."""
    return opening.cache is not None and opening.cache.is_compiled and keeps_numbers(spec, opening.codec)


def _segmented(spec: StoreSpec, buffer: SegmentedBuffer, cache: CachedSegmented | None) -> StoreParts:
    def reader(committed: bool) -> SegmentedReads:
        return SegmentedReader(buffer, cache, committed=committed)

    return StoreParts(buffer, cache, cache or buffer, reader)


def _suppress(spec: StoreSpec, opening: Opening) -> StoreParts:
    database, log, codec, context = opening.database, opening.changelog, opening.codec, opening.context
    buffer = SuppressBuffer(spec, database, log, codec, context, opening.admission)

    def reader(committed: bool) -> NoReturn:
        raise unreadable(spec)

    return StoreParts(buffer, None, buffer, reader, buffer.flush)


def _custom(spec: StoreSpec, opening: Opening) -> StoreParts:
    buffer = CustomBuffer(
        spec, opening.database, opening.changelog, opening.context, opening.directory, opening.admission
    )

    def reader(committed: bool) -> NoReturn:
        raise unreadable(spec)

    return StoreParts(buffer, None, buffer, reader, custom=buffer)


def _versioned(spec: StoreSpec, opening: Opening) -> StoreParts:
    database, codec, dropped = opening.database, opening.codec, opening.dropped
    buffer = VersionedBuffer(spec, database, opening.changelog, codec, dropped, opening.admission)

    def reader(committed: bool) -> VersionedReads:
        return VersionedReader(buffer, committed=committed)

    return StoreParts(buffer, None, buffer, reader)
