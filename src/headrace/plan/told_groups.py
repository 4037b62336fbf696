"""Which topics belong together, in the order in which Kafka Streams tells it: that of Java's hash sets. Pure.

A broker lets nobody with another topology into a streams group, and compares lists by their order. So members of both
kinds can live in one group only where ours is theirs, with what is accidental in it.

Sources: InternalTopologyBuilder.copartitionGroups of Kafka 4.4, HashMap and String of Java; what it tells was compared.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

__all__ = ["java_hash", "told_groups"]

_T = TypeVar("_T")
_CAPACITY_MIN = 16
_LOAD = 0.75


def told_groups(
    sources: Sequence[Iterable[str]], topics_of: Callable[[str], Sequence[str]]
) -> tuple[tuple[str, ...], ...]:
    """Return groups of topics. `sources` are the sources that meet, by their names; `topics_of` tells their topics.

    As there, a set joins the first one that it shares a topic with, so that groups may overlap; and a source that is
    not there any more, since another one reads its topic, has none.
    """
    group_of: dict[str, dict[str, None]] = {}
    for names in sources:
        found = dict.fromkeys(topic for name in _in_order(sorted(names)) for topic in topics_of(name))
        topics = _in_order(list(found))
        group = next((group_of[topic] for topic in topics if topic in group_of), {})
        group.update(dict.fromkeys(topics))
        group_of.update(dict.fromkeys(topics, group))
    groups = {frozenset(group): tuple(_in_order(list(group))) for group in group_of.values()}
    capacity = _power_of_two(int(len(group_of) / _LOAD) + 1)

    def hash_of(group: tuple[str, ...]) -> int:
        return sum(map(java_hash, group))

    return tuple(_by_bucket(list(groups.values()), hash_of, capacity))


def java_hash(text: str) -> int:
    """Return `String.hashCode`, without its sign."""
    units = text.encode("utf-16-be", "surrogatepass")
    found = 0
    for high, low in zip(units[::2], units[1::2]):
        found = 31 * found + (high << 8 | low) & 0xFFFFFFFF
    return found


def _in_order(names: list[str]) -> list[str]:
    """Put names, in the order in which they were added, into that of a set that has grown with them."""
    return _by_bucket(names, java_hash, _power_of_two(-int(-len(names) // _LOAD)))


def _by_bucket(items: list[_T], hash_of: Callable[[_T], int], capacity: int) -> list[_T]:
    def bucket(item: _T) -> int:
        found = hash_of(item) & 0xFFFFFFFF
        return (found ^ found >> 16) & (capacity - 1)

    return sorted(items, key=bucket)


def _power_of_two(least: int) -> int:
    return max(_CAPACITY_MIN, 1 << max(0, least - 1).bit_length())
