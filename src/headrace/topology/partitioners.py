"""Partitioners: functions of the user's that choose where a record goes, by its headers too where they ask for them.

Source: `StreamPartitioner`, whose form with headers is of Kafka Streams 4.4.
"""

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeAlias

from typing_extensions import TypeVar

from headrace.base.ids import Location
from headrace.base.records import Headers
from headrace.topology.arguments import accepted

__all__ = [
    "Partitioner",
    "PlainPartitioner",
    "ToldByValue",
    "WithHeaders",
    "asking",
    "placing",
    "with_headers",
]

K_contra = TypeVar("K_contra", contravariant=True)
V_contra = TypeVar("V_contra", contravariant=True)
K = TypeVar("K")
V = TypeVar("V")


class WithHeaders(Generic[K_contra, V_contra]):
    """A partitioner that takes the record's headers before the partition count. Made by `with_headers`."""

    __slots__ = ("fn",)

    def __init__(
        self, fn: Callable[[str, K_contra, V_contra, Headers, int], int | Iterable[int] | None]
    ) -> None:
        self.fn = fn


def with_headers(
    fn: Callable[[str, K, V, Headers, int], int | Iterable[int] | None],
) -> WithHeaders[K, V]:
    """Mark a partitioner that is given the record's headers too: topic, key, value, headers, partition count.

    >>> by_region = with_headers(lambda topic, key, value, headers, partitions: len(headers) % partitions)
    >>> by_region.fn("orders", "ann", 1, (("region", b"eu"),), 4)
    1
    """
    return WithHeaders(fn)


#: (topic, key, value, partition count) -> one partition, several (multicast), or None for the default partitioner.
PlainPartitioner: TypeAlias = Callable[[str, Any, Any, int], Any]


class ToldByValue:
    """Places records where their values say, as answers go to who has asked. No function of the user's is called.

    `partition` gives a value's partition, or None for the default partitioner.
    """

    __slots__ = ("partition",)

    def __init__(self, partition: Callable[[Any], int | None]) -> None:
        self.partition = partition


Partitioner: TypeAlias = PlainPartitioner | WithHeaders[Any, Any] | ToldByValue


def placing(fn: object, where: Location) -> PlainPartitioner | WithHeaders[Any, Any] | None:
    """Return a partitioner, which may be left out. A generator of partitions is one as good as a list.

    One that gives None leaves the choice to the default.

    Raises:
        TopologyError: it is none.
    """
    if fn is None:
        return None
    if isinstance(fn, WithHeaders):
        arguments = ("topic", "key", "value", "headers", "partitions")
        return WithHeaders(accepted(fn.fn, "partitioner", where, *arguments, yields=True, acts=True))
    return accepted(fn, "partitioner", where, "topic", "key", "value", "partitions", yields=True, acts=True)


def asking(partitioner: Partitioner, topic: str, count: int) -> Callable[[Any, Any, Headers], Any]:
    """Make what asks a partitioner about a record for one topic: key, value, headers."""
    if isinstance(partitioner, ToldByValue):
        partition = partitioner.partition
        return lambda key, value, headers: partition(value)
    if isinstance(partitioner, WithHeaders):
        fn = partitioner.fn
        return lambda key, value, headers: fn(topic, key, value, headers, count)
    return lambda key, value, headers: partitioner(topic, key, value, count)
