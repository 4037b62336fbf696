"""How far a store is, by the topics that it is made of: what a later question may ask to have been reached."""

from collections.abc import Iterator, Mapping
from typing import Any

from headrace.base.ids import TopicPartition

__all__ = ["Position"]


class Position:
    """Next offsets by topic and partition, of inputs and of changelogs. A value; `|` gives the later of two.

    >>> Position({("orders", 0): 5}) | Position({("orders", 0): 7, ("orders", 1): 2})
    Position({('orders', 0): 7, ('orders', 1): 2})

    Who has written record 17 of partition 0 itself asks for `Position({("orders", 0): 18})`, of a store whose task
    reads that topic itself: one behind a repartition cannot tell.

    Raises:
        TypeError: an offset or a partition is no whole number.
    """

    __slots__ = ("_offsets",)

    def __init__(self, offsets: Mapping[Any, int] | None = None) -> None:
        found: dict[TopicPartition, int] = {}
        for place, offset in (offsets or {}).items():
            topic, partition = place
            if type(offset) is not int or type(partition) is not int or not isinstance(topic, str):
                raise TypeError(
                    f"a position is made of {{(topic, partition): next offset}}, found {place!r}: {offset!r}"
                )
            found[TopicPartition(topic, partition)] = offset
        self._offsets: Mapping[TopicPartition, int] = found

    def items(self) -> Iterator[tuple[TopicPartition, int]]:
        """Yield (topic and partition, next offset), sorted."""
        yield from sorted(self._offsets.items())

    def __or__(self, other: "Position") -> "Position":
        found = dict(self._offsets)
        for place, offset in other._offsets.items():
            found[place] = max(offset, found.get(place, offset))
        return Position(found)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Position) and self._offsets == other._offsets

    def __hash__(self) -> int:
        return hash(tuple(self.items()))

    def __repr__(self) -> str:
        return f"Position({{{', '.join(f'{tuple(place)!r}: {offset}' for place, offset in self.items())}}})"
