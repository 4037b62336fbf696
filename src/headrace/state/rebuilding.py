"""How a restore begins: whether a store on disk can be caught up from its changelog, or has to be built anew."""

import sys
from collections.abc import Mapping

from headrace.state.port import StorePosition

__all__ = ["must_rebuild", "tombstones_live_ms"]

#: Kafka's default of a topic's `delete.retention.ms`.
_TOMBSTONES_LIVE_MS = 24 * 60 * 60 * 1000


def tombstones_live_ms(config: Mapping[str, str]) -> int:
    """Return how long tombstones stay in a topic of this configuration: for ever, where none is compacted."""
    if "compact" not in config.get("cleanup.policy", "delete"):
        return sys.maxsize
    return int(config.get("delete.retention.ms", _TOMBSTONES_LIVE_MS))


def must_rebuild(
    position: StorePosition | None,
    *,
    topic_id: str,
    mark: str,
    begin: int,
    end: int,
    now_ms: int,
    delete_retention_ms: int,
) -> str | None:
    """Say why a store cannot be caught up from its position; None if it can.

    `begin` and `end` are the changelog's first offset and the position behind its last; `delete_retention_ms` is how
    long its tombstones live.

    An old position is worthless because tombstones may have been compacted away that the store has not applied: keys
    they deleted would live on. That needs records behind the position. At `position.offset == end` nothing was ever
    written after it (an end never goes back without another topic id), so an idle store stays good at any age, and
    whatever was deleted of its changelog. So it does one offset before the end: no log compacts its last offset away.
    On Kafka that is where the marker of the transaction stands that wrote the store's last records.
    """
    if position is None:
        return "it has no position"
    if position.mark != mark:
        return f"its rows have another format ({position.mark or 'none'}, wanted is {mark})"
    if position.topic_id != topic_id:
        return f"its changelog is another topic now (id {topic_id}, it followed {position.topic_id})"
    if position.offset > end:
        return f"its position {position.offset} is beyond the changelog's end {end}: records were lost"
    if position.offset >= end - 1:
        return None
    if position.offset < begin:
        return f"its position {position.offset} is before the changelog's start {begin}"
    age_ms = now_ms - position.written_ms
    if age_ms > delete_retention_ms:
        return f"its position is {age_ms} ms old, and tombstones are kept for {delete_retention_ms} ms"
    return None
