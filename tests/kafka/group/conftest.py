"""Groups on real brokers, with members that have no engine."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Literal

import pytest
from kafka.protocol.admin import IncrementalAlterConfigsRequest

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication, SubtopologyTopics
from headrace.kafka.group.membership import KafkaMembership
from headrace.kafka.log import KafkaLog
from headrace.kafka.net.network import Network
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.log.membership import JoinOptions
from headrace.testing import LocalKafka
from tests.kafka.conftest import NewTopic
from tests.kafka.group.members import Ledger, Worker

Protocol = Literal["classic", "streams"]
PROTOCOLS: tuple[Protocol, ...] = ("classic", "streams")

#: Of both protocols: `session.timeout.ms`, and the group's `streams.session.timeout.ms`.
SESSION_S = 3.0

#: Neither a first assignment nor the next one waits for more members.
AT_ONCE = {
    "streams.session.timeout.ms": str(int(1000 * SESSION_S)),
    "streams.heartbeat.interval.ms": "500",
    "streams.initial.rebalance.delay.ms": "0",
    "streams.assignment.interval.ms": "0",
}
_GROUP = 32  # ConfigResource.Type.GROUP
_TOPIC_HEARD_S = 0.2


class Group:
    """A group on a broker, its application, and its members."""

    def __init__(
        self,
        kafka: LocalKafka,
        name: str,
        application: GroupApplication,
        protocol: Protocol,
        properties: dict[str, object],
    ) -> None:
        self.name = name
        self.application = application
        self.protocol: Protocol = protocol
        self.ledger = Ledger()
        self.workers: list[Worker] = []
        named = kafka.client_properties | {
            "session.timeout.ms": int(1000 * SESSION_S),
            "heartbeat.interval.ms": 200,
            **properties,
        }
        self.settings, self.options = ConnectionSettings.of(named), KafkaOptions.of(named)
        self.log = KafkaLog(self.settings, self.options)

    def join(self, name: str, process_id: str | None = None, **options: object) -> Worker:
        """Start a member. Without a process id, it is in a process of its own."""
        fields: dict[str, object] = {"protocol": self.protocol, **options}
        wanted = JoinOptions(process_id=process_id or str(uuid.uuid4()), **fields)  # type: ignore[arg-type]  # as named
        membership: KafkaMembership = self.log.join(self.name, self.application, wanted)
        worker = Worker(name, membership, self.ledger)
        self.workers.append(worker)
        return worker


def configure(kafka: LocalKafka, group: str, wanted: dict[str, str]) -> None:
    """Set properties of a group."""
    resource = IncrementalAlterConfigsRequest.AlterConfigsResource
    asked = resource(
        resource_type=_GROUP,
        resource_name=group,
        configs=[
            resource.AlterableConfig(name=name, config_operation=0, value=value)
            for name, value in wanted.items()
        ],
    )
    network = Network(ConnectionSettings.of(kafka.client_properties), purpose="test")
    try:
        network.connect()
        answer = network.call(IncrementalAlterConfigsRequest(resources=[asked], validate_only=False))
        assert [each.error_code for each in answer.responses] == [0], answer
    finally:
        network.close()


NewGroup = Callable[..., Group]


@pytest.fixture
def new_group(
    request: pytest.FixtureRequest, new_topic: NewTopic, unique: Callable[[str], str]
) -> Iterator[NewGroup]:
    """Make groups; whoever of their members is left is killed, and no task must have been two members' at once."""
    made: list[Group] = []

    def make(
        protocol: Protocol,
        *,
        tasks: int = 4,
        kafka: LocalKafka | None = None,
        is_configured: bool = True,
        **properties: object,
    ) -> Group:
        chosen = kafka or request.getfixturevalue("broker")
        topic = new_topic(tasks, kafka=chosen)
        if protocol == "streams":
            # A coordinator hears of topics a little later than clients do, and says nothing of when.
            time.sleep(_TOPIC_HEARD_S)
        part = SubtopologyTopics(id=0, source_topics=frozenset({topic}))
        every = tuple(TaskId(0, partition) for partition in range(tasks))
        application = GroupApplication((part,), every, {topic: tasks})
        named = {name.replace("_", "."): value for name, value in properties.items()}
        group = Group(chosen, unique("group"), application, protocol, named)
        if protocol == "streams" and is_configured:
            configure(chosen, group.name, AT_ONCE)
        made.append(group)
        return group

    yield make
    for group in made:
        for worker in group.workers:
            worker.kill()
        group.log.close()
    assert [mistake for group in made for mistake in group.ledger.mistakes] == []
