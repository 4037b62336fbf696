"""Members of groups on real brokers, without an engine: they share tasks, come, go, die and sleep, in both protocols.

Settings: sessions of 3 s (classic: `session.timeout.ms`; streams: the group's `streams.session.timeout.ms`), heartbeats
of 0.2 s, and no delay before a first or a next assignment, but where a test says otherwise.
"""

import uuid
from collections.abc import Callable, Iterator
from typing import Literal

import pytest
from kafka.protocol.admin import IncrementalAlterConfigsRequest

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication, SubtopologyTopics
from headrace.kafka.group.membership import KafkaMembership
from headrace.kafka.net.network import Network
from headrace.kafka.net.waiting import Waiting
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.log.membership import JoinOptions
from headrace.testing import LocalKafka
from tests.kafka.conftest import NewTopic
from tests.kafka.group.members import Ledger, Worker, close_all, shared, until

pytestmark = pytest.mark.broker

Protocol = Literal["classic", "streams"]
PROTOCOLS: tuple[Protocol, ...] = ("classic", "streams")
SESSION_S = 3.0
_GROUP = 32  # ConfigResource.Type.GROUP


class Group:
    """A group on a broker, its application, and its members."""

    def __init__(
        self, kafka: LocalKafka, name: str, application: GroupApplication, protocol: Protocol
    ) -> None:
        self.kafka = kafka
        self.name = name
        self.application = application
        self.protocol: Protocol = protocol
        self.ledger = Ledger()
        self.workers: list[Worker] = []
        properties = kafka.client_properties | {
            "session.timeout.ms": int(1000 * SESSION_S),
            "heartbeat.interval.ms": 200,
        }
        self.settings, self.options = ConnectionSettings.of(properties), KafkaOptions.of(properties)
        if protocol == "streams":
            self._configure()

    def _configure(self) -> None:
        config = IncrementalAlterConfigsRequest.AlterConfigsResource
        wanted = {
            "streams.session.timeout.ms": str(int(1000 * SESSION_S)),
            "streams.heartbeat.interval.ms": "500",
            "streams.initial.rebalance.delay.ms": "0",
            "streams.assignment.interval.ms": "0",
        }
        resource = config(
            resource_type=_GROUP,
            resource_name=self.name,
            configs=[
                config.AlterableConfig(name=name, config_operation=0, value=value)
                for name, value in wanted.items()
            ],
        )
        network = Network(self.settings, purpose="test")
        try:
            network.connect()
            answer = network.call(IncrementalAlterConfigsRequest(resources=[resource], validate_only=False))
            assert [each.error_code for each in answer.responses] == [0], answer
        finally:
            network.close()

    def join(self, name: str, process_id: str | None = None, **options: object) -> Worker:
        """Start a member. Without a process id, it is in a process of its own."""
        wanted = JoinOptions(process_id=process_id or str(uuid.uuid4()), protocol=self.protocol, **options)  # type: ignore[arg-type]  # as the fields say
        made = KafkaMembership(self.name, self.application, wanted, self.settings, self.options, Waiting())
        worker = Worker(name, made, self.ledger)
        self.workers.append(worker)
        return worker


NewGroup = Callable[..., Group]


@pytest.fixture
def new_group(broker: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str]) -> Iterator[NewGroup]:
    made: list[Group] = []

    def make(
        protocol: Protocol, *, tasks: int = 4, is_stateful: bool = False, kafka: LocalKafka | None = None
    ) -> Group:
        chosen = kafka or broker
        topic = new_topic(tasks, kafka=chosen)
        part = SubtopologyTopics(id=0, source_topics=frozenset({topic}), is_stateful=is_stateful)
        every = tuple(TaskId(0, partition) for partition in range(tasks))
        application = GroupApplication((part,), every, {topic: tasks})
        made.append(Group(chosen, unique("group"), application, protocol))
        return made[-1]

    yield make
    for group in made:
        close_all(group.workers)
    assert [mistake for group in made for mistake in group.ledger.mistakes] == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_members_share_the_tasks_and_the_others_have_them_when_one_leaves(
    protocol: Protocol, new_group: NewGroup
) -> None:
    group = new_group(protocol)
    first = group.join("first")
    until(shared(group.application, first))
    second, third = group.join("second"), group.join("third")
    until(shared(group.application, first, second, third))
    second.leave()
    took = until(shared(group.application, first, third))
    assert took < SESSION_S
    assert not first.was_lost


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_killed_member_has_no_tasks_when_its_session_is_over(
    protocol: Protocol, new_group: NewGroup
) -> None:
    group = new_group(protocol)
    first, second = group.join("first"), group.join("second")
    until(shared(group.application, first, second))
    second.kill()
    took = until(shared(group.application, first))
    assert SESSION_S - 1.5 < took < SESSION_S + 1.5
