"""A member of headrace and one of Kafka Streams in one streams group: equal topologies, and tasks that are shared."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

import headrace as hr
from headrace import stores
from headrace.base.ids import TaskId
from headrace.kafka.log import KafkaLog
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.log.membership import JoinOptions
from headrace.plan.group_application import group_application
from headrace.plan.plan import make_plan
from headrace.testing import LocalKafka
from tests.kafka.group.conftest import AT_ONCE, configure
from tests.kafka.group.members import Ledger, Worker, until
from tests.kafka.java.both_sides import java_applications

pytestmark = [pytest.mark.broker, pytest.mark.process, pytest.mark.timeout(300)]

INPUTS = ("stream", "table", "other", "more")


def wide(source: str, output: str) -> hr.Topology:
    """Line for line what `Applications.java` has."""
    builder = hr.StreamsBuilder()

    def texts(name: str) -> hr.Topic[str, str]:
        return hr.Topic(name, value=str)

    def both(one: str, two: str | None) -> str:
        return f"{one}{two}"

    stream = builder.stream(texts(f"{source}-stream"))
    table = builder.table(texts(f"{source}-table"), store="table")
    other = builder.table(texts(f"{source}-other"), store="other")
    more = builder.stream(texts(f"{source}-more"))
    keyed = stream.select_key(lambda key, value: value, key=str)
    keyed.join(table, both).to(texts(output))
    keyed.left_join(more, both, within=hr.JoinWindows("1m", grace="1m")).to(texts(output))
    joined = table.join(
        other, both, on=lambda value: value, store=stores.key_value("by-foreign-key", key=str, value=str)
    )
    joined.to_stream().to(texts(output))
    windows = hr.SessionWindows("5m", grace="0s")
    more.group_by_key().windowed_by(windows).count(store=stores.session("sessions", key=str, value=int))
    more.repartition(name="four", partitions=4).to(texts(output))
    return builder.build()


def seen_from_outside(log: KafkaLog, group: str) -> frozenset[TaskId]:
    """What the members of a group run, several of them."""
    found = log.groups.describe(group)
    assert found is not None
    assert len(found.members) >= 2
    return frozenset[TaskId]().union(*(each.roles.active for each in found.members if each.roles))


def test_one_streams_group_has_members_of_both(
    local_kafka: LocalKafka, unique: Callable[[str], str], tmp_path: Path
) -> None:
    name, source = unique("app"), unique("in")
    output = f"{source}-out"
    for topic in (*(f"{source}-{each}" for each in INPUTS), output):
        local_kafka.create_topic(topic, partitions=2)
    configure(local_kafka, name, AT_ONCE | {"streams.session.timeout.ms": "10000"})
    topology = wide(source, output)
    properties = ConnectionSettings.of(local_kafka.client_properties), KafkaOptions.of({})
    log = KafkaLog(*properties)
    ledger = Ledger()
    plan = make_plan(topology, log.partition_counts(), name)
    application = group_application(topology, plan, name)
    tasks = frozenset(plan.tasks)
    with java_applications(local_kafka) as java:
        java.begin("sharing", name, str(tmp_path), source, output, "group.protocol=streams")
        until(lambda: bool((found := log.groups.describe(name)) and found.members), 120)
        made = log.join(name, application, JoinOptions(process_id=str(uuid.uuid4()), protocol="streams"))
        worker = Worker("headrace", made, ledger)
        try:
            # Whoever has another topology is not let in.
            until(lambda: worker.ended is not None or 0 < len(worker.roles.active) < len(tasks))
            assert worker.ended is None
            assert worker.roles.active < tasks
            # From outside, both are members of one kind.
            until(lambda: seen_from_outside(log, name) == tasks)
            java.close()
            until(lambda: worker.roles.active == tasks)
        finally:
            worker.kill()
            log.close()
