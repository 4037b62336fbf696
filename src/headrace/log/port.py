"""The log port: what the engine needs of a log, whichever log it is.

Drivers: `log.memory` (test driver), `log.embedded` (one SQLite file) and `kafka` (a cluster). Everything here speaks in
chunks, columns and *positions*: a position is the next offset to read, and moves past transaction markers, aborted
and compacted-away data without a record being seen. Commit, lag and restore use positions, never the last record.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from headrace.base.columns import Chunk, Columns
from headrace.base.ids import TopicPartition
from headrace.group.application import GroupApplication
from headrace.log.groups import CommittedOffset, Groups
from headrace.log.limits import NO_LIMITS, RecordLimits
from headrace.log.membership import JoinOptions, MemberIdentity, Membership

__all__ = ["CommittedOffset", "Log", "Reader", "TopicInfo", "TopicSpec", "Writer"]


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to create. `config` holds Kafka's topic properties by their own names, as text."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """A topic as it exists. `id` changes when a topic is deleted and made again: stores compare it.

    `limits` say which records the log takes.
    """

    name: str
    partitions: int
    id: str
    config: Mapping[str, str] = field(default_factory=dict)
    limits: RecordLimits = NO_LIMITS


class Reader(Protocol):
    """Reads assigned partitions from given positions. Belongs to one thread."""

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Start reading partitions at these positions, beside those already assigned; one assigned before is moved."""

    def unassign(self, partitions: Iterable[TopicPartition]) -> None:
        """Stop reading partitions and forget what was fetched of them; unknown ones are ignored."""

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Return nothing of these partitions until `resume`; their positions stay."""

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Undo `pause`."""

    def poll(self, timeout_ms: int) -> list[Chunk]:
        """Return what is there, at most a few MiB, waiting up to `timeout_ms` if nothing is.

        Fair to all partitions that are not paused. Only committed data. A chunk never starts before its partition's
        position. Positions may move without a chunk.

        Raises:
            OffsetOutOfRangeError: a position lies before the first or after the last offset.
            LogError: the log cannot be read.
        """

    def end(self, partition: TopicPartition) -> int | None:
        """The partition's committed end as far as this reader knows, without asking anybody; None if it does not yet.

        Never behind `position` for long, and never ahead of the truth: lag and `max.task.idle.ms` are judged by it.
        """

    def end_known_at(self, partition: TopicPartition) -> float | None:
        """A moment (of the monotonic clock, in seconds) after which the log was asked for `end`; None where it was not.

        Whatever was committed before that moment lies before that end.
        """

    def position(self, partition: TopicPartition) -> int:
        """Next offset that `poll` will return, or look at, for this partition."""

    def close(self) -> None:
        """Release everything. Twice is fine."""


class Writer(Protocol):
    """Writes one transaction after another. Belongs to one thread.

    Attributes:
        is_atomic: whether nothing of a transaction is seen before its commit, and all of it after. Where it is not (at
            least once on a cluster), what was sent is seen at once, and a commit means that nothing was lost.
        takes_text: whether keys and values may be text, which is written in UTF-8 then, for less than its bytes cost.
            Else they are bytes or None.
    """

    @property
    def is_atomic(self) -> bool: ...

    @property
    def takes_text(self) -> bool: ...

    def append(self, topic: str, partition: int, columns: Columns) -> None:
        """Add records to the open transaction (opened by the first). Encodes or copies: the caller clears `columns`.

        Raises:
            UnknownTopicError: no such topic or partition.
        """

    def commit(
        self, offsets: Mapping[TopicPartition, CommittedOffset], member: MemberIdentity | None = None
    ) -> Mapping[TopicPartition, int]:
        """Make all appended records and the group's offsets durable, together or not at all.

        They are committed as `member` of the group, which is `Membership.member`; a group that has gone on without it
        refuses them. With None it is whoever `occupy` has made of this instance, or nobody. A log that one
        process has for itself takes any.

        Returns, for each topic-partition appended to, the position just behind this transaction's last record there.
        With no records, it commits the offsets alone.

        Raises:
            TransactionAbortedError: not committed, or not known to be; the caller aborts and rebuilds its tasks.
            StaleMemberEpochError: the group has gone on to another epoch of this member. Nothing has changed: what was
                appended is still to be committed, with more if need be, as the member is by then.
            FencedError: another writer with the same transactional id has taken over; this one is of no more use.
            LogError: not committed, and trying again will not help.
        """

    def barrier(self) -> None:
        """Let what is appended from now on become durable after all that was appended before; does not block.

        Where the writer is atomic, all of it does at once.
        """

    def send(self) -> None:
        """Let what was appended be on its way without waiting for more; does not block."""

    def abort(self) -> None:
        """Forget the open transaction; what was appended since the last commit is seen by nobody, ever."""

    @property
    def pending_bytes(self) -> int:
        """Roughly what the open transaction weighs."""

    def close(self) -> None:
        """Abort what is open and release everything. Twice is fine."""


