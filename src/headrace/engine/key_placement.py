"""Notices keys that lie in another partition than Kafka's default partitioner gives them.

A join looks a key up in its own partition only. Producers built on librdkafka, confluent-kafka among them, place keys
by CRC32 unless they are told otherwise, Java's and headrace by murmur2: a join of such topics finds nothing, without an
error. Only the first records of each input partition are looked at, for about 1 us each, and only of topics whose keys
have to lie right (`Topology.keyed_topics`).
"""

import logging

from headrace.base.columns import Column
from headrace.base.murmur2 import partition_for
from headrace.serde.serde import Serde
from headrace.serde.windowed import WindowedSerde

__all__ = ["KeyPlacement"]

_log = logging.getLogger("headrace.partitions")


class KeyPlacement:
    """Looks at the first keys of each partition of one topic, and warns of the first that lies elsewhere, once.

    A record without a key, or with an empty one, may lie anywhere, and is not counted. A windowed key is placed by the
    key in it.

    Attributes:
        looked_at, misplaced: how many keys, of all partitions.
    """

    def __init__(self, topic: str, partitions: int, key: Serde[object], node: str, records_max: int) -> None:
        self.looked_at = 0
        self.misplaced = 0
        self._topic = topic
        self._partitions = partitions
        self._window_of = key.window_of if isinstance(key, WindowedSerde) else None
        self._node = node
        self._left = dict.fromkeys(range(partitions), records_max)
        self._has_warned = False

    def look(self, partition: int, keys: Column) -> bool:
        """Look at keys that a partition holds, in the order of reading; return whether to come again."""
        left = self._left.get(partition, 0)
        self._left[partition] = max(0, left - len(keys))
        for key in keys[:left]:
            placing = self._placing(key)
            if placing:
                self.looked_at += 1
                self.misplaced += partition_for(placing, self._partitions) != partition
        if self.misplaced and not self._has_warned:
            self._has_warned = True
            _log.warning(
                "%s reads topic '%s', where %d of the first %d keys lie in another partition than Kafka's default "
                "partitioner (murmur2) gives them: a join with topics that are written as usual does not find them, "
                "and a key that two producers write is counted twice. Producers built on librdkafka, such as "
                "confluent-kafka, need partitioner=murmur2_random. What is written already, also to a topic that got "
                "more partitions since, has to be written anew, or read through repartition(). If all topics that meet "
                "here are placed alike, and it is meant, say so: Topic('%s', ..., partitioned_by='other')",
                self._node, self._topic, self.misplaced, self.looked_at, self._topic,
            )  # fmt: skip
        return left > len(keys)

    def _placing(self, key: bytes | None) -> bytes | None:
        if not key or self._window_of is None:
            return key
        try:
            return key[: -self._window_of(key)[0]]
        except Exception:  # what cannot be read is the handler's when its turn comes
            return None
