"""How far a group is: what it has committed of each partition that it reads, what is left there, and whose it is."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from headrace.base.errors import LogError
from headrace.base.ids import TaskId, TopicPartition
from headrace.cli.application_topics import ApplicationTopics
from headrace.log.groups import CommittedOffset, DescribedGroup, DescribedMember
from headrace.log.port import Log

__all__ = ["PartitionLag", "partition_lags", "task_of"]

_LOOK_SECONDS = 5.0
_POLL_MS = 100


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """A partition that a group reads.

    Attributes:
        task: who reads it, None where nobody tells.
        committed: the next offset to process; None where nothing was committed.
        lag: how many offsets lie from the next record to the end, 0 where there is no record any more; None where
            nothing was committed. Markers of transactions count where they lie between records.
        member: the member that runs the task, None where none does.
    """

    partition: TopicPartition
    task: TaskId | None
    committed: int | None
    end: int
    lag: int | None
    member: str | None


def partition_lags(log: Log, group: DescribedGroup, topics: ApplicationTopics) -> list[PartitionLag]:
    """Return every partition that a group reads, or has committed an offset of, by task.

    Raises:
        LogError: the log does not answer, or does not allow it.
    """
    committed = log.groups.committed(group.name, waits=False)
    partitions = _partitions(log, group, topics, committed)
    begins, ends = log.beginning_offsets(partitions), log.end_offsets(partitions)
    places = {
        each: max(committed[each].offset, begins[each])
        for each in partitions
        if each in committed and committed[each].offset < ends[each]
    }
    nexts = _next_records(log, places, ends)
    found = []
    for each in partitions:
        known = committed.get(each)
        lag = None if known is None else ends[each] - nexts.get(each, ends[each])
        owner = _owner(group, each, topics)
        found.append(
            PartitionLag(
                each,
                task_of(each, topics),
                None if known is None else known.offset,
                ends[each],
                lag,
                None if owner is None else owner.member_id,
            )
        )
    return sorted(found, key=lambda each: (each.task is None, each.task or (0, 0), each.partition))


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


def _next_records(
    log: Log, places: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> Mapping[TopicPartition, int]:
    """Return the offset of the first record from each place on; the end, where there is none before it.

    Between a place and the end there may be nothing but markers of transactions, and what was aborted: offsets alone do
    not tell. Where the records may not be read, or do not come in time, the places stand.
    """
    found = dict(places)
    if not places:
        return found
    left = set(places)
    deadline = time.monotonic() + _LOOK_SECONDS
    reader = log.reader()
    try:
        reader.assign(places)
        while left and time.monotonic() < deadline:
            seen: dict[TopicPartition, int] = {}
            for chunk in reader.poll(_POLL_MS):
                seen.setdefault(TopicPartition(chunk.topic, chunk.partition), chunk.offsets[0])
            for each in sorted(left):
                if each in seen:
                    found[each] = min(seen[each], ends[each])
                elif reader.position(each) >= ends[each]:
                    found[each] = ends[each]
                else:
                    continue
                left.discard(each)
                reader.unassign([each])
    except LogError:
        pass
    finally:
        reader.close()
    return found
