"""What a doctor finds in what it was told, each thing by itself."""

from collections.abc import Mapping

import pytest

import headrace as hr
from headrace import stores
from headrace.base.ids import TopicPartition
from headrace.kafka.control.health import BrokerHealth, OpenTransaction, PartitionHealth, TopicHealth
from headrace.log.port import TopicInfo
from headrace.outside.doctor.cluster import (
    Needs,
    cluster_findings,
    replica_findings,
    right_findings,
    transaction_findings,
)
from headrace.outside.doctor.finding import Finding, Severity
from headrace.outside.doctor.machine import room_findings
from headrace.outside.doctor.topics import planned, topic_findings

WRONG, WARNING, NOTE, FINE = Severity.WRONG, Severity.WARNING, Severity.NOTE, Severity.FINE
DAY_MS = 86_400_000


def worst(found: list[Finding]) -> tuple[Severity, str]:
    """The most serious of what was found, and what it is about."""
    order = list(Severity)
    each = max(found, key=lambda each: order.index(each.severity))
    return each.severity, each.subject


# ── topics ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def topology() -> hr.Topology:
    builder = hr.StreamsBuilder()
    lines = builder.stream(hr.Topic("lines", value=str))
    lines.group_by(lambda key, line: line, key=str).windowed_by(hr.TimeWindows("1m", grace="1h")).count(
        store=stores.window("minutes", key=str, value=int)
    )
    lines.join(
        builder.global_table("names", value=str, store="names"), str.__add__, on=lambda key, value: key
    ).to("out", value=str)
    return builder.build()


def topic(name: str, partitions: int = 2, **config: str) -> TopicInfo:
    return TopicInfo(name, partitions, "id", {each.replace("_", "."): text for each, text in config.items()})


def told(*others: TopicInfo) -> list[Finding]:
    """What is found where the application has run, and these topics are as they are given."""
    there = {
        "lines": topic("lines"),
        "names": topic("names", cleanup_policy="compact"),
        "app-minutes-repartition": topic(
            "app-minutes-repartition", retention_ms="-1", cleanup_policy="delete"
        ),
        "app-minutes-changelog": topic(
            "app-minutes-changelog", retention_ms=str(2 * DAY_MS), cleanup_policy="compact,delete"
        ),
    }
    topics = there | {each.name: each for each in others}
    resolved, plan, findings = planned(topology(), topics, "app", DAY_MS)
    return findings if plan is None else [*findings, *topic_findings(resolved, plan, topics, "app")]


def test_topics_that_are_as_they_should_be_are_fine() -> None:
    assert told() == [Finding(FINE, "topology", "tasks: 4; topics that are read: 2, internal ones: 2")]


@pytest.mark.parametrize(
    ("changed", "severity", "subject"),
    [
        (topic("app-minutes-changelog", 3, cleanup_policy="compact,delete"), WRONG, "internal topics"),
        (
            topic("app-minutes-changelog", retention_ms="60000", cleanup_policy="compact,delete"),
            WRONG,
            "topic 'app-minutes-changelog'",
        ),
        (
            topic(
                "app-minutes-changelog",
                message_timestamp_type="LogAppendTime",
                cleanup_policy="compact,delete",
            ),
            WRONG,
            "topic 'app-minutes-changelog'",
        ),
        (topic("app-minutes-changelog", cleanup_policy="compact"), WRONG, "topic 'app-minutes-changelog'"),
        (topic("app-minutes-repartition", retention_ms="1000"), WRONG, "topic 'app-minutes-repartition'"),
        (topic("names", cleanup_policy="delete", retention_ms="1000"), WARNING, "topic 'names'"),
        (topic("names", cleanup_policy="delete", retention_ms="-1"), FINE, "topology"),
        (topic("names", cleanup_policy="compact,delete", retention_ms="1000"), WARNING, "topic 'names'"),
        (topic("names", cleanup_policy="compact,delete", retention_ms="-1"), FINE, "topology"),
        (topic("lines", message_timestamp_type="LogAppendTime"), NOTE, "topic 'lines'"),
        (topic("app-old-changelog", cleanup_policy="compact"), NOTE, "topic 'app-old-changelog'"),
    ],
)
def test_a_topic_that_is_otherwise_is_told(changed: TopicInfo, severity: Severity, subject: str) -> None:
    assert worst(told(changed)) == (severity, subject)


