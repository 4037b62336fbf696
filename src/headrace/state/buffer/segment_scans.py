"""Scans a segmented store's rows in the database, where each segment's lie together."""

from collections.abc import Iterator
from itertools import chain

from headrace.state.buffer.segment_layout import SEGMENT_BYTES, SegmentLayout, segment_prefix
from headrace.state.port import Family

__all__ = ["SegmentScans"]


class SegmentScans:
    """Rows with first <= time <= last: row keys and rows. A scan is opened at the call, and is of that moment."""

    __slots__ = ("_family", "_interval_ms", "_layout")

    def __init__(self, family: Family, layout: SegmentLayout, interval_ms: int) -> None:
        self._family = family
        self._layout = layout
        self._interval_ms = interval_ms

    def of_key(self, key: bytes, first: int, last: int, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        """Rows of one key, by slot. No more than four segments live at a time, so no more scans are opened."""
        interval = self._interval_ms
        segments = range(first - first % interval, last + 1, interval)
        suffix, rest_max = self._layout.suffix, self._layout.rest_max
        scans = []
        for segment in reversed(segments) if reverse else segments:
            prefix = segment_prefix(segment) + key
            low, high = max(first, segment), min(last, segment + interval - 1)
            lowest, highest = suffix.pack(low, 0), suffix.pack(high, rest_max)
            scans.append(self._family.scan(prefix + lowest, prefix + highest + b"\x00", reverse=reverse))
        # A longer key that begins with this one may have rows between its rows.
        length = SEGMENT_BYTES + len(key) + suffix.size
        return (pair for pair in chain.from_iterable(scans) if len(pair[0]) == length)

    def of_all(self, first: int, last: int, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        """Rows of all keys, by segment, key and slot."""
        interval = self._interval_ms
        segments = range(first - first % interval, last + 1, interval)
        # A scan for each: what lies between two segments are no cells (`time_ordered`).
        scans = [
            self._family.scan(segment_prefix(segment), segment_prefix(segment + 1), reverse=reverse)
            for segment in (reversed(segments) if reverse else segments)
        ]
        time = self._layout.time
        return (pair for pair in chain.from_iterable(scans) if first <= time(pair[0]) <= last)
