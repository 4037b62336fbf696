"""Why what was written cannot be committed: said by a writer's machines, made an error by `produce.writer_errors`."""

from dataclasses import dataclass
from enum import Enum, auto

from headrace.base.ids import TopicPartition
from headrace.base.records import RawRecord

__all__ = ["WriteFailure", "WriteFailureKind"]


class WriteFailureKind(Enum):
    """What follows for whoever writes."""

    ABORT = auto()
    """The transaction is given up; the next one may succeed."""
    DOUBT = auto()
    """The producer's id or epoch was refused: another writer has taken over, or the coordinator gave up waiting."""
    MISSING = auto()
    """A topic or partition does not exist."""
    REFUSED = auto()
    """A record will never be accepted."""
    HOPELESS = auto()
    """The transaction is given up, and the next one will fail too until somebody mends what the message says."""


@dataclass(frozen=True, slots=True)
class WriteFailure:
    """Why a transaction cannot be committed. `records` are those that are refused, of the partition."""

    kind: WriteFailureKind
    message: str
    topic_partition: TopicPartition | None = None
    records: tuple[RawRecord, ...] = ()