def test_an_input_that_is_missing_is_told() -> None:
    _, plan, (finding,) = planned(topology(), {}, "app", DAY_MS)
    assert plan is None
    assert (finding.severity, finding.subject) == (WRONG, "topology")
    assert "there is no topic 'lines'" in finding.text


# ── clusters ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def needs(**changes: object) -> Needs:
    fields: dict[str, object] = {
        "group": "app",
        "protocol": "classic",
        "is_exactly_once": True,
        "transaction_timeout_ms": 10_000,
        "session_timeout_ms": 45_000,
        "reads": frozenset({"lines"}),
        "writes": frozenset({"out"}),
        "owns": frozenset({"app-c-changelog"}),
    }
    return Needs(**fields | changes)  # type: ignore[arg-type]  # fields of their types


CONFIG = {
    "transaction.max.timeout.ms": "900000",
    "group.min.session.timeout.ms": "6000",
    "group.max.session.timeout.ms": "1800000",
}
FEATURES = {"transaction.version": 2, "streams.version": 1}


@pytest.mark.parametrize(
    ("asked", "broker", "features", "severity", "subject"),
    [
        (needs(), BrokerHealth(1, CONFIG), FEATURES, FINE, "cluster"),
        (needs(), BrokerHealth(1, {}), FEATURES, FINE, "cluster"),
        (needs(transaction_timeout_ms=1_000_000), BrokerHealth(1, CONFIG), FEATURES, WRONG, "broker 1"),
        (needs(session_timeout_ms=1000), BrokerHealth(1, CONFIG), FEATURES, WRONG, "broker 1"),
        (
            needs(session_timeout_ms=1000, protocol="streams"),
            BrokerHealth(1, CONFIG),
            FEATURES,
            FINE,
            "cluster",
        ),
        (
            needs(protocol="streams"),
            BrokerHealth(1, CONFIG),
            {"transaction.version": 2},
            WRONG,
            "group.protocol",
        ),
        (needs(), BrokerHealth(1, CONFIG), {}, NOTE, "transactions"),
        (needs(is_exactly_once=False), BrokerHealth(1, CONFIG), {}, FINE, "cluster"),
        (needs(), BrokerHealth(1, CONFIG, (("/data", 1000, 90),)), FEATURES, WARNING, "broker 1"),
        (needs(), BrokerHealth(1, CONFIG, (("/data", 1000, 20),)), FEATURES, WRONG, "broker 1"),
        (needs(), BrokerHealth(1, CONFIG, (("/data", 1000, 500),)), FEATURES, FINE, "cluster"),
    ],
)
def test_brokers_are_judged_by_what_is_asked_of_them(
    asked: Needs, broker: BrokerHealth, features: Mapping[str, int], severity: Severity, subject: str
) -> None:
    assert worst(list(cluster_findings(asked, [broker], features))) == (severity, subject)


@pytest.mark.parametrize(
    ("partition", "least", "brokers", "expected"),
    [
        (PartitionHealth(1, 3, 3), 2, 3, None),
        (PartitionHealth(1, 3, 2), 2, 3, None),
        (PartitionHealth(1, 3, 1), 2, 3, (WRONG, "topic 't'")),
        (PartitionHealth(-1, 3, 2), 2, 3, (WRONG, "topic 't'")),
        (PartitionHealth(1, 1, 1), 2, 3, (WRONG, "topic 't'")),
        (PartitionHealth(1, 2, 2), 2, 3, (WARNING, "topic 't'")),
        (PartitionHealth(1, 1, 1), 1, 3, (WARNING, "replicas")),
        (PartitionHealth(1, 1, 1), 1, 1, None),
    ],
)
def test_replicas_are_held_against_how_many_a_write_waits_for(
    partition: PartitionHealth, least: int, brokers: int, expected: tuple[Severity, str] | None
) -> None:
    found = list(replica_findings({"t": TopicHealth("t", {0: partition}, None)}, {"t": least}, brokers))
    assert (worst(found) if found else None) == expected


def rights(**operations: str) -> Mapping[str, TopicHealth]:
    return {
        name.replace("_", "-"): TopicHealth(name, {}, frozenset(text.split()))
        for name, text in operations.items()
    }


