"""The in-memory log: lists behind the log port, for the test driver and for tests. Nothing outlives the object."""

from collections.abc import Iterable, Mapping, Sequence

from headrace.base.ids import TopicPartition
from headrace.base.records import Headers
from headrace.base.topic_names import metric_name
from headrace.group.application import GroupApplication
from headrace.log.admission import (
    check_distinct,
    check_existing,
    check_spec,
    unknown_topic,
)
from headrace.log.limits import RecordLimits
from headrace.log.local_group import LocalGroups
from headrace.log.lone_groups import LoneGroups
from headrace.log.membership import JoinOptions, Membership
from headrace.log.memory.contents import Contents, Partition, Topic
from headrace.log.memory.reader import MemoryReader
from headrace.log.memory.writer import MemoryWriter
from headrace.log.port import CommittedOffset, TopicInfo, TopicSpec
from headrace.log.searching import search_offsets

__all__ = ["MemoryLog"]


class MemoryLog:
    """A log of lists. Topic ids are counted, not random: two equal runs are equal.

    Retention and compaction do nothing here; `delete_records` works.
    """

    def __init__(self) -> None:
        self._contents = Contents()
        self._local_groups = LocalGroups()

    def records(self, topic: str) -> list[tuple[int, int, bytes | None, bytes | None, int, Headers]]:
        """Return all committed records as (partition, offset, key, value, timestamp, headers), by partition and offset.

        Raises:
            UnknownTopicError: no such topic.
        """
        with self._contents.lock:
            if topic not in self._contents.topics:
                raise unknown_topic("read", topic)
            found: list[tuple[int, int, bytes | None, bytes | None, int, Headers]] = []
            for number, partition in enumerate(self._contents.topics[topic].partitions):
                for chunk in partition.chunks:
                    headers = chunk.headers or [()] * len(chunk)
                    columns = zip(chunk.offsets, chunk.keys, chunk.values, chunk.timestamps, headers)
                    found += [(number, *record) for record in columns if record[0] >= partition.start]
            return found

    makes_user_topics = True

    def topics(self, names: Iterable[str] | None = None) -> Mapping[str, TopicInfo]:
        """See `Log.topics`."""
        with self._contents.lock:
            topics = self._contents.topics
            wanted = list(topics) if names is None else dict.fromkeys(names)
            return {name: topics[name].info for name in wanted if name in topics}

    def partition_counts(self, names: Iterable[str] | None = None) -> Mapping[str, int]:
        """See `Log.partition_counts`."""
        return {name: info.partitions for name, info in self.topics(names).items()}

    def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        """See `Log.create_topics`. Creates all or none."""
        policies = [check_spec(spec) for spec in topics]
        with self._contents.lock:
            made: dict[str, str] = {}
            for spec in topics:
                existing = self._contents.topics.get(spec.name)
                if existing is None:
                    unified = metric_name(spec.name)
                    other = self._contents.metric_names.get(unified)
                    check_distinct(spec.name, other or made.setdefault(unified, spec.name))
                else:
                    check_existing(spec, existing.info.partitions)
            for spec, policy in zip(topics, policies):
                if spec.name in self._contents.topics:
                    continue
                self._contents.created += 1
                info = TopicInfo(
                    spec.name,
                    spec.partitions,
                    f"memory-{self._contents.created}",
                    dict(spec.config),
                    RecordLimits.parse(spec.name, spec.config),
                )
                self._contents.metric_names[metric_name(spec.name)] = spec.name
                partitions = [Partition() for _ in range(spec.partitions)]
                self._contents.topics[spec.name] = Topic(info, policy, partitions)

    def delete_topics(self, names: Iterable[str]) -> None:
        """See `Log.delete_topics`. Committed offsets of the topics go too."""
        with self._contents.lock:
            for name in names:
                if self._contents.topics.pop(name, None) is None:
                    continue
                del self._contents.metric_names[metric_name(name)]
                for offsets in self._contents.offsets.values():
                    for topic_partition in [
                        topic_partition for topic_partition in offsets if topic_partition.topic == name
                    ]:
                        del offsets[topic_partition]

    def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See `Log.beginning_offsets`."""
        with self._contents.lock:
            return {
                topic_partition: self._contents.partition("find the start of", topic_partition).start
                for topic_partition in partitions
            }

    def end_offsets(
        self, partitions: Iterable[TopicPartition], *, committed: bool = True
    ) -> Mapping[TopicPartition, int]:
        """See `Log.end_offsets`. Open transactions have no offsets yet, so `committed` makes no difference."""
        with self._contents.lock:
            return {
                topic_partition: self._contents.partition("find the end of", topic_partition).end
                for topic_partition in partitions
            }

    def offsets_for_times(self, timestamps: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        """See `Log.offsets_for_times`."""
        return search_offsets(self, timestamps)

    def committed(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> Mapping[TopicPartition, CommittedOffset]:
        """See `Log.committed`."""
        with self._contents.lock:
            offsets = self._contents.offsets.get(group, {})
            return {
                topic_partition: offsets[topic_partition]
                for topic_partition in partitions
                if topic_partition in offsets
            }

    @property
    def groups(self) -> LoneGroups:
        """See `Log.groups`."""
        return LoneGroups(self._groups, self._all_committed, self._delete_group, self.writer)

    def _groups(self) -> list[str]:
        with self._contents.lock:
            return [group for group, offsets in self._contents.offsets.items() if offsets]

    def _all_committed(self, group: str) -> Mapping[TopicPartition, CommittedOffset]:
        with self._contents.lock:
            return dict(sorted(self._contents.offsets.get(group, {}).items()))

    def _delete_group(self, group: str) -> None:
        with self._contents.lock:
            self._contents.offsets.pop(group, None)

    def join(self, group: str, application: GroupApplication, options: JoinOptions) -> Membership:
        """See `Log.join`."""
        return self._local_groups.join(group, application, options)

    def reader(self) -> MemoryReader:
        """See `Log.reader`."""
        return MemoryReader(self._contents)

    def writer(self, group: str, transactional_id: str | None = None) -> MemoryWriter:
        """See `Log.writer`."""
        return MemoryWriter(self._contents, group)

    def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        """See `Log.delete_records`. A topic that is only compacted ignores it: Kafka forbids it there."""
        with self._contents.lock:
            for topic_partition, offset in before.items():
                partition = self._contents.partition("delete records of", topic_partition)
                if self._contents.topics[topic_partition.topic].policy.deletes:
                    partition.drop_before(offset)

    def maintain(self, budget_ms: int) -> None:
        """Do nothing."""

    def hurry(self, seconds: float) -> None:
        """Do nothing: it always answers."""

    @property
    def trouble(self) -> str | None:
        """None: it always answers."""
        return None

    @property
    def silence_s(self) -> float | None:
        """None, as `trouble`."""
        return None

    def close(self) -> None:
        """Do nothing: the records live as long as the object."""
