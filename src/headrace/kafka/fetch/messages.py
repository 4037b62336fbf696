"""What the fetch machine asks for and is told: plain values between its decisions and the wire (`wire`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from headrace.base.ids import TopicPartition
from headrace.kafka.error_codes import ErrorCode

__all__ = [
    "AskBounds",
    "AskMetadata",
    "BoundAnswer",
    "BoundQuery",
    "Fetch",
    "FetchAnswer",
    "FetchLimits",
    "FetchedPartition",
    "PartitionFetch",
    "PartitionLeader",
    "Request",
    "TakenRun",
    "TopicLeaders",
]


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How much is fetched and kept, and how long is waited; the defaults are Kafka's.

    Attributes:
        max_wait_ms: how long a broker may hold an answer back while there is nothing to send.
        min_bytes: how much makes it answer at once.
        bytes_max: of one answer, and of all fetched data that a reader keeps.
        partition_bytes_max: of one partition in one answer; a single larger batch comes all the same.
        rack: where this client is; a broker may name a nearer replica to read from. Empty: always the leader.
        metadata_max_age_ms: how old the known leaders may be, and how long a nearer replica is kept.
        retry_backoff_ms, retry_backoff_max_ms: the first and the longest pause before something is tried again.
    """

    max_wait_ms: int = 500
    min_bytes: int = 1
    bytes_max: int = 50 * 1024 * 1024
    partition_bytes_max: int = 1024 * 1024
    rack: str = ""
    metadata_max_age_ms: int = 300_000
    retry_backoff_ms: int = 100
    retry_backoff_max_ms: int = 1000

    def pause_s(self, attempts: int) -> float:
        """How long to wait (s) after this many tries that failed before."""
        return min(self.retry_backoff_ms << min(attempts, 16), self.retry_backoff_max_ms) / 1000


@dataclass(frozen=True, slots=True)
class PartitionFetch:
    """One partition of a fetch request.

    Attributes:
        generation: which assignment this belongs to; the answer to an older one is thrown away.
        leader_epoch: the leadership that is believed current; a broker that knows better says so. -1 if not known.
        last_epoch: the leadership under which the record before `offset` was written; a broker whose log differs there
            says so. -1 if not known.
    """

    partition: TopicPartition
    generation: int
    offset: int
    leader_epoch: int
    last_epoch: int


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask a broker for records. `sent_at` is when (s)."""

    node_id: int
    partitions: tuple[PartitionFetch, ...]
    max_wait_ms: int
    min_bytes: int
    bytes_max: int
    partition_bytes_max: int
    rack: str
    sent_at: float = 0.0


@dataclass(frozen=True, slots=True)
class BoundQuery:
    """One partition whose first or last offset is asked for."""

    partition: TopicPartition
    generation: int
    leader_epoch: int


@dataclass(frozen=True, slots=True)
class AskBounds:
    """Ask leaders for the first offset of partitions, or (`of_end`) for the position behind their last record."""

    node_id: int
    of_end: bool
    partitions: tuple[BoundQuery, ...]


@dataclass(frozen=True, slots=True)
class AskMetadata:
    """Ask any broker who leads the partitions of these topics."""

    topics: tuple[str, ...]


Request: TypeAlias = Fetch | AskBounds | AskMetadata


class FetchedPartition(NamedTuple):
    """What a broker answered for one partition. -1 stands for *not said* in all offsets.

    Attributes:
        records: record batches; the last one may be cut off.
        next_offset: behind the last complete batch; the asked offset if there is none.
        last_epoch: of the last complete batch; -1 if there is none.
        aborted: (producer id, first offset) of the aborted transactions within.
        preferred_replica: the broker to ask instead; -1 for none.
        diverging_end: where the broker's log parts from the one that was read before; -1 where it does not.
        detail: what is wrong, where `error` alone does not say it.
    """

    partition: TopicPartition
    error: ErrorCode = ErrorCode.NONE
    records: bytes | memoryview = b""
    next_offset: int = -1
    last_epoch: int = -1
    aborted: Sequence[tuple[int, int]] = ()
    last_stable_offset: int = -1
    log_start_offset: int = -1
    preferred_replica: int = -1
    diverging_end: int = -1
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FetchAnswer:
    """A broker's answer to a `Fetch`."""

    partitions: Sequence[FetchedPartition]
    error: ErrorCode = ErrorCode.NONE
    throttle_time_ms: int = 0


@dataclass(frozen=True, slots=True)
class BoundAnswer:
    """What a leader answered for one partition of an `AskBounds`."""

    partition: TopicPartition
    offset: int = -1
    error: ErrorCode = ErrorCode.NONE


@dataclass(frozen=True, slots=True)
class PartitionLeader:
    """Who leads a partition (-1: nobody), and under which epoch (-1: not said)."""

    leader: int
    leader_epoch: int = -1
    error: ErrorCode = ErrorCode.NONE


@dataclass(frozen=True, slots=True)
class TopicLeaders:
    """What metadata says of a topic. `id` is empty where the brokers have no topic ids."""

    id: str = ""
    error: ErrorCode = ErrorCode.NONE
    partitions: Mapping[int, PartitionLeader] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TakenRun:
    """Fetched data on its way to the decoder: of one partition, from `offset` up to `next_offset`."""

    partition: TopicPartition
    generation: int
    offset: int
    next_offset: int
    records: bytes | memoryview
    aborted: Sequence[tuple[int, int]]
