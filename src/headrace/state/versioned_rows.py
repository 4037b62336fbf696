"""The changelog of a versioned store into rows: every version goes where a put would put it."""

from headrace.base.columns import Chunk
from headrace.state.buffer.row import ROW_BYTES
from headrace.state.buffer.versioned import VersionedBuffer
from headrace.state.changelog_rows import check_first_key
from headrace.state.port import Rows
from headrace.state.spec import StoreSpec

__all__ = ["VersionedRows"]


class VersionedRows:
    """Restores a versioned store, through a buffer of its own. Source: `RocksDBVersionedStore.restoreBatch`.

    Records without a key are skipped: nobody can have written one.
    """

    __slots__ = ("_buffer", "_spec", "sequence")

    def __init__(self, spec: StoreSpec, buffer: VersionedBuffer) -> None:
        self.sequence = 0
        self._spec = spec
        self._buffer = buffer

    @property
    def stream_time(self) -> int:
        """Highest timestamp seen."""
        return self._buffer.observed_stream_time

    @stream_time.setter
    def stream_time(self, time: int) -> None:
        self._buffer.restored(time, 0)

    def apply(self, chunk: Chunk) -> None:
        """Add a chunk's records.

        Raises:
            StateCorruptionError: the first key is none of the store's.
        """
        check_first_key(self._spec, chunk)
        put = self._buffer.put_encoded
        for key, value, timestamp in zip(chunk.keys, chunk.values, chunk.timestamps):
            if key is not None:
                put(key, value, timestamp)

    def take(self) -> Rows:
        """Hand over what was gathered, and begin again."""
        rows = self._buffer.changes()
        self._buffer.committed()
        return rows

    def __len__(self) -> int:
        return self._buffer.buffered_bytes // ROW_BYTES
