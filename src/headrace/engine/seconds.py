"""Notices timestamps that are seconds where milliseconds are wanted: `int(time.time())`.

They are valid times, in January of 1970: windows hold fifty days of records in one hour, and nothing is ever late.
"""

import logging

from headrace.base.ids import TopicPartition
from headrace.topology.nodes import SourceNode

__all__ = ["tell_of_seconds"]

_log = logging.getLogger("headrace.timestamps")

#: Seconds from 2001 to 2033 as milliseconds: 12 to 23 January 1970, of which no topic tells.
_SECONDS = range(1_000_000_000, 2_000_000_000)


def tell_of_seconds(timestamp: int, source: SourceNode, partition: TopicPartition) -> bool:
    """Warn of a timestamp that looks like seconds; return whether it does."""
    if timestamp not in _SECONDS:
        return False
    origin = "the record has" if source.timestamp is None else "its timestamp= gives"
    _log.warning(
        "%s (%s) reads topic '%s', partition %d, where a record's time is %d: %s seconds, it seems, and "
        "milliseconds are wanted, such as int(time.time() * 1000). Windows and retention take it for January 1970",
        source.name, source.where, partition.topic, partition.partition, timestamp, origin,
    )  # fmt: skip
    return True
