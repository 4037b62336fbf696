"""Kafka's record batches (format 2), see `headrace.kafka.batch.codec`, a record cache, and rows of a restore."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, Protocol, TypeAlias, final, overload

_Headers: TypeAlias = Sequence[tuple[str, bytes | None]]
_Below: TypeAlias = Callable[[bytes, int], tuple[Any, int] | None]

class _Sized(Protocol):
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[bytes | None]: ...

__version__: str
INTERFACE: int

@final
class Column:
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[bytes | None]: ...
    @overload
    def __getitem__(self, index: int, /) -> bytes | None: ...
    @overload
    def __getitem__(self, index: slice, /) -> Column | list[bytes | None]: ...
    def texts(self) -> list[str | None]: ...

@final
class RestoredRows:
    def __init__(self, *, is_timestamped: bool) -> None: ...
    def __len__(self) -> int: ...
    def size_bytes(self) -> int: ...
    def add(
        self,
        keys: _Sized,
        values: _Sized,
        timestamps: Sequence[int],
    ) -> None: ...
    def write(self, path: str) -> None: ...
    def take(self) -> dict[bytes, bytes | None]: ...

def next_position(data: bytes | bytearray | memoryview, fetch_offset: int) -> int: ...
def decode(
    data: bytes | bytearray | memoryview,
    fetch_offset: int,
    aborted: Sequence[tuple[int, int]] | None = None,
    bytes_max: int = ...,
) -> tuple[
    Sequence[int],
    list[int],
    Column,
    Column,
    list[Sequence[tuple[str, bytes | None]]] | None,
    int,
    int,
]: ...
def encode_batch(
    keys: Sequence[bytes | str | None],
    values: Sequence[bytes | str | None],
    timestamps: Sequence[int],
    headers: Sequence[Sequence[tuple[str, bytes | None]]] | None,
    start: int,
    bytes_max: int,
    *,
    compression: str = "none",
    level: int | None = None,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    is_transactional: bool = False,
) -> tuple[bytes, int]: ...
def partitions(keys: Iterable[bytes | None], count: int) -> list[int]: ...

class NumberCache:
    """See `headrace.state.number_cache`. A row is a number and its time; None is a deletion, False no entry."""

    def __new__(cls) -> NumberCache: ...
    def __len__(self) -> int: ...
    @property
    def used_bytes(self) -> int: ...
    @property
    def unwritten_bytes(self) -> int: ...
    @property
    def waiting_count(self) -> int: ...
    @property
    def waits(self) -> bool: ...
    def holds(self, key: bytes, slot: int) -> bool: ...
    def get(
        self, key: bytes, slot: int, *, marks: bool = True
    ) -> tuple[int, int] | Literal[False] | None: ...
    def remember(self, key: bytes, slot: int, value: int, timestamp: int) -> None: ...
    def put(
        self,
        key: bytes,
        slot: int,
        value: int | None,
        timestamp: int,
        headers: _Headers,
        topic: str | None,
        offset: int,
    ) -> bool: ...
    def put_new(
        self,
        key: bytes,
        slot: int,
        below: int | None,
        value: int | None,
        timestamp: int,
        headers: _Headers,
        topic: str | None,
        offset: int,
    ) -> None: ...
    def waiting(
        self,
    ) -> tuple[
        list[bytes],
        list[int],
        list[int | None],
        list[int | None],
        list[int],
        list[_Headers],
        list[str | None],
        list[int],
        list[int],
    ]: ...
    def release_all(self) -> None: ...
    def release_one(self, key: bytes, slot: int, order: int) -> bool: ...
    def revert(self, key: bytes, slot: int) -> None: ...
    def changes(
        self, width: int, first: int | None = None, interval_ms: int = 1
    ) -> dict[bytes, bytes | None]: ...
    def committed(self) -> None: ...
    def evict(self, bytes_max: int) -> bool: ...
    @overload
    def rows(self, *, slotted: Literal[False]) -> dict[bytes, tuple[Any, int, bytes] | None]: ...
    @overload
    def rows(self, *, slotted: Literal[True]) -> dict[bytes, dict[int, tuple[Any, int, bytes] | None]]: ...
    def over_between(
        self, start: bytes | None = None, end: bytes | None = None
    ) -> dict[bytes, tuple[Any, int, bytes] | None]: ...
    def over_cells(
        self, key: bytes | None = None
    ) -> dict[bytes, dict[int, tuple[Any, int, bytes] | None]]: ...
    def clear(self) -> None: ...
    def count(
        self,
        keys: Sequence[Any],
        values: Sequence[Any],
        timestamps: Sequence[int],
        headers: Sequence[_Headers],
        offsets: Sequence[int],
        topic: str | None,
        at: int,
        horizon: int,
        is_text: bool,
        below: _Below | None,
        bytes_max: int,
    ) -> int: ...
    def count_tumbling(
        self,
        keys: Sequence[Any],
        timestamps: Sequence[int],
        headers: Sequence[_Headers],
        offsets: Sequence[int],
        topic: str | None,
        at: int,
        horizon: int,
        is_text: bool,
        below: _Below | None,
        bytes_max: int,
        size_ms: int,
        grace_ms: int,
        retention_ms: int,
        stream_time: int,
        observed: int,
    ) -> tuple[int, int, int]: ...
