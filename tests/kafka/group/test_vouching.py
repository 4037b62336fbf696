"""Up to when a member vouches for what it has."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication, SubtopologyTopics
from headrace.kafka.group.classic_protocol import ClassicProtocol
from headrace.kafka.group.control_loop import ControlLoop
from headrace.kafka.group.membership import session_s
from headrace.kafka.net.waiting import Waiting
from headrace.kafka.options import KafkaOptions
from headrace.log.membership import JoinOptions

TASK = TaskId(0, 0)
APPLICATION = GroupApplication(
    (SubtopologyTopics(id=0, source_topics=frozenset({"in"})),), (TASK,), {"in": 1}
)


class DeadConnection:
    """A network that finds the coordinator, and hears nothing of it. Each wait takes a second."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sent: list[Any] = []

    def request_metadata(self, topics: object, found: Any, failed: Any) -> None:
        found({})

    def send_to_any(self, request: object, found: Any, failed: Any) -> None:
        found(SimpleNamespace(error_code=0, error_message="", node_id=1, host="b", port=9092))

    def learn_one(self, node_id: int, address: object) -> None:
        pass

    def version(self, request: object) -> int:
        return 0

    def features(self) -> dict[str, int]:
        return {}

    def send(self, node_id: int, message: object, answered: Any, failed: Any, *, timeout_ms: object) -> None:
        self.sent.append(message)

    def pump(self, timeout_ms: int, *, ends_when_woken: bool) -> None:
        self.now += 1.0


def test_a_join_that_nobody_answers_is_no_sign_that_the_coordinator_hears() -> None:
    network = DeadConnection()
    protocol = ClassicProtocol(
        "app",
        APPLICATION,
        JoinOptions(process_id="p"),
        session_timeout_ms=45_000,
        heartbeat_interval_ms=3_000,
        now=0.0,
    )
    loop = ControlLoop(
        "app",
        protocol,
        lambda: cast(Any, network),
        Waiting(lambda: network.now),
        lambda effect: None,
        max_poll_interval_s=300.0,
        session_s=45.0,
        seconds=lambda: network.now,
    )
    for _ in range(10):
        loop._turn()
    assert len(network.sent) == 1
    assert loop.vouched_until == float("-inf")


@pytest.mark.parametrize(
    ("protocol", "own_ms", "expected"),
    [("classic", 60_000, 60.0), ("streams", 60_000, 45.0), ("streams", 10_000, 10.0)],
)
def test_a_streams_group_goes_by_the_session_of_its_brokers(
    protocol: Any, own_ms: int, expected: float
) -> None:
    options = KafkaOptions.of({"session.timeout.ms": str(own_ms)})
    assert session_s(JoinOptions(process_id="p", protocol=protocol), options) == expected
