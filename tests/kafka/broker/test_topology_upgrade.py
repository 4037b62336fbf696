"""`headrace upgrade-topology` on real brokers: a streams group with its offsets, killed at every step of it."""

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

import headrace as hr
from headrace import stores
from headrace.base.errors import LogError, StateError
from headrace.base.ids import TaskId, TopicPartition
from headrace.cli.group_change import ChangedApplication
from headrace.cli.topology_upgrade import upgrade
from headrace.group.application import GroupApplication, SubtopologyTopics
from headrace.kafka.log import KafkaLog
from headrace.log.membership import JoinOptions
from headrace.log.port import CommittedOffset
from headrace.streams.config import Config
from headrace.streams.logs import address_of
from headrace.streams.unfinished import UnfinishedFile
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.jars import KAFKA_VERSION
from headrace.testing.local_kafka.java import JavaRecord
from tests.cli.conftest import Command
from tests.kafka.broker.acls import allow
from tests.kafka.conftest import NewTopic
from tests.kafka.group.conftest import AT_ONCE, configure
from tests.kafka.group.members import Ledger, Worker
from tests.kafka.java.both_sides import kafka_log
from tests.streams.waiting import until

pytestmark = pytest.mark.broker

#: Both versions of streams groups that brokers have had.
each_broker = pytest.mark.parametrize("broker", [KAFKA_VERSION, "4.3.1"], indirect=True)

Unique = Callable[[str], str]
Offsets = Mapping[TopicPartition, CommittedOffset]

KILLED = Path(__file__).parents[2] / "cli" / "killed.py"


