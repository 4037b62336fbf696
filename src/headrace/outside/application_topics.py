"""The topics of an application by what they are to it: from its topology, or from what its group knows of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from headrace.base.ids import TaskId
from headrace.group.members import Roles
from headrace.log.groups import DescribedGroup, DescribedMember, Groups
from headrace.plan.change import is_own_internal
from headrace.topology.topology import Topology

__all__ = [
    "ApplicationTopics",
    "namesakes",
    "topics_of_group",
    "topics_of_members",
    "topics_of_topology",
    "with_tasks",
]

# Stands for the topics of a pattern that matches none: no topic can be called so.
_NO_TOPIC = "?"


@dataclass(frozen=True, slots=True)
class ApplicationTopics:
    """Full names of topics.

    Attributes:
        read: what the tasks of each sub-topology read, by its number; repartition topics too.
        internal: repartition topics and changelogs that the application has made for itself.
    """

    read: Mapping[int, frozenset[str]] = field(default_factory=dict)
    internal: frozenset[str] = frozenset()

    @property
    def inputs(self) -> frozenset[str]:
        """What it reads of others, and so commits offsets of. What fills global stores is none of it."""
        return frozenset[str]().union(*self.read.values()) - self.internal

    def subtopology_of(self, topic: str) -> int | None:
        """Whose tasks read a topic: it is one sub-topology's alone."""
        return next((number for number, topics in self.read.items() if topic in topics), None)


def topics_of_topology(topology: Topology, application_id: str, existing: Iterable[str]) -> ApplicationTopics:
    """Return the topics of a topology; patterns match those that exist.

    Raises:
        TopologyError: two patterns match one topic.
    """
    others = [topic for topic in existing if not is_own_internal(topic, application_id)]
    found = topology.with_topics(others, otherwise=lambda node: _NO_TOPIC)
    parts = [part for part in found.subtopologies if not part.is_global]
    repartitions = {found.decorate(name, application_id) for name in found.repartition_topics}
    changelogs = {
        f"{application_id}-{spec.changelog_topic}" for part in parts for spec in part.stores if spec.logging
    }
    return ApplicationTopics(
        {
            part.id: frozenset(
                found.decorate(topic, application_id) for topic in part.source_topics if topic != _NO_TOPIC
            )
            for part in parts
        },
        frozenset(repartitions | changelogs),
    )


def namesakes(application_id: str, topics: Iterable[str], groups: Groups) -> Mapping[str, str]:
    """Return those of these topics that are another application's, whose id begins with this one and a dash.

    By its name alone a topic may be this one's. The other application is the value.

    Raises:
        LogError: the log does not answer.
    """
    doubtful = list(topics)
    if not doubtful:
        return {}
    others = [each.name for each in groups.list() if each.name.startswith(f"{application_id}-")]
    found = {
        topic: next((name for name in others if topic.startswith(f"{name}-")), None) for topic in doubtful
    }
    return {topic: other for topic, other in found.items() if other is not None}


def topics_of_group(group: DescribedGroup | None) -> ApplicationTopics:
    """Return the topics that a streams group's coordinator has been told of; none of another group."""
    parts = () if group is None else group.subtopologies
    return ApplicationTopics(
        {part.id: part.topics_read for part in parts},
        frozenset(
            topic.name for part in parts for topic in (*part.repartition_sources, *part.changelogs)
        ).union(*(part.repartition_sinks for part in parts)),
    )


def topics_of_members(group: DescribedGroup) -> ApplicationTopics:
    """Tell which sub-topology reads which topic by who reads its partitions, and which tasks they have.

    A classic group's coordinator knows no tasks, and its members say of partitions only which they read. What fits
    several sub-topologies, since one member has tasks of all, is left out; and so is which topics are internal.
    """
    candidates: dict[str, set[int]] = {}
    for member in group.members:
        active = frozenset() if member.roles is None else member.roles.active
        for topic, number in member.partitions:
            having = {task.subtopology for task in active if task.partition == number}
            candidates[topic] = candidates.get(topic, having) & having
    read: dict[int, frozenset[str]] = {}
    for topic, numbers in candidates.items():
        if len(numbers) == 1:
            (number,) = numbers
            read[number] = read.get(number, frozenset()) | {topic}
    return ApplicationTopics(read)


def with_tasks(group: DescribedGroup, topics: ApplicationTopics) -> DescribedGroup:
    """Return a group whose members have the tasks of which they read partitions, where they do not tell their tasks.

    So it is with members of a classic group whose words nobody here can read, since they are of a later version.
    """

    def known(member: DescribedMember) -> DescribedMember:
        if member.roles is not None or not topics.read:
            return member
        read = ((topics.subtopology_of(topic), number) for topic, number in member.partitions)
        tasks = frozenset(TaskId(part, number) for part, number in read if part is not None)
        return replace(member, roles=Roles(tasks))

    return replace(group, members=tuple(map(known, group.members)))
