"""Where a reader stands: positions, pauses and turns of its partitions; shared by the logs that hand over chunks."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping

from headrace.base.columns import Chunk
from headrace.base.errors import OffsetOutOfRangeError, StateError
from headrace.base.ids import TopicPartition

__all__ = ["Positions", "cut_chunk", "out_of_range"]


class Positions:
    """Assigned partitions of one reader, in the order in which they are to be looked at.

    # Invariant: a partition that was served goes behind all others, so that none waits for more than one round
    # (tests/log: "no partition starves").
    """

    def __init__(self) -> None:
        # A dictionary keeps its insertion order, which is the order of turns.
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()

    def __getitem__(self, topic_partition: TopicPartition) -> int:
        position = self._positions.get(topic_partition)
        if position is None:
            raise StateError(
                f"cannot tell the position in {topic_partition}: the partition is not assigned to this reader"
            )
        return position

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Add partitions, or move those that are here already; a pause stays."""
        self._positions.update(positions)

    def unassign(self, partitions: Iterable[TopicPartition]) -> None:
        """Forget partitions and their pauses."""
        for topic_partition in partitions:
            self._positions.pop(topic_partition, None)
            self._paused.discard(topic_partition)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Leave these out of the turns; ones that are not assigned are ignored."""
        self._paused.update(
            topic_partition for topic_partition in partitions if topic_partition in self._positions
        )

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Take these into the turns again."""
        self._paused.difference_update(partitions)

    def assigned(self) -> Collection[TopicPartition]:
        """Return all partitions, paused or not."""
        return self._positions.keys()

    def in_turn(self) -> list[TopicPartition]:
        """Return what is not paused, the one that waits longest first."""
        if not self._paused:
            return list(self._positions)
        return [topic_partition for topic_partition in self._positions if topic_partition not in self._paused]

    def move(self, topic_partition: TopicPartition, position: int) -> None:
        """Set the position of an assigned partition; its turn stays."""
        self._positions[topic_partition] = position

    def served(self, topic_partition: TopicPartition) -> None:
        """Put a partition behind all others."""
        self._positions[topic_partition] = self._positions.pop(topic_partition)


def cut_chunk(chunk: Chunk, position: int) -> Chunk | None:
    """Return what a chunk has from `position` on: the chunk itself, a part, or None."""
    offsets = chunk.offsets
    if offsets and offsets[0] >= position:
        return chunk
    first = bisect_left(offsets, position)
    if first == len(offsets):
        return None
    return Chunk(
        chunk.topic,
        chunk.partition,
        offsets[first:],
        chunk.timestamps[first:],
        chunk.keys[first:],
        chunk.values[first:],
        None if chunk.headers is None else chunk.headers[first:],
        chunk.size_bytes * (len(offsets) - first) // len(offsets),
    )


def out_of_range(
    topic_partition: TopicPartition, position: int, start: int, end: int
) -> OffsetOutOfRangeError:
    """Make the error for a position outside of [start, end]."""
    return OffsetOutOfRangeError(
        f"cannot read {topic_partition} from position {position}: the partition has {start} to {end}; "
        f"its records were deleted or never written, so assign a position in that range",
        topic=topic_partition.topic,
        partition=topic_partition.partition,
        position=position,
        first=start,
        end=end,
    )
