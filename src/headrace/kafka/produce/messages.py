"""What the produce machine asks for and is told: plain values between its decisions and the wire (`wire`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from headrace.base.ids import TopicPartition
from headrace.kafka.error_codes import ErrorCode

__all__ = [
    "AskLeaders",
    "Produce",
    "ProduceAnswer",
    "ProduceBatch",
    "ProduceLimits",
    "Produced",
]


@dataclass(frozen=True, slots=True)
class ProduceLimits:
    """How much is sent at once, and how long it is tried; the defaults are Kafka's where it has one.

    Attributes:
        request_bytes_max: of all batches of a request; a single larger batch is sent alone.
        release_bytes: nothing is sent before so much waits, or a flush: small transactions go out in one request.
        delivery_timeout_ms: how long a batch is tried before it is given up.
        missing_grace_ms: how long a topic may be unknown before it is said to be; brokers hear late of new ones.
        retry_backoff_ms, retry_backoff_max_ms: the first and the longest pause before something is tried again.
        busy_backoff_ms: first pause while the last transaction is still being completed: it takes a few ms.
    """

    request_bytes_max: int = 1024 * 1024
    release_bytes: int = 256 * 1024
    delivery_timeout_ms: int = 120_000
    missing_grace_ms: int = 2_000
    retry_backoff_ms: int = 100
    retry_backoff_max_ms: int = 1000
    busy_backoff_ms: int = 2


@dataclass(frozen=True, slots=True)
class ProduceBatch:
    """One encoded record batch, stamped with the producer's id, epoch and `sequence` (of its first record).

    Attributes:
        barriers: how many there were before it.
    """

    topic_partition: TopicPartition
    data: bytes
    count: int
    sequence: int
    barriers: int = 0


@dataclass(frozen=True, slots=True)
class Produce:
    """Send these batches to a broker, at most one for each partition.

    `round` says between which two discards it was made: answers to older ones are of no interest.
    """

    node_id: int
    round: int
    batches: tuple[ProduceBatch, ...]


@dataclass(frozen=True, slots=True)
class AskLeaders:
    """Ask for the leaders of these topics."""

    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Produced:
    """What a broker says of one batch.

    Attributes:
        base_offset: of its first record, -1 where it is not known.
        refused: which of its records are to blame, from 0; none where the broker does not say.
    """

    error: ErrorCode
    base_offset: int
    detail: str = ""
    refused: tuple[int, ...] = ()


ProduceAnswer: TypeAlias = Mapping[TopicPartition, Produced]
