"""`headrace reset` on real brokers: beside Kafka's own tool, and between two lives of an application."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from headrace.base.ids import TopicPartition
from headrace.kafka.log import KafkaLog
from headrace.log.port import CommittedOffset
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.archive import java_command
from headrace.testing.local_kafka.jars import KAFKA_VERSION, fetch_jars
from headrace.testing.local_kafka.java import JavaRecord
from tests.cli.conftest import Command
from tests.kafka.broker.counting import PARTITIONS, wait_for
from tests.kafka.broker.test_instances import (  # noqa: F401 - a fixture
    Instances,
    Protocol,
    instances,
)
from tests.kafka.conftest import NewTopic
from tests.kafka.group.conftest import configure
from tests.kafka.java.both_sides import kafka_log

pytestmark = pytest.mark.broker

Unique = Callable[[str], str]

KILLED = Path(__file__).parents[2] / "cli" / "killed.py"
MINUTE_MS = 60_000


@pytest.fixture
def log(broker: LocalKafka) -> Iterator[KafkaLog]:
    with kafka_log(broker) as made:
        yield made


# ── beside Kafka's own tool ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Input:
    """A topic with four partitions: the first one has lost its beginning, the last one is empty."""

    topic: str
    now_ms: int

    def time(self, minutes_ago: int) -> str:
        moment = datetime.fromtimestamp((self.now_ms - minutes_ago * MINUTE_MS) / 1000, UTC)
        return moment.isoformat(timespec="milliseconds").removesuffix("+00:00")

    def partitions(self) -> list[TopicPartition]:
        return [TopicPartition(self.topic, number) for number in range(4)]


@pytest.fixture
def given(broker: LocalKafka, log: KafkaLog, new_topic: NewTopic) -> Input:
    made = Input(new_topic(partitions=4), time.time_ns() // 1_000_000)
    # A record for each ten minutes, the newest one five minutes old.
    for partition, count in enumerate((20, 10, 4)):
        records = [
            JavaRecord(
                b"k",
                b"v",
                timestamp=made.now_ms - (10 * (count - index) - 5) * MINUTE_MS,
                partition=partition,
            )
            for index in range(count)
        ]
        broker.produce_with_java(made.topic, records)
    log.delete_records({TopicPartition(made.topic, 0): 5})
    return made


def new_group(log: KafkaLog, given: Input, name: str) -> str:
    """Commit in two of the partitions, and make internal topics."""
    from headrace.log.port import TopicSpec

    zero, one, *_ = given.partitions()
    log.groups.commit(name, {zero: CommittedOffset(7, "text"), one: CommittedOffset(3, "text")})
    log.create_topics([TopicSpec(f"{name}-counts-changelog", 1), TopicSpec(f"{name}-words-repartition", 1)])
    return name


def reset_by_java(broker: LocalKafka, *arguments: str) -> str:
    tool = [*java_command(fetch_jars(KAFKA_VERSION)), "org.apache.kafka.tools.StreamsResetter"]
    ran = subprocess.run(
        [*tool, "--bootstrap-server", broker.bootstrap_servers, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.process
@pytest.mark.parametrize(
    "asked",
    [
        "", "--to-earliest", "--to-latest", "--to-offset 7", "--to-offset 1000", "--to-offset 0", "--shift-by 2",
        "--shift-by -2", "--shift-by -100", "--shift-by 100", "--to-datetime {time}", "--to-datetime {late}",
        "--by-duration PT42M", "--from-file {file}",
    ],
)  # fmt: skip
def test_the_same_options_lead_to_the_same_offsets_as_with_kafkas_own_tool(
    broker: LocalKafka,
    log: KafkaLog,
    given: Input,
    unique: Unique,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = tmp_path / "plan.csv"
    plan.write_text("".join(f"{given.topic},{number},{6 + number}\n" for number in range(4)))
    options = asked.format(time=given.time(42), late=given.time(-10), file=plan).split()
    ours, theirs = (new_group(log, given, unique(name)) for name in ("ours", "theirs"))
    ran = command("reset", "--application-id", ours, "--input-topics", given.topic, *options)
    assert ran.code == 0, ran.err
    reset_by_java(broker, "--application-id", theirs, "--input-topics", given.topic, *options)
    found, expected = log.groups.committed(ours), log.groups.committed(theirs)
    assert found == expected
    assert list(found) == given.partitions()
    assert not [topic for topic in log.topics() if topic.startswith((f"{ours}-", f"{theirs}-"))]


def test_intermediate_topics_are_set_behind_their_end_as_with_kafkas_own_tool(
    broker: LocalKafka,
    log: KafkaLog,
    given: Input,
    unique: Unique,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    ours, theirs = (new_group(log, given, unique(name)) for name in ("ours", "theirs"))
    only = f"{ours}-counts-changelog"
    ran = command(
        "reset", "--application-id", ours, "--intermediate-topics", given.topic, "--internal-topics", only
    )
    assert ran.code == 0, ran.err
    reset_by_java(
        broker, "--application-id", theirs, "--intermediate-topics", given.topic, "--internal-topics",
        f"{theirs}-counts-changelog",
    )  # fmt: skip
    assert log.groups.committed(ours) == log.groups.committed(theirs)
    left = [topic for topic in log.topics() if topic.startswith((f"{ours}-", f"{theirs}-"))]
    assert sorted(left) == sorted([f"{ours}-words-repartition", f"{theirs}-words-repartition"])


# ── between two lives of an application ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Stopped:
    """The application of `instances`, as a module, and options of commands that concern it."""

    instances: Instances
    target: str

    @property
    def options(self) -> list[str]:
        place = self.instances.folder / "one"
        return [self.target, "--application-id", self.instances.name, "--set", f"state.dir={place}"]


@pytest.fixture
def stopped(instances: Instances, tmp_path: Path) -> Stopped:  # noqa: F811
    """It is not stopped yet."""
    module = tmp_path / "counting.py"
    module.write_text(f"""
