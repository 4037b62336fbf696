"""Produce requests and their answers, between our values and kafka-python's messages."""

from collections.abc import Mapping
from typing import Any

from headrace.base.ids import TopicPartition
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.net.messages import Bounded
from headrace.kafka.produce.messages import Produce, ProduceBatch, Produced

__all__ = ["PRODUCE_NEWEST", "PRODUCE_V1", "produce_request", "read_produced"]

#: The newest version that names topics by their names, and the first in which brokers do KIP-890's second half.
PRODUCE_NEWEST = 12

#: The newest version for transactions of the older protocol.
PRODUCE_V1 = 11

#: All in-sync replicas: what idempotence needs.
_ACKS_ALL = -1


def produce_request(
    request: Produce, transactional_id: str | None, *, timeout_ms: int, is_newest_protocol: bool
) -> Bounded:
    """Make the message, no newer than the protocol allows. Costs about 5 us a partition and 0.2 ms a MB."""
    from kafka.protocol.producer import ProduceRequest

    topic_data = ProduceRequest.TopicProduceData
    partition_data = topic_data.PartitionProduceData
    topics: dict[str, list[ProduceBatch]] = {}
    for batch in request.batches:
        topics.setdefault(batch.topic_partition.topic, []).append(batch)
    message = ProduceRequest(
        transactional_id=transactional_id,
        acks=_ACKS_ALL,
        timeout_ms=timeout_ms,
        topic_data=[
            topic_data(
                name=name,
                partition_data=[
                    partition_data(index=batch.topic_partition.partition, records=batch.data)
                    for batch in batches
                ],
            )
            for name, batches in topics.items()
        ],
    )
    is_newest = is_newest_protocol or transactional_id is None
    return Bounded(message, PRODUCE_NEWEST if is_newest else PRODUCE_V1)


def read_produced(answer: Any) -> Mapping[TopicPartition, Produced]:
    """Return what the broker says of each partition."""
    found = {}
    for topic in answer.responses:
        for each in topic.partition_responses:
            # Before version 8 an answer has no text, and names no records.
            errors = getattr(each, "record_errors", None) or ()
            first = errors[0].batch_index_error_message if errors else None
            found[TopicPartition(topic.name, each.index)] = Produced(
                ErrorCode(each.error_code),
                each.base_offset,
                first or getattr(each, "error_message", None) or "",
                tuple(error.batch_index for error in errors),
            )
    return found
