"""Identifiers that every room shares: tasks, topic-partitions, source locations."""

from typing import NamedTuple

__all__ = ["GLOBAL_TASK", "Location", "TaskId", "TopicPartition"]


class TopicPartition(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"

    def in_words(self) -> str:
        """Name both parts, for a message in which `topic-0` could be taken for a topic."""
        return f"partition {self.partition} of topic {self.topic!r}"


class TaskId(NamedTuple):
    """A sub-topology at one partition; prints as `<sub-topology>_<partition>`, Kafka Streams' form."""

    subtopology: int
    partition: int

    def __str__(self) -> str:
        return f"{self.subtopology}_{self.partition}"


#: What keeps all global stores; the number is Kafka Streams' own. Each instance has one, beside its tasks.
GLOBAL_TASK = TaskId(-1, -1)


class Location(NamedTuple):
    """Where in the user's source a node was declared."""

    file: str
    line: int

    def __str__(self) -> str:
        # The file's own name is what a developer searches for; full paths make error lines unreadable.
        return f"{self.file.replace(chr(92), '/').rsplit('/', 1)[-1]}:{self.line}"
