"""Topics of an application, on any log: whether they are there, fit each other, and keep what they are to keep."""

from collections.abc import Iterator, Mapping

from headrace.base.errors import HeadraceError
from headrace.base.ids import TopicPartition
from headrace.log.port import Log, TopicInfo
from headrace.outside.doctor.finding import Finding, Severity
from headrace.plan.blueprint import blueprint_of
from headrace.plan.change import is_own_internal
from headrace.plan.internal_topics import check_counts
from headrace.plan.plan import Plan, make_plan
from headrace.plan.upgrade import changes_on_log
from headrace.plan.verdicts import Verdict
from headrace.topology.topology import Topology

__all__ = ["clock_findings", "planned", "topic_findings"]

#: So far ahead of this machine's clock may a record be without a word: brokers and clients differ by less.
_AHEAD_MS = 60_000


def planned(
    topology: Topology, topics: Mapping[str, TopicInfo], application_id: str, additional_retention_ms: int
) -> tuple[Topology, Plan | None, list[Finding]]:
    """Return the topology with its patterns resolved, what it would run as, and what keeps it from that."""
    others = [name for name in topics if not is_own_internal(name, application_id)]
    counts = {name: info.partitions for name, info in topics.items()}
    try:
        resolved = topology.with_topics(others)
        plan = make_plan(
            resolved, counts, application_id, window_additional_retention_ms=additional_retention_ms
        )
    except HeadraceError as error:
        return topology, None, [Finding(Severity.WRONG, "topology", str(error))]
    try:
        check_counts(plan.internal_topics, counts)
    except HeadraceError as error:
        return resolved, plan, [Finding(Severity.WRONG, "internal topics", str(error))]
    text = f"tasks: {len(plan.tasks)}; topics that are read: {len(plan.read)}"
    text += f", internal ones: {len(plan.internal_topics)}"
    return resolved, plan, [Finding(Severity.FINE, "topology", text)]


def topic_findings(
    topology: Topology, plan: Plan, topics: Mapping[str, TopicInfo], application_id: str
) -> Iterator[Finding]:
    """Compare the topics that are there with what the application needs them to be."""
    for wanted in plan.internal_topics:
        info = topics.get(wanted.name)
        if info is not None:
            yield from _kept(info, wanted.config)
    for change in changes_on_log(blueprint_of(topology, application_id, plan), topics):
        if change.verdict is Verdict.NEW_APPLICATION and "partitions" not in change.text:
            yield Finding(Severity.WRONG, change.subject, change.text)
        elif change.verdict is Verdict.ORPHANS:
            advice = "`headrace topics orphans` tells more, and deletes it where it is this application's"
            yield Finding(Severity.NOTE, change.subject, change.text, advice)
    yield from _tables(topology, topics, application_id)
    for name in sorted(plan.read):
        if topics[name].config.get("message.timestamp.type") == "LogAppendTime":
            text = (
                "records have the time at which a broker took them, so that windows and joins go by arrival"
            )
            advice = "set message.timestamp.type=CreateTime, if the producers' times are meant"
            yield Finding(Severity.NOTE, f"topic '{name}'", text, advice)


def _kept(info: TopicInfo, wanted: Mapping[str, str]) -> Iterator[Finding]:
    """Judge the properties of an internal topic that somebody else may have made, or changed."""
    subject, found = f"topic '{info.name}'", info.config
    if found.get("message.timestamp.type", "CreateTime") != "CreateTime":
        text = "gives records the time of their arrival: windows, expiry and restores go wrong"
        yield Finding(Severity.WRONG, subject, text, "set message.timestamp.type=CreateTime")
    kept, needed = _number(found.get("retention.ms")), _number(wanted.get("retention.ms"))
    if needed is not None and kept is not None and _is_shorter(kept, needed):
        what = "records that nobody has processed yet" if needed < 0 else "windows that the store still has"
        text = f"is kept for {kept} ms, and {needed if needed >= 0 else 'no limit'} is wanted: {what} would be lost"
        yield Finding(Severity.WRONG, subject, text, f"set retention.ms={needed}")
    lag, least = (
        _number(found.get("min.compaction.lag.ms")) or 0,
        _number(wanted.get("min.compaction.lag.ms")),
    )
    if least is not None and lag < least:
        text = f"may be compacted after {lag} ms, and versions are read for {least} ms: a restore would miss some"
        yield Finding(Severity.WRONG, subject, text, f"set min.compaction.lag.ms={least}")


def _is_shorter(kept_ms: int, needed_ms: int) -> bool:
    return kept_ms >= 0 and (needed_ms < 0 or kept_ms < needed_ms)


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def _tables(topology: Topology, topics: Mapping[str, TopicInfo], application_id: str) -> Iterator[Finding]:
    """A topic that a store is restored from must not forget keys by their age."""
    for spec in topology.stores.values():
        source = spec.global_topic or spec.source_topic
        info = None if source is None else topics.get(topology.decorate(source, application_id))
        policy = {"delete"} if info is None else set(info.config.get("cleanup.policy", "delete").split(","))
        if info is not None and "delete" in policy:
            kept = _number(info.config.get("retention.ms"))
            if kept is not None and kept < 0:
                continue
            text = f"store '{spec.name}' is restored from it, and it deletes records by their age"
            yield Finding(Severity.WARNING, f"topic '{info.name}'", text, "set cleanup.policy=compact")


def clock_findings(log: Log, plan: Plan, now_ms: int) -> Iterator[Finding]:
    """Look for records that are ahead of this machine's clock (epoch ms).

    Raises:
        LogError: the log does not answer.
    """
    places = [TopicPartition(topic, number) for topic, count in plan.read.items() for number in range(count)]
    found = log.offsets_for_times(dict.fromkeys(places, now_ms + _AHEAD_MS))
    ends = log.end_offsets(places)
    ahead = sorted({each.topic for each in places if found[each] < ends[each]})
    for topic in ahead:
        text = f"has records that are more than {_AHEAD_MS // 1000} s ahead of this machine's clock"
        advice = "set the clock here, or find the producer: stream time goes by it, and all others' records are late"
        yield Finding(Severity.WARNING, f"topic '{topic}'", text, advice)
    if not ahead:
        yield Finding(Severity.FINE, "clock", "no record is ahead of it")