import headrace as hr
from headrace import stores


def build():
    builder = hr.StreamsBuilder()
    counts = builder.stream(hr.Topic({instances.source!r}, value=str)).group_by_key()
    table = counts.count(store=stores.key_value("counts", key=str, value=int))
    table.to_stream().to(hr.Topic({instances.target!r}, value=int))
    return builder.build()
""")
    return Stopped(instances, f"{module}:build")


both = pytest.mark.parametrize("protocol", ["classic", "streams"])


@both
def test_an_application_that_was_reset_counts_everything_once_more(
    stopped: Stopped, log: KafkaLog, command: Command, protocol: Protocol
) -> None:
    app = stopped.instances
    one = app.start("one", protocol)
    one.wait_running("30s")
    app.send(2)
    wait_for(lambda: app.counted() == app.sent)
    elsewhere = [*stopped.options, "--set", f"state.dir={app.folder}/elsewhere"]
    ran = command("reset", *elsewhere)
    assert ran.code == 1
    assert f"group '{app.name}' has members: " in ran.err
    assert "127.0.0.1). Stop them first; --force takes out at once who is dead" in ran.err
    one.close()
    dry = command("reset", *stopped.options, "--dry-run")
    ran = command("reset", *stopped.options)
    assert ran.code == 0, ran.err
    assert ran.out.startswith(dry.out.removesuffix("nothing was done: it was a dry run\n"))
    assert f"deleted: internal topics {app.name}-counts-changelog" in dry.out
    every = [TopicPartition(app.source, number) for number in range(PARTITIONS)]
    assert log.groups.committed(app.name) == dict.fromkeys(every, CommittedOffset(0))
    assert f"{app.name}-counts-changelog" not in log.topics()
    group = log.groups.describe(app.name)
    assert group is not None
    assert (group.kind, group.subtopologies) == ("classic", ())
    app.start("one", protocol).wait_running("30s")
    app.send(1)
    wait_for(lambda: app.counted() == app.sent)


@both
def test_a_dead_member_is_taken_out_by_force_and_a_living_one_comes_back(
    stopped: Stopped, log: KafkaLog, command: Command, protocol: Protocol
) -> None:
    app = stopped.instances
    one = app.start("one", protocol, session_ms=30_000)
    one.wait_running("30s")
    app.send(1)
    wait_for(lambda: app.counted() == app.sent)
    one.close(leave_group=False)  # as if it were killed
    assert command("reset", *stopped.options).code == 1
    dry = command("reset", *stopped.options, "--force", "--dry-run")
    assert (dry.code, dry.lines[0].endswith("is taken out")) == (0, True)
    assert command("reset", *stopped.options).code == 1
    ran = command("reset", *stopped.options, "--force")
    assert ran.code == 0, ran.err
    assert set(log.groups.committed(app.name).values()) == {CommittedOffset(0)}


def test_a_streams_group_tells_the_topics_that_the_application_had(
    stopped: Stopped, log: KafkaLog, command: Command
) -> None:
    app = stopped.instances
    configure(app.broker, app.name, {"streams.num.standby.replicas": "1"})
    one = app.start("one", "streams")
    one.wait_running("30s")
    one.close()
    options = ["--application-id", app.name, "--set", f"state.dir={app.folder}/one"]
    ran = command("reset", *options, "--to-latest")
    assert ran.code == 0, ran.err
    assert f"deleted: internal topics {app.name}-counts-changelog" in ran.lines
    assert "properties of the group, which stay: streams.num.standby.replicas=1" in ran.lines
    every = [TopicPartition(app.source, number) for number in range(PARTITIONS)]
    assert log.groups.committed(app.name) == dict.fromkeys(every, CommittedOffset(0))


#: Lines of the plan, and of the whole reset, for four partitions.
PLAN, WHOLE = 8, 14


@pytest.mark.process
@pytest.mark.parametrize("lines", range(PLAN, WHOLE))
def test_a_reset_that_was_killed_is_finished_by_the_next_one(
    broker: LocalKafka,
    log: KafkaLog,
    given: Input,
    unique: Unique,
    command: Command,
    tmp_path: Path,
    lines: int,
) -> None:
    name = new_group(log, given, unique("app"))
    arguments = ["reset", "--application-id", name, "--set", f"state.dir={tmp_path}", "--shift-by", "-2"]
    ran = subprocess.run(
        [sys.executable, KILLED, str(lines), *arguments, "--bootstrap-servers", broker.bootstrap_servers],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stdout.count("\n")) == (-9, lines), ran.stdout
    is_begun = (tmp_path / f"{name}.unfinished").exists()
    assert is_begun == (lines < WHOLE - 1)
    if is_begun:
        again = command(*arguments)
        assert (again.code, again.lines[0].startswith("going on with what")) == (0, True), again.err
    zero, one, two, three = given.partitions()
    assert log.groups.committed(name) == {
        zero: CommittedOffset(5),
        one: CommittedOffset(1),
        two: CommittedOffset(2),
        three: CommittedOffset(0),
    }
    assert not [topic for topic in log.topics() if topic.startswith(f"{name}-")]
    assert not (tmp_path / f"{name}.unfinished").exists()
