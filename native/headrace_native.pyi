"""Kafka's record batches (format 2) to and from columns. `headrace.kafka.batch.codec` says what they promise."""

from collections.abc import Sequence

__version__: str
INTERFACE: int

def next_position(data: bytes | bytearray | memoryview, fetch_offset: int) -> int: ...
def decode(
    data: bytes | bytearray | memoryview,
    fetch_offset: int,
    aborted: Sequence[tuple[int, int]] | None = None,
    bytes_max: int = ...,
) -> tuple[
    Sequence[int],
    list[int],
    list[bytes | None],
    list[bytes | None],
    list[Sequence[tuple[str, bytes | None]]] | None,
    int,
    int,
]: ...
def encode_batch(
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
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
def partitions(keys: Sequence[bytes | None], count: int) -> list[int]: ...
