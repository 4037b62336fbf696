"""One store as its database has it: rows and position, and the changelog records that are under way into them."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from headrace.base.columns import Chunk
from headrace.base.errors import StateError
from headrace.state.buffer.segment_layout import segment_prefix
from headrace.state.changelog_rows import ChangelogRows
from headrace.state.port import Database, StorePosition
from headrace.state.row_making import row_maker
from headrace.state.spec import StoreSpec, segment_interval_ms
from headrace.state.table_rows import TableRows, can_be_tables
from headrace.state.values import ValueCodec

__all__ = ["StoreRows"]

#: Restored rows that are gathered before they are written. Each key is written once however often it occurs among them,
#: and more rows in one go lie closer together in the memtable: 20,000 take half the time of 2,000. 60,000 take a third
#: more again, since they no longer fit the processor's caches.
_RESTORE_ROWS = 20_000


class StoreRows:
    """Belongs to whoever has borrowed the task's rows.

    # Invariant: rows and position are written in this order, and both are those of a moment of the changelog: whoever
    # goes on with them, after a crash or in another role, reads the changelog from the position.

    Attributes:
        used: keys of a store with a bound, the one that was used the longest ago first, as far as this is known.
        is_cleared: whether it was since somebody ran the task.
    """

    def __init__(
        self, spec: StoreSpec, database: Database, codec: ValueCodec, now_ms: Callable[[], int]
    ) -> None:
        self.name = spec.name
        self.spec = spec
        self.database = database
        self.codec = codec
        self.used: OrderedDict[bytes, None] = OrderedDict()
        self.is_cleared = False
        self._now_ms = now_ms
        self._make = row_maker(spec, database, codec, self.used)
        self._clear_object: Callable[[], None] = _nothing
        self._applied: ChangelogRows | None = None
        self._expired_end = 0

    def lead_to(self, make: Callable[[], ChangelogRows] | None, clear: Callable[[], None]) -> None:
        """Let an object of the user's take what is restored, and be cleared with the store; None: it is gone."""
        self._make, self._clear_object, self._applied = make, clear, None

    @property
    def can_be_restored(self) -> bool:
        """Whether records can be applied: not into a store of the user's own while there is no object."""
        return self._make is not None

    def position(self) -> StorePosition | None:
        """How far the store has followed its changelog; None for a new one."""
        return self.database.position(self.name)

    @property
    def trusted_position(self) -> StorePosition | None:
        """The position, where the rows are in our layout; else None."""
        position = self.position()
        return position if position is not None and position.mark == self.spec.mark else None

    def restore(self, chunk: Chunk) -> None:
        """Apply changelog records to the rows, straight and unlogged; see `TaskRows.restore`."""
        applied = self._rows()
        if isinstance(applied, TableRows):
            applied.apply(chunk)
            if applied.is_full:
                self.database.take_in(self.name, applied.write)
            return
        for start in range(0, len(chunk), _RESTORE_ROWS):
            applied.apply(chunk.part(start, start + _RESTORE_ROWS))
            if len(applied) >= _RESTORE_ROWS:
                self.database.write([(self.name, applied.take())], {})

    def restored(self, position: StorePosition) -> None:
        """Write what is left of a restore, and its position last."""
        applied = self._rows()
        if isinstance(applied, TableRows):
            self._applied = None  # there is a position from here on
            if applied.is_worth_a_file:
                self.database.take_in(self.name, applied.write)
        stamped = self.stamped(position, applied.stream_time, applied.sequence)
        self.database.write([(self.name, applied.take())], {self.name: stamped})
        self._expire(applied.stream_time)

    def _rows(self) -> ChangelogRows:
        # Not `or`: one without rows has written them all, and knows their stream time.
        if self._applied is None:
            if self._make is None:
                raise StateError(f"store {self.name!r} is restored by its own object, and there is none")
            position = self.trusted_position
            applied = TableRows(self.spec) if self._can_be_tables() else self._make()
            if position is not None:
                applied.stream_time, applied.sequence = position.stream_time, position.sequence
            self._applied = applied
        return self._applied

    def _can_be_tables(self) -> bool:
        return self.database.takes_files and self.position() is None and can_be_tables(self.spec)

    def _expire(self, stream_time: int) -> None:
        """Let go of segments that nothing can read any more.

        Later by an interval than the buffer of a running task does it: some kinds keep rows as long as that.
        """
        spec = self.spec
        retention_ms = spec.retention_ms if spec.history_ms is None else spec.history_ms + 1
        if retention_ms is None:
            return
        interval_ms = segment_interval_ms(retention_ms)
        oldest = stream_time - retention_ms - interval_ms - 1
        end = oldest - oldest % interval_ms
        if end > self._expired_end:
            self.database.delete_range(self.name, segment_prefix(self._expired_end), segment_prefix(end))
            self._expired_end = end

    def clear(self) -> None:
        """Delete rows and position: before a rebuild."""
        self.database.clear(self.name)
        self._clear_object()
        self.used.clear()
        self.is_cleared = True
        self._applied = None

    def put_away(self) -> None:
        """Forget what was applied and not written: somebody else writes from now on, or reads it again."""
        self._applied = None

    def stamped(self, position: StorePosition, stream_time: int, sequence: int) -> StorePosition:
        """Return a position with what a store notes beside it."""
        return replace(
            position,
            written_ms=self._now_ms(),
            stream_time=stream_time,
            mark=self.spec.mark,
            sequence=sequence,
        )


def _nothing() -> None:
    """There is no object."""
