"""The room's two ports: stores as operators see them, and the databases below (RocksDB, memory)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

from headrace.base.ids import TopicPartition
from headrace.base.records import Headers
from headrace.state.in_place import InPlace
from headrace.state.spec import StoreSpec

__all__ = [
    "ChangelogAdmission",
    "Database",
    "Family",
    "FlushListener",
    "FlushRefused",
    "KeyValueReads",
    "KeyValueState",
    "OpenKey",
    "Rows",
    "SegmentedFlushListener",
    "SegmentedReads",
    "SegmentedState",
    "StorePosition",
    "StoreReads",
    "TimeOrderedState",
    "VersionedReads",
    "VersionedState",
]


@dataclass(frozen=True, slots=True)
class StorePosition:
    """How far a store on disk has followed its changelog, and what it must match to be trusted.

    Attributes:
        offset: next changelog offset to apply; 0 for a global store, which follows all partitions of its topic.
        topic_id: identity of the changelog topic; another one means another history.
        written_ms: wall clock of the write; a position older than the topic's tombstones' life is worthless.
        stream_time: highest timestamp that the store had seen (epoch ms), -1 if none.
        inputs: next input offset by topic-partition (bounds for queries); what a global store has followed.
        mark: format of the rows: kind, version, segment interval, retention.
        sequence: last number given to a duplicate in a store that retains them.

    Whoever commits gives offset, topic id and inputs; `TaskState` fills in the rest.
    """

    offset: int
    topic_id: str
    written_ms: int = -1
    stream_time: int = -1
    inputs: Mapping[TopicPartition, int] = field(default_factory=dict)
    mark: str = ""
    sequence: int = 0


class Family(Protocol):
    """One store's rows, ordered by key bytes."""

    def get(self, key: bytes) -> bytes | None:
        """Value of one row."""

    def scan(
        self, start: bytes | None, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key < end; None is open. One consistent view, whatever is written meanwhile.

        The iterator releases its resources when exhausted, closed, or when the database is closed.
        """


#: What one commit does to one family: row key to new value, None deletes.
Rows = Mapping[bytes, bytes | None]


class Database(Protocol):
    """All stores of one task. Belongs to one thread, except for reads."""

    @property
    def path(self) -> str:
        """The directory that it is in; empty where it is in memory."""

    def family(self, store: str) -> Family:
        """The rows of a store; created if new."""

    def position(self, store: str) -> StorePosition | None:
        """The store's position; None for a new or cleared store."""

    def write(
        self,
        rows: Iterable[tuple[str, Rows]],
        positions: Mapping[str, StorePosition],
        *,
        at_once: bool = False,
    ) -> None:
        """Write rows, then positions; with `at_once` all of them or none, however many there are.

        # Invariant: a position is never readable after a crash unless all rows written before it are.
        """

    @property
    def takes_files(self) -> bool:
        """Whether there is `take_in`: not in memory."""

    def take_in(self, store: str, write: Callable[[str], None]) -> None:
        """Let `write` make a file of sorted rows in RocksDB's format, and take it in, in front of what is there.

        # Invariant: all of it is there or nothing, also after a crash, and behind rows that were written before. Only
        # for a store that is on disk and has no position.
        """

    def delete_range(self, store: str, start: bytes, end: bytes) -> None:
        """Delete rows with start <= key < end (expiry of a segment)."""

    def clear(self, store: str) -> None:
        """Delete all rows of a store and its position."""

    def approximate_count(self, store: str) -> int:
        """Roughly how many rows a store has."""

    def properties(self, store: str) -> Mapping[str, int]:
        """What the database says of a store, by Kafka Streams' names of metrics; nothing once it is closed."""

    def close(self) -> None:
        """Release everything, open iterators first. Twice is fine."""


#: Makes a key of its bytes, for those who hear of it.
OpenKey: TypeAlias = Callable[[bytes], Any]

#: Hears what a cache lets go of: key as `open_key` makes it, new value, value before it (None if not asked for),
#: timestamp, headers.
FlushListener: TypeAlias = Callable[[Any, Any, Any, int, Headers], None]

#: The same for segmented stores: key, slot, new value, value before it, timestamp, headers.
SegmentedFlushListener: TypeAlias = Callable[[Any, int, Any, Any, int, Headers], None]


class ChangelogAdmission(NamedTuple):
    """Says of a store's change records whether the changelog's topic takes them.

    Attributes:
        check: is given key, value and timestamp of a record; raises ProductionError where it is not taken.
        admits_all: is given keys, values and timestamps of records; says whether it is clear at a glance that all of
            them are taken.
        horizon: returns a timestamp (epoch ms) up to which time alone is no reason to refuse a record; -2 where each
            one is to be checked.
    """

    check: Callable[[bytes, bytes | None, int], None]
    admits_all: Callable[[Sequence[bytes], Sequence[bytes | None], Sequence[int]], bool]
    horizon: Callable[[], int]


#: Told of a cached update that cannot be written after all: error, key, value, timestamp, headers. Raises, or lets it
#: be dropped.
FlushRefused: TypeAlias = Callable[[Exception, Any, Any, int, Headers], None]


class KeyValueReads(Protocol):
    """What can be read of a key-value store: keys are bytes, values are objects, timestamps epoch ms.

    Plain stores (not `spec.timestamped`) read as timestamp -1.
    """

    @property
    def spec(self) -> StoreSpec:
        """What was declared."""

    def get(self, key: bytes) -> tuple[Any, int] | None:
        """Value and timestamp."""

    def range(
        self, start: bytes | None, end: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, Any, int]]:
        """Rows with start <= key <= end in byte order, as they are now, whatever is put meanwhile."""

    def prefix(self, prefix: bytes) -> Iterator[tuple[bytes, Any, int]]:
        """Rows whose key begins with `prefix`, as `range` gives them."""

    def approximate_count(self) -> int:
        """Roughly how many rows there are; those that wait for the commit may be missing."""


