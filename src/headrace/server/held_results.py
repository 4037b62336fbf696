"""Results that wait in a store for their windows to close, counted when somebody asks.

Nothing is counted on the record path. A look reads the rows that may not have left, for a while at most, and what it
found is told again for twenty times as long as it took: whoever asks all the time costs a twentieth of a core.
"""

import time
from dataclasses import dataclass
from typing import cast

from headrace.base.errors import StoreUnavailableError
from headrace.processor.window_clock import HeldInStore
from headrace.state.buffer.layouts import layout_of
from headrace.state.port import SegmentedReads
from headrace.streams.streams import Streams

__all__ = ["NOTHING_HELD", "Held", "HeldResults"]

_LOOK_SECONDS = 0.1
_ROWS_BETWEEN_LOOKS = 256  # at the clock: some 0.2 ms of reading
_TOLD_AGAIN_SECONDS_MIN = 1.0
_TOLD_AGAIN_FACTOR = 20


@dataclass(frozen=True, slots=True)
class Held:
    """Results that are held back.

    Attributes:
        first_leaves_at: the stream time (epoch ms) at which the first of them leaves; None where none is held.
        is_exact: whether all were counted. Else there are at least so many, and the first may leave before.
    """

    count: int
    first_leaves_at: int | None
    is_exact: bool = True


NOTHING_HELD = Held(0, None)


class HeldResults:
    """Of one server; asked by one thread."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        #: By store and partition: what was found, and how long it is good.
        self._known: dict[tuple[str, int], tuple[Held, float]] = {}

    def of(self, partition: int, held_in: HeldInStore) -> Held:
        """Return what a store's partition holds back, as of now or as it was told before."""
        began = time.monotonic()
        known = self._known.get((held_in.store, partition))
        if known is not None and began < known[1]:
            return known[0]
        try:
            reads = self._streams.reads_here(held_in.store, partition)
            found = NOTHING_HELD if reads is None else _counted(cast("SegmentedReads", reads), held_in, began)
        except StoreUnavailableError:  # the task has just gone
            return NOTHING_HELD
        ended = time.monotonic()
        good_for = max(_TOLD_AGAIN_SECONDS_MIN, _TOLD_AGAIN_FACTOR * (ended - began))
        self._known[held_in.store, partition] = found, ended + good_for
        return found


def _counted(reads: SegmentedReads, held_in: HeldInStore, began: float) -> Held:
    bits = layout_of(reads.spec).rest_bits
    count, first_slot = 0, None
    for count, (_, slot, _, _) in enumerate(reads.range(None, held_in.from_ms, None), 1):
        if first_slot is None or slot < first_slot:
            first_slot = slot
        if count % _ROWS_BETWEEN_LOOKS == 0 and time.monotonic() - began > _LOOK_SECONDS:
            break
    else:
        return Held(count, _leaves_at(first_slot, bits, held_in))
    return Held(count, _leaves_at(first_slot, bits, held_in), is_exact=False)


def _leaves_at(slot: int | None, bits: int, held_in: HeldInStore) -> int | None:
    return None if slot is None else (slot >> bits) + held_in.leaves_after_ms
