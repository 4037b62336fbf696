"""Keys by the times of their rows, of rows that no database has yet: which of them have expired."""

from collections.abc import Callable
from heapq import heappop, heappush

__all__ = ["NEVER", "ExpiryQueue"]

#: Later than any row.
NEVER = 2**63 - 1


class ExpiryQueue:
    """One entry a key, however often it is put: one that is due too early goes back with the row's own time."""

    __slots__ = ("_entries", "_times")

    def __init__(self) -> None:
        self._entries: list[tuple[int, bytes]] = []
        self._times: dict[bytes, int] = {}

    def add(self, key: bytes, time: int) -> None:
        """Note that a key has a row of a time (epoch ms)."""
        known = self._times.get(key)
        if known is None or time < known:
            self._times[key] = time
            heappush(self._entries, (time, key))

    @property
    def oldest(self) -> int:
        """No row is older; `NEVER` where there is none."""
        return self._entries[0][0] if self._entries else NEVER

    def take(self, until: int, time_of: Callable[[bytes], int | None], most: int) -> list[tuple[int, bytes]]:
        """Take out times and keys of rows with times up to `until`, not more than `most`.

        `time_of` tells the time of a key's row as it is now; None where there is none here any more.
        """
        due: list[tuple[int, bytes]] = []
        entries = self._entries
        while entries and entries[0][0] <= until and len(due) < most:
            time, key = heappop(entries)
            if self._times.get(key) != time:
                continue  # another entry stands for the key
            del self._times[key]
            now = time_of(key)
            if now is None:
                continue
            if now > until:
                self.add(key, now)
            else:
                due.append((now, key))
        return due

    def clear(self) -> None:
        """Forget all keys."""
        self._entries.clear()
        self._times.clear()
