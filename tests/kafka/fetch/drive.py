"""Small words for the tests of the fetch machine: one partition, driven to where a test begins."""

from headrace.base.ids import TopicPartition
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.fetch.machine import FetchMachine
from headrace.kafka.fetch.messages import (
    AskBounds,
    AskMetadata,
    BoundAnswer,
    Fetch,
    FetchAnswer,
    FetchedPartition,
    FetchLimits,
    PartitionLeader,
    Request,
    TopicLeaders,
)
from headrace.kafka.fetch.partition import FetchPhase, PartitionState

P = TopicPartition("t", 0)
Q = TopicPartition("t", 1)
LIMITS = FetchLimits(bytes_max=1000, partition_bytes_max=100)


def told(
    leader: int = 1,
    epoch: int = 5,
    *,
    id: str = "id",
    error: ErrorCode = ErrorCode.NONE,
    partitions: int = 2,
) -> dict[str, TopicLeaders]:
    """What metadata says of topic `t`."""
    leaders = {number: PartitionLeader(leader, epoch) for number in range(partitions)}
    return {"t": TopicLeaders(id, error, {} if error else leaders)}


def records(
    count_bytes: int, next_offset: int, topic_partition: TopicPartition = P, epoch: int = 5
) -> FetchedPartition:
    """An answer with data up to `next_offset`, which is the end too."""
    return FetchedPartition(
        topic_partition,
        records=b"x" * count_bytes,
        next_offset=next_offset,
        last_epoch=epoch,
        last_stable_offset=next_offset,
        log_start_offset=0,
    )


def nothing(offset: int, topic_partition: TopicPartition = P) -> FetchedPartition:
    """An answer without data."""
    return FetchedPartition(
        topic_partition, next_offset=offset, last_stable_offset=offset, log_start_offset=0
    )


class Driven:
    """A machine, the requests that it has made and nobody has answered, and a clock."""

    def __init__(
        self, limits: FetchLimits = LIMITS, position: int = 10, *topic_partitions: TopicPartition
    ) -> None:
        self.machine = FetchMachine(limits)
        self.now = 100.0
        self.open: list[Request] = []
        self.machine.assign(dict.fromkeys(topic_partitions or (P,), position), self.now)

    @property
    def state(self) -> PartitionState:
        return self.machine._partitions[P]

    @property
    def phase(self) -> FetchPhase | None:
        found = self.machine._partitions.get(P)
        return None if found is None else found.phase

    def send(self) -> list[Request]:
        sent = self.machine.requests(self.now)
        self.open += sent
        return sent

    def wait(self, seconds: float) -> list[Request]:
        self.now += seconds
        return self.send()

    def lead(self, leader: int = 1, epoch: int = 5) -> None:
        """Ask for metadata and hear it."""
        self.send()
        self.hear(told(leader, epoch))

    def hear(self, topics: dict[str, TopicLeaders]) -> None:
        self.open = [each for each in self.open if not isinstance(each, AskMetadata)]
        self.machine.metadata_found(topics, self.now)

    def fetch(self) -> Fetch:
        """The fetch that is under way, sent if need be."""
        self.send()
        return next(each for each in self.open if isinstance(each, Fetch))

    def fetch_of(self, node_id: int) -> Fetch:
        """The one of a broker among several."""
        self.send()
        return next(each for each in self.open if isinstance(each, Fetch) and each.node_id == node_id)

    def bounds(self) -> AskBounds:
        self.send()
        return next(each for each in self.open if isinstance(each, AskBounds))

    def answer(self, *found: FetchedPartition, error: ErrorCode = ErrorCode.NONE) -> None:
        fetch = self.fetch()
        self.open.remove(fetch)
        self.machine.fetched(fetch, FetchAnswer(found, error), self.now)

    def answer_of(self, node_id: int, *found: FetchedPartition) -> None:
        fetch = self.fetch_of(node_id)
        self.open.remove(fetch)
        self.machine.fetched(fetch, FetchAnswer(found), self.now)

    def fail(self, request: Request) -> None:
        self.open.remove(request)
        self.machine.failed(request, self.now)

    def bound(self, offset: int, error: ErrorCode = ErrorCode.NONE) -> None:
        asked = self.bounds()
        self.open.remove(asked)
        self.machine.bounds_found(asked, [BoundAnswer(P, offset, error)], self.now)

    def reach(self, phase: FetchPhase) -> "Driven":
        """Drive the partition from its assignment to a phase."""
        if phase is FetchPhase.LEADERLESS:
            return self
        self.lead()
        if phase is FetchPhase.READY:
            return self
        self.fetch()
        if phase is FetchPhase.FETCHING:
            return self
        self.answer(FetchedPartition(P, ErrorCode.OFFSET_OUT_OF_RANGE))
        if phase is FetchPhase.WANTS_FIRST:
            return self
        self.bounds()
        if phase is FetchPhase.ASKING_FIRST:
            return self
        self.bound(20)
        if phase is FetchPhase.WANTS_END:
            return self
        self.bounds()
        if phase is FetchPhase.ASKING_END:
            return self
        self.bound(30)
        return self
