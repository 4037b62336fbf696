"""Names of types in the DSL's signatures."""

from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias

from typing_extensions import TypeVar

from headrace.base.records import Record, RecordMetadata
from headrace.expressions.expression import Expression
from headrace.state.declaration import Store
from headrace.state.typed_key_value import KeyValueStore
from headrace.state.typed_session import SessionStore
from headrace.state.typed_versioned import VersionedStore
from headrace.state.typed_window import WindowStore
from headrace.topology.partitioners import WithHeaders
from headrace.topology.topics import Writable

__all__ = [
    "Emit",
    "Extractor",
    "KeyPartitioner",
    "LateTo",
    "Name",
    "Partitioner",
    "Predicate",
    "SessionsStore",
    "TableStore",
    "TopicChooser",
    "WindowedStore",
]

K = TypeVar("K")
V = TypeVar("V")

#: What says of key and value whether a record is meant.
Predicate: TypeAlias = Callable[[K, V], object] | Expression[Any]

#: Name of a node.
Name: TypeAlias = str | None

#: When the result of a window leaves: with each update, or once, when it closes.
Emit: TypeAlias = Literal["update", "close"]

#: A topic for records that are late: see `KGroupedStream.windowed_by`.
LateTo: TypeAlias = str | Writable[K, V] | None

#: (record, partition time) -> epoch ms; a negative result drops the record.
Extractor: TypeAlias = Callable[[Record[K, V], int], int] | None

#: (topic, key, value, partition count) -> one partition, several, or None for the default one.
Partitioner: TypeAlias = Callable[[str, K, V, int], int | Iterable[int] | None] | WithHeaders[K, V] | None

#: The same of a key alone: the value is None.
KeyPartitioner: TypeAlias = Callable[[str, K, None, int], int | Iterable[int] | None] | None

#: (key, value, where the record was read) -> name of the topic to write to.
TopicChooser: TypeAlias = Callable[[K, V, RecordMetadata], str]

#: The store of a table: a name, or a declared store (Java's `Materialized`).
TableStore: TypeAlias = str | Store[KeyValueStore[K, V]] | Store[VersionedStore[K, V]] | None

#: The store of a windowed table.
WindowedStore: TypeAlias = str | Store[WindowStore[K, V]] | None

#: The store of a table of sessions.
SessionsStore: TypeAlias = str | Store[SessionStore[K, V]] | None

#: Any of them, where types no longer matter.
AnyStore: TypeAlias = str | Store[Any] | None
