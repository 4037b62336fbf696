"""Which cells a key has, for the keys that were asked for lately: spares a scan of the database for each record."""

from bisect import bisect_left
from collections.abc import Callable

__all__ = ["SlotIndex"]

#: Slots and keys together; the keys that were learnt first are forgotten. About 100 bytes each: a slot of two times
#: weighs 44, a key its own bytes, its list, and its part of the dictionary.
_SIZE_MAX = 50_000

#: Of one key, so many slots before those that are asked for are kept at least, and twice as many at most: records out
#: of order ask for them. The rest is of no use: a session of last week gets no record any more.
_KEPT_BEHIND = 32


class _Known:
    """The cells of a key with `since` <= slot."""

    __slots__ = ("since", "slots")

    def __init__(self, since: int, slots: list[int]) -> None:
        self.since = since
        self.slots = slots


class SlotIndex:
    """The slots of a segmented store's cells by key, ascending, from about where they were last asked for.

    `scan` gives all slots of a key from one on. A key is learnt by such a scan, and kept up by the puts from then on.
    Cells that expire leave when their key is asked for again.

    # Invariant: a key that is here has exactly these cells from its `since` on, in the store or over it, but for
    # expired ones. Whoever owns the index tells it of all puts, and clears it when changes are discarded.
    """

    __slots__ = ("_known", "_scan", "_size")

    def __init__(self, scan: Callable[[bytes, int], list[int]]) -> None:
        self._scan = scan
        self._size = 0
        self._known: dict[bytes, _Known] = {}

    def __bool__(self) -> bool:
        return bool(self._known)

    def since(self, key: bytes, first: int, oldest: int) -> list[int]:
        """Slots of a key from `first` on. Those before `oldest` have expired."""
        known = self._known.get(key)
        if known is None:
            known = self._learn(key, first)
        elif first < known.since:
            # Who asks further and further back is not to make a scan for each step.
            self.forget(key)
            known = self._learn(key, 0)
        slots = known.slots
        if slots and slots[0] < oldest:
            self._drop(slots, bisect_left(slots, oldest))
        at = bisect_left(slots, first)
        if at > 2 * _KEPT_BEHIND:
            self._drop(slots, at - _KEPT_BEHIND)
            known.since = slots[0]
            at = _KEPT_BEHIND
        return slots[at:]

    def put(self, key: bytes, slot: int, *, is_there: bool) -> bool:
        """Take notice that a cell was set or deleted. Says whether it is known that it was not there before."""
        known = self._known.get(key)
        if known is None or slot < known.since:
            return False
        slots = known.slots
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
        known = self._known.pop(key, None)
        if known is not None:
            self._size -= 1 + len(known.slots)

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
        self._size = 0

    def _learn(self, key: bytes, first: int) -> _Known:
        known = self._known[key] = _Known(first, self._scan(key, first))
        self._size += 1 + len(known.slots)
        self._trim()
        return known

    def _drop(self, slots: list[int], count: int) -> None:
        del slots[:count]
        self._size -= count

    def _trim(self) -> None:
        while self._size > _SIZE_MAX:
            self.forget(next(iter(self._known)))
