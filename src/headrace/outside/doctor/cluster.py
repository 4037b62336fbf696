"""A cluster as an application needs it: replicas, rights, time-outs, disks, and transactions whose end is lost."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from headrace.kafka.control.health import BrokerHealth, OpenTransaction, TopicHealth
from headrace.outside.doctor.finding import Finding, Severity

__all__ = ["Needs", "cluster_findings", "replica_findings", "right_findings", "transaction_findings"]

#: Parts of a disk. Brokers stop when theirs is full, and take a while to be given room.
_DISK_WARN, _DISK_WRONG = 0.10, 0.03

#: Source: the default of transaction.max.timeout.ms, after which brokers abort any transaction.
_TRANSACTION_MAX_MS = 900_000


@dataclass(frozen=True, slots=True)
class Needs:
    """What an application asks of a cluster; times in ms.

    Attributes:
        reads, writes, owns: topics of others, and its own, by their full names.
    """

    group: str
    protocol: str
    is_exactly_once: bool
    transaction_timeout_ms: int
    session_timeout_ms: int
    reads: frozenset[str]
    writes: frozenset[str]
    owns: frozenset[str]


def cluster_findings(
    needs: Needs, brokers: Sequence[BrokerHealth], features: Mapping[str, int]
) -> Iterator[Finding]:
    """Judge brokers by their properties, features and disks."""
    yield Finding(
        Severity.FINE,
        "cluster",
        "1 broker answers" if len(brokers) == 1 else f"{len(brokers)} brokers answer",
    )
    if needs.protocol == "streams" and not features.get("streams.version"):
        advice = (
            "upgrade to Kafka 4.2 or later and set its feature streams.version, or set group.protocol=classic"
        )
        yield Finding(Severity.WRONG, "group.protocol", "the brokers have no streams groups", advice)
    if needs.is_exactly_once and features.get("transaction.version", 0) < 2:
        text = (
            "the brokers have the older protocol of transactions, in which a lost answer may leave one open"
        )
        yield Finding(
            Severity.NOTE, "transactions", text, "set the feature transaction.version=2 (Kafka 4.0)"
        )
    for broker in brokers:
        yield from _limits(needs, broker)
        for path, size, free in broker.disks:
            part = free / size
            if part < _DISK_WARN:
                severity = Severity.WRONG if part < _DISK_WRONG else Severity.WARNING
                text = f"{100 * part:.0f} % of {path} are free"
                yield Finding(severity, f"broker {broker.id}", text, "make room, or shorten retention")


def _limits(needs: Needs, broker: BrokerHealth) -> Iterator[Finding]:
    subject = f"broker {broker.id}"
    most = _number(broker, "transaction.max.timeout.ms")
    if needs.is_exactly_once and most is not None and needs.transaction_timeout_ms > most:
        text = f"transaction.timeout.ms is {needs.transaction_timeout_ms}, and {most} are allowed"
        yield Finding(Severity.WRONG, subject, text, f"set transaction.timeout.ms to at most {most}")
    if needs.protocol != "classic":
        return
    low, high = (_number(broker, f"group.{each}.session.timeout.ms") for each in ("min", "max"))
    if (low is not None and needs.session_timeout_ms < low) or (
        high is not None and needs.session_timeout_ms > high
    ):
        text = f"session.timeout.ms is {needs.session_timeout_ms}, and {low} to {high} are allowed"
        yield Finding(Severity.WRONG, subject, text, "set session.timeout.ms within that")


def _number(broker: BrokerHealth, name: str) -> int | None:
    text = broker.config.get(name, "")
    return int(text) if text.lstrip("-").isdecimal() else None


def replica_findings(
    topics: Mapping[str, TopicHealth], min_in_sync: Mapping[str, int], brokers: int
) -> Iterator[Finding]:
    """Judge how many copies there are of each topic, against how many a write waits for."""
    lone = []
    for name, topic in sorted(topics.items()):
        subject, least = f"topic '{name}'", min_in_sync.get(name, 1)
        parts = topic.partitions
        if leaderless := sorted(number for number, each in parts.items() if each.leader < 0):
            text = f"partitions {_listed(leaderless)} have no leader: they are neither read nor written"
            yield Finding(Severity.WRONG, subject, text, "start the brokers that have their replicas")
        replicas = min((each.replicas for each in parts.values()), default=0)
        if replicas < least:
            text = f"has {replicas} replicas, and min.insync.replicas is {least}: nothing can be written"
            yield Finding(Severity.WRONG, subject, text, "add replicas, or lower min.insync.replicas")
            continue
        if few := sorted(number for number, each in parts.items() if each.in_sync < least):
            text = f"partitions {_listed(few)} take no records: fewer than min.insync.replicas={least} are in sync"
            yield Finding(Severity.WRONG, subject, text, "look which brokers are down or behind")
        elif replicas == least > 1:
            text = f"has as many replicas as min.insync.replicas ({least}): with one broker down it takes no records"
            yield Finding(
                Severity.WARNING, subject, text, "add a replica, or lower min.insync.replicas by one"
            )
        if replicas == 1 and brokers > 1:
            lone.append(name)
    if lone:
        text = f"{_listed(lone)}: there is one replica of each, which is lost with its broker"
        advice = "add replicas; replication.factor says how many the application's own topics get"
        yield Finding(Severity.WARNING, "replicas", text, advice)


def right_findings(
    needs: Needs, topics: Mapping[str, TopicHealth], group: frozenset[str] | None
) -> Iterator[Finding]:
    """Judge what this principal may do, as far as brokers tell: rights to make what is not there yet they do not."""
    wanted = {name: {"READ", "DESCRIBE_CONFIGS"} for name in needs.reads}
    for name in needs.writes:
        wanted[name] = wanted.get(name, {"DESCRIBE_CONFIGS"}) | {"WRITE"}
    wanted |= {name: {"READ", "WRITE", "DELETE", "DESCRIBE_CONFIGS"} for name in needs.owns}
    is_told = group is not None
    for name, operations in sorted(wanted.items()):
        found = topics[name].operations if name in topics else None
        is_told = is_told or found is not None
        if found is not None and (missing := sorted(operations - found)):
            yield Finding(
                Severity.WRONG,
                f"topic '{name}'",
                f"this principal may not {_listed(missing)}",
                "add the ACLs",
            )
    if group is not None and "READ" not in group:
        yield Finding(Severity.WRONG, f"group '{needs.group}'", "this principal may not READ", "add the ACL")
    if not is_told:
        yield Finding(Severity.NOTE, "rights", "the brokers do not tell what this principal may do")


def transaction_findings(
    found: Sequence[OpenTransaction], brokers: Sequence[BrokerHealth], servers: str, now_ms: int
) -> Iterator[Finding]:
    """Judge transactions that partitions take for open, at a time (epoch ms).

    Kafka 4.4 loses the end of one where a broker is killed in the midst of a commit: its coordinator takes a partition
    that has no leader for deleted, and writes no marker there.
    """
    limits = [_number(broker, "transaction.max.timeout.ms") for broker in brokers]
    most_ms = max((each for each in limits if each is not None), default=_TRANSACTION_MAX_MS)
    for each in found:
        if not each.is_known:
            yield _untold(each, now_ms, most_ms, _abort(each, servers))
        if not each.has_lost_its_end:
            continue
        is_offsets = each.partition.topic == "__consumer_offsets"
        follows = (
            "offsets of this group cannot be read (UNSTABLE_OFFSET_COMMIT)"
            if is_offsets
            else "readers of committed records wait before it for ever"
        )
        abort = (
            "the offsets in it are given up, and what it has written elsewhere stays: the group goes on from the "
            "offsets before, and does the records since then once more"
            if is_offsets
            else "its records in this partition are given up, also where it was committed elsewhere"
        )
        yield Finding(
            Severity.WRONG,
            each.partition.in_words(),
            f"has an open transaction whose end is lost, of producer {each.producer_id} of transactional id "
            f"'{each.transactional_id}', which its coordinator has in state {each.state}, from offset "
            f"{each.start_offset} on: {follows}",
            f"{_abort(each, servers)}; by that {abort}",
        )
    if all(each.is_known and not each.has_lost_its_end for each in found):
        yield Finding(Severity.FINE, "transactions", f"{len(found)} are open, and none has lost its end")


def _abort(found: OpenTransaction, servers: str) -> str:
    return (
        f"kafka-transactions.sh --bootstrap-server {servers} abort --topic {found.partition.topic} --partition "
        f"{found.partition.partition} --start-offset {found.start_offset}"
    )


def _untold(found: OpenTransaction, now_ms: int, most_ms: int, abort: str) -> Finding:
    """Judge a transaction of which no coordinator tells: whoever aborts one that is under way loses its records.

    Its last timestamp proves nothing where it looks old: records of a stream have the times of events.
    """
    text = (
        f"has an open transaction of producer {found.producer_id}, from offset {found.start_offset} on, and no "
        f"coordinator tells of it"
    )
    if now_ms - found.last_timestamp <= most_ms:
        advice = "give this principal DESCRIBE on its transactional id, to see whether it is under way"
        return Finding(Severity.NOTE, found.partition.in_words(), f"{text}: it may not be described", advice)
    return Finding(
        Severity.WARNING,
        found.partition.in_words(),
        f"{text}: it may not be described, or its end is lost, since its last record has a time before the "
        f"{most_ms} ms that a transaction may take",
        f"give this principal DESCRIBE on all transactional ids and look again. If nothing tells of it then, all "
        f"brokers are up, and it is still open after {most_ms} ms, its end is lost: {abort}",
    )


def _listed(names: Sequence[object]) -> str:
    shown = ", ".join(map(str, names[:10]))
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
