"""The log of one process: the memory log that all share, where every call takes time and transactions are fenced."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from headrace.base.columns import Chunk, Columns
from headrace.base.errors import TransactionAbortedError
from headrace.base.ids import TopicPartition
from headrace.log.membership import MemberIdentity
from headrace.log.memory import MemoryLog
from headrace.log.memory.contents import Contents
from headrace.log.memory.reader import MemoryReader
from headrace.log.memory.writer import MemoryWriter
from headrace.log.port import CommittedOffset, TopicInfo, TopicSpec
from tests.simulation.brokers import Brokers, OpenTransaction
from tests.simulation.world import NoAnswer, World

__all__ = ["SimulatedLog"]

T = TypeVar("T")

#: How often a request without an answer is sent again before its outcome is given up.
_TRIES = 3


class SimulatedLog(MemoryLog):
    """See `Log`. Shares the records of `shared`."""

    def __init__(self, shared: MemoryLog, world: World, brokers: Brokers) -> None:
        self._contents = shared._contents
        self._world = world
        self._brokers = brokers

    def topics(self, names: Iterable[str] | None = None) -> Mapping[str, TopicInfo]:
        """See `Log.topics`."""
        self._world.spend()
        return super().topics(names)

    def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        """See `Log.create_topics`."""
        self._world.spend()
        super().create_topics(topics)

    def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See `Log.beginning_offsets`."""
        self._world.spend()
        return super().beginning_offsets(partitions)

    def end_offsets(
        self, partitions: Iterable[TopicPartition], *, committed: bool = True
    ) -> Mapping[TopicPartition, int]:
        """See `Log.end_offsets`."""
        self._world.spend()
        return super().end_offsets(partitions, committed=committed)

    def committed(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> Mapping[TopicPartition, CommittedOffset]:
        """See `Log.committed`: waits until no open transaction may move them."""
        wanted = list(partitions)
        self._world.spend()
        while self._world.current.process.is_alive and self._brokers.transactions.unstable(wanted):
            self._world.wait(0.1)
        found = super().committed(group, wanted)
        self._world.spend()
        return found

    def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        """See `Log.delete_records`."""
        self._world.spend()
        super().delete_records(before)

    def reader(self) -> "SimulatedReader":
        """See `Log.reader`."""
        return SimulatedReader(self._contents, self._world)

    def writer(self, group: str, transactional_id: str | None = None) -> "SimulatedWriter":  # type: ignore[override]  # as the port has it
        """See `Log.writer`. What the id has left open is aborted first."""
        assert transactional_id is not None, "exactly once needs an id"
        self._world.spend()
        return SimulatedWriter(
            lambda: MemoryWriter(self._contents, group), transactional_id, self._world, self._brokers
        )


class SimulatedReader(MemoryReader):
    """See `Reader`. Brings a little at a time."""

    def __init__(self, contents: Contents, world: World) -> None:
        super().__init__(contents)
        self._world = world

    def poll(self, timeout_ms: int) -> list[Chunk]:
        """See `Reader.poll`."""
        self._world.spend()
        found = super().poll(0)
        if not found and timeout_ms:
            self._world.wait(timeout_ms / 1000)
            found = super().poll(0)
        return found

    def _read_partition(self, topic_partition: TopicPartition) -> list[Chunk]:
        taken = super()._read_partition(topic_partition)[:2]
        if taken:
            self._positions.move(topic_partition, taken[-1].offsets[-1] + 1)
        return taken


class SimulatedWriter:
    """See `Writer`. A commit is two requests, and the outcome of each may stay unknown."""

    is_atomic = True
    takes_text = False

    def __init__(
        self, records: Callable[[], MemoryWriter], transactional_id: str, world: World, brokers: Brokers
    ) -> None:
        self._records = records
        self._id = transactional_id
        self._world = world
        self._brokers = brokers
        self._epoch = brokers.transactions.begin_epoch(transactional_id)
        self._transaction: OpenTransaction | None = None

    def _opened(self) -> OpenTransaction:
        if self._transaction is None:
            self._transaction = OpenTransaction(self._records(), self._world.now)
            self._brokers.transactions.open(self._id, self._epoch, self._transaction)
        return self._transaction

    def append(self, topic: str, partition: int, columns: Columns) -> None:
        """See `Writer.append`."""
        self._opened().records.append(topic, partition, columns)

    def commit(
        self, offsets: Mapping[TopicPartition, CommittedOffset], member: MemberIdentity | None = None
    ) -> Mapping[TopicPartition, int]:
        """See `Writer.commit`."""
        transaction, epoch, transactions = self._opened(), self._epoch, self._brokers.transactions

        def take_offsets() -> None:
            self._brokers.ensure_member(member, offsets)
            transactions.take_offsets(self._id, epoch, transaction, offsets)

        self._world.spend()
        if offsets:
            self._asked(take_offsets)
        ends = self._asked(lambda: transactions.end(self._id, epoch, transaction))
        self._transaction = None
        return ends

    def _asked(self, request: Callable[[], T]) -> T:
        """Ask; where there is no answer, ask again."""
        outcomes: list[T] = []

        def once() -> T:
            if not outcomes:  # it has heard that before
                outcomes.append(request())
            return outcomes[0]

        for _ in range(_TRIES):
            try:
                return self._world.ask(once)
            except NoAnswer:
                continue
        raise TransactionAbortedError("nobody knows what has become of it")

    def barrier(self) -> None:
        """See `Writer.barrier`."""

    def send(self) -> None:
        """See `Writer.send`."""

    def abort(self) -> None:
        """See `Writer.abort`: finds out what became of a commit without an answer."""
        if self._transaction is None:
            return
        transactions, epoch = self._brokers.transactions, self._epoch
        heard: list[int] = []

        def once() -> int:
            if not heard:
                heard.append(transactions.abort(self._id, epoch))
            return heard[0]

        while self._world.current.process.is_alive:
            try:
                self._epoch = self._world.ask(once)
                break
            except NoAnswer:
                continue
        self._transaction = None

    @property
    def pending_bytes(self) -> int:
        """See `Writer.pending_bytes`."""
        return 0 if self._transaction is None else self._transaction.records.pending_bytes

    def close(self) -> None:
        """See `Writer.close`. A process that was killed leaves open what is open."""
        if self._world.current.process.is_alive:
            self.abort()
