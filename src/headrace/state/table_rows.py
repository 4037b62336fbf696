"""Changelog records of a key-value store into files of sorted rows, which its database takes in whole.

That is how a store begins that has nothing yet. Rows are gathered, sorted and written by headrace-native, where no
object is made of any: a restore takes two fifths of the processor time that batches take.
"""

from typing import TYPE_CHECKING

from headrace.base.columns import Chunk
from headrace.base.compiled import compiled, is_compiled_wanted
from headrace.state.changelog_rows import check_first_key
from headrace.state.port import Rows
from headrace.state.spec import StoreSpec

if TYPE_CHECKING:
    from headrace_native import RestoredRows

__all__ = ["TableRows", "can_be_tables"]

#: What is gathered for one file. A restore of many tasks gathers for each of their stores at the same time.
_TABLE_BYTES = 8 * 1024 * 1024

#: What is left in the end goes into a file from here on: syncing one takes as long as a batch of some thousand rows.
_TABLE_BYTES_MIN = 1024 * 1024


def can_be_tables(spec: StoreSpec) -> bool:
    """Whether a store's rows are no more than keys and values of its changelog, and the compiled part is there."""
    is_plain = spec.kind == "key_value" and spec.rows_max is None and spec.ttl_ms is None and not spec.stamped
    return is_plain and is_compiled_wanted()


class TableRows:
    """Does what `KeyValueRows` does, its twin."""

    __slots__ = ("_rows", "_spec", "sequence", "stream_time")

    def __init__(self, spec: StoreSpec) -> None:
        self.stream_time = -1
        self.sequence = 0
        self._spec = spec
        self._rows: RestoredRows = compiled().RestoredRows(is_timestamped=spec.timestamped)

    def apply(self, chunk: Chunk) -> None:
        """Add a chunk's records.

        Raises:
            StateCorruptionError: the first key is none of the store's.
        """
        check_first_key(self._spec, chunk)
        self._rows.add(chunk.keys, chunk.values, chunk.timestamps)

    @property
    def is_full(self) -> bool:
        """Whether it is time to write a file."""
        return self._rows.size_bytes() >= _TABLE_BYTES

    @property
    def is_worth_a_file(self) -> bool:
        """Whether a file of what there is costs less than batches."""
        return self._rows.size_bytes() >= _TABLE_BYTES_MIN

    def write(self, path: str) -> None:
        """Write what was gathered into a file, and begin again. It is not synced.

        Raises:
            OSError: it cannot be written; what was gathered is lost.
        """
        self._rows.write(path)

    def take(self) -> Rows:
        """Hand over what was gathered, and begin again."""
        return self._rows.take()

    def __len__(self) -> int:
        return len(self._rows)
