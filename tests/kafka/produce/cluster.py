"""A model of a cluster's half of producing: logs with producer state, both protocols' transaction coordinator, a group.

What it answers is taken from Kafka 4.3 (TransactionCoordinator, TransactionMetadata, ProducerAppendInfo,
AddPartitionsToTxnManager). It knows nothing of networks: `network` carries requests here, or loses them.
"""

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kafka.protocol.consumer import OffsetCommitResponse
from kafka.protocol.metadata import FindCoordinatorResponse
from kafka.protocol.producer import (
    AddOffsetsToTxnResponse,
    AddPartitionsToTxnResponse,
    EndTxnResponse,
    InitProducerIdResponse,
    ProduceResponse,
    TxnOffsetCommitResponse,
)

from headrace.base.ids import TopicPartition
from headrace.kafka.batch.decoding import decode
from headrace.kafka.batch.layout import BATCH_HEADER
from headrace.kafka.error_codes import ErrorCode

E = ErrorCode


@dataclass
class Producer:
    """What a partition remembers of a producer id."""

    epoch: int = -1
    batches: list[tuple[int, int, int]] = field(default_factory=list)  # sequence, count, base offset
    is_open: bool = False


@dataclass
class Entry:
    """A record, or a marker where `is_commit` is not None."""

    producer_id: int
    value: bytes | None = None
    is_transactional: bool = False
    is_commit: bool | None = None


@dataclass
class Partition:
    leader: int
    entries: list[Entry] = field(default_factory=list)
    producers: dict[int, Producer] = field(default_factory=dict)


@dataclass
class Transaction:
    """The coordinator's state of a transactional id."""

    producer_id: int
    epoch: int = -1
    last_epoch: int = -1
    state: str = "empty"
    topic_partitions: set[TopicPartition] = field(default_factory=set)
    number: int = 0


