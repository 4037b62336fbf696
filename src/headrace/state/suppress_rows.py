"""The changelog of suppression straight into rows, in whichever of Kafka's formats it was written."""

from headrace.base.columns import Chunk
from headrace.base.records import NO_HEADERS, Headers
from headrace.state.changelog_rows import foreign
from headrace.state.held_change import (
    HeldChange,
    decode_change,
    decode_older_change,
    decode_stamped_row,
    encode_change,
    stamped_row,
    stamps_of,
    with_stamps,
)
from headrace.state.port import Family, Rows
from headrace.state.spec import StoreSpec

__all__ = ["SuppressRows"]

_VERSION, _FORMAT_3 = "v", b"\x03"


class SuppressRows:
    """Restores what suppression holds back. Records without a key are skipped: nobody can have written one.

    Rows have format 3 whatever the records had. Source: `InMemoryTimeOrderedKeyValueChangeBuffer.restoreBatch`.
    """

    __slots__ = ("_decode", "_family", "_is_stamped", "_rows", "_store", "sequence", "stream_time")

    def __init__(self, spec: StoreSpec, family: Family) -> None:
        self.stream_time = -1
        self.sequence = 0
        self._store = spec.name
        self._family = family
        self._is_stamped = spec.stamped
        self._decode = decode_stamped_row if spec.stamped else decode_change
        self._rows: dict[bytes, bytes | None] = {}

    def apply(self, chunk: Chunk) -> None:
        """Add a chunk's records.

        Raises:
            StateCorruptionError: a record is no update that was held back.
        """
        rows = self._rows
        all_headers = [NO_HEADERS] * len(chunk) if chunk.headers is None else chunk.headers
        for offset, key, value, timestamp, headers in zip(
            chunk.offsets, chunk.keys, chunk.values, chunk.timestamps, all_headers
        ):
            if key is None:
                continue
            if value is None:
                rows[key] = None
                continue
            try:
                rows[key] = self._row(key, value, headers, (chunk.topic, offset, timestamp), chunk.partition)
            except ValueError as error:
                raise foreign(self._store, chunk, f"offset {offset} cannot be read ({error})") from error

    def _row(
        self, key: bytes, value: bytes, headers: Headers, place: tuple[str, int, int], partition: int
    ) -> bytes:
        version = next((content for name, content in reversed(headers) if name == _VERSION), None)
        if version == _FORMAT_3:
            change = decode_change(key, value)  # so that a foreign record is found here, and not at the start
        else:
            before = self._held(key)
            prior = None if before is None else before.prior
            change = decode_older_change(key, value, version, prior, (*place, headers))
            value = encode_change(change, partition)
        return (
            stamped_row(with_stamps(change, stamps_of(change, headers)), value) if self._is_stamped else value
        )

    def _held(self, key: bytes) -> HeldChange | None:
        raw = self._rows[key] if key in self._rows else self._family.get(key)
        return None if raw is None else self._decode(key, raw)

    def take(self) -> Rows:
        """Hand over what was gathered, and begin again."""
        rows, self._rows = self._rows, {}
        return rows

    def __len__(self) -> int:
        return len(self._rows)
