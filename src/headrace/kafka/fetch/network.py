"""Sends what the fetch machine asks for over a network, and takes the answers back to it."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from headrace.base.errors import LogError
from headrace.base.ids import TopicPartition
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.fetch.answer import NextPosition
from headrace.kafka.fetch.machine import FetchMachine
from headrace.kafka.fetch.messages import (
    AskBounds,
    AskMetadata,
    BoundAnswer,
    Fetch,
    FetchAnswer,
    PartitionLeader,
    Request,
    TopicLeaders,
)
from headrace.kafka.fetch.wire import NEWEST_VERSION, FetchMessage
from headrace.kafka.net.network import Network, NetworkError, TopicMetadata
from headrace.kafka.net.waiting import ANY_NODE, Waiting

__all__ = ["FetchNetwork"]

_EARLIEST, _LATEST = -2, -1

_READING = "reading"


class FetchNetwork:
    """A fetch machine with its network: one thread drives both."""

    def __init__(
        self,
        machine: FetchMachine,
        network: Network,
        next_position: NextPosition,
        request_timeout_ms: int,
        waiting: Waiting,
    ) -> None:
        self._machine = machine
        self._network = network
        self._next_position = next_position
        self._request_timeout_ms = request_timeout_ms
        self._version = NEWEST_VERSION
        self._waiting = waiting

    def pump(self, timeout_s: float) -> None:
        """Send what is due, take in what has come, and send what follows from it. Waits up to `timeout_s`."""
        self.send()
        left_s = min(timeout_s, self._machine.wake_at() - time.monotonic())
        # Rounded up: a pump that ends a fraction early would only be called again.
        self._network.pump(0 if left_s <= 0 else int(left_s * 1000) + 1)
        self.send()

    def send(self) -> None:
        """Send what is due, without waiting."""
        for request in self._machine.requests(time.monotonic()):
            match request:
                case Fetch():
                    self._send_fetch(request)
                case AskBounds():
                    self._network.send(
                        request.node_id,
                        _list_offsets(request),
                        partial(self._bounds_found, request),
                        partial(self._failed, request),
                    )
                case AskMetadata():
                    self._network.request_metadata(
                        request.topics, self._metadata_found, partial(self._failed, request)
                    )

    def _send_fetch(self, request: Fetch) -> None:
        # Asked each time: a broker met later, in an upgrade, may be older. None where nobody is connected.
        self._version = self._network.version(FetchMessage) or self._version
        self._network.send(
            request.node_id,
            FetchMessage(request, self._version, self._next_position),
            partial(self._fetched, request),
            partial(self._failed, request),
            timeout_ms=self._request_timeout_ms + request.max_wait_ms,
        )

    def _fetched(self, request: Fetch, answer: FetchAnswer) -> None:
        self._waiting.is_over(_READING, request.node_id)
        self._machine.fetched(request, answer, time.monotonic())

    def _bounds_found(self, request: AskBounds, answer: Any) -> None:
        found = [
            BoundAnswer(
                TopicPartition(topic.name, partition.partition_index),
                partition.offset,
                ErrorCode(partition.error_code),
            )
            for topic in answer.topics
            for partition in topic.partitions
        ]
        self._machine.bounds_found(request, found, time.monotonic())

    def _metadata_found(self, topics: Mapping[str, TopicMetadata]) -> None:
        self._waiting.is_over(_READING, ANY_NODE)
        found = {
            name: TopicLeaders(
                topic.id,
                topic.error,
                {
                    number: PartitionLeader(partition.leader, partition.leader_epoch, partition.error)
                    for number, partition in topic.partitions.items()
                },
            )
            for name, topic in topics.items()
        }
        self._machine.metadata_found(found, time.monotonic())

    def _failed(self, request: Request, error: NetworkError) -> None:
        fatal = None
        if error.is_fatal:
            fatal = LogError(f"cannot read from the Kafka cluster: {error}")
            fatal.__cause__ = error
        else:
            node_id = ANY_NODE if isinstance(request, AskMetadata) else request.node_id
            self._waiting.goes_on(_READING, node_id, str(error))
        self._machine.failed(request, time.monotonic(), fatal)


def _list_offsets(request: AskBounds) -> Any:
    from kafka.protocol.consumer import ListOffsetsRequest

    topic_of = ListOffsetsRequest.ListOffsetsTopic
    partition_of = topic_of.ListOffsetsPartition
    topics: dict[str, list[Any]] = {}
    for asked in request.partitions:
        topics.setdefault(asked.partition.topic, []).append(
            partition_of(
                partition_index=asked.partition.partition,
                current_leader_epoch=asked.leader_epoch,
                timestamp=_LATEST if request.of_end else _EARLIEST,
            )
        )
    # Uncommitted: a position behind open transactions is one to wait at.
    return ListOffsetsRequest(
        replica_id=-1,
        isolation_level=0,
        topics=[topic_of(name=name, partitions=partitions) for name, partitions in topics.items()],
    )
