"""Idempotent producing without IO: batches in, produce requests out, answers in; ends of partitions for the commit.

What is durable when: an acknowledged batch is on all in-sync replicas. In a transaction nobody sees it before the
commit; without one everybody does at once.

# Invariant: each partition has at most one batch under way, the first one that is not acknowledged, and it is sent
# again with the same bytes until its outcome is known, or until the producer's id or epoch is given up. So the broker's
# memory of sequence numbers (five batches a partition) always tells a duplicate, and offsets follow the appends' order.
# Guarded by test_transaction_simulation.py.
"""

from collections import deque
from collections.abc import Callable, Mapping

from headrace.base.ids import TopicPartition
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.metadata import TopicMetadata
from headrace.kafka.produce.errors import ProduceRemedy, describe, produce_remedy
from headrace.kafka.produce.messages import (
    AskLeaders,
    Produce,
    ProduceAnswer,
    ProduceBatch,
    Produced,
    ProduceLimits,
)
from headrace.kafka.transaction.write_failure import WriteFailure, WriteFailureKind

__all__ = ["ProduceMachine"]

#: Sequence numbers are 31 bits and begin again at 0. Source: DefaultRecordBatch.incrementSequence.
_SEQUENCES = 2**31

_NEVER = float("inf")


class _Partition:
    """What waits for one partition, and how far the broker has acknowledged."""

    __slots__ = (
        "acknowledged_sequence",
        "attempts",
        "end",
        "in_flight",
        "next_sequence",
        "queue",
        "retry_at",
        "tried_since",
    )

    def __init__(self) -> None:
        self.queue: deque[ProduceBatch] = deque()
        self.in_flight = False
        self.attempts = 0
        self.retry_at = 0.0
        self.tried_since: float | None = None
        self.next_sequence = 0
        self.acknowledged_sequence = 0
        self.end: int | None = None


