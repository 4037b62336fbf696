"""A store as the topology holds it once every choice is made: names, serdes, sizes. Plain values, no rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from headrace.base.ids import Location
from headrace.serde.resolve import serde_of_keys
from headrace.serde.serde import Serde

__all__ = ["Engine", "StoreKind", "StoreSpec", "segment_interval_ms"]

StoreKind: TypeAlias = Literal["key_value", "window", "session", "suppress", "versioned", "custom"]
Engine: TypeAlias = Literal["rocksdb", "memory"]

#: Kafka Streams never makes a segment shorter than this (`Stores.persistentWindowStore`).
_SEGMENT_INTERVAL_MS_MIN = 60_000

#: Rows written in one way must not be read in another: raise it when the layout of any row changes.
_FORMAT_VERSION = 1


def segment_interval_ms(retention_ms: int) -> int:
    """Length of a segmented store's segments, the unit of expiry: Kafka Streams' own rule."""
    return max(retention_ms // 2, _SEGMENT_INTERVAL_MS_MIN)


@dataclass(frozen=True, slots=True, eq=False)
class StoreSpec:
    """A resolved store.

    Attributes:
        timestamped: rows carry a timestamp (stores of the DSL do, stores of processors do not).
        caching: asked for; whether there is a cache depends on `statestore.cache.max.bytes` too.
        changelog_config: the user's own topic properties for the changelog.
        retention_ms: of a store whose rows expire: a window store, a session store.
        size_ms: of a window store's windows.
        grace_ms: how late a record may be for the windows or sessions that fill it; None if an application fills it.
        rows_max: of a key-value store that lets go of the rows which were used the longest ago.
        history_ms: of a versioned store, how far back its versions can be read.
        retain_duplicates: a window store that keeps every put of a (key, start) instead of the last one.
        time_ordered: whether its cells can be read by time too, for results that leave when windows close.
        ttl_ms: of a key-value store whose rows expire: how far behind its stream time.
        make: of a store of the user's own, what makes the object (`state.custom_store`).
        persistent: of such a store, whether it keeps files.
        logged_headers: which change records have the headers of the record that caused them.
        stamped: a processor's store whose values come with timestamp and headers (`state.stamped`), or updates that are
            held back with those of the values before.
        source_topic: restored from this topic, which it materialises, instead of from a changelog.
        filled_by: the processor that fills it from its source topic; all others read it. None where each may write.
        global_topic: filled from all partitions of this topic, in every instance; None for stores of tasks.
        where: place of the declaration.
    """

    name: str
    kind: StoreKind
    timestamped: bool
    key: Serde[Any]
    value: Serde[Any]
    engine: Engine
    caching: bool
    logging: bool
    where: Location
    changelog_config: Mapping[str, str] = field(default_factory=dict)
    retention_ms: int | None = None
    size_ms: int | None = None
    grace_ms: int | None = None
    retain_duplicates: bool = False
    history_ms: int | None = None
    rows_max: int | None = None
    make: Callable[[], Any] | None = None
    persistent: bool = False
    time_ordered: bool = False
    ttl_ms: int | None = None
    logged_headers: Literal["none", "deletions", "all"] = "none"
    stamped: bool = False
    source_topic: str | None = None
    filled_by: str | None = None
    global_topic: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", serde_of_keys(self.key, f"store '{self.name}'", self.where))

    def with_headers(self) -> "StoreSpec":
        """Return a table's store, or what suppression holds back, in Kafka's format HEADERS.

        Tables keep no headers themselves: all that it changes of them is that change records which delete have those of
        the record that deletes. Source: `KeyValueStoreWrapper.put`,
        `ChangeLoggingTimestampedKeyValueBytesStoreWithHeaders`.
        """
        if self.kind == "suppress":
            return replace(self, stamped=True)
        if self.kind == "versioned" or not self.timestamped or self.logged_headers == "all":
            return self
        return replace(self, logged_headers="deletions")

    @property
    def changelog_topic(self) -> str:
        """Name of the changelog topic, without the application id before it."""
        return f"{self.name}-changelog"

    @property
    def lifetime_ms(self) -> int:
        """How far behind the highest time of a store a cell has expired.

        Windows that can be read by time have a millisecond more: without grace, all would have expired when they
        close. Source: `AbstractDualSchemaRocksDBSegmentedBytesStore.getActualFrom`.
        """
        return (self.retention_ms or 0) + (self.time_ordered and self.kind == "window")

    @property
    def mark(self) -> str:
        """Say how rows are laid out. Rows under another mark cannot be read: the store is rebuilt."""
        kind = f"{self.kind} {_FORMAT_VERSION}"
        if self.kind == "custom":
            return kind
        if self.kind == "suppress":
            return f"{kind} stamped" if self.stamped else kind
        rows = "stamped" if self.stamped else "timestamped" if self.timestamped else "plain"
        if self.kind == "key_value":
            return f"{kind} {rows}" if self.ttl_ms is None else f"{kind} expiring"
        if self.kind == "versioned":
            return f"{kind} {rows} history={self.history_ms}"
        retention_ms = self.retention_ms or 0
        duplicates = " duplicates" if self.retain_duplicates else " by time" if self.time_ordered else ""
        interval_ms = segment_interval_ms(retention_ms)
        return f"{kind} {rows} interval={interval_ms} retention={retention_ms}{duplicates}"
