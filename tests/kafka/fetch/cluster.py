"""A model of a Kafka cluster as a fetching client sees it: leaders, epochs, transactions, cut answers, replicas."""

import pickle
from dataclasses import dataclass, field

from headrace.base.ids import TopicPartition
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.fetch.messages import (
    AskBounds,
    AskMetadata,
    BoundAnswer,
    Fetch,
    FetchAnswer,
    FetchedPartition,
    PartitionFetch,
    PartitionLeader,
    TakenRun,
    TopicLeaders,
)

NODES = 3


@dataclass(frozen=True)
class Batch:
    base: int
    count: int
    epoch: int
    size: int
    producer: int = -1  # of a transaction
    marker: str = ""  # "commit" or "abort"

    @property
    def end(self) -> int:
        return self.base + self.count


@dataclass
class ModelPartition:
    topic_partition: TopicPartition
    leader: int = 0
    epoch: int = 0
    start: int = 0
    batches: list[Batch] = field(default_factory=list)
    open: dict[int, int] = field(default_factory=dict)  # producer -> first offset
    aborted: list[tuple[int, int, int]] = field(default_factory=list)  # producer, first offset, marker
    replica_end: int = 0  # how far the followers have come

    @property
    def end(self) -> int:
        return self.batches[-1].end if self.batches else 0

    @property
    def last_stable(self) -> int:
        return min(self.open.values(), default=self.end)

    def append(self, count: int, size: int, producer: int = -1) -> None:
        if producer >= 0:
            self.open.setdefault(producer, self.end)
        self.batches.append(Batch(self.end, count, self.epoch, size, producer))

    def finish(self, producer: int, marker: str) -> None:
        if producer in self.open:
            if marker == "abort":
                self.aborted.append((producer, self.open[producer], self.end))
            del self.open[producer]
            self.batches.append(Batch(self.end, 1, self.epoch, 10, producer, marker))

    def committed(self, position: int) -> list[int]:
        """The offsets that a reader from `position` is to see."""
        gone = {
            batch.base
            for batch in self.batches
            for producer, first, marker in self.aborted
            if batch.producer == producer and first <= batch.base <= marker
        }
        return [
            offset
            for batch in self.batches
            if not batch.marker and batch.base not in gone
            for offset in range(batch.base, batch.end)
            if position <= offset < self.last_stable
        ]

    def epoch_before(self, offset: int) -> int:
        return next((batch.epoch for batch in self.batches if batch.base < offset <= batch.end), -1)


class ModelCluster:
    """Answers requests as brokers would, of what is in the log at that moment."""

    def __init__(self, partitions: int, has_rack: bool) -> None:
        self.has_rack = has_rack
        self.partitions = {
            TopicPartition(f"t{number % 2}", number): ModelPartition(TopicPartition(f"t{number % 2}", number))
            for number in range(partitions)
        }

    def metadata(self, request: AskMetadata) -> dict[str, TopicLeaders]:
        return {
            topic: TopicLeaders(
                f"id-{topic}",
                partitions={
                    topic_partition.partition: PartitionLeader(each.leader, each.epoch)
                    for topic_partition, each in self.partitions.items()
                    if topic_partition.topic == topic
                },
            )
            for topic in request.topics
        }

    def bounds(self, request: AskBounds) -> list[BoundAnswer]:
        found = []
        for asked in request.partitions:
            each = self.partitions[asked.partition]
            error = self._leadership(each, request.node_id, asked.leader_epoch)
            offset = each.end if request.of_end else each.start
            found.append(BoundAnswer(asked.partition, -1 if error else offset, error))
        return found

    @staticmethod
    def _leadership(each: ModelPartition, node: int, epoch: int) -> ErrorCode:
        if epoch >= 0 and epoch < each.epoch:
            return ErrorCode.FENCED_LEADER_EPOCH
        return ErrorCode.NONE if each.leader == node else ErrorCode.NOT_LEADER_OR_FOLLOWER

    def fetch(self, request: Fetch) -> FetchAnswer:
        left, found = request.bytes_max, []
        for asked in request.partitions:
            answer = self._fetch_one(request, asked, left, is_first=left == request.bytes_max)
            left -= len(answer.records)
            found.append(answer)
        return FetchAnswer(found)

    def _fetch_one(
        self, request: Fetch, asked: PartitionFetch, left: int, is_first: bool
    ) -> FetchedPartition:
        each = self.partitions[asked.partition]
        is_leader = each.leader == request.node_id
        # Guards what KIP-320 needs: the epoch that is sent is that of the record before the position.
        assert asked.last_epoch in {-1, each.epoch_before(asked.offset)}
        if asked.leader_epoch < each.epoch:
            return FetchedPartition(asked.partition, ErrorCode.FENCED_LEADER_EPOCH)
        end = each.end if is_leader else each.replica_end
        if not each.start <= asked.offset <= end:
            return FetchedPartition(asked.partition, ErrorCode.OFFSET_OUT_OF_RANGE)
        stable = min(each.last_stable, end)
        if is_leader and self.has_rack and asked.offset < each.replica_end:
            nearer = (each.leader + 1) % NODES
            return FetchedPartition(
                asked.partition, next_offset=asked.offset, last_stable_offset=stable, preferred_replica=nearer
            )
        room = min(left, request.partition_bytes_max)
        batches: list[Batch] = []
        size = cut = 0
        for batch in each.batches:
            if batch.end <= asked.offset or batch.end > stable:
                continue
            if size + batch.size > room and not (is_first and not batches):
                cut = max(0, room - size)
                break
            batches.append(batch)
            size += batch.size
        upper = batches[-1].end if batches else asked.offset
        return FetchedPartition(
            asked.partition,
            records=pad(pickle.dumps(batches), size + cut) if size + cut else b"",
            next_offset=upper,
            last_epoch=batches[-1].epoch if batches else -1,
            aborted=[
                (producer, first)
                for producer, first, marker in each.aborted
                if first < upper and marker >= asked.offset
            ],
            last_stable_offset=stable,
            log_start_offset=each.start,
        )


class pad(bytes):  # noqa: N801 - bytes that weigh what the model says
    """A pickled list of batches that has another length."""

    size: int

    def __new__(cls, content: bytes, size: int) -> "pad":
        made = super().__new__(cls, content)
        made.size = size
        return made

    def __len__(self) -> int:
        return self.size

    def __bytes__(self) -> "pad":
        return self


def decode(taken: TakenRun) -> list[int]:
    """What the codec does: leave out markers, aborted data, and what lies before the position."""
    batches: list[Batch] = pickle.loads(taken.records)
    waiting = sorted(taken.aborted, key=lambda each: each[1])
    aborting: set[int] = set()
    found: list[int] = []
    for batch in batches:
        while waiting and waiting[0][1] <= batch.base:
            aborting.add(waiting.pop(0)[0])
        if batch.marker:
            aborting.discard(batch.producer)
        elif batch.producer not in aborting:
            found += [offset for offset in range(batch.base, batch.end) if offset >= taken.offset]
    return found
