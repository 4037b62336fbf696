"""Where rows live: ordered bytes to bytes, in families, behind one port for RocksDB and for memory."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from headrace.base.ids import TopicPartition

__all__ = ["Database", "Family", "Position", "Rows"]


@dataclass(frozen=True, slots=True)
class Position:
    """How far a store on disk has followed its changelog, and what it must match to be trusted.

    Attributes:
        offset: next changelog offset to apply.
        topic_id: identity of the changelog topic; another one means another history.
        written_ms: wall clock of the write; a position older than the topic's tombstones' life is worthless.
        stream_time: highest timestamp that the store had seen (epoch ms), -1 if none.
        inputs: next input offset by topic-partition (bounds for queries).
        mark: format of the rows: kind, version, segment interval, retention.
    """

    offset: int
    topic_id: str
    written_ms: int
    stream_time: int = -1
    inputs: Mapping[TopicPartition, int] = field(default_factory=dict)
    mark: str = ""


class Family(Protocol):
    """One store's rows, ordered by key bytes."""

    def get(self, key: bytes) -> bytes | None:
        """Value of one row."""

    def scan(self, start: bytes | None, end: bytes | None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key < end; None is open. One consistent view, whatever is written meanwhile.

        The iterator releases its resources when exhausted, closed, or when the database is closed.
        """


#: What one commit does to one family: row key to new value, None deletes.
Rows = Mapping[bytes, bytes | None]


class Database(Protocol):
    """All stores of one task. Belongs to one thread, except for reads."""

    def family(self, store: str) -> Family:
        """The rows of a store; created if new."""

    def position(self, store: str) -> Position | None:
        """The store's position; None for a new or cleared store."""

    def write(self, rows: Iterable[tuple[str, Rows]], positions: Mapping[str, Position]) -> None:
        """Write rows, then positions.

        # Invariant: a position is never readable after a crash unless all rows written before it are.
        """

    def delete_range(self, store: str, start: bytes, end: bytes) -> None:
        """Delete rows with start <= key < end (expiry of a segment)."""

    def clear(self, store: str) -> None:
        """Delete all rows of a store and its position."""

    def approximate_count(self, store: str) -> int:
        """Roughly how many rows a store has."""

    def close(self) -> None:
        """Release everything, open iterators first. Twice is fine."""