@pytest.mark.parametrize(
    ("topics", "group", "expected"),
    [
        (rights(lines="READ DESCRIBE_CONFIGS"), frozenset({"READ"}), []),
        (rights(lines="DESCRIBE_CONFIGS"), frozenset({"READ"}), ["this principal may not READ"]),
        (rights(out="READ DESCRIBE_CONFIGS"), frozenset({"READ"}), ["this principal may not WRITE"]),
        (
            rights(app_c_changelog="READ DESCRIBE_CONFIGS"),
            frozenset({"READ"}),
            ["this principal may not DELETE, WRITE"],
        ),
        (rights(), frozenset(), ["this principal may not READ"]),
        (rights(), None, ["the brokers do not tell what this principal may do"]),
    ],
)
def test_rights_are_held_against_what_is_wanted(
    topics: Mapping[str, TopicHealth], group: frozenset[str] | None, expected: list[str]
) -> None:
    assert [each.text for each in right_findings(needs(), topics, group)] == expected


def opened(topic: str = "out", **changes: object) -> OpenTransaction:
    fields: dict[str, object] = {
        "partition": TopicPartition(topic, 3),
        "producer_id": 17,
        "producer_epoch": 1,
        "start_offset": 42,
        "last_timestamp": 0,
    }
    return OpenTransaction(**fields | changes)  # type: ignore[arg-type]  # fields of their types


@pytest.mark.parametrize(
    ("state", "has_partition", "is_lost"),
    [
        ("Ongoing", True, False),
        ("PrepareCommit", True, False),
        ("PrepareAbort", True, False),
        ("Ongoing", False, True),
        ("CompleteCommit", True, True),
        ("CompleteAbort", False, True),
        ("Empty", False, True),
        ("", False, False),
    ],
)
def test_a_transaction_has_lost_its_end_where_nobody_is_going_to_end_it(
    state: str, has_partition: bool, is_lost: bool
) -> None:
    assert opened(state=state, has_partition=has_partition).has_lost_its_end == is_lost


def test_what_ends_a_transaction_is_said_with_what_it_does() -> None:
    found = opened(transactional_id="app-1", state="CompleteCommit")
    assert list(transaction_findings([found], [], "host:9092", 0)) == [
        Finding(
            WRONG,
            "partition 3 of topic 'out'",
            "has an open transaction whose end is lost, of producer 17 of transactional id 'app-1', which its "
            "coordinator has in state CompleteCommit, from offset 42 on: readers of committed records wait before it "
            "for ever",
            "kafka-transactions.sh --bootstrap-server host:9092 abort --topic out --partition 3 --start-offset 42; by "
            "that its records in this partition are given up, also where it was committed elsewhere",
        )
    ]


def test_offsets_whose_transaction_has_lost_its_end_are_said_to_be_done_again() -> None:
    lost = opened("__consumer_offsets", transactional_id="app-1", state="CompleteCommit")
    (found,) = transaction_findings([lost], [], "host:9092", 0)
    assert "UNSTABLE_OFFSET_COMMIT" in found.text
    assert "does the records since then once more" in found.advice


def test_transactions_that_are_under_way_are_fine() -> None:
    found = [opened(state="Ongoing", has_partition=True)]
    assert list(transaction_findings(found, [], "host:9092", 0)) == [
        Finding(FINE, "transactions", "1 are open, and none has lost its end")
    ]


@pytest.mark.parametrize(
    ("brokers", "now_ms", "severity"),
    [
        ([], 1_900_000, NOTE),
        ([], 1_900_001, WARNING),
        ([BrokerHealth(1, {"transaction.max.timeout.ms": "60000"})], 1_060_000, NOTE),
        ([BrokerHealth(1, {"transaction.max.timeout.ms": "60000"})], 1_060_001, WARNING),
        ([BrokerHealth(1, {}), BrokerHealth(2, CONFIG)], 1_060_001, NOTE),
    ],
)
def test_a_transaction_that_no_coordinator_tells_of_may_be_under_way(
    brokers: list[BrokerHealth], now_ms: int, severity: Severity
) -> None:
    untold = opened(last_timestamp=1_000_000)
    (found,) = transaction_findings([untold], brokers, "host:9092", now_ms)
    assert (found.severity, found.subject) == (severity, "partition 3 of topic 'out'")
    assert "may not be described" in found.text
    assert found.advice.startswith("give this principal DESCRIBE on")
    assert ("abort" in found.advice) == (severity is WARNING)


@pytest.mark.parametrize(("free", "severity"), [(10**8, WRONG), (10**9, WARNING), (10**10, FINE)])
def test_a_disk_is_judged_by_its_room(free: int, severity: Severity) -> None:
    assert [each.severity for each in room_findings("state", free)] == [severity]
