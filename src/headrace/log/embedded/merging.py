"""Merging in the embedded log: small chunks become large ones, and small files of many commits quick to read.

An application that commits every 100 ms writes chunks of a few records. Reading one takes about 15 us whatever is in
it; so once 64 of a partition are smaller than 32 KiB they are joined. Each record is rewritten once for this.
"""

from functools import partial

from headrace.log.embedded.rewrite import (
    GROUP_ROWS_MAX,
    Slices,
    Target,
    load,
    merge_group,
    replace,
    when_free,
)
from headrace.log.embedded.rows import LOOSE_BYTES, rows_behind

__all__ = ["LOOSE_CHUNKS_MIN", "merge"]

LOOSE_CHUNKS_MIN = 64


def merge(target: Target, merged_to: int) -> Slices[None]:
    """Join the loose chunks behind a position."""
    span_ms = target.topic.policy.delete_retention_ms // 4
    position = merged_to
    while True:
        with target.file.read(target.connection, "maintain"):
            rows = rows_behind(target.connection, *target.key, position, rows_max=GROUP_ROWS_MAX)
        if not rows:
            break
        group = merge_group(rows, span_ms=span_ms, loose_only=True)
        if len(group) < 2:
            position = rows[0].next_offset
            continue
        loaded = load(target, group)
        if loaded is not None and (yield from replace(target, group, [loaded.to_row(group)])):
            position = group[-1].next_offset
        yield
    yield from when_free(target.file, target.connection, partial(_finish, target, position))


def _finish(target: Target, merged_to: int) -> None:
    loose_chunks = target.connection.execute(
        "SELECT count(*) FROM chunks WHERE topic = ? AND partition = ? AND next_offset > ? AND bytes < ?",
        (*target.key, merged_to, LOOSE_BYTES),
    ).fetchone()[0]
    target.change(lambda row: row._replace(merged_to=merged_to, loose_chunks=loose_chunks))