class Log(Protocol):
    """Topics, offsets, and the makers of readers and writers. Safe to use from several threads.

    Attributes:
        makes_user_topics: whether an application's own topics are made when they are missing: there is nobody else to
            make them in a file. On a cluster, a missing topic is a mistake.
    """

    @property
    def makes_user_topics(self) -> bool: ...

    def topics(self, names: Iterable[str] | None = None) -> Mapping[str, TopicInfo]:
        """Those of these topics that exist, by name; all that there are where no names are given."""

    def partition_counts(self, names: Iterable[str] | None = None) -> Mapping[str, int]:
        """How many partitions these topics have, those that exist; all where no names are given.

        The cheap part of `topics`, for whoever looks every now and then.
        """

    def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        """Create those that do not exist. One that exists with another partition count is an error.

        Raises:
            LogError: a topic exists with another partition count (says both counts and what to do).
        """

    def delete_topics(self, names: Iterable[str]) -> None:
        """Delete topics and their records; unknown names are ignored."""

    def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """First offset that still exists (the end, where nothing does)."""

    def end_offsets(
        self, partitions: Iterable[TopicPartition], *, committed: bool = True
    ) -> Mapping[TopicPartition, int]:
        """Position behind the last record; with `committed=False` also behind open transactions of others."""

    def offsets_for_times(self, timestamps: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        """First offset of each partition whose record is not older than a timestamp (epoch ms); the end, if none is."""

    def committed(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> Mapping[TopicPartition, CommittedOffset]:
        """The group's stable committed offsets; partitions without one are left out."""

    @property
    def groups(self) -> Groups:
        """Its groups, for tools."""

    def join(self, group: str, application: GroupApplication, options: JoinOptions) -> Membership:
        """Become a member of the group of an application. Does not wait for others: what follows is told as effects.

        A log of one process has a member that is alone, and has every task at once. Close it before the log.
        """

    def reader(self) -> Reader:
        """Make a reader for the calling thread."""

    def writer(self, group: str, transactional_id: str | None = None) -> Writer:
        """Make a writer for the calling thread, committing offsets for `group`."""

    def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        """Drop records below these offsets, where the log wants to: a hint for repartition topics."""

    def maintain(self, budget_ms: int) -> None:
        """Apply retention and compaction for about `budget_ms`; called between stretches. Does nothing on Kafka."""

    def hurry(self, seconds: float) -> None:
        """Let what blocks for want of an answer, now or later, give up within so many seconds: the application stops.

        Readers and writers of the log do so too. The last call counts. Does nothing for a log that always answers.
        """

    @property
    def trouble(self) -> str | None:
        """What the log waits for, for people to read, while it does not answer; None where all is well."""

    @property
    def silence_s(self) -> float | None:
        """For how long (seconds) it has not answered, while `trouble` tells of that; else None."""

    def close(self) -> None:
        """Release everything. Twice is fine."""
