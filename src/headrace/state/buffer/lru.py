"""A key-value store that keeps the rows which were used last, in memory. Source: `MemoryLRUCache`."""

from collections import OrderedDict
from typing import Any

from headrace.base.columns import Chunk, Columns
from headrace.base.errors import StateError
from headrace.base.records import NO_HEADERS, Headers
from headrace.state.buffer.key_value import KeyValueBuffer
from headrace.state.changelog_rows import KeyValueRows
from headrace.state.in_place import InPlace
from headrace.state.port import ChangelogAdmission, Database, Rows
from headrace.state.spec import StoreSpec
from headrace.state.values import ValueCodec

__all__ = ["LruBuffer", "LruRows"]


class LruBuffer(KeyValueBuffer):
    """The uncommitted rows of a store with a bound. A row that has to go is logged as deleted, before the one put.

    Gets and puts of its own thread are uses; ranges, and reads of other threads, are none. After an abort, what had
    left since the last commit is there again, as what was used the longest ago; after a restart, rows are in the order
    of their change records.
    """

    __slots__ = ("_gone", "_rows_max", "_used")

    def __init__(
        self,
        spec: StoreSpec,
        database: Database,
        log: Columns | None,
        codec: ValueCodec,
        admission: ChangelogAdmission | None = None,
        *,
        used: OrderedDict[bytes, None],
    ) -> None:
        """`used` is the order of the rows that were restored; it goes on in it, for whoever has the rows next."""
        if spec.rows_max is None:
            raise StateError(f"store {spec.name!r} has no bound")
        super().__init__(spec, database, log, codec, admission)
        self._rows_max = spec.rows_max
        #: Keys, the one that was used the longest ago first.
        self._used = used
        #: Keys that have left since the last commit, in the order in which they did.
        self._gone: dict[bytes, None] = {}

    def in_place(self) -> InPlace | None:
        """A look at a row is a use of it: None."""
        return None

    def get(self, key: bytes) -> tuple[Any, int] | None:
        """Value and timestamp of a key, which is used by that."""
        self._use(key)
        return super().get(key)

    def get_encoded(self, key: bytes) -> tuple[bytes, int] | None:
        """The bytes of a value and its timestamp; a use."""
        self._use(key)
        return super().get_encoded(key)

    def _use(self, key: bytes) -> None:
        if key in self._used:
            self._used.move_to_end(key)

    def put_encoded(
        self, key: bytes, value: Any, raw: bytes | None, timestamp: int, logged: Headers = NO_HEADERS
    ) -> None:
        """Put a row, and let those go that are too many; see `KeyValueBuffer.put_encoded`."""
        recent = self._used
        if raw is None:
            super().put_encoded(key, None, None, timestamp, logged)
            if key in recent:
                self._leave(key)
            return
        if key not in recent and len(recent) >= self._rows_max:
            if self._admit is not None:
                self._admit(key, raw, timestamp)  # nothing leaves for a row that is refused
            while len(recent) >= self._rows_max:
                eldest = next(iter(recent))
                super().put_encoded(eldest, None, None, timestamp)
                self._leave(eldest)
        super().put_encoded(key, value, raw, timestamp, logged)
        recent[key] = None
        recent.move_to_end(key)

    def _leave(self, key: bytes) -> None:
        del self._used[key]
        self._gone[key] = None

    def committed(self) -> None:
        """Drop what waited: the database has it."""
        super().committed()
        self._gone.clear()

    def forget(self) -> None:
        """Drop what waits, and find the rows of the last commit again."""
        super().forget()
        there = {key for key, _ in self._family.scan(None, None)}
        known = [key for key in (*self._gone, *self._used) if key in there]
        self._gone.clear()
        self._used.clear()
        # A key that came back after it had left counts where it was used last.
        for key in known:
            self._used[key] = None
            self._used.move_to_end(key)


class LruRows(KeyValueRows):
    """Restores such a store, in the order of the last record of each key, which it notes in `used`."""

    __slots__ = ("_used",)

    def __init__(self, spec: StoreSpec, used: OrderedDict[bytes, None]) -> None:
        super().__init__(spec)
        self._used = used

    def apply(self, chunk: Chunk) -> None:
        """Add a chunk's records; see `KeyValueRows.apply`."""
        super().apply(chunk)
        rows = self._rows
        for key in chunk.keys:
            if key is not None:
                rows[key] = rows.pop(key)

    def take(self) -> Rows:
        """Hand over what was gathered, and begin again."""
        rows = super().take()
        for key, row in rows.items():
            self._used.pop(key, None)
            if row is not None:
                self._used[key] = None
        return rows
