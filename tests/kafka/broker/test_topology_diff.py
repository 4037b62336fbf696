"""`headrace topology diff` and `topics orphans` beside an application on a real broker."""

from collections.abc import Callable
from pathlib import Path

import pytest

import headrace as hr
from headrace.testing import LocalKafka
from tests.cli.conftest import Command
from tests.kafka.broker.conftest import NewStreams
from tests.kafka.conftest import NewTopic
from tests.kafka.java.both_sides import kafka_log
from tests.streams.waiting import until

pytestmark = pytest.mark.broker

LATER = """
import headrace as hr


def build():
    builder = hr.StreamsBuilder()
    builder.stream({topic!r}).group_by_key().count(store="totals")
    return builder.build()
"""


def counting(topic: str) -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.stream(topic).group_by_key().count(store="counts")
    return builder.build()


def test_what_a_renamed_store_leaves_is_told_and_deleted_when_nobody_runs(
    broker: LocalKafka,
    new_streams: NewStreams,
    new_topic: NewTopic,
    unique: Callable[[str], str],
    command: Command,
    tmp_path: Path,
) -> None:
    topic, name = new_topic(partitions=2), unique("renamed")
    later = tmp_path / f"{name.replace('-', '_')}.py"
    later.write_text(LATER.format(topic=topic))
    target = (f"{later}:build", "--application-id", name)
    changelog = f"{name}-counts-changelog"
    delete = ("--yes", "--topic", changelog, "--set", f"state.dir={tmp_path / 'other'}")
    with kafka_log(broker) as log:
        streams = new_streams(counting(topic), name)
        with streams:
            streams.wait_running("30s")
            until(lambda: changelog in log.partition_counts([changelog]))
            ran = command("topology", "diff", *target)
            assert (ran.code, ran.lines) == (
                3,
                [
                    f"orphans this topic: topic '{changelog}' no store or repartition of this topology has it",
                    "rebuilds this store: store 'totals' has no changelog here: it begins with records from now on",
                    "in all: rebuilds this store",
                ],
            )
            refused = command("topics", "orphans", *target, *delete)
            assert refused.code == 1
            assert f"group '{name}' has members" in refused.err
        ran = command("topics", "orphans", *target, *delete)
        assert (ran.code, ran.err) == (0, f"deleted {changelog}\n")
        assert changelog not in log.partition_counts([changelog])
