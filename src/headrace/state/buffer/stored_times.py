"""The times of the rows in the database of a store whose rows expire: second rows, which begin with a row's time.

They are read in order, some hundreds at a time: where each record lets one row expire, opening a scan for each would
take most of the time.
"""

import struct
from collections import deque
from itertools import islice

from headrace.state.expiry_queue import NEVER
from headrace.state.port import Family

__all__ = ["FIRST_TIME", "StoredTimes", "time_key"]

#: All keys of second rows begin with this byte, and all others with a lower one.
FIRST_TIME = b"\x01"
_END = b"\x02"

_TIME_OF = struct.Struct(">cQ")

#: Some 60 KB.
_AHEAD = 500


def time_key(key: bytes, time: int) -> bytes:
    """Return the key of a row's second row."""
    # A store that a test fills may have rows without a time; they expire first.
    return _TIME_OF.pack(FIRST_TIME, max(time, 0)) + key


class StoredTimes:
    """Goes through the second rows of a store. Those that it has been given are gone with the next commit.

    Attributes:
        next_ms: none of those to come is older (epoch ms); -1 where nobody has looked.
    """

    __slots__ = ("_ahead", "_cursor", "_family", "next_ms")

    def __init__(self, family: Family) -> None:
        self._family = family
        self._ahead: deque[tuple[int, bytes]] = deque()
        self.begin()

    def begin(self) -> None:
        """Begin with the first one again."""
        self._ahead.clear()
        #: All before it are read.
        self._cursor = FIRST_TIME
        self.next_ms = -1

    def added(self, lowest: int) -> None:
        """Know that a commit has written some, from a time on."""
        first = time_key(b"", lowest)
        if first < self._cursor:
            # What was read ahead is read once more, with those that lie between.
            self._cursor = min(first, time_key(b"", self._ahead[0][0])) if self._ahead else first
            self._ahead.clear()
        self.next_ms = min(self.next_ms, lowest)

    def take(self, until: int) -> tuple[int, bytes] | None:
        """Return time and key of the next one, if its time is up to `until`."""
        if not self._ahead:
            self._read_ahead()
        if not self._ahead:
            self.next_ms = NEVER
            return None
        time, key = self._ahead[0]
        self.next_ms = time
        if time > until:
            return None
        self._ahead.popleft()
        return time, key

    def _read_ahead(self) -> None:
        last = None
        for last, _ in islice(self._family.scan(self._cursor, _END), _AHEAD):
            time: int = _TIME_OF.unpack_from(last)[1]
            self._ahead.append((time, last[_TIME_OF.size :]))
        if last is not None:
            self._cursor = last + b"\x00"
