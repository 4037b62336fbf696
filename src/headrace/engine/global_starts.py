"""Where reading begins for global stores: behind what each has on disk, or anew."""

import logging
from collections.abc import Mapping
from dataclasses import replace

from headrace.base.ids import TopicPartition
from headrace.engine.task import Task
from headrace.log.port import Log, TopicInfo
from headrace.state.rebuilding import must_rebuild, tombstones_live_ms

__all__ = ["starting_offsets"]

_log = logging.getLogger("headrace.restore")


def starting_offsets(
    task: Task, log: Log, topics: Mapping[str, TopicInfo], now_ms: int
) -> dict[TopicPartition, int]:
    """Return where to begin in each partition that a global task reads.

    Clears the stores that cannot be caught up from where they are. `now_ms` is the wall clock's.
    """
    partitions = list(task.queues)
    begins = log.beginning_offsets(partitions)
    # What a store has read was committed; an end that is told a moment late must not look like a loss.
    ends = log.end_offsets(partitions, committed=False)
    positions = task.stores.rows.positions()
    starts: dict[TopicPartition, int] = {}
    for spec in task.state.specs:
        topic = topics[spec.global_topic or ""]
        begun = {partition: begins[partition] for partition in partitions if partition.topic == topic.name}
        position = positions[spec.name]
        # A partition that has come since is read from its beginning.
        known = begun if position is None else {**begun, **position.inputs}
        reasons = (
            must_rebuild(
                None if position is None else replace(position, offset=known[partition]),
                topic_id=topic.id,
                mark=spec.mark,
                begin=begin,
                end=ends[partition],
                now_ms=now_ms,
                delete_retention_ms=tombstones_live_ms(topic.config),
            )
            for partition, begin in begun.items()
        )
        reason = next((each for each in reasons if each is not None), None)
        if reason is None:
            starts.update({partition: max(begin, known[partition]) for partition, begin in begun.items()})
            continue
        if position is not None:
            _log.warning("global store '%s' is read anew from topic '%s': %s", spec.name, topic.name, reason)
        # Also without a position: rows may be left of a start that was cut off.
        task.state.clear(spec.name)
        starts.update(begun)
    return starts