class Application:
    """Counts words. Its second version has one more store, and so another topology."""

    def __init__(self, broker: LocalKafka, log: KafkaLog, name: str, source: str, folder: Path) -> None:
        self.broker, self.log, self.name, self.source, self.folder = broker, log, name, source, folder
        self.sent = 0

    @property
    def file(self) -> UnfinishedFile:
        return UnfinishedFile(self.folder, self.name)

    @property
    def arguments(self) -> list[str]:
        return ["upgrade-topology", "--application-id", self.name, "--set", f"state.dir={self.folder}"]

    def streams(self, version: int) -> hr.Streams:
        builder = hr.StreamsBuilder()
        lines = builder.stream(hr.Topic(self.source, value=str))
        lines.group_by_key().count(store=stores.key_value("counts", key=str, value=int))
        if version == 2:
            words = lines.group_by(lambda key, value: value, key=str)
            words.count(store=stores.key_value("words", key=str, value=int))
        config = Config(
            application_id=self.name,
            bootstrap_servers=self.broker.bootstrap_servers,
            state_dir=str(self.folder),
            group_protocol="streams",
            commit_interval_ms=50,
            properties={"heartbeat.interval.ms": 200},
        )
        return hr.Streams(builder.build(), config)

    def run(self, version: int, records: int) -> int:
        """Send records to both partitions, and run until they are counted; returns what is counted then."""
        sent = [JavaRecord(b"k%d" % number, b"x", partition=number) for number in range(2)] * (records // 2)
        self.broker.produce_with_java(self.source, sent)
        self.sent += len(sent)
        with self.streams(version) as streams:
            streams.wait_running("40s")
            counts = streams.query("counts")
            until(lambda: sum(counts.get(f"k{number}") or 0 for number in range(2)) >= self.sent)
            return sum(counts.get(f"k{number}") or 0 for number in range(2))

    def offsets(self) -> Offsets:
        return {
            place: each
            for place, each in self.log.groups.committed(self.name).items()
            if place.topic == self.source
        }


@pytest.fixture
def application(
    broker: LocalKafka, new_topic: NewTopic, unique: Unique, tmp_path: Path
) -> Iterator[Application]:
    """An application of the first version that has counted ten records, and is stopped."""
    with kafka_log(broker) as log:
        name = unique("app")
        configure(broker, name, AT_ONCE)
        made = Application(broker, log, name, new_topic(partitions=2), tmp_path)
        assert made.run(1, 10) == 10
        yield made


@each_broker
def test_an_application_goes_on_with_another_topology_where_it_was(
    application: Application, command: Command
) -> None:
    had = application.offsets()
    with (
        pytest.raises(LogError, match=r"run `headrace upgrade-topology`"),
        application.streams(2) as refused,
    ):
        refused.wait("30s")
    dry = command(*application.arguments, "--dry-run")
    assert (dry.code, application.offsets(), application.file.read()) == (0, had, None)
    ran = command(*application.arguments)
    assert ran.code == 0, ran.err
    assert application.offsets() == had
    assert [each.offset for each in had.values()] == [5, 5]
    assert all(each.metadata for each in had.values())
    assert application.file.read() is None
    # Nothing was counted twice, and nothing left out.
    assert application.run(2, 4) == 14


def test_there_is_nothing_to_do_where_brokers_keep_no_topology(
    application: Application, command: Command, unique: Unique
) -> None:
    assert command(*application.arguments).code == 0
    had = application.offsets()
    for name in (application.name, unique("nobody")):
        ran = command("upgrade-topology", "--application-id", name, *application.arguments[3:])
        assert (ran.code, ran.out) == (
            0,
            f"group {name} has no topology at the brokers: an application may join with any\n",
        )
    assert application.offsets() == had


#: Lines that it says: kept, deleted, committed, removed.
KEPT, DELETED, COMMITTED, REMOVED = 1, 2, 3, 4


def kill(application: Application, lines: int) -> None:
    """Run the command, which is killed when it has said so many lines."""
    servers = ["--bootstrap-servers", application.broker.bootstrap_servers]
    ran = subprocess.run(
        [sys.executable, KILLED, str(lines), *application.arguments, *servers],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stdout.count("\n")) == (-9, lines), ran.stdout


@each_broker
@pytest.mark.process
@pytest.mark.parametrize("lines", range(REMOVED))
def test_no_offset_is_lost_wherever_it_is_killed(
    application: Application, command: Command, lines: int
) -> None:
    had = application.offsets()
    kill(application, lines)
    # It is killed by the next line, which tells what was done.
    assert application.offsets() == (had if lines + 1 not in (DELETED,) else {})
    assert (application.file.read() is not None) == (lines + 1 < REMOVED)
    if application.file.read() is not None:
        with pytest.raises(StateError, match="`headrace upgrade-topology` was begun and has not ended"):
            application.streams(2).start()
    ran = command(*application.arguments)
    assert ran.code == 0, ran.err
    assert (application.offsets(), application.file.read()) == (had, None)
    assert application.run(2, 4) == 14


@pytest.mark.process
def test_what_was_committed_since_holds_where_the_group_was_not_deleted_yet(
    application: Application, command: Command
) -> None:
    kill(application, KEPT - 1)
    application.file.path.rename(kept := application.file.path.with_suffix(".away"))
    assert application.run(1, 6) == 16
    kept.rename(application.file.path)
    had = application.offsets()
    assert [each.offset for each in had.values()] == [8, 8]
    ran = command(*application.arguments)
    assert ran.code == 0, ran.err
    assert application.offsets() == had
    assert application.run(2, 4) == 20


@pytest.mark.process
@pytest.mark.parametrize("chosen", ["kept", "committed"])
def test_which_offsets_hold_is_asked_where_somebody_began_anew_in_between(
    application: Application, command: Command, chosen: str
) -> None:
    had = application.offsets()
    kill(application, DELETED - 1)
    # Somebody elsewhere, who knows nothing of it, begins with one of the partitions, and stops.
    zero, one = sorted(had)
    begin_elsewhere(application, zero)
    ran = command(*application.arguments)
    assert ran.code == 1
    assert f"of {zero}, offset 1 is committed, and 5 was kept in {application.file.path}" in ran.err
    assert application.file.read() is not None
    ran = command(*application.arguments, "--offsets", chosen)
    assert ran.code == 0, ran.err
    assert application.file.read() is None
    if chosen == "kept":
        assert application.offsets() == had
    else:
        assert application.offsets() == {zero: CommittedOffset(1)}
    assert one in had


def begin_elsewhere(application: Application, place: TopicPartition) -> None:
    """Be a member of the group that has committed one record."""
    with kafka_log(application.broker) as log:
        join_and_commit(log, application.name, place, 1)


def join_and_commit(log: KafkaLog, group: str, place: TopicPartition, offset: int) -> None:
    part = SubtopologyTopics(id=0, source_topics=frozenset({place.topic}))
    told = GroupApplication((part,), (TaskId(0, 0), TaskId(0, 1)), {place.topic: 2})
    options = JoinOptions(process_id=str(uuid.uuid4()), protocol="streams")
    worker = Worker("elsewhere", log.join(group, told, options), Ledger())
    until(lambda: bool(worker.roles.active))
    writer = log.writer(group)
    writer.commit({place: CommittedOffset(offset)}, worker.membership.member)
    writer.close()
    worker.leave()


def test_offsets_that_may_not_be_committed_again_are_not_deleted(
    secured: LocalKafka, new_topic: NewTopic, unique: Unique, tmp_path: Path
) -> None:
    group, place = unique("app"), TopicPartition(new_topic(2, kafka=secured), 0)
    configure(secured, group, AT_ONCE)
    allow(secured, "alice", "group", group, "DESCRIBE", "DELETE", "READ")
    allow(secured, "alice", "topic", place.topic, "DESCRIBE")  # it takes READ to commit
    servers, *properties = secured.client_properties_of("alice").items()
    config = Config(
        application_id=group,
        bootstrap_servers=servers[1],
        state_dir=str(tmp_path),
        properties=dict(properties),
    )
    application = ChangedApplication(group, config, address_of(config))
    with kafka_log(secured) as admin:
        join_and_commit(admin, group, place, 7)
        log = application.open()
        try:
            with pytest.raises(LogError, match=r"TOPIC_AUTHORIZATION_FAILED.*It is not finished"):
                upgrade(application, log, print)
        finally:
            log.close()
        assert admin.groups.committed(group) == {place: CommittedOffset(7)}
        # Begun again when it is allowed, it comes to its end.
        allow(secured, "alice", "topic", place.topic, "READ")
        log = application.open()
        try:
            upgrade(application, log, print)
        finally:
            log.close()
        described = admin.groups.describe(group)
        assert described is not None
        assert (described.kind, admin.groups.committed(group)) == ("classic", {place: CommittedOffset(7)})
    assert application.unfinished.read() is None


def test_a_group_that_is_alive_is_not_touched(application: Application, command: Command) -> None:
    with application.streams(1) as streams:
        streams.wait_running("40s")
        elsewhere = [*application.arguments[:3], "--set", f"state.dir={application.folder}/elsewhere"]
        ran = command(*elsewhere)
        assert (ran.code, f"group '{application.name}' has members" in ran.err) == (1, True)
        ran = command(*application.arguments)
        assert (ran.code, "is already running: process" in ran.err) == (1, True)
