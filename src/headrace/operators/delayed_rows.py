"""The records that wait for late versions, in the order of time: rows of a store, of which the next ones are known.

They are read some hundreds at a time. Each record may let one go that has waited: to open a scan for each would take
most of the time, and one from the beginning goes through all that has gone before, which leaves marks in RocksDB.
"""

from bisect import insort
from collections.abc import Callable, Iterator
from itertools import islice
from struct import Struct
from typing import Any

from headrace.processor.parts import TIMESTAMP_MAX
from headrace.state.buffer.row import ENCODED

__all__ = ["DelayedRows"]

_pack_time = Struct(">bq").pack

_AHEAD = 500

#: Later than any record.
_NEVER = 2**63 - 1


class DelayedRows:
    """Rows whose keys begin with 0 and 8 bytes of time. Belongs to the task that reads them.

    # Invariant: `_ahead` has all rows below `_known_to`, in order; all rows there are, where that is None.

    Attributes:
        oldest: no row is of an earlier time (epoch ms).
    """

    __slots__ = ("_ahead", "_known_to", "_now_ms", "_state", "oldest")

    def __init__(self, state: Any, now_ms: Callable[[], int]) -> None:
        self._state = state
        self._now_ms = now_ms
        self.oldest = 0
        self._ahead: list[tuple[bytes, bytes]] = []
        self._known_to: bytes | None = b""

    def begin(self) -> Iterator[bytes]:
        """Begin with what the store has now; returns the keys of all rows."""
        self.oldest, self._known_to = 0, b""
        self._ahead.clear()
        return (row_key for row_key, _, _ in self._state.range(None, None))

    def put(self, row_key: bytes, raw: bytes, timestamp: int) -> None:
        """Add a row of a time."""
        self._state.put_encoded(row_key, ENCODED, raw, self._now_ms())
        self.oldest = min(self.oldest, timestamp)
        if self._known_to is None or row_key < self._known_to:
            insort(self._ahead, (row_key, raw))
            if len(self._ahead) > 2 * _AHEAD:
                self._known_to = self._ahead[_AHEAD][0]
                del self._ahead[_AHEAD:]

    def taken(self, before: int) -> Iterator[tuple[bytes, bytes]]:
        """Rows of times before this one, in order. Each is deleted when the next one is asked for."""
        end = None if before > TIMESTAMP_MAX else _pack_time(0, max(before, 0))
        while (row := self._first(end)) is not None:
            yield row
            self._state.put_encoded(row[0], None, None, self._now_ms())
        self.oldest = int.from_bytes(self._ahead[0][0][1:9], "big") if self._ahead else _NEVER

    def _first(self, end: bytes | None) -> tuple[bytes, bytes] | None:
        """Take the first row out of those that are known, if it lies before `end`."""
        if not self._ahead and self._known_to is not None:
            rows = self._state.view(self._known_to or None, None, {}, reverse=False)
            self._ahead = [(row_key, raw) for row_key, raw, _ in islice(rows, _AHEAD)]
            self._known_to = self._ahead[-1][0] + b"\x00" if len(self._ahead) == _AHEAD else None
        if not self._ahead or (end is not None and self._ahead[0][0] >= end):
            return None
        return self._ahead.pop(0)
