"""Compaction of the embedded log: of every key of a compacted topic, the latest record stays.

A partition has a clean part, in which every key occurs at most once, and behind it a dirty part. A pass reads the
dirty part into a map from key to latest offset, then goes through both parts from the start and rewrites what holds
older records of those keys. A pass starts when the dirty part outweighs the clean one (and 16 MiB), so that each
byte is rewritten about twice in its life, however large the topic: O(1) a record.

# Invariant: at any moment, reading a partition from its start yields for every key the same final value, or none for
# one whose last record is a tombstone older than `delete.retention.ms` (tests/log: "compaction against a dictionary").
# It holds in the middle of a pass, because older records always go before or with the tombstone that outdates them.

Source: Kafka's LogCleaner; where ours differs: the age of a tombstone is counted from its append, not from its first
cleaning, and `min.cleanable.dirty.ratio` is fixed at one half.
"""

from functools import partial
from itertools import compress
from operator import le
from typing import NamedTuple

from headrace.log.admission import has_headers
from headrace.log.embedded.partitions import PartitionRow
from headrace.log.embedded.rewrite import (
    GROUP_ROWS_MAX,
    JoinedChunks,
    Slices,
    Target,
    count_dirty_bytes,
    load,
    merge_group,
    replace,
    when_free,
)
from headrace.log.embedded.rows import LOOSE_BYTES, ChunkRow, rows_behind, stored_chunks

__all__ = ["CompactionLimits", "compact", "is_due"]

# An entry of the map beside the key's own bytes: the bytes object, the int, its share of the dictionary and the set.
_ENTRY_BYTES = 220


class CompactionLimits(NamedTuple):
    """When compaction starts, and what it may use.

    Attributes:
        dirty_bytes_min: less than this is left alone, so that small topics are not rewritten all the time.
        map_bytes_max: what the map of a pass may weigh. With more dirty keys, several passes follow each other.
    """

    dirty_bytes_min: int = 16 << 20
    map_bytes_max: int = 128 << 20


class _Extent(NamedTuple):
    """How far a partition is clean, and up to where it may be cleaned."""

    cleaned_to: int
    limit: int


class _Latest(NamedTuple):
    """The dirty part as a pass has read it.

    Attributes:
        offsets: the latest offset of each key in it.
        alive: these offsets. Whether a record of the part stays is asked of them: an int takes 0.05 us to look up, a
            key, which has to be hashed and compared, ten times that.
        start, end: where the part that was read begins and ends.
    """

    offsets: dict[bytes | None, int]
    alive: frozenset[int]
    start: int
    end: int


def compact(target: Target, limits: CompactionLimits) -> Slices[None]:
    """Compact a partition, pass after pass, as long as one is due."""
    while (extent := _due(target, limits)) is not None:
        latest = yield from _read_latest(target, extent, limits.map_bytes_max)
        if latest is None:
            return
        yield from _rewrite(target, latest)
        yield from when_free(target.file, target.connection, partial(_finish, target, latest.end))


def _due(target: Target, limits: CompactionLimits) -> _Extent | None:
    policy = target.topic.policy
    with target.file.read(target.connection, "maintain"):
        row = target.load()
        if row is None or not is_due(row, limits):
            return None
        limit, dirty_bytes = row.end_offset, row.dirty_bytes
        if policy.min_compaction_lag_ms > 0:
            limit, dirty_bytes = _old_enough(target, row.cleaned_to, limit)
    return _Extent(row.cleaned_to, limit) if dirty_bytes > _enough_bytes(row, limits) else None


def is_due(row: PartitionRow, limits: CompactionLimits) -> bool:
    """Whether a partition has enough that may be outdated, not looking at how old it is."""
    return row.dirty_bytes > _enough_bytes(row, limits)


def _enough_bytes(row: PartitionRow, limits: CompactionLimits) -> int:
    return max(limits.dirty_bytes_min, row.bytes - row.dirty_bytes)


