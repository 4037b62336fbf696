"""What the machines for transactions and group offsets ask for and are told: plain values (see `wire`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from headrace.base.ids import TopicPartition
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.transaction.write_failure import WriteFailure
from headrace.log.port import CommittedOffset

__all__ = [
    "NO_IDENTITY",
    "NO_MEMBER",
    "AbortRequested",
    "AddOffsets",
    "AddPartitions",
    "Answer",
    "Answered",
    "CommitFailed",
    "CommitRequested",
    "CoordinatorKind",
    "EndTransaction",
    "Event",
    "FindCoordinator",
    "GroupMember",
    "InitProducer",
    "OffsetCommit",
    "Opened",
    "ProducerIdentity",
    "RequestFailed",
    "Touched",
    "TransactionLimits",
    "TransactionRequest",
    "TransactionalOffsetCommit",
]


@dataclass(frozen=True, slots=True)
class TransactionLimits:
    """How long is waited before a request is tried again; `timeout_ms` is what the coordinator is told.

    Attributes:
        timeout_ms: after this the coordinator aborts a transaction whose writer is silent (transaction.timeout.ms).
        busy_backoff_ms: first pause while the coordinator completes the transaction before: it takes a few ms.
        busy_backoff_max_ms: the longest one of these.
        missing_grace_ms: how long a topic may be unknown before it is said to be.
    """

    timeout_ms: int = 10_000
    retry_backoff_ms: int = 100
    retry_backoff_max_ms: int = 1000
    busy_backoff_ms: int = 2
    busy_backoff_max_ms: int = 50
    missing_grace_ms: int = 2_000


@dataclass(frozen=True, slots=True)
class ProducerIdentity:
    """What a broker knows a producer by."""

    producer_id: int
    epoch: int


NO_IDENTITY = ProducerIdentity(-1, -1)


@dataclass(frozen=True, slots=True)
class GroupMember:
    """Who commits offsets: the group's coordinator refuses those of a member that it has replaced.

    `generation` is the member's epoch in the newer group protocols. The default is nobody: no member is checked.
    """

    member_id: str = ""
    generation: int = -1
    instance_id: str | None = None


NO_MEMBER = GroupMember()


class CoordinatorKind(Enum):
    """Which coordinator. The values are those on the wire."""

    GROUP = 0
    TRANSACTION = 1


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class FindCoordinator:
    """Ask any broker who coordinates a group, or a transactional id."""

    kind: CoordinatorKind
    key: str


@dataclass(frozen=True, slots=True)
class InitProducer:
    """Ask for a producer id and epoch. `node_id` is None, for any broker, where there is no transactional id.

    With `expected`, the coordinator refuses if somebody else has asked since (KIP-360).
    """

    node_id: int | None
    transactional_id: str | None
    timeout_ms: int
    expected: ProducerIdentity = NO_IDENTITY


@dataclass(frozen=True, slots=True)
class AddPartitions:
    """Add partitions to the transaction before anything is written to them (older protocol)."""

    node_id: int
    transactional_id: str
    identity: ProducerIdentity
    topic_partitions: tuple[TopicPartition, ...]


@dataclass(frozen=True, slots=True)
class AddOffsets:
    """Add the group's offsets to the transaction (older protocol)."""

    node_id: int
    transactional_id: str
    identity: ProducerIdentity
    group: str


@dataclass(frozen=True, slots=True)
class TransactionalOffsetCommit:
    """Write the group's offsets into the transaction."""

    node_id: int
    transactional_id: str
    identity: ProducerIdentity
    group: str
    member: GroupMember
    offsets: Mapping[TopicPartition, CommittedOffset]


@dataclass(frozen=True, slots=True)
class EndTransaction:
    """Commit or abort."""

    node_id: int
    transactional_id: str
    identity: ProducerIdentity
    is_commit: bool


@dataclass(frozen=True, slots=True)
class OffsetCommit:
    """Commit the group's offsets, outside of any transaction."""

    node_id: int
    group: str
    member: GroupMember
    offsets: Mapping[TopicPartition, CommittedOffset]


TransactionRequest: TypeAlias = (
    FindCoordinator
    | InitProducer
    | AddPartitions
    | AddOffsets
    | TransactionalOffsetCommit
    | EndTransaction
    | OffsetCommit
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a broker says to any of these requests.

    Attributes:
        error: of the whole request.
        errors: of single partitions.
        node_id: the coordinator that was asked for.
        identity: the producer's new id and epoch, where the answer carries them.
    """

    error: ErrorCode = ErrorCode.NONE
    errors: Mapping[TopicPartition, ErrorCode] = field(default_factory=dict)
    node_id: int = -1
    identity: ProducerIdentity = NO_IDENTITY
    detail: str = ""


# ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Opened:
    """The writer was made: get an identity, which ends whatever an older instance has left open."""


@dataclass(frozen=True, slots=True)
class Touched:
    """Batches for these partitions are about to be sent."""

    topic_partitions: tuple[TopicPartition, ...]


@dataclass(frozen=True, slots=True)
class CommitRequested:
    """All batches are acknowledged: commit them, and these offsets."""

    offsets: Mapping[TopicPartition, CommittedOffset]
    member: GroupMember = NO_MEMBER


@dataclass(frozen=True, slots=True)
class AbortRequested:
    """Give the open transaction up."""


@dataclass(frozen=True, slots=True)
class CommitFailed:
    """The transaction cannot be committed: a batch was not written, or time is up."""

    failure: WriteFailure


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to the request under way."""

    request: TransactionRequest
    answer: Answer


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """The request under way got no answer. `was_sent` is False where it certainly never left."""

    request: TransactionRequest
    was_sent: bool
    is_fatal: bool = False
    detail: str = ""


Event: TypeAlias = (
    Opened | Touched | CommitRequested | AbortRequested | CommitFailed | Answered | RequestFailed
)