class KeyValueState(KeyValueReads, Protocol):
    """A key-value store as operators see it. Logs to the changelog and caches by itself."""

    @property
    def caching(self) -> bool:
        """Whether updates wait in a cache. If so, they are heard of through `on_flush` only."""

    def get_encoded(self, key: bytes) -> tuple[bytes, int] | None:
        """The bytes of a value and its timestamp, for who looks no further: nothing is decoded."""

    def get_all_encoded(self, keys: Sequence[bytes]) -> Sequence[tuple[bytes, int] | None]:
        """What `get_encoded` finds for each of the keys."""

    def put(self, key: bytes, value: Any, timestamp: int, headers: Headers) -> int | None:
        """Set a value, or delete it with None. `timestamp` is also that of the changelog record.

        Returns the timestamp where the store drops the row because it has expired already, else None.
        """

    def in_place(self) -> InPlace | None:
        """Return how a loop reads and writes rows in memory without a call a record; None where it cannot."""

    def on_flush(
        self,
        listener: FlushListener,
        *,
        send_old: bool,
        refused: FlushRefused | None = None,
        open_key: OpenKey = bytes,
    ) -> None:
        """Name the one who forwards what the cache lets go of. Only of a store with a cache.

        `refused` decides about what cannot be written after all.
        """


class SegmentedReads(Protocol):
    """What can be read of a store whose cells expire. A slot tells the cells of a key apart, as its layout says.

    Expired cells cannot be read.
    """

    @property
    def spec(self) -> StoreSpec:
        """What was declared."""

    @property
    def observed_stream_time(self) -> int:
        """Highest time of a cell ever put (epoch ms), -1 if none."""

    def get(self, key: bytes, slot: int) -> tuple[Any, int] | None:
        """Value and timestamp of one cell."""

    def range(
        self, key: bytes | None, from_ms: int | None, to_ms: int | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, int, Any, int]]:
        """Cells of a key, or of all keys, with from <= time <= to: key, slot, value, timestamp.

        By slot, or by segment, key and slot.
        """


class SegmentedState(SegmentedReads, Protocol):
    """A segmented store as operators see it. Logs and caches by itself; drops puts of expired cells."""

    @property
    def caching(self) -> bool:
        """Whether updates wait in a cache. If so, they are heard of through `on_flush` only."""

    def put(self, key: bytes, slot: int, value: Any, timestamp: int, headers: Headers) -> None:
        """Set the value of a cell, or delete it with None."""

    def replace(
        self, key: bytes, replaced: Sequence[int], slot: int, value: Any, timestamp: int, headers: Headers
    ) -> None:
        """Delete cells of a key and set another one, or delete it too with None. All of it, or nothing if it raises."""

    def slots(self, key: bytes, from_ms: int) -> list[int]:
        """Slots of a key's cells with from <= time, ascending. Asked for again and again it costs no scan."""

    def in_place(self) -> InPlace | None:
        """The same as in `KeyValueState`; expired cells, which `get` does not see, are left to it."""

    def on_flush(
        self,
        listener: SegmentedFlushListener,
        *,
        send_old: bool,
        refused: FlushRefused | None = None,
        open_key: OpenKey = bytes,
    ) -> None:
        """The same as in `KeyValueState`."""


class TimeOrderedState(SegmentedState, Protocol):
    """A segmented store whose cells can be read by time too."""

    def by_time(
        self, from_ms: int, to_ms: int, *, expired: bool = False
    ) -> Iterator[tuple[bytes, int, Any, int]]:
        """Cells of all keys with from <= time <= to, by slot and key: key, slot, value, timestamp.

        With `expired` those too that have expired, and are there for the length of a segment yet.
        """


class VersionedReads(Protocol):
    """What can be read of a versioned store: keys are bytes, values are objects, timestamps epoch ms."""

    @property
    def spec(self) -> StoreSpec:
        """What was declared."""

    def get(self, key: bytes) -> tuple[Any, int] | None:
        """Value and timestamp of the latest version."""

    def as_of(self, key: bytes, time: int) -> tuple[Any, int, int | None] | None:
        """The version that was valid at a time: value, since when, until when (None: it is the latest)."""

    def history(
        self, key: bytes, start: int | None, end: int | None
    ) -> Iterator[tuple[Any, int, int | None]]:
        """Versions that were valid at some time from `start` to `end`, both included: as `as_of`, oldest first."""

    def latest(self, start: bytes | None) -> Iterator[tuple[bytes, Any, int]]:
        """Key, value and timestamp of the latest version of each key from `start` on, in byte order."""


class VersionedState(VersionedReads, Protocol):
    """A versioned store as operators see it. Logs to the changelog by itself; drops what is older than its history."""

    def put(self, key: bytes, value: Any, timestamp: int, headers: Headers) -> int | None:
        """Add a version; None deletes. Return until when it is valid.

        That is None for the latest, and its own timestamp for one that is dropped.
        """


#: What can be read of a store, by its kind.
StoreReads: TypeAlias = KeyValueReads | SegmentedReads | VersionedReads
