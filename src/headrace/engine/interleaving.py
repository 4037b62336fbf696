"""Runs the records of several inputs of one task as one sequence, in the order of their timestamps.

A join of streams takes a record from here and one from there: a stretch of one input alone is then one record long, and
what a stretch costs by itself was half of the time.
"""

from collections.abc import Callable, Mapping, Sequence

from headrace.base.records import NO_HEADERS
from headrace.engine.failures import Failures
from headrace.engine.punctuation import NEVER
from headrace.engine.queue import DecodedRecords, RecordQueue, Undecodable
from headrace.processor.context import TaskContext
from headrace.topology.wiring import Forward

__all__ = ["Interleaving", "ends_soon"]

#: A stretch of one input costs about as much by itself as this many records.
_FEW = 8


class _Lane:
    """One input: its queue, and where the records of its decoded batch go."""

    __slots__ = ("batch", "forward", "head", "is_empty", "queue")

    def __init__(self, queue: RecordQueue, batch: DecodedRecords, forward: Forward) -> None:
        self.queue = queue
        self.forward = forward
        self.batch = batch
        self.head = batch.timestamps[batch.cursor]
        self.is_empty = False

    def move(self) -> None:
        """Take notice of where the batch's cursor has moved, and decode more where that is its end."""
        batch = self.batch
        if batch.cursor == len(batch.keys):
            following = self.queue.batch()
            if following is None:
                self.is_empty = True
                return
            batch = self.batch = following
        self.head = batch.timestamps[batch.cursor]


class Interleaving:
    """Runs the inputs of one task.

    `take_undecodable` is given queue and marker of a record that could not be read.
    """

    __slots__ = ("_context", "_failures", "_sources", "_take_undecodable")

    def __init__(
        self,
        context: TaskContext,
        failures: Failures,
        sources: Mapping[str, Forward],
        take_undecodable: Callable[[RecordQueue, Undecodable], None],
    ) -> None:
        self._context = context
        self._failures = failures
        self._sources = sources
        self._take_undecodable = take_undecodable

    def run(self, order: list[RecordQueue], records_max: int, until: int, due: int) -> int:
        """Process records as long as every queue has some; return how many were taken, 0 if one has none at first.

        `order` has the queues, least recently run first, and is kept so. Which record comes next, and behind which one
        it ends, is as in stretches of one input: see `Task.run_stretch`. Stream time interrupts at `due`.
        """
        lanes = _lanes(order, self._sources)
        context = self._context
        context.kept = None
        context.interrupted = False
        taken = 0
        try:
            while lanes and taken < records_max:
                lane, limit = _next_of(lanes)
                if taken and lane.head > until:
                    break
                taken += self._run(lane, min(limit, until + 1), records_max - taken, due)
                if lane.is_empty or context.stream_time >= due or context.interrupted:
                    break
        finally:
            if lanes:
                order[:] = [each.queue for each in lanes]
            context.topic, context.offset, context.chunk = None, -1, None
        self._failures.ensure_none()
        return taken

    def _run(self, lane: _Lane, limit: int, records_max: int, due: int) -> int:
        """Process one record, and those behind it whose timestamps are below the limit."""
        context, queue, batch, forward = self._context, lane.queue, lane.batch, lane.forward
        context.topic, context.partition = queue.partition
        context.chunk = batch.chunk
        keys, values, timestamps, headers = batch.keys, batch.values, batch.timestamps, batch.headers
        offsets, first, has_markers = batch.chunk.offsets, batch.first, batch.has_markers
        index = batch.cursor
        end = min(len(keys), index + records_max)
        start, timestamp = index, lane.head
        try:
            while True:
                value = values[index]
                context.offset = offsets[first + index]
                # The cursor moves before the record runs, as in a stretch of one input.
                batch.cursor = index + 1
                if has_markers and type(value) is Undecodable:
                    self._take_undecodable(queue, value)
                else:
                    if timestamp > queue.partition_time:
                        queue.partition_time = timestamp
                        context.stream_time = max(context.stream_time, timestamp)
                    forward(keys[index], value, timestamp, NO_HEADERS if headers is None else headers[index])
                index += 1
                if index >= end or context.stream_time >= due or context.interrupted:
                    break
                timestamp = timestamps[index]
                if timestamp >= limit:
                    break
        except BaseException as error:
            self._failures.ensure_told(error, queue.source.name, queue.source.where)
            raise
        lane.move()
        return index - start


def ends_soon(batch: DecodedRecords, limit: int) -> bool:
    """Whether a stretch of this input alone, up to a time, would have few records: then interleaving is worth it."""
    behind = batch.cursor + _FEW
    return behind < len(batch.keys) and batch.timestamps[behind] >= limit


def _lanes(order: Sequence[RecordQueue], sources: Mapping[str, Forward]) -> list[_Lane]:
    """Return the inputs, none if one of them has nothing waiting."""
    lanes = []
    for queue in order:
        batch = queue.batch()
        if batch is None:
            return []
        lanes.append(_Lane(queue, batch, sources[queue.source.name]))
    return lanes


def _next_of(lanes: list[_Lane]) -> tuple[_Lane, int]:
    """Take the lane whose head is oldest, of equal ones the first, to the end; return it, and the next one's head."""
    lowest, limit = lanes[0], NEVER
    for lane in lanes[1:]:
        if lane.head < lowest.head:
            lowest, limit = lane, lowest.head
        elif lane.head < limit:
            limit = lane.head
    lanes.remove(lowest)
    lanes.append(lowest)
    return lowest, limit
