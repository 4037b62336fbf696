"""Changelog records straight into rows: what a restore and a standby apply."""

from typing import Protocol

from headrace.base.columns import Chunk
from headrace.base.errors import StateCorruptionError
from headrace.state.buffer.segment_layout import SegmentLayout, segment_prefix
from headrace.state.port import Rows
from headrace.state.spec import StoreSpec, segment_interval_ms
from headrace.state.values import pack_timestamp

__all__ = ["ChangelogRows", "KeyValueRows", "SegmentedRows", "check_first_key", "foreign"]


class ChangelogRows(Protocol):
    """Rows gathered from changelog records, the last of each key, until they are written."""

    #: Highest time of a cell seen, and last sequence of a duplicate.
    stream_time: int
    sequence: int

    def apply(self, chunk: Chunk) -> None:
        """Add a chunk's records."""

    def take(self) -> Rows:
        """Hand over what was gathered, and begin again."""

    def __len__(self) -> int:
        """Rows gathered."""


class KeyValueRows:
    """Restores a key-value store. Records without a key are skipped: nobody can have written one."""

    __slots__ = ("_rows", "_spec", "_timestamped", "sequence", "stream_time")

    def __init__(self, spec: StoreSpec) -> None:
        self.stream_time = -1
        self.sequence = 0
        self._spec = spec
        self._timestamped = spec.timestamped
        self._rows: dict[bytes, bytes | None] = {}

    def apply(self, chunk: Chunk) -> None:
        """Add a chunk's records.

        Raises:
            StateCorruptionError: the first key is none of the store's.
        """
        check_first_key(self._spec, chunk)
        rows = self._rows
        if self._timestamped:
            pack = pack_timestamp
            for key, value, timestamp in zip(chunk.keys, chunk.values, chunk.timestamps):
                if key is not None:
                    rows[key] = None if value is None else pack(timestamp) + value
        else:
            for key, value in zip(chunk.keys, chunk.values):
                if key is not None:
                    rows[key] = value

    def take(self) -> Rows:
        """Hand over what was gathered, and begin again."""
        rows, self._rows = self._rows, {}
        return rows

    def __len__(self) -> int:
        return len(self._rows)


class SegmentedRows:
    """Restores a segmented store. Records of expired cells are skipped.

    Source: `AbstractRocksDBSegmentedBytesStore.getWriteBatches`.
    """

    __slots__ = (
        "_interval_ms",
        "_layout",
        "_retention_ms",
        "_rows",
        "_store",
        "_timestamped",
        "sequence",
        "stream_time",
    )

    def __init__(self, spec: StoreSpec, layout: SegmentLayout) -> None:
        self.stream_time = -1
        self.sequence = 0
        self._store = spec.name
        self._layout = layout
        self._retention_ms = spec.lifetime_ms
        self._interval_ms = segment_interval_ms(spec.retention_ms or 0)
        self._timestamped = spec.timestamped
        self._rows: dict[bytes, bytes | None] = {}

    def apply(self, chunk: Chunk) -> None:
        """Add a chunk's records.

        Raises:
            StateCorruptionError: a key is none of the layout's.
        """
        rows, pack, prefix = self._rows, pack_timestamp, segment_prefix
        timestamped, interval_ms, retention_ms = self._timestamped, self._interval_ms, self._retention_ms
        layout, stream_time = self._layout, self.stream_time
        is_cell, is_numbered, noun = layout.is_cell, layout.is_numbered, layout.noun
        unpack, size = layout.suffix.unpack_from, layout.suffix.size
        for key, value, timestamp in zip(chunk.keys, chunk.values, chunk.timestamps):
            if key is None:
                continue
            at = len(key) - size
            if at < 0:
                raise foreign(self._store, chunk, f"a key of {len(key)} bytes is no {noun}'s key")
            time, rest = unpack(key, at)
            if not is_cell(time, rest):
                # What stands there as the cell's time is part of another key: it would expire all cells for good.
                raise foreign(self._store, chunk, f"{key!r} is no {noun}'s key")
            if time > stream_time:
                stream_time = time
            elif time <= stream_time - retention_ms:
                continue
            if rest and is_numbered:
                self.sequence = rest
            if value is not None and timestamped:
                value = pack(timestamp) + value
            rows[prefix(time - time % interval_ms) + key] = value
        self.stream_time = stream_time

    def take(self) -> Rows:
        """Hand over what was gathered, and begin again."""
        rows, self._rows = self._rows, {}
        return rows

    def __len__(self) -> int:
        return len(self._rows)


def check_first_key(spec: StoreSpec, chunk: Chunk) -> None:
    """Read the first key of a chunk of a key-value store. One is enough to tell another kind of store.

    Raises:
        StateCorruptionError: it is none of the store's.
    """
    # Not by iterating, which would make objects of all keys.
    keys = (chunk.keys[index] for index in range(len(chunk)))
    first = next((key for key in keys if key is not None), None)
    if first is not None:
        try:
            spec.key.deserialize(chunk.topic, first)
        except Exception as error:
            raise foreign(spec.name, chunk, f"a key cannot be read ({error})") from error


def foreign(store: str, chunk: Chunk, problem: str) -> StateCorruptionError:
    """Make the error of a changelog that is none of the store's."""
    return StateCorruptionError(
        f"cannot restore store {store!r} from {chunk.topic}-{chunk.partition}: {problem}. Is this the changelog of "
        "another kind of store, or with keys of another type? Give the store another name, or the one that it had back"
    )
