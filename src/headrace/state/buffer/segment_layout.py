"""How the cells of a segmented store stand in its rows and in its changelog: all that its kinds differ in.

A *cell* has a key, a time by which it expires, and a *rest* that tells it from others of the same key and time. On the
changelog that is the key, 8 bytes of time and the rest, big-endian. A row has 8 bytes more before it, the start of its
segment, so that a segment's rows lie together and go in one range deletion. In memory, time and rest are one integer,
the *slot*. Slots of a key are in the order of its rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct

__all__ = ["SEGMENT_BYTES", "SegmentLayout", "segment_prefix"]

SEGMENT_BYTES = 8

#: Segment start -> what precedes the changelog key in a row's key.
segment_prefix = Struct(">q").pack


@dataclass(frozen=True, slots=True, eq=False)
class SegmentLayout:
    """The layout of one kind.

    Attributes:
        noun: what a cell is called in an error.
        suffix: time and rest, as they follow the key.
        rest_bits: how many of a slot are the rest, below the time.
        is_cell: whether a cell can have this time and rest; they may be any bytes of a foreign changelog.
        is_numbered: whether the rest is a number that the store gives to each put.
    """

    noun: str
    suffix: Struct
    rest_bits: int
    is_cell: Callable[[int, int], bool]
    is_numbered: bool = False

    @property
    def rest_max(self) -> int:
        """The highest rest."""
        return (1 << self.rest_bits) - 1

    def changelog_key(self, key: bytes, slot: int) -> bytes:
        """Key of a cell's change records."""
        bits = self.rest_bits
        return key + self.suffix.pack(slot >> bits, slot & ((1 << bits) - 1))

    def row_key(self, key: bytes, slot: int, interval_ms: int) -> bytes:
        """Key of a cell's row, where segments are of this length."""
        time = slot >> self.rest_bits
        return segment_prefix(time - time % interval_ms) + self.changelog_key(key, slot)

    def split(self, row_key: bytes) -> tuple[bytes, int, int]:
        """Key, time and rest of a row."""
        at = len(row_key) - self.suffix.size
        time, rest = self.suffix.unpack_from(row_key, at)
        return row_key[SEGMENT_BYTES:at], time, rest

    def slot(self, row_key: bytes) -> int:
        """Slot of a row."""
        time, rest = self.suffix.unpack_from(row_key, len(row_key) - self.suffix.size)
        slot: int = time << self.rest_bits | rest
        return slot

    def time(self, row_key: bytes) -> int:
        """Time of a row."""
        time: int = self.suffix.unpack_from(row_key, len(row_key) - self.suffix.size)[0]
        return time
