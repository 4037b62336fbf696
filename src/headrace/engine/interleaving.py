"""Runs the records of several inputs of one task as one sequence, in the order of their timestamps.

A join of streams takes a record from here and one from there: a stretch of one input alone is then one record long, and
what a stretch costs by itself was half of the time. Here each input is a generator, which has all that it needs at hand
when its turn comes: a turn costs 0.3 µs.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from itertools import repeat

from headrace.base.records import NO_HEADERS
from headrace.engine.failures import Failures
from headrace.engine.punctuation import NEVER
from headrace.engine.queue import DecodedRecords, RecordQueue, Undecodable
from headrace.processor.context import TaskContext
from headrace.topology.wiring import Forward

__all__ = ["Interleaving", "ends_soon"]

#: A stretch of one input costs about as much by itself as this many records.
_FEW = 8

#: Below every timestamp: whose turn has such a limit ends it before the next record.
_ENDED = -NEVER

#: Takes the limit of a turn, gives the timestamp of the next record, or None where nothing waits any more.
_Turns = Generator[int | None, int, None]


class _Lane:
    """One input: its queue, the timestamp of its next record, and what gives it its turn."""

    __slots__ = ("head", "queue", "turn")

    def __init__(self, queue: RecordQueue, turns: _Turns) -> None:
        self.queue = queue
        self.turn = turns.send
        head = next(turns)
        assert head is not None, "a batch has records"
        self.head = head


class Interleaving:
    """Runs the inputs of one task.

    `take_undecodable` is given queue and marker of a record that could not be read.
    """

    __slots__ = ("_context", "_failures", "_left", "_sources", "_take_undecodable")

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
        self._left = 0

    def run(self, order: list[RecordQueue], records_max: int, until: int, due: int) -> int:
        """Process records as long as every queue has some; return how many were taken, 0 if one has none at first.

        `order` has the queues, least recently run first, and is kept so. Which record comes next, and behind which one
        it ends, is as in stretches of one input: see `Task.run_stretch`. Stream time interrupts at `due`.
        """
        context = self._context
        context.kept = None
        context.interrupted = False
        self._left = records_max
        lanes = self._lanes(order, due)
        try:
            while lanes and self._left:
                lane, limit = _next_of(lanes)
                if lane.head > until and self._left < records_max:
                    break
                head = lane.turn(min(limit, until + 1))
                if head is None or context.interrupted or context.stream_time >= due:
                    break
                lane.head = head
        except BaseException as error:
            source = lanes[-1].queue.source
            self._failures.ensure_told(error, source.name, source.where)
            raise
        finally:
            if lanes:
                order[:] = [each.queue for each in lanes]
            context.topic, context.offset, context.chunk = None, -1, None
        self._failures.ensure_none()
        return records_max - self._left

    def _lanes(self, order: Sequence[RecordQueue], due: int) -> list[_Lane]:
        """Return the inputs, none if one of them has nothing waiting."""
        lanes = []
        for queue in order:
            batch = queue.batch()
            if batch is None:
                return []
            lanes.append(_Lane(queue, self._turns(queue, batch, due)))
        return lanes

    def _turns(self, queue: RecordQueue, batch: DecodedRecords, due: int) -> _Turns:
        """Process one record a turn, and those behind it whose timestamps are below the limit."""
        context, take_undecodable = self._context, self._take_undecodable
        forward = self._sources[queue.source.name]
        topic, partition = queue.partition
        following: DecodedRecords | None = batch
        limit, left = _ENDED, self._left
        while following is not None:
            batch, index = following, following.cursor
            has_markers, first, end = batch.has_markers, batch.first, len(batch.keys)
            for key, value, timestamp, headers, offset in zip(
                batch.keys[index:],
                batch.values[index:],
                batch.timestamps[index:],
                repeat(NO_HEADERS) if batch.headers is None else batch.headers[index:],
                batch.chunk.offsets[first + index : first + end],
            ):
                if timestamp >= limit or not left:
                    self._left = left
                    limit = yield timestamp
                    left = self._left
                    context.topic, context.partition, context.chunk = topic, partition, batch.chunk
                # The cursor moves before the record runs, as in a stretch of one input.
                index += 1
                left -= 1
                batch.cursor, context.offset = index, offset
                if has_markers and type(value) is Undecodable:
                    take_undecodable(queue, value)
                else:
                    if timestamp > queue.partition_time:
                        queue.partition_time = timestamp
                        if timestamp > context.stream_time:  # noqa: PLR1730 - a call of max() costs 0.06 µs more
                            context.stream_time = timestamp
                    forward(key, value, timestamp, headers)
                if context.interrupted or context.stream_time >= due:
                    limit = _ENDED
            limit = _ENDED
            following = queue.batch()
        self._left = left
        yield None


def ends_soon(batch: DecodedRecords, limit: int) -> bool:
    """Whether a stretch of this input alone, up to a time, would have few records: then interleaving is worth it."""
    behind = batch.cursor + _FEW
    return behind < len(batch.keys) and batch.timestamps[behind] >= limit


def _next_of(lanes: list[_Lane]) -> tuple[_Lane, int]:
    """Take the lane whose head is oldest, of equal ones the first, to the end; return it, and the next one's head."""
    if len(lanes) == 2:  # a join's, in a third of the time
        one, two = lanes
        if two.head < one.head:
            return two, one.head
        lanes.reverse()
        return one, two.head
    lowest, limit = lanes[0], NEVER
    for lane in lanes[1:]:
        if lane.head < lowest.head:
            lowest, limit = lane, lowest.head
        elif lane.head < limit:
            limit = lane.head
    lanes.remove(lowest)
    lanes.append(lowest)
    return lowest, limit
