"""What a worker knows of the topics that its tasks write; those that a function chose are made several at a time."""

from collections.abc import Mapping

from headrace.base.errors import LogError, TransactionAbortedError, UnknownTopicError
from headrace.log.port import Log, TopicInfo, TopicSpec

__all__ = ["WrittenTopics"]


class WrittenTopics:
    """Remembers topics. One that is missing is to be made, with a single partition, where the log makes topics.

    A transaction for one topic takes ten times the CPU of a topic among many, and an fsync: so topics wait until
    records are handed to the writer. What is wrong with one, such as a name too near to another's, shows only then.
    The worker goes back to its last commit, and each of them is made alone, where its first record can be judged.

    # Invariant: `make_chosen` comes before any record is handed to the writer.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._infos: dict[str, TopicInfo] = {}
        self._chosen: dict[str, TopicInfo] = {}
        self._alone: set[str] = set()

    def info(self, topic: str) -> TopicInfo:
        """Return what is known of a topic; the id of one that is still to be made is empty.

        Raises:
            UnknownTopicError: it is missing, and the log makes none.
            LogError: it cannot be made.
        """
        info = self._infos.get(topic) or self._chosen.get(topic)
        if info is None:
            info = self._log.topics([topic]).get(topic)
            if info is None:
                return self._choose(topic)
            self._infos[topic] = info
        return info

    def _choose(self, topic: str) -> TopicInfo:
        if not self._log.makes_user_topics:
            raise UnknownTopicError(
                f"there is no topic '{topic}' on the cluster: create it, such as with "
                f"`headrace topics create {topic}`"
            )
        if topic in self._alone:
            self._make([topic])
            return self._infos[topic]
        info = self._chosen[topic] = TopicInfo(topic, 1, "")
        return info

    def make_chosen(self) -> None:
        """Make all that are to be made.

        Raises:
            TransactionAbortedError: one of them cannot be; what was written since the last commit is to be given up.
        """
        if not self._chosen:
            return
        names, self._chosen = list(self._chosen), {}
        try:
            self._make(names)
        except LogError as error:
            self._alone.update(names)
            raise TransactionAbortedError(
                f"one of {len(names)} topics that functions chose was not made ({error}); each is made alone now"
            ) from error

    def _make(self, names: list[str]) -> None:
        self._log.create_topics([TopicSpec(name, 1) for name in names])
        self._infos.update(self._log.topics(names))

    def partition_counts(self) -> Mapping[str, int]:
        """Return the partition counts of all that are there: what tasks and sinks go by."""
        return {name: info.partitions for name, info in self._infos.items()}
