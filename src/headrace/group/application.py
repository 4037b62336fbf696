"""What a group has to know of the application that its members run: topics, tasks, what belongs together. Values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from headrace.base.ids import TaskId, TopicPartition
from headrace.group.members import TaskFacts

__all__ = ["GroupApplication", "InternalTopic", "SubtopologyTopics"]


@dataclass(frozen=True, slots=True)
class InternalTopic:
    """A topic that is made for the application. `partitions` is 0 unless the application says how many."""

    name: str
    config: Mapping[str, str] = field(default_factory=dict)
    partitions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtopologyTopics:
    """A sub-topology by its topics, all by their full names.

    Attributes:
        source_topics: those that it reads of others.
        repartition_sources: those that it reads of the application's own.
        repartition_sinks: repartition topics that it writes.
        changelogs: of its stores, but for stores that are restored from a source topic.
        copartition_groups: of topics that it reads which need equal partition counts; told in this order.
        is_stateful: whether any of its stores is restored from a topic.
    """

    id: int
    source_topics: frozenset[str] = frozenset()
    repartition_sources: tuple[InternalTopic, ...] = ()
    repartition_sinks: frozenset[str] = frozenset()
    changelogs: tuple[InternalTopic, ...] = ()
    copartition_groups: tuple[tuple[str, ...], ...] = ()
    is_stateful: bool = False

    @property
    def topics_read(self) -> frozenset[str]:
        """What its tasks read."""
        return self.source_topics | {topic.name for topic in self.repartition_sources}


@dataclass(frozen=True, slots=True)
class GroupApplication:
    """An application as its group sees it. What fills global stores is no part of it.

    Attributes:
        tasks: all of them, in order, as many as the topics have partitions now.
        partitions: of every topic that is read.
    """

    subtopologies: tuple[SubtopologyTopics, ...]
    tasks: tuple[TaskId, ...]
    partitions: Mapping[str, int]

    @property
    def source_topics(self) -> frozenset[str]:
        """What all of it reads of others."""
        return frozenset[str]().union(*(each.source_topics for each in self.subtopologies))

    def facts(self) -> Mapping[TaskId, TaskFacts]:
        """Return what an assignor has to know of each task."""
        stateful = {each.id for each in self.subtopologies if each.is_stateful}
        return {task: TaskFacts(task.subtopology in stateful) for task in self.tasks}

    def inputs(self, task: TaskId) -> Iterator[TopicPartition]:
        """Yield what a task reads. A topic with fewer partitions than there are tasks has none for the last ones."""
        for subtopology in self.subtopologies:
            if subtopology.id == task.subtopology:
                for topic in sorted(subtopology.topics_read):
                    if task.partition < self.partitions.get(topic, 0):
                        yield TopicPartition(topic, task.partition)
