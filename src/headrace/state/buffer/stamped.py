"""Stores of processors whose values come with timestamp and headers, without a cache: what their changelog gets.

A change record has the value alone, under timestamp and headers of its own, as in Kafka Streams; a row has all three
(`state.stamped`). So the buffers below log nothing themselves, and are told of rows.
"""

from collections.abc import Callable
from typing import Any

from headrace.base.columns import Chunk, Columns
from headrace.base.records import NO_HEADERS, Headers
from headrace.state.buffer.key_value import KeyValueBuffer
from headrace.state.buffer.segment_layout import SegmentLayout
from headrace.state.buffer.segmented import SegmentedBuffer
from headrace.state.changelog_rows import ChangelogRows
from headrace.state.in_place import InPlace
from headrace.state.port import ChangelogAdmission, Database, Rows
from headrace.state.spec import StoreSpec
from headrace.state.stamped import pack_stamp, stamped_admission, unpack_stamped
from headrace.state.values import ValueCodec

__all__ = ["StampedKeyValueBuffer", "StampedRows", "StampedSegmentedBuffer"]


class StampedKeyValueBuffer(KeyValueBuffer):
    """A key-value store of stamped values."""

    __slots__ = ("_changelog",)

    def __init__(
        self,
        spec: StoreSpec,
        database: Database,
        log: Columns | None,
        codec: ValueCodec,
        admission: ChangelogAdmission | None = None,
    ) -> None:
        admission = None if admission is None else stamped_admission(admission)
        super().__init__(spec, database, None, codec, admission)
        self._changelog = log

    def in_place(self) -> InPlace | None:
        """A row is more than its value: None."""
        return None

    def put_encoded(
        self, key: bytes, value: Any, raw: bytes | None, timestamp: int, logged: Headers = NO_HEADERS
    ) -> None:
        """Put a row; None deletes. See `KeyValueBuffer.put_encoded`."""
        super().put_encoded(key, value, raw, timestamp)
        if self._changelog is not None:
            _log(self._changelog, key, raw, timestamp, logged)


class StampedSegmentedBuffer(SegmentedBuffer):
    """A window store, or a session store, of stamped values."""

    __slots__ = ("_changelog",)

    def __init__(
        self,
        spec: StoreSpec,
        layout: SegmentLayout,
        database: Database,
        log: Columns | None,
        codec: ValueCodec,
        dropped: Callable[[str, str], None],
        admission: ChangelogAdmission | None = None,
    ) -> None:
        admission = None if admission is None else stamped_admission(admission)
        super().__init__(spec, layout, database, None, codec, dropped, admission)
        self._changelog = log

    def put_encoded(
        self, key: bytes, slot: int, value: Any, raw: bytes | None, timestamp: int, headers: Headers = ()
    ) -> None:
        """Put a row; None deletes. See `SegmentedBuffer.put_encoded`."""
        if self._admit is not None:
            self._admit(self._layout.changelog_key(key, slot), raw, timestamp)
        super().put_encoded(key, slot, value, raw, timestamp)
        if self._changelog is not None:
            _log(self._changelog, self._layout.changelog_key(key, slot), raw, timestamp, headers)


def _log(changelog: Columns, key: bytes, row: bytes | None, timestamp: int, headers: Headers) -> None:
    """Log a row as it was stamped, or a deletion with the time and headers of the record that deletes."""
    value = None
    if row is not None:
        value, timestamp, headers = unpack_stamped(row)
    changelog.append(key, value, timestamp, headers)


class StampedRows:
    """Restores a store of stamped values: the rows of a change record's value, timestamp and headers."""

    __slots__ = ("_plain",)

    def __init__(self, plain: ChangelogRows) -> None:
        self._plain = plain

    @property
    def stream_time(self) -> int:
        """Highest time of a cell seen."""
        return self._plain.stream_time

    @stream_time.setter
    def stream_time(self, time: int) -> None:
        self._plain.stream_time = time

    @property
    def sequence(self) -> int:
        """No cell is a duplicate."""
        return self._plain.sequence

    @sequence.setter
    def sequence(self, sequence: int) -> None:
        self._plain.sequence = sequence

    def apply(self, chunk: Chunk) -> None:
        """Add a chunk's records.

        Raises:
            StateCorruptionError: they are those of another kind of store.
        """
        all_headers = [NO_HEADERS] * len(chunk) if chunk.headers is None else chunk.headers
        rows = [
            None if value is None else pack_stamp(timestamp, headers) + value
            for value, timestamp, headers in zip(chunk.values, chunk.timestamps, all_headers)
        ]
        self._plain.apply(
            Chunk(
                chunk.topic,
                chunk.partition,
                chunk.offsets,
                chunk.timestamps,
                chunk.keys,
                rows,
                None,
                chunk.size_bytes,
            )
        )

    def take(self) -> Rows:
        """Hand over what was gathered, and begin again."""
        return self._plain.take()

    def __len__(self) -> int:
        return len(self._plain)
