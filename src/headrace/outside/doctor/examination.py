"""Looks at an application, its log and this machine, one thing after the other."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from headrace import __version__
from headrace.base.errors import LogError
from headrace.base.ids import TopicPartition
from headrace.kafka.control.health import BrokerHealth, ControlHealth, TopicHealth
from headrace.kafka.log import KafkaLog
from headrace.log.port import Log, TopicInfo
from headrace.outside.doctor.cluster import (
    Needs,
    cluster_findings,
    replica_findings,
    right_findings,
    transaction_findings,
)
from headrace.outside.doctor.finding import Finding, Severity
from headrace.outside.doctor.machine import codec_findings, disk_findings, version_findings
from headrace.outside.doctor.registry import registry_findings
from headrace.outside.doctor.topics import clock_findings, planned, topic_findings
from headrace.outside.ledger import ledger_topic
from headrace.plan.plan import Plan
from headrace.plan.told_groups import java_hash
from headrace.streams.config import Config
from headrace.streams.logs import address_of, open_log
from headrace.streams.options import APPLICATION_ID, STATE_DIR
from headrace.topology.nodes import SinkNode
from headrace.topology.topology import Topology

__all__ = ["examine"]

_OFFSETS, _TRANSACTIONS = "__consumer_offsets", "__transaction_state"


def examine(topology: Topology, config: Config) -> Iterator[Finding]:
    """Yield what is found, as it is found. What cannot be reached is a finding too."""
    yield from version_findings(__version__)
    address = address_of(config)
    yield from disk_findings(Path(config.get(STATE_DIR)).absolute(), "state")
    yield from codec_findings(is_used=address.path is None)
    yield from registry_findings(topology, config.values())
    if address.path is not None and not address.path.exists():
        text = f"there is no file {address.path}: the application makes it, with the topics that it reads"
        yield Finding(Severity.NOTE, "log", text)
        return
    if address.path is not None:
        yield from disk_findings(address.path.absolute().parent, "log")
    try:
        log = open_log(config)
    except LogError as error:
        yield Finding(Severity.WRONG, "log", str(error))
        return
    try:
        yield from _of_log(topology, config, log)
    except LogError as error:
        yield Finding(Severity.WRONG, "log", str(error), "nothing that follows could be looked at")
    finally:
        log.close()


def _of_log(topology: Topology, config: Config, log: Log) -> Iterator[Finding]:
    application_id, topics = config.get(APPLICATION_ID), log.topics()
    additional_ms = int(config["windowstore.changelog.additional.retention.ms"])
    resolved, plan, findings = planned(topology, topics, application_id, additional_ms)
    yield from findings
    if plan is not None:
        yield from topic_findings(resolved, plan, topics, application_id)
        yield from clock_findings(log, plan, time.time_ns() // 1_000_000)
    if isinstance(log, KafkaLog):
        yield from _of_cluster(_needs(resolved, plan, config), config, log, topics)


def _needs(topology: Topology, plan: Plan | None, config: Config) -> Needs:
    application_id = config.get(APPLICATION_ID)
    owns = frozenset() if plan is None else frozenset(topic.name for topic in plan.internal_topics)
    written = {
        node.topic
        for node in topology.nodes.values()
        if isinstance(node, SinkNode) and isinstance(node.topic, str)
    }
    dead_letters = config["errors.dead.letter.queue.topic.name"]
    return Needs(
        group=application_id,
        protocol=str(config["group.protocol"]),
        is_exactly_once=str(config["processing.guarantee"]) != "at_least_once",
        transaction_timeout_ms=int(config["transaction.timeout.ms"]),
        session_timeout_ms=int(config["session.timeout.ms"]),
        # Also where it cannot run: those that may not be described are among what is missing.
        reads=frozenset(
            topic
            for part in topology.subtopologies
            for topic in part.source_topics
            if topic not in topology.repartition_topics
        ),
        writes=frozenset(
            {topic for topic in written if topic not in topology.repartition_topics}
            | ({str(dead_letters)} if dead_letters else set())
        ),
        owns=owns,
    )


def _of_cluster(
    needs: Needs, config: Config, log: KafkaLog, topics: Mapping[str, TopicInfo]
) -> Iterator[Finding]:
    health = log.health()
    brokers = health.brokers()
    yield from cluster_findings(needs, brokers, health.features())
    mine = needs.reads | needs.writes | needs.owns
    dead_letters = config["errors.dead.letter.queue.topic.name"]
    ledgers = frozenset({ledger_topic(str(dead_letters))} if dead_letters else ())
    found = health.topics(mine | ledgers | {_OFFSETS, _TRANSACTIONS})
    missing = sorted(needs.writes - found.keys())
    if missing:
        text = f"there is no topic {', '.join(missing)}, or it may not be described"
        yield Finding(Severity.WRONG, "outputs", text, "create it: a cluster does not make others' topics")
    yield from replica_findings(found, _min_in_sync(brokers, topics, found), len(brokers))
    yield from right_findings(
        needs,
        {name: each for name, each in found.items() if name in mine},
        health.group_operations(needs.group),
    )
    yield from _transactions(needs, config, health, brokers, found)
    for each in dict.fromkeys(health.unseen):
        yield Finding(Severity.NOTE, "not seen", each)


def _min_in_sync(
    brokers: list[BrokerHealth], topics: Mapping[str, TopicInfo], found: Mapping[str, TopicHealth]
) -> Mapping[str, int]:
    own = next(
        (each.config["min.insync.replicas"] for each in brokers if "min.insync.replicas" in each.config), "1"
    )
    told = {
        name: topics[name].config.get("min.insync.replicas", own) if name in topics else own for name in found
    }
    of_state = next((each.config.get("transaction.state.log.min.isr") for each in brokers), None)
    return {
        name: int(of_state if name == _TRANSACTIONS and of_state else text) for name, text in told.items()
    }


def _transactions(
    needs: Needs,
    config: Config,
    health: ControlHealth,
    brokers: list[BrokerHealth],
    found: Mapping[str, TopicHealth],
) -> Iterator[Finding]:
    places = {
        TopicPartition(name, number)
        for name in found.keys() - {_OFFSETS, _TRANSACTIONS}
        for number in found[name].partitions
    }
    if _OFFSETS in found:
        places.add(_offsets_partition(needs.group, len(found[_OFFSETS].partitions)))
    servers = ",".join(config["bootstrap.servers"])
    opened = health.open_transactions(places)
    yield from transaction_findings(opened, brokers, servers, time.time_ns() // 1_000_000)


def _offsets_partition(group: str, count: int) -> TopicPartition:
    """Return where the brokers keep a group's offsets. Source: `Utils.abs(groupId.hashCode()) % count`."""
    code = java_hash(group)
    signed = code - 2**32 if code >= 2**31 else code
    return TopicPartition(_OFFSETS, (0 if signed == -(2**31) else abs(signed)) % count)
