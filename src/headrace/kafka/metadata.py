"""What brokers say of themselves and of topics, as our own values: read off the answer to a Metadata request."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from headrace.kafka.error_codes import ErrorCode

__all__ = ["Address", "PartitionMetadata", "TopicMetadata", "metadata_request", "read_brokers", "read_topics"]

# Before 2.4 (version 9) a broker may name an epoch that is older than the leader's (KAFKA-9212); believing it would
# end in FENCED_LEADER_EPOCH for ever.
_EPOCHS_SINCE_VERSION = 9


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class PartitionMetadata:
    """Who leads a partition. `leader` is -1 while nobody does, `leader_epoch` is -1 where it is not known."""

    leader: int
    leader_epoch: int
    error: ErrorCode


@dataclass(frozen=True, slots=True)
class TopicMetadata:
    """A topic as a broker knows it.

    Attributes:
        id: empty where the broker has none (before 2.8), or no such topic.
        is_internal: it is Kafka's own.
    """

    name: str
    id: str
    error: ErrorCode
    partitions: Mapping[int, PartitionMetadata]
    is_internal: bool = False


def metadata_request(topics: Collection[str] | None) -> Any:
    """Make the request for these topics, for none of them (brokers alone), or with None for all. Creates no topic."""
    from kafka.protocol.metadata import MetadataRequest

    wanted = None if topics is None else [MetadataRequest.MetadataRequestTopic(name=name) for name in topics]
    return MetadataRequest(
        topics=wanted,
        allow_auto_topic_creation=False,
        include_cluster_authorized_operations=False,
        include_topic_authorized_operations=False,
    )


def read_brokers(answer: Any) -> Mapping[int, Address]:
    """Return the addresses of the brokers that are alive, by node id."""
    return {broker.node_id: Address(broker.host, broker.port) for broker in answer.brokers}


def read_topics(answer: Any) -> Mapping[str, TopicMetadata]:
    """Return the topics of an answer by name, those with an error too."""
    return {topic.name: _topic(topic, answer.API_VERSION) for topic in answer.topics}


def _topic(topic: Any, version: int) -> TopicMetadata:
    found: uuid.UUID | None = topic.topic_id if version >= 10 else None
    partitions = {
        partition.partition_index: PartitionMetadata(
            partition.leader_id,
            partition.leader_epoch if version >= _EPOCHS_SINCE_VERSION else -1,
            ErrorCode(partition.error_code),
        )
        for partition in topic.partitions
    }
    error = ErrorCode(topic.error_code)
    return TopicMetadata(topic.name, str(found or ""), error, partitions, bool(topic.is_internal))