class Cluster:
    """Three brokers. `now` is moved by whoever runs it; `later` is how it does things in a while."""

    def __init__(self, dice: random.Random, topics: dict[str, int], *, is_v2: bool, timeout_s: float) -> None:
        self.dice = dice
        self.is_v2 = is_v2
        self.timeout_s = timeout_s
        self.now = 0.0
        self.is_up = dict.fromkeys(range(3), True)
        self.coordinators = {0: 0, 1: 1}
        self.partitions = {
            TopicPartition(topic, number): Partition(dice.randrange(3))
            for topic, count in topics.items()
            for number in range(count)
        }
        self.transactions: dict[str, Transaction] = {}
        self.offsets: dict[TopicPartition, int] = {}
        self.pending: dict[int, dict[TopicPartition, int]] = {}
        self._ids = itertools.count(100)
        self._order = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), action))

    def step(self, until: float) -> bool:
        """Do the next thing that happens before `until`; else only let time pass."""
        if self._events and self._events[0][0] <= until:
            self.now, _, action = heapq.heappop(self._events)
            action()
            return True
        self.now = until
        return False

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def handle(self, node_id: int, name: str, request: Any, version: int) -> Any:
        """Answer a request as the broker `node_id`."""
        handlers: dict[str, Callable[[int, Any, int], Any]] = {
            "FindCoordinatorRequest": self._find_coordinator_request,
            "InitProducerIdRequest": self._init_producer_id_request,
            "AddPartitionsToTxnRequest": self._add_partitions_to_txn_request,
            "AddOffsetsToTxnRequest": self._add_offsets_to_txn_request,
            "TxnOffsetCommitRequest": self._txn_offset_commit_request,
            "OffsetCommitRequest": self._offset_commit_request,
            "EndTxnRequest": self._end_txn_request,
            "ProduceRequest": self._produce_request,
        }
        return handlers[name](node_id, request, version)

    def _find_coordinator_request(self, node_id: int, request: Any, version: int) -> Any:
        node = self.coordinators[request.key_type]
        is_up = self.is_up[node]
        coordinator = FindCoordinatorResponse.Coordinator(
            key=request.coordinator_keys[0],
            node_id=node if is_up else -1,
            host="h",
            port=1,
            error_code=E.NONE if is_up else E.COORDINATOR_NOT_AVAILABLE,
            error_message=None,
        )
        return FindCoordinatorResponse(coordinators=[coordinator])

    def _init_producer_id_request(self, node_id: int, request: Any, version: int) -> Any:
        if request.transactional_id is None:
            return InitProducerIdResponse(error_code=0, producer_id=next(self._ids), producer_epoch=0)
        if node_id != self.coordinators[1]:
            return InitProducerIdResponse(error_code=E.NOT_COORDINATOR, producer_id=-1, producer_epoch=-1)
        known = self.transactions.setdefault(request.transactional_id, Transaction(next(self._ids)))
        code = self._init(known, request.producer_id, request.producer_epoch)
        is_good = code is E.NONE
        return InitProducerIdResponse(
            error_code=code,
            producer_id=known.producer_id if is_good else -1,
            producer_epoch=known.epoch if is_good else -1,
        )

    def _init(self, known: Transaction, producer_id: int, epoch: int) -> ErrorCode:
        if known.state.startswith("prepare"):
            return E.CONCURRENT_TRANSACTIONS
        if producer_id >= 0 and known.epoch >= 0 and producer_id != known.producer_id:
            return E.PRODUCER_FENCED
        if known.state == "ongoing":
            self._fence(known)
            return E.CONCURRENT_TRANSACTIONS
        if producer_id < 0:
            known.epoch, known.last_epoch = known.epoch + 1, -1
        elif epoch == known.epoch or known.epoch < 0:
            known.epoch, known.last_epoch = known.epoch + 1, known.epoch
        elif epoch != known.last_epoch:
            return E.PRODUCER_FENCED
        known.state = "empty"
        return E.NONE

    def _fence(self, known: Transaction) -> None:
        if not self.is_v2:
            known.epoch, known.last_epoch = known.epoch + 1, -1
        self._prepare(known, is_commit=False, bumps=self.is_v2)

    def _prepare(self, known: Transaction, *, is_commit: bool, bumps: bool) -> None:
        known.state = "prepare commit" if is_commit else "prepare abort"
        if bumps:
            known.epoch, known.last_epoch = known.epoch + 1, known.epoch
        producer_id, epoch, topic_partitions = known.producer_id, known.epoch, sorted(known.topic_partitions)

        def complete() -> None:
            for topic_partition in topic_partitions:
                partition = self.partitions[topic_partition]
                producer = partition.producers.setdefault(producer_id, Producer())
                producer.epoch, producer.is_open = epoch, False
                if bumps:
                    producer.batches = []
                partition.entries.append(Entry(producer_id, is_commit=is_commit))
            moved = self.pending.pop(producer_id, {})
            if is_commit:
                self.offsets.update(moved)
            known.state = "complete commit" if is_commit else "complete abort"
            known.topic_partitions = set()

        self.later(self.dice.choice([0.001, 0.01, 0.05]), complete)

    def _add(
        self, known: Transaction | None, identity: tuple[int, int], topic_partition: TopicPartition | None
    ) -> ErrorCode:
        if known is not None and known.state.startswith("prepare"):
            return E.CONCURRENT_TRANSACTIONS
        if known is None or known.producer_id != identity[0]:
            return E.INVALID_PRODUCER_ID_MAPPING
        if known.epoch != identity[1]:
            return E.PRODUCER_FENCED
        if known.state != "ongoing":
            known.state = "ongoing"
            known.number += 1
            number = known.number

            def time_out() -> None:
                if known.state == "ongoing" and known.number == number:
                    self._fence(known)

            self.later(self.timeout_s, time_out)
        if topic_partition is not None:
            known.topic_partitions.add(topic_partition)
        return E.NONE

    def _verify(
        self, name: str, identity: tuple[int, int], topic_partition: TopicPartition | None
    ) -> ErrorCode:
        """What a partition's leader asks the coordinator before the first batch of a transaction."""
        known = self.transactions.get(name)
        if not self.is_up[self.coordinators[1]]:
            return E.NOT_ENOUGH_REPLICAS
        if self.is_v2:
            code = self._add(known, identity, topic_partition)
        elif known is None or known.producer_id != identity[0]:
            code = E.INVALID_PRODUCER_ID_MAPPING
        elif known.epoch != identity[1]:
            code = E.PRODUCER_FENCED
        elif known.state.startswith("prepare"):
            code = E.NOT_ENOUGH_REPLICAS
        else:
            is_in = known.state == "ongoing" and (
                topic_partition is None or topic_partition in known.topic_partitions
            )
            code = E.NONE if is_in else E.TRANSACTION_ABORTABLE
        return E.INVALID_PRODUCER_EPOCH if code is E.PRODUCER_FENCED else code

    def _add_partitions_to_txn_request(self, node_id: int, request: Any, version: int) -> Any:
        topic_result = AddPartitionsToTxnResponse.AddPartitionsToTxnTopicResult
        partition_result = topic_result.AddPartitionsToTxnPartitionResult
        known = self.transactions.get(request.v3_and_below_transactional_id)
        identity = (request.v3_and_below_producer_id, request.v3_and_below_producer_epoch)
        results = []
        for topic in request.v3_and_below_topics:
            codes = []
            for number in topic.partitions:
                if node_id != self.coordinators[1]:
                    code = E.NOT_COORDINATOR
                else:
                    code = self._add(known, identity, TopicPartition(topic.name, number))
                codes.append(partition_result(partition_index=number, partition_error_code=code))
            results.append(topic_result(name=topic.name, results_by_partition=codes))
        return AddPartitionsToTxnResponse(results_by_topic_v3_and_below=results)

    def _add_offsets_to_txn_request(self, node_id: int, request: Any, version: int) -> Any:
        if node_id != self.coordinators[1]:
            return AddOffsetsToTxnResponse(error_code=E.NOT_COORDINATOR)
        known = self.transactions.get(request.transactional_id)
        return AddOffsetsToTxnResponse(
            error_code=self._add(known, (request.producer_id, request.producer_epoch), None)
        )

    def _txn_offset_commit_request(self, node_id: int, request: Any, version: int) -> Any:
        identity = (request.producer_id, request.producer_epoch)
        code = E.NOT_COORDINATOR
        if node_id == self.coordinators[0]:
            code = self._verify(request.transactional_id, identity, None)
            code = E.COORDINATOR_LOAD_IN_PROGRESS if code is E.NOT_ENOUGH_REPLICAS else code
        if code is E.NONE:
            pending = self.pending.setdefault(request.producer_id, {})
            for topic in request.topics:
                for each in topic.partitions:
                    pending[TopicPartition(topic.name, each.partition_index)] = each.committed_offset
        return TxnOffsetCommitResponse(topics=_offset_results(TxnOffsetCommitResponse, request, code))

    def _offset_commit_request(self, node_id: int, request: Any, version: int) -> Any:
        code = E.NONE if node_id == self.coordinators[0] else E.NOT_COORDINATOR
        if code is E.NONE:
            for topic in request.topics:
                for each in topic.partitions:
                    self.offsets[TopicPartition(topic.name, each.partition_index)] = each.committed_offset
        return OffsetCommitResponse(topics=_offset_results(OffsetCommitResponse, request, code))

    def _end_txn_request(self, node_id: int, request: Any, version: int) -> Any:
        known = self.transactions.get(request.transactional_id)
        if node_id != self.coordinators[1]:
            code = E.NOT_COORDINATOR
        elif known is None or known.producer_id != request.producer_id:
            code = E.INVALID_PRODUCER_ID_MAPPING
        elif version >= 5:
            code = self._end_v2(known, request.producer_epoch, is_commit=request.committed)
        else:
            code = self._end_v1(known, request.producer_epoch, is_commit=request.committed)
        is_good = code is E.NONE and known is not None
        return EndTxnResponse(
            error_code=code,
            producer_id=known.producer_id if is_good and known else -1,
            producer_epoch=known.epoch if is_good and known else -1,
        )

    def _end_v1(self, known: Transaction, epoch: int, *, is_commit: bool) -> ErrorCode:
        if epoch != known.epoch:
            return E.PRODUCER_FENCED
        same = "commit" if is_commit else "abort"
        if known.state == "ongoing":
            self._prepare(known, is_commit=is_commit, bumps=False)
            return E.NONE
        if known.state == f"complete {same}":
            return E.NONE
        return E.CONCURRENT_TRANSACTIONS if known.state.startswith("prepare") else E.INVALID_TXN_STATE

    def _end_v2(self, known: Transaction, epoch: int, *, is_commit: bool) -> ErrorCode:
        same = "commit" if is_commit else "abort"
        is_repeat = known.epoch == epoch + 1
        is_current = known.epoch == epoch
        if known.state.startswith("prepare"):
            # From here on until the markers are written, a transition is pending; that is looked at first.
            return E.CONCURRENT_TRANSACTIONS
        if not is_current and (known.state in ("ongoing", "empty") or not is_repeat):
            return E.PRODUCER_FENCED
        if known.state == "ongoing":
            self._prepare(known, is_commit=is_commit, bumps=True)
            return E.NONE
        if is_repeat:
            return E.NONE if known.state == f"complete {same}" else E.INVALID_TXN_STATE
        if is_commit:
            return E.INVALID_TXN_STATE
        self._prepare(known, is_commit=False, bumps=True)
        return E.NONE

    def _produce_request(self, node_id: int, request: Any, version: int) -> Any:
        topic_answer = ProduceResponse.TopicProduceResponse
        partition_answer = topic_answer.PartitionProduceResponse
        topics = []
        for topic in request.topic_data:
            parts = []
            for each in topic.partition_data:
                topic_partition = TopicPartition(topic.name, each.index)
                code, base = self._append(
                    node_id, topic_partition, bytes(each.records), request.transactional_id
                )
                parts.append(
                    partition_answer(
                        index=each.index,
                        error_code=code,
                        base_offset=base,
                        log_append_time_ms=-1,
                        log_start_offset=0,
                        record_errors=[],
                        error_message=None,
                    )
                )
            topics.append(topic_answer(name=topic.name, partition_responses=parts))
        return ProduceResponse(responses=topics, throttle_time_ms=0)

    def _append(
        self, node_id: int, topic_partition: TopicPartition, data: bytes, name: str | None
    ) -> tuple[ErrorCode, int]:
        partition = self.partitions[topic_partition]
        if partition.leader != node_id:
            return E.NOT_LEADER_OR_FOLLOWER, -1
        header = BATCH_HEADER.unpack_from(data)
        producer_id, epoch, sequence, count = header[9:13]
        producer = partition.producers.setdefault(producer_id, Producer())
        if epoch < producer.epoch:
            return E.INVALID_PRODUCER_EPOCH, -1
        if name is not None and not (producer.is_open and producer.epoch == epoch):
            code = self._verify(name, (producer_id, epoch), topic_partition)
            if code is not E.NONE:
                return code, -1
        if epoch == producer.epoch:
            for known, known_count, base in producer.batches:
                if (known, known_count) == (sequence, count):
                    return E.NONE, base
            if producer.batches and sequence != producer.batches[-1][0] + producer.batches[-1][1]:
                return E.OUT_OF_ORDER_SEQUENCE_NUMBER, -1
        else:
            if sequence != 0 and producer.epoch >= 0:
                return E.OUT_OF_ORDER_SEQUENCE_NUMBER, -1
            producer.batches = []
        base = len(partition.entries)
        producer.epoch, producer.is_open = epoch, name is not None
        producer.batches = [*producer.batches, (sequence, count, base)][-5:]
        values = decode(data, 0).values
        assert len(values) == count
        partition.entries += [
            Entry(producer_id, value, is_transactional=name is not None) for value in values
        ]
        return E.NONE, base

    # ── what a reader sees ───────────────────────────────────────────────────────────────────────────────────────

    def committed(self, topic_partition: TopicPartition) -> dict[int, bytes | None]:
        """Return the values that a read-committed reader gets, by offset; nothing may be open."""
        found: dict[int, bytes | None] = {}
        open_by: dict[int, dict[int, bytes | None]] = {}
        for offset, entry in enumerate(self.partitions[topic_partition].entries):
            if entry.is_commit is None:
                into = open_by.setdefault(entry.producer_id, {}) if entry.is_transactional else found
                into[offset] = entry.value
            else:
                ended = open_by.pop(entry.producer_id, {})
                found |= ended if entry.is_commit else {}
        assert not any(open_by.values()), f"{topic_partition} has an open transaction"
        return dict(sorted(found.items()))


def _offset_results(answer: Any, request: Any, code: ErrorCode) -> list[Any]:
    topic_class = getattr(answer, f"{answer.name}Topic")
    partition_class = getattr(topic_class, f"{answer.name}Partition")
    return [
        topic_class(
            name=topic.name,
            partitions=[
                partition_class(partition_index=each.partition_index, error_code=code)
                for each in topic.partitions
            ],
        )
        for topic in request.topics
    ]
