"""The keys of a dictionary in byte order, sorted only when somebody asks."""

from bisect import bisect_left

__all__ = ["KeyOrder"]


class KeyOrder:
    """Keys in order. Adding costs an append; asking sorts what was added since, in one nearly linear pass.

    A key may be removed behind its back and be added again: whoever asks looks keys up, and skips repeats.
    """

    __slots__ = ("_fresh", "_sorted", "add")

    def __init__(self) -> None:
        self._sorted: list[bytes] = []
        self._fresh: list[bytes] = []
        #: Note a key that was not there.
        self.add = self._fresh.append

    def between(self, start: bytes | None, end: bytes | None) -> list[bytes]:
        """Keys with start <= key < end, ascending, as a list of the caller's own. None is open."""
        keys = self._sorted
        if self._fresh:
            # Timsort finds the two runs, so that a put before each range costs a merge and not a sort.
            self._fresh.sort()
            keys.extend(self._fresh)
            keys.sort()
            self._fresh.clear()
        first = 0 if start is None else bisect_left(keys, start)
        last = len(keys) if end is None else bisect_left(keys, end)
        return keys[first:last]

    def clear(self) -> None:
        """Forget all keys."""
        self._sorted.clear()
        self._fresh.clear()
