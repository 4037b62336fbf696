"""Records as columns: from the log (`Chunk`), through the nodes (`Stretch`), into the log (`Columns`)."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import Any, NamedTuple, Protocol, TypeAlias, overload

from headrace.base.records import Headers

__all__ = ["Chunk", "Column", "Columns", "Part", "Stretch", "texts_of"]

#: A key or value on its way into a log; text only where `Writer.takes_text`.
Part: TypeAlias = bytes | str | None


class Column(Protocol):
    """Keys or values as a log gives them: a list, or a view of one buffer that makes objects when they are asked for.

    Nobody changes it. Each look may make an equal object anew, and iterating makes all of them: who needs them twice
    makes a list first. Slices share what they are made of.
    """

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes | None]: ...

    @overload
    def __getitem__(self, index: int, /) -> bytes | None: ...

    @overload
    def __getitem__(self, index: slice, /) -> "Column": ...


def texts_of(column: Column) -> list[str | None]:
    """Return a column as text, straight from its buffer where it has one, without bytes between.

    Raises:
        UnicodeDecodeError: a row is no UTF-8, and `bytes.decode` would say the same.
    """
    texts: Callable[[], list[str | None]] | None = getattr(column, "texts", None)
    if texts is not None:
        return texts()
    decode = bytes.decode
    return [None if data is None else decode(data) for data in column]


class Chunk:
    """A run of records of one topic-partition, in offset order, as the log stored them.

    Attributes:
        topic, partition: where it was read.
        offsets: ascending; a `range` where no offset is missing, else a list (compaction, aborted data, markers).
        timestamps: epoch ms.
        keys, values: raw bytes; None is a null.
        headers: one tuple a record, or None when no record of the chunk has a header.
        size_bytes: roughly what it keeps in memory, with all that its columns are views of; used for back-pressure.

    Columns are shared with the log's cache: nobody changes them.
    """

    __slots__ = ("headers", "keys", "offsets", "partition", "size_bytes", "timestamps", "topic", "values")

    def __init__(
        self,
        topic: str,
        partition: int,
        offsets: Sequence[int],
        timestamps: Sequence[int],
        keys: Column,
        values: Column,
        headers: Sequence[Headers] | None,
        size_bytes: int,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.offsets = offsets
        self.timestamps = timestamps
        self.keys = keys
        self.values = values
        self.headers = headers
        self.size_bytes = size_bytes

    def __len__(self) -> int:
        return len(self.keys)

    def before(self, offset: int) -> "Chunk":
        """The records below an offset; itself where that is all."""
        return self if self.offsets[-1] < offset else self.part(0, bisect_left(self.offsets, offset))

    def part(self, start: int, end: int) -> "Chunk":
        """Return the records from index `start` to before `end`; its size is their share."""
        keys = self.keys[start:end]
        return Chunk(
            self.topic,
            self.partition,
            self.offsets[start:end],
            self.timestamps[start:end],
            keys,
            self.values[start:end],
            None if self.headers is None else self.headers[start:end],
            self.size_bytes * len(keys) // max(1, len(self.keys)),
        )


class Columns:
    """Records on their way into one topic-partition.

    Whoever fills it keeps the object and may keep its lists' bound `append`: `clear` empties the lists in place.
    A writer that takes columns therefore encodes or copies them before it returns.

    # Invariant: the four lists have equal lengths (every record appends to all of them).
    """

    __slots__ = ("headers", "keys", "timestamps", "values")

    def __init__(self) -> None:
        self.keys: list[Part] = []
        self.values: list[Part] = []
        self.timestamps: list[int] = []
        self.headers: list[Headers] = []

    def append(self, key: Part, value: Part, timestamp: int, headers: Headers) -> None:
        """Add one record."""
        self.keys.append(key)
        self.values.append(value)
        self.timestamps.append(timestamp)
        self.headers.append(headers)

    def extend(
        self,
        keys: Sequence[Part],
        values: Sequence[Part],
        timestamps: Sequence[int],
        headers: Sequence[Headers],
    ) -> None:
        """Add records; the columns have equal lengths."""
        self.keys.extend(keys)
        self.values.extend(values)
        self.timestamps.extend(timestamps)
        self.headers.extend(headers)

    def clear(self) -> None:
        """Forget all records; the list objects stay the same."""
        self.keys.clear()
        self.values.clear()
        self.timestamps.clear()
        self.headers.clear()

    def drop_first(self, count: int) -> None:
        """Forget the first records; the list objects stay the same."""
        del self.keys[:count], self.values[:count], self.timestamps[:count], self.headers[:count]

    def __len__(self) -> int:
        return len(self.keys)


class Stretch(NamedTuple):
    """Decoded records of one chunk that go from node to node together; the columns have equal lengths."""

    keys: Sequence[Any]
    values: Sequence[Any]
    timestamps: Sequence[int]
    headers: Sequence[Headers]
    offsets: Sequence[int]

    def records(self) -> Iterator[tuple[Any, Any, int, Headers, int]]:
        """Key, value, timestamp, headers and offset of each."""
        return zip(self.keys, self.values, self.timestamps, self.headers, self.offsets)

    def left(
        self,
        kept: Sequence[bool],
        *,
        keys: Sequence[Any] | None = None,
        values: Sequence[Any] | None = None,
        timestamps: Sequence[int] | None = None,
    ) -> "Stretch":
        """Return the records that were kept, with their new keys, values and timestamps where there are such."""
        stretch = self if False not in kept else Stretch(*(list(compress(column, kept)) for column in self))
        if keys is not None:
            stretch = stretch._replace(keys=keys)
        if timestamps is not None:
            stretch = stretch._replace(timestamps=timestamps)
        return stretch if values is None else stretch._replace(values=values)

    def part(self, start: int, end: int) -> "Stretch":
        """Return the records from `start` to before `end`."""
        return Stretch(
            self.keys[start:end],
            self.values[start:end],
            self.timestamps[start:end],
            self.headers[start:end],
            self.offsets[start:end],
        )
