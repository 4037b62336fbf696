"""Reads records of a topic and prints them; the work of `headrace topics read`."""

import sys
from collections.abc import Mapping, Sequence

from headrace.base.columns import Chunk
from headrace.base.ids import TopicPartition
from headrace.cli.lines import write_chunk
from headrace.cli.read_start import ReadStart
from headrace.log.port import Log
from headrace.query.formats import Format

__all__ = ["read_topic"]

_POLL_MS = 200


def read_topic(
    log: Log,
    partitions: Sequence[TopicPartition],
    first: ReadStart,
    formats: tuple[Format, Format],
    *,
    follow: bool,
    limit: int | None,
) -> None:
    """Print records from `first` on, up to where the partitions end now, or for ever."""
    begin, end = log.beginning_offsets(partitions), log.end_offsets(partitions)
    reader = log.reader()
    try:
        reader.assign({each: _start(first, begin[each], end[each]) for each in partitions})
        cursor = _Cursor(first, end, follow=follow, left=limit)
        out = sys.stdout.buffer
        while not cursor.is_done and (
            follow or any(reader.position(each) < end[each] for each in partitions)
        ):
            for chunk in reader.poll(_POLL_MS):
                span = cursor.take(chunk)
                if span:
                    out.write(write_chunk(chunk, span.start, len(span), *formats))
            if follow:
                out.flush()
    finally:
        reader.close()


def _start(first: ReadStart, begin: int, end: int) -> int:
    if first.at_end:
        return end
    # An offset of one partition may lie outside of another: the nearest that is there.
    return begin if first.offset is None else min(max(first.offset, begin), end)


class _Cursor:
    """Decides which records of a chunk are shown."""

    def __init__(
        self, first: ReadStart, end: Mapping[TopicPartition, int], *, follow: bool, left: int | None
    ) -> None:
        self._timestamp = first.timestamp
        self._end = end
        self._follow = follow
        self._left = left
        self._begun: set[int] = set()

    @property
    def is_done(self) -> bool:
        return self._left == 0

    def take(self, chunk: Chunk) -> range:
        start, stop = 0, len(chunk)
        if self._timestamp is not None and chunk.partition not in self._begun:
            wanted = self._timestamp
            start = next((index for index, found in enumerate(chunk.timestamps) if found >= wanted), stop)
            if start < stop:
                self._begun.add(chunk.partition)
        if not self._follow:
            end = self._end[TopicPartition(chunk.topic, chunk.partition)]
            while stop > start and chunk.offsets[stop - 1] >= end:
                stop -= 1
        if self._left is not None:
            stop = min(stop, start + self._left)
            self._left -= stop - start
        return range(start, stop)