class ProduceMachine:
    """Delivers batches, each partition's in order. Time is in seconds of any clock that never goes back.

    Attributes:
        failure: why the open transaction cannot be committed; nothing more is sent then, until `discard`.
        queued_bytes: of all batches that are not acknowledged.
        was_sent: whether anything of this round may have reached a broker.
    """

    def __init__(self, limits: ProduceLimits) -> None:
        self._limits = limits
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._waiting: dict[TopicPartition, _Partition] = {}
        self._leaders: dict[TopicPartition, int] = {}
        self._unknown_since: dict[str, float] = {}
        self._wanted: set[str] = set()
        self._is_asking = False
        self._ask_at = 0.0
        self._ask_attempts = 0
        self._round = 0
        self._barriers = 0
        self._is_released = False
        self._batch_bytes_max: dict[str, int] = {}
        #: The same until the next commit, while a record is looked for that the broker refuses without naming it.
        self._suspect_bytes_max: dict[str, int] = {}
        self._in_flight = 0
        self.failure: WriteFailure | None = None
        self.queued_bytes = 0
        self.was_sent = False

    # ── appending ────────────────────────────────────────────────────────────────────────────────────────────────

    def next_sequence(self, topic_partition: TopicPartition) -> int:
        """Return the sequence number to stamp on the partition's next batch."""
        partition = self._partitions.get(topic_partition)
        return 0 if partition is None else partition.next_sequence

    def append(self, topic_partition: TopicPartition, data: bytes, count: int) -> None:
        """Queue a batch that is stamped with `next_sequence`."""
        partition = self._partitions.get(topic_partition)
        if partition is None:
            partition = self._partitions[topic_partition] = _Partition()
        partition.queue.append(
            ProduceBatch(topic_partition, data, count, partition.next_sequence, self._barriers)
        )
        partition.next_sequence = (partition.next_sequence + count) % _SEQUENCES
        self._waiting[topic_partition] = partition
        self.queued_bytes += len(data)
        if self.queued_bytes >= self._limits.release_bytes:
            self._is_released = True

    def barrier(self) -> None:
        """Send what is appended from now on only when all that was appended before is acknowledged."""
        if self._waiting:
            self._barriers += 1

    def flush(self) -> None:
        """Send whatever waits, however little."""
        self._is_released = bool(self._waiting)

    def batch_bytes_max(self, topic: str) -> int | None:
        """Return the largest batch to make for a topic, as learnt from refusals; None if there were none."""
        learnt = self._batch_bytes_max.get(topic), self._suspect_bytes_max.get(topic)
        return min((size for size in learnt if size is not None), default=None)

    @property
    def is_idle(self) -> bool:
        """Whether all batches are acknowledged."""
        return not self._waiting

    @property
    def in_flight(self) -> int:
        """Requests whose answer is open, of earlier rounds too."""
        return self._in_flight

    @property
    def topic_partitions(self) -> list[TopicPartition]:
        """Partitions that are to be sent to now: the transaction must have them."""
        return list(self._waiting) if self._is_released and self.failure is None else []

    def ends(self) -> dict[TopicPartition, int]:
        """Return, for each partition acknowledged since the last `forget_ends` or `discard`, the position behind it."""
        return {
            topic_partition: each.end
            for topic_partition, each in self._partitions.items()
            if each.end is not None
        }

    # ── ends of rounds ───────────────────────────────────────────────────────────────────────────────────────────

    def forget_ends(self) -> None:
        """Begin the next transaction: all before it is acknowledged and committed."""
        self._suspect_bytes_max.clear()
        self._forget_ends()

    def _forget_ends(self) -> None:
        for partition in self._partitions.values():
            partition.end = None
        self.was_sent = False

    def discard(self) -> None:
        """Forget what is not acknowledged, and the failure.

        The sequence numbers go back to the last acknowledged batch, which is right only if nothing is left that the
        broker may have without our knowing: else `reset_sequences` follows, with another epoch.
        """
        for partition in self._waiting.values():
            partition.queue.clear()
            partition.in_flight = False
            partition.attempts = 0
            partition.retry_at = 0.0
            partition.tried_since = None
            partition.next_sequence = partition.acknowledged_sequence
        self._waiting.clear()
        self._unknown_since.clear()
        self._wanted.clear()
        self.queued_bytes = 0
        self.failure = None
        self._is_released = False
        self._round += 1
        self._forget_ends()

    def reset_sequences(self) -> None:
        """Begin at 0 everywhere: the producer has another id or epoch. Nothing may be waiting."""
        for partition in self._partitions.values():
            partition.next_sequence = partition.acknowledged_sequence = 0

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def due(
        self, now: float, is_admitted: Callable[[TopicPartition], bool] = lambda topic_partition: True
    ) -> list[Produce | AskLeaders]:
        """Return what to send now; each request is answered by `answered` or `failed` (`leaders`, `leaders_failed`)."""
        if self.failure is not None or not self._is_released:
            return []
        ready: dict[int, list[ProduceBatch]] = {}
        passed = 0
        if self._barriers:  # none in transactions, which may have thousands of partitions
            passed = min((each.queue[0].barriers for each in self._waiting.values()), default=0)
        for topic_partition, partition in self._waiting.items():
            if (
                partition.in_flight
                or partition.queue[0].barriers > passed
                or not is_admitted(topic_partition)
            ):
                continue
            if partition.tried_since is None:
                partition.tried_since = now
            elif (now - partition.tried_since) * 1000 >= self._limits.delivery_timeout_ms:
                self._time_out(topic_partition, partition)
                return []
            if now < partition.retry_at:
                continue
            leader = self._leaders.get(topic_partition, -1)
            if leader < 0:
                self._wanted.add(topic_partition.topic)
            else:
                ready.setdefault(leader, []).append(partition.queue[0])
        requests: list[Produce | AskLeaders] = []
        if self._wanted and not self._is_asking and now >= self._ask_at:
            self._is_asking = True
            requests.append(AskLeaders(tuple(sorted(self._wanted))))
        for leader, batches in ready.items():
            requests += self._pack(leader, batches)
        return requests

    def _pack(self, leader: int, batches: list[ProduceBatch]) -> list[Produce]:
        """Make as few requests as their size allows."""
        pieces: list[list[ProduceBatch]] = []
        size = _NEVER
        for batch in batches:
            if size + len(batch.data) > self._limits.request_bytes_max:
                pieces.append([])
                size = 0
            pieces[-1].append(batch)
            size += len(batch.data)
            self._partitions[batch.topic_partition].in_flight = True
        self._in_flight += len(pieces)
        self.was_sent = True
        return [Produce(leader, self._round, tuple(piece)) for piece in pieces]

    def next_time(self) -> float:
        """Return when `due` will have something that it did not have yet, if nothing else happens; inf if never."""
        if self.failure is not None or not self._is_released:
            return _NEVER
        times = [
            min(each.retry_at or _NEVER, (each.tried_since or 0.0) + self._limits.delivery_timeout_ms / 1000)
            for each in self._waiting.values()
            if not each.in_flight and each.tried_since is not None
        ]
        if self._wanted and not self._is_asking:
            times.append(self._ask_at)
        return min(times, default=_NEVER)

    def _time_out(self, topic_partition: TopicPartition, partition: _Partition) -> None:
        self.give_up(
            WriteFailure(
                WriteFailureKind.ABORT,
                f"cannot write to {topic_partition.in_words()}: not acknowledged within "
                f"delivery.timeout.ms={self._limits.delivery_timeout_ms}, after {partition.attempts} failed attempts; "
                f"look whether its leader and enough in-sync replicas (min.insync.replicas) are up",
                topic_partition,
            )
        )

    def give_up(self, failure: WriteFailure) -> None:
        """Send nothing more until `discard`. The first failure is kept."""
        if self.failure is None:
            self.failure = failure

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def answered(self, request: Produce, answer: ProduceAnswer, now: float) -> None:
        """Take the answer to a request."""
        self._in_flight -= 1
        if request.round != self._round:
            return
        for batch in request.batches:
            # A partition that the answer leaves out is one whose outcome we do not know.
            self._take(
                batch, answer.get(batch.topic_partition, Produced(ErrorCode.UNKNOWN_SERVER_ERROR, -1)), now
            )
        if not self._waiting:
            self._is_released = False

    def failed(self, request: Produce, now: float) -> None:
        """Take it that a request got no answer: its batches may or may not be in the log."""
        self._in_flight -= 1
        if request.round != self._round:
            return
        for batch in request.batches:
            self._retry(batch.topic_partition, now, self._limits.retry_backoff_ms)
            self._lose_leader(batch.topic_partition)

    def _take(self, batch: ProduceBatch, produced: Produced, now: float) -> None:
        remedy = produce_remedy(produced.error)
        if remedy is ProduceRemedy.TAKE and produced.base_offset >= 0:
            self._acknowledge(batch, produced.base_offset)
        elif remedy is ProduceRemedy.TAKE:
            message = (
                f"the broker did not say at which offset it wrote to {batch.topic_partition}; "
                f"the transaction is given up"
            )
            self.give_up(WriteFailure(WriteFailureKind.ABORT, message, batch.topic_partition))
        elif remedy is ProduceRemedy.RETRY:
            self._retry(batch.topic_partition, now, self._limits.retry_backoff_ms)
        elif remedy is ProduceRemedy.BUSY:
            self._retry(batch.topic_partition, now, self._limits.busy_backoff_ms)
        elif remedy is ProduceRemedy.FIND_LEADER:
            self._retry(batch.topic_partition, now, self._limits.retry_backoff_ms)
            self._lose_leader(batch.topic_partition)
        else:
            self._partitions[batch.topic_partition].in_flight = False
            if batch.count > 1:
                if remedy is ProduceRemedy.SHRINK:
                    self._batch_bytes_max[batch.topic_partition.topic] = len(batch.data) // 2
                elif remedy is ProduceRemedy.REFUSE and not produced.refused:
                    self._suspect_bytes_max[batch.topic_partition.topic] = len(batch.data) // 2
            self.give_up(describe(batch, produced, request_bytes_max=self._limits.request_bytes_max))

    def _acknowledge(self, batch: ProduceBatch, base_offset: int) -> None:
        partition = self._partitions[batch.topic_partition]
        partition.queue.popleft()
        partition.in_flight = False
        partition.attempts = 0
        partition.retry_at = 0.0
        partition.tried_since = None
        partition.end = base_offset + batch.count
        partition.acknowledged_sequence = (batch.sequence + batch.count) % _SEQUENCES
        self.queued_bytes -= len(batch.data)
        if not partition.queue:
            del self._waiting[batch.topic_partition]

    def _retry(self, topic_partition: TopicPartition, now: float, backoff_ms: int) -> None:
        partition = self._partitions[topic_partition]
        partition.in_flight = False
        partition.retry_at = now + self._pause(partition.attempts, backoff_ms)
        partition.attempts += 1

    def _pause(self, attempts: int, backoff_ms: int) -> float:
        return min(backoff_ms << min(attempts, 20), self._limits.retry_backoff_max_ms) / 1000

    def _lose_leader(self, topic_partition: TopicPartition) -> None:
        self._leaders.pop(topic_partition, None)
        self._wanted.add(topic_partition.topic)

    # ── leaders ──────────────────────────────────────────────────────────────────────────────────────────────────

    def leaders(self, request: AskLeaders, topics: Mapping[str, TopicMetadata], now: float) -> None:
        """Take what a broker says of the topics asked for."""
        self._is_asking = False
        still_wanted = False
        for name in request.topics:
            self._wanted.discard(name)
            topic = topics.get(name)
            for topic_partition in [
                topic_partition for topic_partition in self._waiting if topic_partition.topic == name
            ]:
                still_wanted |= not self._learn(topic_partition, topic, now)
        if still_wanted:
            self._ask_again(now)
        else:
            self._ask_attempts = 0

    def leaders_failed(self, now: float) -> None:
        """Take it that the question for leaders got no answer."""
        self._is_asking = False
        self._ask_again(now)

    def _ask_again(self, now: float) -> None:
        self._ask_at = now + self._pause(self._ask_attempts, self._limits.retry_backoff_ms)
        self._ask_attempts += 1

    def _learn(self, topic_partition: TopicPartition, topic: TopicMetadata | None, now: float) -> bool:
        """Remember who leads a partition; return whether somebody does."""
        error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if topic is None else topic.error
        if topic is not None and error is ErrorCode.NONE:
            partition = topic.partitions.get(topic_partition.partition)
            if partition is not None:
                self._unknown_since.pop(topic_partition.topic, None)
                if partition.leader < 0:
                    self._wanted.add(topic_partition.topic)
                    return False
                self._leaders[topic_partition] = partition.leader
                return True
            error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        self._wanted.add(topic_partition.topic)
        if error in (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID):
            since = self._unknown_since.setdefault(topic_partition.topic, now)
            if (now - since) * 1000 >= self._limits.missing_grace_ms:
                message = f"cannot commit to {topic_partition.in_words()}: it does not exist; create the topic first"
                self.give_up(WriteFailure(WriteFailureKind.MISSING, message, topic_partition))
        elif error is ErrorCode.TOPIC_AUTHORIZATION_FAILED:
            message = f"cannot write to topic {topic_partition.topic!r}: allow this principal to WRITE and DESCRIBE it"
            self.give_up(WriteFailure(WriteFailureKind.HOPELESS, message, topic_partition))
        elif error is ErrorCode.INVALID_TOPIC_EXCEPTION:
            message = f"cannot write to topic {topic_partition.topic!r}: {error.name}; correct its name"
            self.give_up(WriteFailure(WriteFailureKind.HOPELESS, message, topic_partition))
        return False
