"""One assigned partition as the fetch machine sees it: where it stands, what is kept of it, what it waits for."""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from headrace.base.errors import LogError
from headrace.base.ids import TopicPartition
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.fetch.errors import (
    FetchRemedy,
    bound_remedy,
    fetch_remedy,
    out_of_range,
    refused,
    truncated,
)
from headrace.kafka.fetch.messages import BoundAnswer, FetchedPartition, FetchLimits, TakenRun

__all__ = ["FetchPhase", "FetchedRun", "PartitionState"]

#: How often a position may be refused although it lies within the bounds that the same leader tells.
_DOUBTS_MAX = 3


class FetchPhase(Enum):
    """What a partition waits for. Pausing and pauses before another try are apart from it."""

    LEADERLESS = auto()  # metadata
    READY = auto()  # its turn in a request
    FETCHING = auto()  # a fetch answer
    WANTS_FIRST = auto()  # its turn to ask for the first offset, after the position was refused
    ASKING_FIRST = auto()
    WANTS_END = auto()
    ASKING_END = auto()
    FAILED = auto()  # a new assignment


@dataclass(frozen=True, slots=True)
class FetchedRun:
    """Fetched and not yet taken."""

    offset: int
    answer: FetchedPartition


class PartitionState:
    """A partition between assignment and unassignment.

    # Invariant: `position` <= `fetch_offset`, and the kept runs join the two without a gap (tests/kafka: simulation).

    Attributes:
        generation: an answer to a request of another generation is not for this state.
        position: the next offset to hand out; fetch_offset: the next one to ask for.
        position_epoch, last_epoch: leadership under which the record before each was written; -1 if not known.
        leader, leader_epoch: as metadata told; -1 if not known.
        replica: the nearer broker to ask instead of the leader until `replica_until`; -1 for none.
        end: the committed end as far as answers have told.
        end_known_at: when the leader was asked that has told it last (s); None before that.
        retry_at: nothing is asked before (s).
        is_known: whether metadata has told of it; missing_since: since when it does not (s).
    """

    def __init__(
        self, topic_partition: TopicPartition, position: int, generation: int, limits: FetchLimits
    ) -> None:
        self.topic_partition = topic_partition
        self.limits = limits
        self.generation = generation
        self.position = self.fetch_offset = position
        self.position_epoch = self.last_epoch = -1
        self.phase = FetchPhase.LEADERLESS
        self.leader = self.leader_epoch = -1
        self.topic_id = ""
        self.is_known = False
        self.replica = -1
        self.replica_until = 0.0
        self.is_paused = False
        self.runs: deque[FetchedRun] = deque()
        self.kept_bytes = 0
        self.end: int | None = None
        self.end_known_at: float | None = None
        self.retry_at = 0.0
        self.attempts = 0
        self.missing_since: float | None = None
        self.error: LogError | None = None
        self._first = -1
        self._doubts = 0

    # What it wants.

    def node(self, now: float) -> int:
        """The broker to ask."""
        if self.replica >= 0 and now >= self.replica_until:
            self.replica = -1
        return self.replica if self.replica >= 0 else self.leader

    @property
    def has_room(self) -> bool:
        """Whether one more answer may come: one is kept while another is under way."""
        return self.kept_bytes <= self.limits.partition_bytes_max

    @property
    def needs_metadata(self) -> bool:
        """Whether it cannot go on without news of its leader, or is doubted to exist."""
        return self.phase is FetchPhase.LEADERLESS or (
            self.missing_since is not None and self.phase is not FetchPhase.FAILED
        )

    def delay(self, now: float) -> None:
        """Ask nothing for a while, each time for longer."""
        self.retry_at = now + self.limits.pause_s(self.attempts)
        self.attempts += 1

    # What happens to it.

    def pause(self) -> None:
        """Hand out nothing for a while. What is kept no longer holds on to the whole answer that it came with."""
        self.is_paused = True
        self.runs = deque(
            FetchedRun(run.offset, run.answer._replace(records=bytes(run.answer.records)))
            for run in self.runs
        )

    def led_by(self, leader: int, leader_epoch: int, generation: int) -> None:
        """Take in what metadata says. An answer of the leader before is no longer waited for."""
        if self.phase is FetchPhase.FAILED:
            return
        is_other = (leader, leader_epoch) != (self.leader, self.leader_epoch)
        self.leader, self.leader_epoch = leader, leader_epoch
        if self.phase is FetchPhase.LEADERLESS:
            self.phase = FetchPhase.READY
        elif is_other and self.phase is not FetchPhase.READY:
            self.generation = generation
            self.phase = FetchPhase.READY

    def lost_leader(self, now: float) -> None:
        """Whoever was asked is not, or no longer, the one to ask."""
        if self.phase is FetchPhase.FAILED:
            return
        # A pause also where a replica is left: the leader may name it again at once, and so on for ever.
        self.delay(now)
        is_replica, self.replica = self.replica >= 0, -1
        self.phase = FetchPhase.READY if is_replica else FetchPhase.LEADERLESS

    def fail(self, error: LogError) -> None:
        """Ask nothing more; whoever polls is told, behind what is still kept."""
        self.phase = FetchPhase.FAILED
        self.error = error

    def rewind(self, generation: int) -> None:
        """Forget what was fetched and not handed out; it is fetched again."""
        self.runs.clear()
        self.kept_bytes = 0
        self.fetch_offset, self.last_epoch = self.position, self.position_epoch
        if self.phase is FetchPhase.FETCHING:
            self.generation = generation
            self.phase = FetchPhase.READY

    def fetched(self, answer: FetchedPartition, generation: int, now: float) -> bool:
        """Take in a broker's answer. Says whether records came. `generation` is a fresh one."""
        self.phase = FetchPhase.READY
        remedy = fetch_remedy(answer.error)
        if remedy is FetchRemedy.TAKE:
            return self._took(answer, generation, now)
        if remedy is FetchRemedy.RETRY:
            self.delay(now)
        elif self.replica >= 0:
            self.lost_leader(now)  # whatever is wrong with a replica, the leader decides
        elif remedy is FetchRemedy.FIND_BOUNDS:
            self.phase = FetchPhase.WANTS_FIRST
        elif remedy is FetchRemedy.FIND_LEADER:
            self.lost_leader(now)
        else:
            self.fail(refused(self.topic_partition, self.fetch_offset, answer.error, answer.detail))
        return False

    def _took(self, answer: FetchedPartition, generation: int, now: float) -> bool:
        if answer.diverging_end >= 0:
            self._diverged(answer, generation, now)
            return False
        self.attempts = 0
        self.end = max(self.end or 0, answer.last_stable_offset)
        if answer.preferred_replica >= 0 and answer.preferred_replica != self.leader:
            self.replica = answer.preferred_replica
            self.replica_until = now + self.limits.metadata_max_age_ms / 1000
        if answer.next_offset <= self.fetch_offset:
            return (
                False  # nothing new, or a single batch larger than its share: it comes when its turn is first
            )
        if self.is_paused:
            answer = answer._replace(records=bytes(answer.records))
        self.runs.append(FetchedRun(self.fetch_offset, answer))
        self.kept_bytes += len(answer.records)
        # A broker tells the end as it was before it read: it may have sent more.
        self.end = max(self.end, answer.next_offset)
        self.fetch_offset, self.last_epoch = answer.next_offset, answer.last_epoch
        self._doubts = 0
        return True

    def _diverged(self, answer: FetchedPartition, generation: int, now: float) -> None:
        """The broker's log is not the one that was read before.

        Source: KIP-320 and KIP-595 (the diverging epoch of a fetch). Only committed records are handed out, and those
        are lost only by an unclean election or a lost disk: going on would hide it, so whoever polls is told. What was
        fetched and not handed out is simply fetched again.
        """
        if self.replica >= 0:
            self.lost_leader(now)
        elif self.runs:
            self.rewind(generation)
        else:
            self.fail(
                truncated(self.topic_partition, self.position, answer.log_start_offset, answer.diverging_end)
            )

    def bound_found(self, answer: BoundAnswer, now: float) -> None:
        """Take in a leader's answer for the first offset or the end."""
        of_end = self.phase is FetchPhase.ASKING_END
        remedy = bound_remedy(answer.error)
        if remedy is FetchRemedy.FIND_LEADER:
            self.lost_leader(now)
        elif remedy is FetchRemedy.RETRY or (remedy is FetchRemedy.TAKE and answer.offset < 0):
            self.phase = FetchPhase.WANTS_END if of_end else FetchPhase.WANTS_FIRST
            self.delay(now)
        elif remedy is not FetchRemedy.TAKE:
            self.fail(refused(self.topic_partition, self.fetch_offset, answer.error))
        elif not of_end:
            self._first = answer.offset
            self.phase = FetchPhase.WANTS_END
        elif not self._first <= self.fetch_offset <= answer.offset:
            self.fail(out_of_range(self.topic_partition, self.fetch_offset, self._first, answer.offset))
        else:
            self._doubt(answer.offset, now)

    def _doubt(self, end: int, now: float) -> None:
        """The position was refused and lies within the bounds: a moment's confusion, or a log without our epoch."""
        self._doubts += 1
        self.phase = FetchPhase.READY
        if self._doubts < _DOUBTS_MAX:
            self.delay(now)
        elif self.last_epoch >= 0:
            self.fail(truncated(self.topic_partition, self.fetch_offset, self._first, -1))
        else:
            detail = f"its leader refuses the position although it has {self._first} to {end}"
            self.fail(refused(self.topic_partition, self.fetch_offset, ErrorCode.OFFSET_OUT_OF_RANGE, detail))

    def take(self) -> TakenRun:
        """Hand out the oldest run; the position moves behind it."""
        run = self.runs.popleft()
        answer = run.answer
        self.kept_bytes -= len(answer.records)
        self.position, self.position_epoch = answer.next_offset, answer.last_epoch
        return TakenRun(
            self.topic_partition,
            self.generation,
            run.offset,
            answer.next_offset,
            answer.records,
            answer.aborted,
        )

    def put_back(self, taken: TakenRun, position: int) -> None:
        """What was taken is decoded up to `position`: the rest is the oldest run again."""
        answer = FetchedPartition(
            taken.partition,
            records=taken.records,
            next_offset=taken.next_offset,
            last_epoch=self.position_epoch,
            aborted=taken.aborted,
        )
        self.runs.appendleft(FetchedRun(position, answer))
        self.kept_bytes += len(taken.records)
        self.position = position
        self.position_epoch = -1  # of this place within the answer nobody knows it

    def damaged(self, taken: TakenRun, error: LogError) -> None:
        """What was taken cannot be decoded: the position goes back, and whoever polls is told."""
        self.runs.clear()
        self.kept_bytes = 0
        self.position = self.fetch_offset = taken.offset
        self.fail(error)
