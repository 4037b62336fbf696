"""Finding an offset by its record's time, for logs that have no index of times."""

from collections.abc import Mapping

from headrace.base.ids import TopicPartition
from headrace.log.port import Log

__all__ = ["search_offsets"]


def search_offsets(log: Log, timestamps: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
    """Return what `Log.offsets_for_times` does, by reading the partitions from their start: done once in a life."""
    return {partition: _search(log, partition, timestamp) for partition, timestamp in timestamps.items()}


def _search(log: Log, partition: TopicPartition, timestamp: int) -> int:
    end = log.end_offsets([partition])[partition]
    reader = log.reader()
    try:
        reader.assign(log.beginning_offsets([partition]))
        while reader.position(partition) < end:
            for chunk in reader.poll(0):
                for offset, stamp in zip(chunk.offsets, chunk.timestamps):
                    if stamp >= timestamp:
                        return offset
    finally:
        reader.close()
    return end
