"""Where the changelogs of tasks are, and how far they go: asked for all tasks at once; and how they are followed."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from headrace.base.columns import Chunk
from headrace.base.errors import OffsetOutOfRangeError
from headrace.base.ids import TaskId, TopicPartition
from headrace.engine.known_topics import KnownTopics
from headrace.log.port import Log, Reader, TopicInfo
from headrace.state.spec import StoreSpec

__all__ = ["ChangelogPartition", "Changelogs", "Follower"]


@dataclass(frozen=True, slots=True)
class ChangelogPartition:
    """What the log said of a store's changelog: its first offset, and the one behind its last, uncommitted included."""

    partition: TopicPartition
    topic: TopicInfo
    begin: int
    end: int


class Follower(Protocol):
    """Whoever applies changelogs to the stores of a task."""

    def apply(self, chunk: Chunk) -> None:
        """Take records of one of the changelogs, in order."""

    def start_again(self, partition: TopicPartition, begin: int) -> None:
        """Build a store anew from its changelog's start: what was to be read has been deleted meanwhile."""


class Changelogs:
    """Finds changelogs. `changelog_name` gives the topic of a store, `full_name` that of a topic the topology reads."""

    def __init__(
        self,
        log: Log,
        known: KnownTopics,
        *,
        changelog_name: Callable[[str], str],
        full_name: Callable[[str], str],
    ) -> None:
        self._log = log
        self._known = known
        self._changelog_name = changelog_name
        self._full_name = full_name

    def find(
        self, tasks: Mapping[TaskId, Collection[StoreSpec]]
    ) -> dict[TaskId, dict[str, ChangelogPartition]]:
        """Return the changelogs that are there of these stores, by task and store.

        The log is asked three questions, however many tasks there are, and none where no store has a changelog.

        Raises: as `KnownTopics.ensure_there`.
        """
        sources = {
            task_id: {
                spec.name: self._changelog_name(spec.name)
                if spec.source_topic is None
                else self._full_name(spec.source_topic)
                for spec in specs
                if spec.logging or spec.source_topic is not None
            }
            for task_id, specs in tasks.items()
        }
        names = {topic for found in sources.values() for topic in found.values()}
        topics = self._log.topics(names) if names else {}
        self._known.ensure_there(names, topics)
        partitions = {
            task_id: {
                store: TopicPartition(topic, task_id.partition)
                for store, topic in found.items()
                # A table's own topic may have fewer partitions than its neighbours.
                if topic in topics and task_id.partition < topics[topic].partitions
            }
            for task_id, found in sources.items()
        }
        all_of_them = {partition for found in partitions.values() for partition in found.values()}
        begins = self._log.beginning_offsets(all_of_them) if all_of_them else {}
        ends = self._log.end_offsets(all_of_them, committed=False) if all_of_them else {}
        return {
            task_id: {
                store: ChangelogPartition(
                    partition, topics[partition.topic], begins[partition], ends[partition]
                )
                for store, partition in found.items()
            }
            for task_id, found in partitions.items()
        }

    def read(self, reader: Reader, followers: Mapping[TopicPartition, Follower], timeout_ms: int) -> bool:
        """Let those who follow changelogs apply what a reader has of them; say whether anything came of it.

        Where what was to be read next has been deleted, its follower starts again at what is still there.

        # Invariant: what a follower raises takes nothing from the others: the reader, which is behind all of these
        records already, goes back to those that nobody has applied (tests/engine/test_changelogs.py).
        """
        try:
            chunks = reader.poll(timeout_ms)
        except OffsetOutOfRangeError as error:
            partition = TopicPartition(error.topic, error.partition)
            begin = self._log.beginning_offsets([partition])[partition]
            followers[partition].start_again(partition, begin)
            return True
        for index, chunk in enumerate(chunks):
            try:
                followers[TopicPartition(chunk.topic, chunk.partition)].apply(chunk)
            except BaseException:
                left = reversed(chunks[index:])  # the first one of a partition says where it goes on
                reader.assign({TopicPartition(each.topic, each.partition): each.offsets[0] for each in left})
                raise
        return bool(chunks)
