"""Decides what to fetch from whom: answers and assignments in, requests and data out; no IO, no clock.

One request for each broker covers all its partitions that may be read, and the next one is due as soon as its answer is
taken in, before anything of it is decoded. Fetches are full ones, without sessions: on a few hundred partitions the
larger requests cost less than the bookkeeping of incremental ones (KIP-227) would.
"""

from collections.abc import Iterable, Iterator, Mapping

from headrace.base.errors import LogError, StateError
from headrace.base.ids import TopicPartition
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.fetch.messages import (
    AskBounds,
    AskMetadata,
    BoundAnswer,
    BoundQuery,
    Fetch,
    FetchAnswer,
    FetchedPartition,
    FetchLimits,
    PartitionFetch,
    Request,
    TakenRun,
    TopicLeaders,
)
from headrace.kafka.fetch.metadata import MetadataWatch, take_topic
from headrace.kafka.fetch.partition import FetchPhase, PartitionState

__all__ = ["FetchMachine"]

#: How long a broker may hold an answer back (ms) while partitions of it are left out of the request: a resumed one
#: waits for that answer, since a broker serves a connection's requests one after another.
_SHORT_WAIT_MS = 25

_NEVER = float("inf")

_ASKING = {FetchPhase.WANTS_FIRST: FetchPhase.ASKING_FIRST, FetchPhase.WANTS_END: FetchPhase.ASKING_END}


