"""A network between a writer and the model cluster, in virtual time: it delays, loses, and delivers too late."""

import random
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any

from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.metadata import PartitionMetadata, TopicMetadata
from headrace.kafka.net.errors import NetworkError
from headrace.kafka.net.messages import Bounded
from tests.kafka.produce.cluster import Cluster


class ModelNetwork:
    """Has the face of `Network`. Every message is encoded and decoded, in the version that the driver asked for.

    `trouble` is the chance, for each request, that something happens to it.
    """

    def __init__(self, cluster: Cluster, dice: random.Random, *, trouble: float) -> None:
        self._cluster = cluster
        self._dice = dice
        self.trouble = trouble
        self._outcomes: deque[Callable[[], None]] = deque()
        self._is_closed = False

    def connect(self) -> None:
        """There is nothing to connect."""

    def version(self, request: Any) -> int:
        return int(request.max_version)

    def features(self) -> Mapping[str, int]:
        return {"transaction.version": 2 if self._cluster.is_v2 else 1}

    def close(self) -> None:
        self._is_closed = True

    def send(
        self,
        node_id: int,
        message: Any,
        answered: Callable[[Any], None],
        failed: Callable[[NetworkError], None],
        *,
        timeout_ms: int | None = None,
    ) -> None:
        cluster, dice = self._cluster, self._dice
        request, newest = message if isinstance(message, Bounded) else (message, None)
        version = request.max_version if newest is None else min(request.max_version, newest)
        data = request.encode(version=version)

        def fail(*, was_sent: bool) -> None:
            self._outcomes.append(lambda: failed(NetworkError("gone", was_sent=was_sent)))

        def deliver(*, is_heard: bool) -> None:
            if not cluster.is_up[node_id]:
                if is_heard:
                    fail(was_sent=True)
                return
            decoded = type(request).decode(data, version=version)
            answer = cluster.handle(node_id, request.name, decoded, version)
            encoded = answer.encode(version=version)
            if is_heard:
                back = type(answer).decode(encoded, version=version)
                cluster.later(delay(), lambda: self._outcomes.append(lambda: answered(back)))

        def delay() -> float:
            return dice.choice([0.001, 0.001, 0.002, 0.02])

        if not cluster.is_up[node_id]:
            cluster.later(0.001, lambda: fail(was_sent=False))
        elif dice.random() >= self.trouble:
            cluster.later(delay(), lambda: deliver(is_heard=True))
        else:
            # A writer's very first request, read late, would fence that writer itself: safe, but the end of the run.
            is_first = request.name == "InitProducerIdRequest" and request.producer_id < 0
            match dice.choice([0, 1, 3]) if is_first else dice.randrange(4):
                case 0:  # it never arrives
                    cluster.later(delay(), lambda: fail(was_sent=True))
                case 1:  # the answer is lost
                    cluster.later(0.001, lambda: deliver(is_heard=False))
                    cluster.later(0.05, lambda: fail(was_sent=True))
                case 2:  # the connection is lost first, and the broker reads what was sent later
                    cluster.later(dice.choice([0.1, 0.4, 3.0]), lambda: deliver(is_heard=False))
                    cluster.later(0.01, lambda: fail(was_sent=True))
                case _:  # it takes long
                    cluster.later(dice.choice([0.5, 2.0]), lambda: deliver(is_heard=True))

    def request_metadata(
        self,
        topics: Collection[str],
        answered: Callable[[Mapping[str, TopicMetadata]], None],
        failed: Callable[[NetworkError], None],
    ) -> None:
        if self._dice.random() < self.trouble:
            self._cluster.later(0.01, lambda: self._outcomes.append(lambda: failed(NetworkError("gone"))))
            return
        self._cluster.later(0.002, lambda: self._outcomes.append(lambda: answered(self._metadata(topics))))

    def _metadata(self, topics: Collection[str]) -> Mapping[str, TopicMetadata]:
        found = {}
        for name in topics:
            partitions = {
                topic_partition.partition: PartitionMetadata(
                    each.leader if self._cluster.is_up[each.leader] else -1, 0, ErrorCode.NONE
                )
                for topic_partition, each in self._cluster.partitions.items()
                if topic_partition.topic == name
            }
            error = ErrorCode.NONE if partitions else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            found[name] = TopicMetadata(name, "id", error, partitions)
        return found

    def pump(self, timeout_ms: int) -> None:
        assert not self._is_closed
        deadline = self._cluster.now + timeout_ms / 1000
        while not self._outcomes and self._cluster.step(deadline):
            pass
        for _ in range(len(self._outcomes)):
            self._outcomes.popleft()()

    def call(self, request: Any, *, node_id: int | None = None, timeout_ms: int | None = None) -> Any:
        answers: list[Any] = []
        errors: list[NetworkError] = []
        up = [node for node, is_up in self._cluster.is_up.items() if is_up]
        if not up:
            self.pump(100)
            raise NetworkError("nobody is there")
        self.send(up[0] if node_id is None else node_id, request, answers.append, errors.append)
        deadline = self._cluster.now + (timeout_ms or 30_000) / 1000
        while not answers and not errors:
            if self._cluster.now >= deadline:
                raise NetworkError("no answer", was_sent=True)
            self.pump(100)
        if errors:
            raise errors[0]
        return answers[0]
