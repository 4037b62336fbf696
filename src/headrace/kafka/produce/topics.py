"""What the writer has to know of a topic before it takes records for it."""

from collections.abc import Callable
from dataclasses import dataclass

from headrace.log.admission import unknown_topic
from headrace.log.policy import TopicPolicy
from headrace.log.port import TopicInfo

__all__ = ["KnownTopic", "WriterTopics"]

#: Source: TopicConfig.MAX_MESSAGE_BYTES_CONFIG of Kafka 4.3 (1 MiB and the head of a batch).
_MAX_MESSAGE_BYTES = 1_048_588


@dataclass(frozen=True, slots=True)
class KnownTopic:
    """A topic to write to. `batch_bytes_max` is what its brokers take (max.message.bytes)."""

    partitions: int
    policy: TopicPolicy
    batch_bytes_max: int


class WriterTopics:
    """Topics by name, asked for once in each transaction."""

    def __init__(self, ask: Callable[[str], TopicInfo]) -> None:
        self._ask = ask
        self._known: dict[str, KnownTopic] = {}

    def find(self, attempt: str, topic: str, partition: int) -> KnownTopic:
        """Return a topic that has a partition. `attempt` reads like 'append to'.

        Raises:
            UnknownTopicError: there is no such topic or partition.
        """
        known = self._known.get(topic)
        if known is None:
            info = self._ask(topic)
            known = self._known[topic] = KnownTopic(
                info.partitions,
                # Only this is of interest, and a cluster may have policies that a log of ours does not know.
                TopicPolicy(compacts="compact" in info.config.get("cleanup.policy", "")),
                int(info.config.get("max.message.bytes", _MAX_MESSAGE_BYTES)),
            )
        if not 0 <= partition < known.partitions:
            self._known.pop(topic)
            raise unknown_topic(attempt, topic, partition)
        return known

    def forget(self) -> None:
        """Ask again next time."""
        self._known.clear()
