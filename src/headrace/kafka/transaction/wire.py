"""Requests of transactions and of group offsets, between our values and kafka-python's messages."""

from collections.abc import Mapping
from typing import Any, assert_never

from headrace.base.ids import TopicPartition
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.net.messages import ApiMessage, Bounded
from headrace.kafka.net.network import Network
from headrace.kafka.transaction.messages import (
    NO_IDENTITY,
    NO_MEMBER,
    AddOffsets,
    AddPartitions,
    Answer,
    EndTransaction,
    FindCoordinator,
    InitProducer,
    OffsetCommit,
    ProducerIdentity,
    TransactionalOffsetCommit,
    TransactionRequest,
)
from headrace.log.port import CommittedOffset

__all__ = ["has_newest_protocol", "read_answer", "transaction_request"]

# Version 6 is for two-phase commits (KIP-939).
_INIT_PRODUCER_NEWEST = 5

# From version 4 on, the request is for brokers among themselves.
_ADD_PARTITIONS_NEWEST = 3

# Version 10 names topics by their ids. Source: KIP-848, KIP-516.
_OFFSET_COMMIT_NEWEST = 9

# The level of the feature transaction.version.
_TRANSACTIONS_V2 = 2

# The last versions of the older protocol; the next ones add to the transaction, and raise the epoch (KIP-890).
_TXN_OFFSET_COMMIT_V1 = 4
_END_TXN_V1 = 4

# Version 6 names topics by their ids.
_TXN_OFFSET_COMMIT_NEWEST = 5

#: Who commits where the group has no members. With an empty name, a coordinator checks nothing, and takes offsets from
#: beside living members, which process the same records; with one that nobody has, it takes them only while the group
#: is empty. Source: validateOffsetCommit of ClassicGroup, ConsumerGroup and StreamsGroup of 4.3. The coordinators of
#: brokers before 4.0 would never take them.
_NOBODY = "headrace"


def transaction_request(request: TransactionRequest, *, is_newest_protocol: bool) -> Bounded:
    """Make the message, its version held below what the protocol allows."""
    message = _message(request, is_newest_protocol=is_newest_protocol)
    return Bounded(message, _newest_version(request, is_newest_protocol=is_newest_protocol))


def _newest_version(request: TransactionRequest, *, is_newest_protocol: bool) -> int | None:
    match request:
        case FindCoordinator() | AddOffsets():
            return None
        case InitProducer():
            return _INIT_PRODUCER_NEWEST
        case AddPartitions():
            return _ADD_PARTITIONS_NEWEST
        case TransactionalOffsetCommit():
            return _TXN_OFFSET_COMMIT_NEWEST if is_newest_protocol else _TXN_OFFSET_COMMIT_V1
        case EndTransaction():
            return None if is_newest_protocol else _END_TXN_V1
        case OffsetCommit():
            return _OFFSET_COMMIT_NEWEST
        case _:
            assert_never(request)


def _message(request: TransactionRequest, *, is_newest_protocol: bool) -> ApiMessage:
    from kafka.protocol.metadata import FindCoordinatorRequest
    from kafka.protocol.producer import (
        AddOffsetsToTxnRequest,
        EndTxnRequest,
        InitProducerIdRequest,
    )

    match request:
        case FindCoordinator():
            return FindCoordinatorRequest(
                key=request.key, key_type=request.kind.value, coordinator_keys=[request.key]
            )
        case InitProducer():
            return InitProducerIdRequest(
                transactional_id=request.transactional_id,
                transaction_timeout_ms=request.timeout_ms,
                producer_id=request.expected.producer_id,
                producer_epoch=request.expected.epoch,
            )
        case AddPartitions():
            return _add_partitions(request)
        case AddOffsets():
            return AddOffsetsToTxnRequest(
                transactional_id=request.transactional_id,
                producer_id=request.identity.producer_id,
                producer_epoch=request.identity.epoch,
                group_id=request.group,
            )
        case TransactionalOffsetCommit():
            return _transactional_offsets(request, is_newest_protocol=is_newest_protocol)
        case EndTransaction():
            return EndTxnRequest(
                transactional_id=request.transactional_id,
                producer_id=request.identity.producer_id,
                producer_epoch=request.identity.epoch,
                committed=request.is_commit,
            )
        case OffsetCommit():
            return _offsets(request)
        case _:
            assert_never(request)


