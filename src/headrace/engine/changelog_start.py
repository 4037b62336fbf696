"""How following a changelog begins: at a store's position, or anew; and what of a table's own topic is left out."""

import logging
from collections.abc import Callable
from typing import Any

from headrace.base.columns import Chunk
from headrace.base.ids import TaskId, TopicPartition
from headrace.base.records import NO_HEADERS, Headers
from headrace.engine.changelogs import ChangelogPartition
from headrace.serde.serde import Serde, is_of_nobody
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
    settle_key, settle_value = _settling(spec.key, partition.topic), _settling(spec.value, partition.topic)
    is_settled = any(each.settler(partition.topic) is not None for each in (spec.key, spec.value))

    def readable(chunk: Chunk) -> Chunk:
        good: list[int] = []
        keys: list[bytes | None] = []
        values: list[bytes | None] = []
        for index, (key_bytes, value_bytes) in enumerate(zip(chunk.keys, chunk.values)):
            if key_bytes is None:
                continue
            headers = NO_HEADERS if chunk.headers is None else chunk.headers[index]
            try:
                key = settle_key(key_bytes, headers)
                value = None if value_bytes is None else settle_value(value_bytes, headers)
            except Exception as error:  # a handler has decided about it: it is no state
                if is_of_nobody(error):
                    raise
                _log.debug(
                    "%s offset %d is left out of the restore: %r", partition, chunk.offsets[index], error
                )
                continue
            good.append(index)
            keys.append(key)
            values.append(value)
        if len(good) == len(chunk) and not is_settled:
            return chunk
        return Chunk(
            chunk.topic,
            chunk.partition,
            [chunk.offsets[i] for i in good],
            [chunk.timestamps[i] for i in good],
            keys,
            values,
            None if chunk.headers is None else [chunk.headers[i] for i in good],
            chunk.size_bytes,
        )

    return readable


def _settling(serde: Serde[Any], topic: str) -> Callable[[bytes, Headers], bytes]:
    """Return what gives the bytes that the store has for those in the topic; raises for what cannot be read."""
    settle = serde.settler(topic)
    if settle is not None:
        return settle
    deserialize = serde.deserializer(topic)

    def as_it_is(data: bytes, _: Headers) -> bytes:
        deserialize(data)
        return data

    return as_it_is
