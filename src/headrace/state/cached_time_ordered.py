"""A time-ordered store with a record cache over its buffer. Source: `TimeOrderedCachingWindowStore`."""

from collections.abc import Iterator
from typing import Any

from headrace.processor.context import TaskContext
from headrace.state.buffer.segment_layout import SegmentLayout
from headrace.state.buffer.segmented import Overlay
from headrace.state.buffer.time_ordered import TimeOrderedBuffer
from headrace.state.cache import CacheBudget
from headrace.state.cached_segmented import CachedSegmented
from headrace.state.values import ValueCodec

__all__ = ["CachedTimeOrdered"]


class CachedTimeOrdered(CachedSegmented):
    """A `TimeOrderedState` that logs the last update of each cell."""

    __slots__ = ("_by_time",)

    def __init__(
        self,
        below: TimeOrderedBuffer,
        layout: SegmentLayout,
        codec: ValueCodec,
        context: TaskContext,
        budget: CacheBudget,
    ) -> None:
        super().__init__(below, layout, codec, context, budget)
        self._by_time = below.view_by_time

    def by_time(
        self, from_ms: int, to_ms: int, *, expired: bool = False
    ) -> Iterator[tuple[bytes, int, Any, int]]:
        """Cells with from <= time <= to, by slot and key. Of those in the cache, expired ones too, as in Kafka Streams.

        Costs a look at each entry of the cache.
        """
        bits = self._rest_bits
        lowest, highest = from_ms << bits, (to_ms + 1 << bits) - 1
        over: Overlay = {}
        for entry in self._entries.values():
            key, slot = entry.key
            if lowest <= slot <= highest:
                over.setdefault(key, {})[slot] = self._over(entry)
        return self._by_time(from_ms, to_ms, over, self.observed_stream_time, expired=expired)
