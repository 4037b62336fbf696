"""Names of types in the DSL's signatures."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Literal, TypeAlias

from typing_extensions import TypeVar

from headrace.base.records import Record, RecordMetadata
from headrace.state.declaration import Store
from headrace.state.typed_key_value import KeyValueStore
from headrace.state.typed_session import SessionStore
from headrace.state.typed_window import WindowStore

__all__ = [
    "Extractor",
    "Name",
    "Partitioner",
    "Reset",
    "SessionsStore",
    "TableStore",
    "TopicChooser",
    "WindowedStore",
]

K = TypeVar("K")
V = TypeVar("V")

#: Name of a node.
Name: TypeAlias = str | None

#: Where to begin in a topic without committed offset; a timedelta is that far back (KIP-1106).
Reset: TypeAlias = Literal["earliest", "latest", "none"] | timedelta | None

#: (record, partition time) -> epoch ms; a negative result drops the record.
Extractor: TypeAlias = Callable[[Record[K, V], int], int] | None

#: (topic, key, value, partition count) -> one partition, several, or None for the default one.
Partitioner: TypeAlias = Callable[[str, K, V, int], int | Iterable[int] | None] | None

#: (key, value, where the record was read) -> name of the topic to write to.
TopicChooser: TypeAlias = Callable[[K, V, RecordMetadata], str]

#: The store of a table: a name, or a declared store (Java's `Materialized`).
TableStore: TypeAlias = str | Store[KeyValueStore[K, V]] | None

#: The store of a windowed table.
WindowedStore: TypeAlias = str | Store[WindowStore[K, V]] | None

#: The store of a table of sessions.
SessionsStore: TypeAlias = str | Store[SessionStore[K, V]] | None

#: Any of them, where types no longer matter.
AnyStore: TypeAlias = str | Store[Any] | None
