"""Which cells a key has, for the keys that were asked for lately: spares a scan of the database for each record."""

from bisect import bisect_left
from collections.abc import Callable

__all__ = ["SlotIndex"]

#: Slots and keys together; the keys that were learnt first are forgotten. About 100 bytes each: a slot of two times
#: weighs 44, a key its own bytes, its list, and its part of the dictionary.
_SIZE_MAX = 50_000


class SlotIndex:
    """The slots of a segmented store's cells by key, ascending.

    A key is learnt by one scan, and kept up by the puts from then on. Cells that expire leave when their key is asked
    for again.

    # Invariant: a key that is here has exactly these cells, in the store or over it, but for expired ones.
    # Whoever owns the index tells it of all puts, and clears it when changes are discarded.
    """

    __slots__ = ("_scan", "_size", "_slots")

    def __init__(self, scan: Callable[[bytes], list[int]]) -> None:
        self._scan = scan
        self._size = 0
        self._slots: dict[bytes, list[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._slots)

    def since(self, key: bytes, first: int, oldest: int) -> list[int]:
        """Slots of a key from `first` on. Those before `oldest` have expired."""
        slots = self._slots.get(key)
        if slots is None:
            slots = self._learn(key)
        if slots and slots[0] < oldest:
            expired = bisect_left(slots, oldest)
            del slots[:expired]
            self._size -= expired
        return slots[bisect_left(slots, first) :]

    def put(self, key: bytes, slot: int, *, is_there: bool) -> bool:
        """Take notice that a cell was set or deleted. Says whether it is known that it was not there before."""
        slots = self._slots.get(key)
        if slots is None:
            return False
        at = bisect_left(slots, slot)
        was_there = at < len(slots) and slots[at] == slot
        if is_there and not was_there:
            slots.insert(at, slot)
            self._size += 1
            self._trim()
        elif was_there and not is_there:
            del slots[at]
            self._size -= 1
        return not was_there

    def forget(self, key: bytes) -> None:
        """Learn a key anew when it is asked for again."""
        slots = self._slots.pop(key, None)
        if slots is not None:
            self._size -= 1 + len(slots)

    def clear(self) -> None:
        """Forget all."""
        self._slots.clear()
        self._size = 0

    def _learn(self, key: bytes) -> list[int]:
        slots = self._slots[key] = self._scan(key)
        self._size += 1 + len(slots)
        self._trim()
        return slots

    def _trim(self) -> None:
        while self._size > _SIZE_MAX:
            self.forget(next(iter(self._slots)))