def _add_partitions(request: AddPartitions) -> Any:
    from kafka.protocol.producer import AddPartitionsToTxnRequest

    topics: dict[str, list[int]] = {}
    for topic_partition in request.topic_partitions:
        topics.setdefault(topic_partition.topic, []).append(topic_partition.partition)
    return AddPartitionsToTxnRequest(
        v3_and_below_transactional_id=request.transactional_id,
        v3_and_below_producer_id=request.identity.producer_id,
        v3_and_below_producer_epoch=request.identity.epoch,
        v3_and_below_topics=[
            AddPartitionsToTxnRequest.AddPartitionsToTxnTopic(name=name, partitions=partitions)
            for name, partitions in topics.items()
        ],
    )


def _offset_topics(
    offsets: Mapping[TopicPartition, CommittedOffset], topic: Any, partition: Any
) -> list[Any]:
    topics: dict[str, list[Any]] = {}
    for topic_partition, offset in offsets.items():
        topics.setdefault(topic_partition.topic, []).append(
            partition(
                partition_index=topic_partition.partition,
                committed_offset=offset.offset,
                committed_leader_epoch=-1,
                committed_metadata=offset.metadata,
            )
        )
    return [topic(name=name, partitions=partitions) for name, partitions in topics.items()]


def _transactional_offsets(request: TransactionalOffsetCommit, *, is_newest_protocol: bool) -> Any:
    from kafka.protocol.producer import TxnOffsetCommitRequest

    topic = TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic
    is_nobody = is_newest_protocol and request.member == NO_MEMBER
    return TxnOffsetCommitRequest(
        transactional_id=request.transactional_id,
        group_id=request.group,
        producer_id=request.identity.producer_id,
        producer_epoch=request.identity.epoch,
        generation_id=request.member.generation,
        member_id=_NOBODY if is_nobody else request.member.member_id,
        group_instance_id=request.member.instance_id,
        topics=_offset_topics(request.offsets, topic, topic.TxnOffsetCommitRequestPartition),
    )


def _offsets(request: OffsetCommit) -> Any:
    from kafka.protocol.consumer import OffsetCommitRequest

    topic = OffsetCommitRequest.OffsetCommitRequestTopic
    return OffsetCommitRequest(
        group_id=request.group,
        generation_id_or_member_epoch=request.member.generation,
        member_id=request.member.member_id,
        group_instance_id=request.member.instance_id,
        topics=_offset_topics(request.offsets, topic, topic.OffsetCommitRequestPartition),
    )


def read_answer(request: TransactionRequest, answer: Any) -> Answer:
    """Return what a broker says to a request."""
    match request:
        case FindCoordinator():
            return _coordinator(request, answer)
        case InitProducer():
            return Answer(ErrorCode(answer.error_code), identity=_identity(answer))
        case EndTransaction():
            has_identity = answer.API_VERSION >= 5
            return Answer(
                ErrorCode(answer.error_code), identity=_identity(answer) if has_identity else NO_IDENTITY
            )
        case AddOffsets():
            return Answer(ErrorCode(answer.error_code))
        case AddPartitions():
            return Answer(
                errors={
                    TopicPartition(topic.name, each.partition_index): ErrorCode(each.partition_error_code)
                    for topic in answer.results_by_topic_v3_and_below
                    for each in topic.results_by_partition
                }
            )
        case TransactionalOffsetCommit() | OffsetCommit():
            return Answer(
                errors={
                    TopicPartition(topic.name, each.partition_index): ErrorCode(each.error_code)
                    for topic in answer.topics
                    for each in topic.partitions
                }
            )
        case _:
            assert_never(request)


def _identity(answer: Any) -> ProducerIdentity:
    return ProducerIdentity(answer.producer_id, answer.producer_epoch)


def _coordinator(request: FindCoordinator, answer: Any) -> Answer:
    if answer.API_VERSION < 4:
        return Answer(ErrorCode(answer.error_code), node_id=answer.node_id, detail=answer.error_message or "")
    for each in answer.coordinators:
        if each.key == request.key:
            return Answer(ErrorCode(each.error_code), node_id=each.node_id, detail=each.error_message or "")
    return Answer(ErrorCode.COORDINATOR_NOT_AVAILABLE, detail="the answer names no coordinator")


def has_newest_protocol(network: Network) -> bool:
    """Whether the cluster has transactions V2: it says so, and all requests are there in the versions that they need.

    Source: KIP-890; NodeApiVersions and TransactionManager of Kafka 4.3.
    """
    from kafka.protocol.producer import EndTxnRequest, ProduceRequest, TxnOffsetCommitRequest

    if network.features().get("transaction.version", 0) < _TRANSACTIONS_V2:
        return False
    needed = ((ProduceRequest, 12), (TxnOffsetCommitRequest, 5), (EndTxnRequest, 5))
    return all((network.version(request) or 0) >= version for request, version in needed)