class FetchMachine:
    """The fetching of one reader. Times are seconds of any steady clock.

    The driver sends what `requests` returns, gives every answer or failure back with its request, hands out what `take`
    returns, and waits no longer than `wake_at`.

    # Invariant: an answer is taken in only if the generation of its partition is the one that asked (tests/kafka: the
    # simulation seeks, unassigns and moves leaders while answers are under way).
    """

    def __init__(self, limits: FetchLimits) -> None:
        self._limits = limits
        # In the order in which brokers are asked: what brought records goes behind the others.
        self._partitions: dict[TopicPartition, PartitionState] = {}
        # In the order in which data is handed out: what was served goes behind the others.
        self._turns: dict[TopicPartition, PartitionState] = {}
        self._generation = 0
        self._metadata = MetadataWatch(limits)
        self._fetching: dict[int, int] = {}  # broker -> the bytes that may come
        self._node_retry_at: dict[int, float] = {}
        self._node_attempts: dict[int, int] = {}
        self._fatal: LogError | None = None
        self._has_changed = False
        self._wake_at = _NEVER

    # What the application wants.

    def assign(self, positions: Mapping[TopicPartition, int], now: float) -> None:
        """Read partitions from these positions; what was fetched of them before is forgotten, a pause stays."""
        self._has_changed = True
        for topic_partition, position in positions.items():
            before = self._partitions.get(topic_partition)
            state = PartitionState(topic_partition, position, self._next_generation(), self._limits)
            state.is_paused = before is not None and before.is_paused
            self._partitions[topic_partition] = self._turns[topic_partition] = state
            known = self._metadata.known(topic_partition.topic)
            if known is None:
                self._metadata.want(now, at_once=True)
            else:
                take_topic(state, known, self._next_generation(), now)
                if state.phase is FetchPhase.LEADERLESS:
                    self._metadata.want(now)

    def unassign(self, partitions: Iterable[TopicPartition]) -> None:
        """Forget partitions; ones that are not assigned are ignored."""
        self._has_changed = True
        for topic_partition in partitions:
            self._partitions.pop(topic_partition, None)
            self._turns.pop(topic_partition, None)
        self._metadata.keep({topic_partition.topic for topic_partition in self._partitions})

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Hand out nothing of partitions, and ask for nothing more of them. What was fetched is kept, up to a limit."""
        for topic_partition in partitions:
            if state := self._partitions.get(topic_partition):
                state.pause()
        self._drop_paused()

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Undo `pause`."""
        for topic_partition in partitions:
            if (state := self._partitions.get(topic_partition)) and state.is_paused:
                state.is_paused = False
                self._has_changed = True

    def position(self, partition: TopicPartition) -> int:
        """The next offset that `take` hands out."""
        return self._assigned(partition).position

    def end(self, partition: TopicPartition) -> int | None:
        """The committed end as the last answers told it; None before the first one."""
        return self._assigned(partition).end

    def end_known_at(self, partition: TopicPartition) -> float | None:
        """When the leader was asked whose answer told `end`; None before the first answer."""
        return self._assigned(partition).end_known_at

    def _assigned(self, topic_partition: TopicPartition) -> PartitionState:
        state = self._partitions.get(topic_partition)
        if state is None:
            raise StateError(
                f"cannot tell the position in {topic_partition}: the partition is not assigned to this reader"
            )
        return state

    def undecided(self, partitions: Iterable[TopicPartition]) -> TopicPartition | None:
        """Return the first of these of which metadata has not said yet whether it exists.

        Raises:
            LogError: what no broker can mend; once.
        """
        self._raise_fatal()
        for topic_partition in partitions:
            state = self._partitions[topic_partition]
            if not state.is_known and state.phase is not FetchPhase.FAILED:
                return topic_partition
        return None

    def failure(self, partitions: Iterable[TopicPartition]) -> LogError | None:
        """The error of the first of these that has failed."""
        return next(
            (error for topic_partition in partitions if (error := self._partitions[topic_partition].error)),
            None,
        )

    # What is handed out.

    def take(self, bytes_max: int) -> list[TakenRun]:
        """Hand out fetched data, one run a partition, the one that waits longest first, until `bytes_max` is reached.

        Raises:
            LogError: a partition cannot be read on, and all that was fetched of it before is handed out; every call
                raises it until the partition is assigned anew or unassigned. Also what no broker can mend: once.
        """
        self._raise_fatal()
        for state in self._turns.values():
            if state.error is not None and not state.runs and not state.is_paused:
                raise state.error.with_traceback(None)
        taken: list[TakenRun] = []
        ready = [state for state in self._turns.values() if state.runs and not state.is_paused]
        for state in ready:
            if bytes_max <= 0:
                break
            taken.append(state.take())
            bytes_max -= len(taken[-1].records)
            self._turns[state.topic_partition] = self._turns.pop(state.topic_partition)
        self._has_changed |= bool(taken)
        return taken

    def _raise_fatal(self) -> None:
        if self._fatal is not None:
            error, self._fatal = self._fatal, None
            raise error

    def damaged(self, taken: TakenRun, error: LogError) -> None:
        """Say that data which was handed out cannot be decoded; `take` raises `error` from now on."""
        if state := self._partitions.get(taken.partition):
            state.damaged(taken, error)

    def put_back(self, taken: TakenRun, position: int) -> None:
        """Say that data which was just handed out is decoded up to a position only; the rest is handed out again."""
        if state := self._partitions.get(taken.partition):
            state.put_back(taken, position)

    # What is to be sent.

    def wake_at(self) -> float:
        """When `requests` has something to say without an event before."""
        return self._wake_at

    def requests(self, now: float) -> list[Request]:
        """Return what is to be sent now; each must be answered, or failed, exactly once."""
        if not self._has_changed and now < self._wake_at:
            return []
        self._has_changed = False
        self._wake_at = _NEVER
        self._drop_paused()
        found: list[Request] = [*self._bound_requests(now), *self._fetches(now)]
        if self._partitions:
            metadata = self._metadata.request(
                (topic_partition.topic for topic_partition in self._partitions), now
            )
            if metadata is not None:
                found.append(metadata)
            self._wake_at = min(self._wake_at, self._metadata.wake_at)
        return found

    def _is_due(self, state: PartitionState, node: int, now: float) -> bool:
        due_at = max(state.retry_at, self._node_retry_at.get(node, 0.0))
        if now < due_at:
            self._wake_at = min(self._wake_at, due_at)
            return False
        return True

    def _bound_requests(self, now: float) -> Iterator[AskBounds]:
        queries: dict[tuple[int, bool], list[BoundQuery]] = {}
        for state in self._partitions.values():
            if state.phase in _ASKING and self._is_due(state, state.leader, now):
                query = BoundQuery(state.topic_partition, state.generation, state.leader_epoch)
                queries.setdefault((state.leader, state.phase is FetchPhase.WANTS_END), []).append(query)
                state.phase = _ASKING[state.phase]
        for (node, of_end), partitions in queries.items():
            yield AskBounds(node, of_end, tuple(partitions))

    def _fetches(self, now: float) -> Iterator[Fetch]:
        wanted: dict[int, list[PartitionState]] = {}
        incomplete: set[int] = set()
        kept = 0
        is_waiting = False  # whether a poll will make room
        for state in self._partitions.values():
            kept += state.kept_bytes
            is_waiting |= bool(state.runs) and not state.is_paused
            node = state.node(now)
            if state.phase is not FetchPhase.READY or node in self._fetching:
                continue
            if state.is_paused or not state.has_room or not self._is_due(state, node, now):
                incomplete.add(node)
            else:
                wanted.setdefault(node, []).append(state)
        for count, (node, states) in enumerate(wanted.items()):
            room = self._limits.bytes_max - kept - sum(self._fetching.values())
            share = min(room // (len(wanted) - count), len(states) * self._limits.partition_bytes_max)
            if share < self._limits.partition_bytes_max:
                # Data that a poll hands out, or an answer under way, makes room; otherwise nothing ever would.
                if is_waiting or self._fetching:
                    continue
                share = max(share, 1)
            self._fetching[node] = share
            yield self._fetch(node, states, share, now, is_complete=node not in incomplete)

    def _fetch(
        self, node: int, states: list[PartitionState], share: int, now: float, *, is_complete: bool
    ) -> Fetch:
        limits = self._limits
        for state in states:
            state.phase = FetchPhase.FETCHING
        return Fetch(
            node,
            tuple(
                PartitionFetch(
                    state.topic_partition,
                    state.generation,
                    state.fetch_offset,
                    state.leader_epoch,
                    state.last_epoch,
                )
                for state in states
            ),
            max_wait_ms=limits.max_wait_ms if is_complete else min(_SHORT_WAIT_MS, limits.max_wait_ms),
            min_bytes=limits.min_bytes,
            bytes_max=share,
            partition_bytes_max=limits.partition_bytes_max,
            rack=limits.rack,
            sent_at=now,
        )

    # What has come back.

    def fetched(self, request: Fetch, answer: FetchAnswer, now: float) -> None:
        """Take in the answer to a fetch."""
        self._answered(request.node_id)
        answers = {each.partition: each for each in answer.partitions}
        for asked in request.partitions:
            state = self._asked(asked)
            if state is None:
                continue
            # An error of the whole answer is one of each partition; one that was left out is asked for again.
            code = answer.error if answer.error is not ErrorCode.NONE else ErrorCode.UNKNOWN_SERVER_ERROR
            found = answers.get(asked.partition) or FetchedPartition(asked.partition, code)
            if found.error is ErrorCode.NONE and request.node_id == state.leader:
                state.end_known_at = request.sent_at  # a nearer replica may know less
            if state.fetched(found, self._next_generation(), now):
                self._partitions[state.topic_partition] = self._partitions.pop(state.topic_partition)
            if state.phase is FetchPhase.LEADERLESS:
                self._metadata.want(now)

    def bounds_found(self, request: AskBounds, answers: Iterable[BoundAnswer], now: float) -> None:
        """Take in the answer to a question for bounds."""
        self._has_changed = True
        found = {each.partition: each for each in answers}
        for asked in request.partitions:
            state = self._asked(asked)
            if state is not None:
                missing = BoundAnswer(asked.partition, error=ErrorCode.UNKNOWN_SERVER_ERROR)
                state.bound_found(found.get(asked.partition, missing), now)
                if state.phase is FetchPhase.LEADERLESS:
                    self._metadata.want(now)

    def failed(self, request: Request, now: float, fatal: LogError | None = None) -> None:
        """Take in that a request has no answer and will have none; `fatal` is what trying again does not mend."""
        self._fatal = fatal or self._fatal
        self._has_changed = True
        if isinstance(request, AskMetadata):
            self._metadata.failed(now)
            return
        if isinstance(request, Fetch):
            self._fetching.pop(request.node_id, None)
        attempts = self._node_attempts.get(request.node_id, 0)
        self._node_attempts[request.node_id] = attempts + 1
        self._node_retry_at[request.node_id] = now + self._limits.pause_s(attempts)
        for asked in request.partitions:
            state = self._asked(asked)
            if state is not None:
                state.lost_leader(now)
        self._metadata.want(now)

    def _answered(self, node_id: int) -> None:
        self._has_changed = True
        self._fetching.pop(node_id, None)
        self._node_attempts.pop(node_id, None)
        self._node_retry_at.pop(node_id, None)

    def _asked(self, asked: PartitionFetch | BoundQuery) -> PartitionState | None:
        state = self._partitions.get(asked.partition)
        if state is None or state.generation != asked.generation or state.phase is FetchPhase.FAILED:
            return None
        return state

    def metadata_found(self, topics: Mapping[str, TopicLeaders], now: float) -> None:
        """Take in what a broker says of the topics that were asked for; one that is not there does not exist."""
        self._has_changed = True
        told = self._metadata.found(topics)
        self._metadata.keep({topic_partition.topic for topic_partition in self._partitions})
        for state in self._partitions.values():
            topic = told.get(state.topic_partition.topic)
            if topic is not None:
                take_topic(state, topic, self._next_generation(), now)
        waiting = {state.topic_partition.topic for state in self._partitions.values() if state.needs_metadata}
        self._metadata.plan(waiting, told, now)

    def _next_generation(self) -> int:
        self._generation += 1
        return self._generation

    def _drop_paused(self) -> None:
        """Forget fetched data of paused partitions beyond half of what may be kept: the others need the rest."""
        paused = [state for state in self._partitions.values() if state.is_paused and state.runs]
        excess = sum(state.kept_bytes for state in paused) - self._limits.bytes_max // 2
        for state in paused:
            if excess <= 0:
                return
            excess -= state.kept_bytes
            state.rewind(self._next_generation())
