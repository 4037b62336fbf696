"""How far a group is: what it has committed of each partition that it reads, what is left there, and whose it is.

Offsets alone do not tell how many records are left: markers of transactions have some, and so has what was aborted or
compacted away. So what is left is read, for a while; a lag so large that it takes longer is told by its offsets.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headrace.base.columns import Chunk
from headrace.base.errors import LogError
from headrace.base.ids import TaskId, TopicPartition
from headrace.log.groups import CommittedOffset, DescribedGroup, DescribedMember
from headrace.log.port import Log
from headrace.outside.application_topics import (
    ApplicationTopics,
    topics_of_group,
    topics_of_members,
    topics_of_topology,
    with_tasks,
)
from headrace.topology.topology import Topology

__all__ = ["PartitionLag", "lag_of_group", "lag_row", "no_group", "partition_lags", "task_of"]

_LOOK_SECONDS = 5.0
_POLL_MS = 100


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """A partition that a group reads.

    Attributes:
        task: who reads it, None where nobody tells.
        committed: the next offset to process; None where nothing was committed.
        lag: how many records are left, without markers of transactions; None where that cannot be told: nothing was
            committed of a partition that is not empty, or what was committed is beyond its end.
        is_exact: whether all of them were counted. Else it is at most so many: what was not counted are offsets.
        oldest: timestamp (epoch ms) of the first record that is left; None where none is, or none could be read.
        is_beyond: whether what was committed is beyond the end: the topic was made again, or was cut.
        member: the member that runs the task, None where none does.
    """

    partition: TopicPartition
    task: TaskId | None
    committed: int | None
    end: int
    lag: int | None
    is_exact: bool
    oldest: int | None
    member: str | None
    is_beyond: bool = False

    def age_ms(self, now_ms: int) -> int | None:
        """Return how old the first record is that is left; 0 where none is, None where that is not known."""
        if self.lag == 0:
            return 0
        return None if self.oldest is None else max(0, now_ms - self.oldest)


@dataclass(slots=True)
class _Left:
    """What is left of a partition, as far as it was read: up to a position."""

    position: int
    records: int = 0
    oldest: int | None = None


def no_group(name: str) -> LogError:
    """Make the error of a group that is not there; of MODULE:NAME in its place it says how that is asked for."""
    instead = f"write --app {name} for an application, " if ":" in name else ""
    return LogError(f"there is no group {name!r}; {instead}`headrace groups list --all` has those there are")


def lag_of_group(
    log: Log, name: str, topology: Topology | None, *, seconds: float = _LOOK_SECONDS
) -> tuple[DescribedGroup, list[PartitionLag]]:
    """Return a group with the tasks of its members, and what is left for it.

    A streams group tells which task reads a partition; of a classic one the topology does, or else what members have.

    Raises:
        LogError: there is no such group; or as `partition_lags`.
    """
    found = log.groups.describe(name)
    if found is None:
        raise no_group(name)
    topics = topics_of_group(found)
    if not topics.read and topology is not None:
        topics = topics_of_topology(topology, name, log.partition_counts())
    elif not topics.read:
        topics = topics_of_members(found)
    found = with_tasks(found, topics)
    return found, partition_lags(log, found, topics, seconds=seconds)


def partition_lags(
    log: Log,
    group: DescribedGroup,
    topics: ApplicationTopics,
    *,
    seconds: float = _LOOK_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> list[PartitionLag]:
    """Return every partition that a group reads, or has committed an offset of, by task.

    What is left is counted for so many seconds at most.

    Raises:
        LogError: the log does not answer, or does not allow it.
    """
    committed = log.groups.committed(group.name, waits=False)
    partitions = _partitions(log, group, topics, committed)
    begins, ends = log.beginning_offsets(partitions), log.end_offsets(partitions)
    # Whoever reads uncommitted records has passed the end of the committed ones.
    last = log.end_offsets([each for each in partitions if each in committed], committed=False)
    beyond = {each for each, end in last.items() if committed[each].offset > end}
    left = {
        each: _Left(min(max(committed[each].offset, begins[each]), ends[each]))
        for each in partitions
        if each in last and each not in beyond
    }
    # Nobody commits where nothing ever was.
    left |= {
        each: _Left(ends[each]) for each in partitions if each not in last and begins[each] == ends[each]
    }
    _count(log, left, ends, clock() + seconds, clock)
    found = []
    for each in partitions:
        counted = left.get(each)
        uncounted = 0 if counted is None else max(0, ends[each] - counted.position)
        owner = _owner(group, each, topics)
        found.append(
            PartitionLag(
                each,
                task_of(each, topics),
                committed[each].offset if each in committed else None,
                ends[each],
                None if counted is None else counted.records + uncounted,
                uncounted == 0,
                None if counted is None else counted.oldest,
                None if owner is None else owner.member_id,
                each in beyond,
            )
        )
    return sorted(found, key=lambda each: (each.task is None, each.task or (0, 0), each.partition))


def lag_row(lag: PartitionLag, now_ms: int) -> dict[str, object]:
    """Return it as JSON has it, with its age by then."""
    return {
        "topic": lag.partition.topic,
        "partition": lag.partition.partition,
        "task": None if lag.task is None else str(lag.task),
        "committed": lag.committed,
        "end": lag.end,
        "lag": lag.lag,
        "is_exact": lag.is_exact,
        "oldest": lag.oldest,
        "is_beyond": lag.is_beyond,
        "age_ms": lag.age_ms(now_ms),
    }


def task_of(partition: TopicPartition, topics: ApplicationTopics) -> TaskId | None:
    """Return who reads a partition, where that is known."""
    subtopology = topics.subtopology_of(partition.topic)
    return None if subtopology is None else TaskId(subtopology, partition.partition)


def _partitions(
    log: Log,
    group: DescribedGroup,
    topics: ApplicationTopics,
    committed: Mapping[TopicPartition, CommittedOffset],
) -> list[TopicPartition]:
    counts = log.partition_counts(sorted(frozenset[str]().union(*topics.read.values())))
    found = {TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)}
    others = {*committed, *(partition for member in group.members for partition in member.partitions)} - found
    there = log.partition_counts(sorted({partition.topic for partition in others}))
    return sorted(found | {each for each in others if each.partition < there.get(each.topic, 0)})


def _owner(
    group: DescribedGroup, partition: TopicPartition, topics: ApplicationTopics
) -> DescribedMember | None:
    task = task_of(partition, topics)
    for member in group.members:
        if partition in member.partitions:
            return member
        if task is not None and member.roles is not None and task in member.roles.active:
            return member
    return None


def _count(
    log: Log,
    left: Mapping[TopicPartition, _Left],
    ends: Mapping[TopicPartition, int],
    deadline: float,
    clock: Callable[[], float],
) -> None:
    """Count the records from each position to the end. Where they may not be read, positions stay where they are."""
    reading = {each: found.position for each, found in left.items() if found.position < ends[each]}
    if not reading:
        return
    reader = log.reader()
    try:
        reader.assign(reading)
        while reading and clock() < deadline:
            for chunk in reader.poll(_POLL_MS):
                place = TopicPartition(chunk.topic, chunk.partition)
                if place in reading:
                    _add(left[place], chunk.before(ends[place]))
            for each in list(reading):
                left[each].position = min(reader.position(each), ends[each])
                if left[each].position == ends[each]:
                    del reading[each]
                    reader.unassign([each])
    except LogError:
        pass
    finally:
        reader.close()


def _add(left: _Left, chunk: Chunk) -> None:
    left.records += len(chunk)
    if left.oldest is None and len(chunk):
        left.oldest = chunk.timestamps[0]