def _old_enough(target: Target, cleaned_to: int, end: int) -> tuple[int, int]:
    """Return up to where records are older than the lag, and how many bytes that makes."""
    oldest_ms = target.file.now_ms() - target.topic.policy.min_compaction_lag_ms
    young = target.connection.execute(
        "SELECT min(base_offset) FROM chunks "
        "WHERE topic = ? AND partition = ? AND next_offset > ? AND last_appended_ms > ?",
        (*target.key, cleaned_to, oldest_ms),
    ).fetchone()[0]
    limit = end if young is None else young
    dirty_bytes = target.connection.execute(
        "SELECT coalesce(sum(bytes), 0) FROM chunks "
        "WHERE topic = ? AND partition = ? AND next_offset > ? AND next_offset <= ?",
        (*target.key, cleaned_to, limit),
    ).fetchone()[0]
    return limit, dirty_bytes


def _read_latest(target: Target, extent: _Extent, bytes_max: int) -> Slices[_Latest | None]:
    """Read the dirty part, or as much of it as the map may hold; None if there is nothing."""
    latest: dict[bytes | None, int] = {}
    weight_bytes = 0
    start: int | None = None
    position = extent.cleaned_to
    while weight_bytes < bytes_max:
        with target.file.read(target.connection, "maintain"):
            found = stored_chunks(target.connection, *target.key, position, rows_max=1)
        if not found or found[0].row.next_offset > extent.limit:
            break
        chunk = found[0].to_chunk(
            target.topic.number, target.topic_partition, is_checked=target.file.is_checked
        )
        known = len(latest)
        latest.update(zip(chunk.keys, chunk.offsets))
        key_bytes = sum(map(len, filter(None, chunk.keys))) // max(1, len(chunk))
        weight_bytes += (len(latest) - known) * (_ENTRY_BYTES + key_bytes)
        position = found[0].row.next_offset
        start = found[0].row.base_offset if start is None else start
        yield
    return None if start is None else _Latest(latest, frozenset(latest.values()), start, position)


def _rewrite(target: Target, latest: _Latest) -> Slices[None]:
    """Remove, from the start of the partition to the end of what was read, the records that are outdated."""
    span_ms = target.topic.policy.delete_retention_ms // 4
    position = 0
    while position < latest.end:
        with target.file.read(target.connection, "maintain"):
            rows = rows_behind(target.connection, *target.key, position, rows_max=GROUP_ROWS_MAX)
        rows = [row for row in rows if row.next_offset <= latest.end]
        if not rows:
            # Nothing left, or a chunk that another process merged beyond what was read: it counts as dirty then.
            return
        group = merge_group(rows, span_ms=span_ms, loose_only=False)
        if (yield from _rewrite_group(target, group, latest)):
            position = group[-1].next_offset
        yield


def _rewrite_group(target: Target, group: list[ChunkRow], latest: _Latest) -> Slices[bool]:
    """Rewrite some chunks as at most one; False if somebody else changed them, so that they are to be read again."""
    loaded = load(target, group)
    if loaded is None:
        return False
    left = _survivors(target, group, loaded, latest)
    is_worth_merging = len(group) > 1 and any(row.bytes < LOOSE_BYTES for row in group)
    if len(left.keys) == len(loaded.keys) and not is_worth_merging:
        return True
    return (yield from replace(target, group, [left.to_row(group)]))


def _survivors(target: Target, group: list[ChunkRow], loaded: JoinedChunks, latest: _Latest) -> JoinedChunks:
    """Return the records that stay."""
    # Without loops in Python.
    if group[0].base_offset >= latest.start:
        keep = list(map(latest.alive.__contains__, loaded.offsets))
    else:
        # A key that is not in the map has its own offset as its latest.
        keep = list(map(le, map(latest.offsets.get, loaded.keys, loaded.offsets), loaded.offsets))
    tombstones_to_ms = target.file.now_ms() - target.topic.policy.delete_retention_ms
    if None in loaded.values and max(row.last_appended_ms for row in group) < tombstones_to_ms:
        keep = [stays and value is not None for stays, value in zip(keep, loaded.values)]
    if all(keep):
        return loaded
    headers = None if loaded.headers is None else list(compress(loaded.headers, keep))
    return JoinedChunks(
        list(compress(loaded.offsets, keep)),
        list(compress(loaded.timestamps, keep)),
        list(compress(loaded.keys, keep)),
        list(compress(loaded.values, keep)),
        headers if headers and has_headers(headers) else None,
    )


def _finish(target: Target, mapped_to: int) -> None:
    # The greater one, because another process may have come further meanwhile.
    target.change(
        lambda row: count_dirty_bytes(target, row._replace(cleaned_to=max(row.cleaned_to, mapped_to)))
    )
