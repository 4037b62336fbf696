"""How following a changelog begins: at a store's position, or anew; and what of a table's own topic is left out."""

import logging
from collections.abc import Callable

from headrace.base.columns import Chunk
from headrace.base.ids import TaskId, TopicPartition
from headrace.engine.changelogs import ChangelogPartition
from headrace.state.rebuilding import must_rebuild, tombstones_live_ms
from headrace.state.spec import StoreSpec
from headrace.state.store_rows import StoreRows

__all__ = ["readable_of", "start_at"]

_log = logging.getLogger("headrace.restore")


def start_at(
    task_id: TaskId, store: StoreRows, changelog: ChangelogPartition, end: int, now_ms: int
) -> tuple[int, bool]:
    """Return where to start reading, and whether that is the whole changelog. Clears a store that cannot be trusted.

    `end` is how far the store is to follow, at most the changelog's own end.
    """
    position = store.position()
    reason = must_rebuild(
        position,
        topic_id=changelog.topic.id,
        mark=store.spec.mark,
        begin=changelog.begin,
        end=end,
        now_ms=now_ms,
        delete_retention_ms=tombstones_live_ms(changelog.topic.config),
    )
    if position is not None and reason is None:
        return max(changelog.begin, position.offset), False
    if position is not None:
        _log.warning(
            "task %s: store '%s' is rebuilt from its changelog: %s",
            task_id, store.name, reason, extra={"task": str(task_id)},
        )  # fmt: skip
    # Also without a position: rows may be left of a restore that was cut off.
    store.clear()
    return changelog.begin, True


def readable_of(spec: StoreSpec, partition: TopicPartition) -> Callable[[Chunk], Chunk] | None:
    """Return what leaves out the records of a table's own topic that cannot be read or have no key; None for others."""
    if spec.source_topic is None:
        return None
    deserialize_key = spec.key.deserializer(partition.topic)
    deserialize_value = spec.value.deserializer(partition.topic)

    def readable(chunk: Chunk) -> Chunk:
        good = []
        for index, (key_bytes, value_bytes) in enumerate(zip(chunk.keys, chunk.values)):
            if key_bytes is None:
                continue
            try:
                deserialize_key(key_bytes)
                if value_bytes is not None:
                    deserialize_value(value_bytes)
            except Exception as error:  # a handler has decided about it: it is no state
                _log.debug(
                    "%s offset %d is left out of the restore: %r", partition, chunk.offsets[index], error
                )
                continue
            good.append(index)
        if len(good) == len(chunk):
            return chunk
        return Chunk(
            chunk.topic,
            chunk.partition,
            [chunk.offsets[i] for i in good],
            [chunk.timestamps[i] for i in good],
            [chunk.keys[i] for i in good],
            [chunk.values[i] for i in good],
            None if chunk.headers is None else [chunk.headers[i] for i in good],
            chunk.size_bytes,
        )

    return readable
