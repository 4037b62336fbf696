"""What becomes of the state and the topics of an application that goes on with another topology. Pure.

The verdicts follow from how state is found again: a store by its name (its changelog is named after it), a task by the
number of its sub-topology, what is left to read by the topic that it lies in. See `tests/streams/test_upgrades.py`,
where each is tried.

Source: `InternalTopicManager.validateTopics`, `ProcessorStateManager.initializeStoresFromCheckpoint`
of Kafka 4.4.
"""

from collections.abc import Iterator, Mapping

from headrace.log.port import TopicInfo
from headrace.plan.blueprint import Blueprint, Form, StorePrint, TopicPrint, is_generated
from headrace.plan.change import is_own_internal
from headrace.plan.placement import placed_otherwise
from headrace.plan.schema import unreadable
from headrace.plan.verdicts import Change, Verdict

__all__ = ["changes_on_log", "upgrade_changes"]


def upgrade_changes(before: Blueprint, after: Blueprint) -> tuple[Change, ...]:
    """Compare two topologies of an application: stores, topics, then nodes."""
    if before.application_id != after.application_id:
        text = f"was {before.application_id!r}: all inputs are read from their start, and all state is built anew"
        return (Change(f"application id {after.application_id!r}", Verdict.SAFE, text),)
    return (*_stores(before, after), *_topics(before, after), *_nodes(before, after))


# ── stores ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_RENAME = "give the store another name to let it begin anew, or choose another application.id"


def _stores(before: Blueprint, after: Blueprint) -> Iterator[Change]:
    for name, store in after.stores.items():
        subject = f"store '{name}'"
        if name in before.stores:
            for verdict, text in _store(before.stores[name], store, before):
                yield Change(subject, verdict, text)
        elif (old := _renamed(store, before, after)) is not None:
            hint = "; name stores, and an operator more or less changes nothing" if is_generated(name) else ""
            text = f"was '{old}' by all that is known: it begins anew, without what that one had{hint}"
            yield Change(subject, Verdict.REBUILDS, text)
        else:
            yield Change(subject, Verdict.SAFE, f"is new: {_BEGINS[store.source]}")
    for name, store in before.stores.items():
        if name not in after.stores and store.source != "changelog":
            yield Change(f"store '{name}'", Verdict.SAFE, "is gone, and had no topic of its own")


_BEGINS: Mapping[str, str] = {
    "changelog": "it is filled by records from now on",
    "nothing": "it is filled by records from now on",
    "topic": "it is filled from all of its topic",
    "global": "it is filled from all of its topic",
}


def _renamed(store: StorePrint, before: Blueprint, after: Blueprint) -> str | None:
    """Return the store that is gone, and was what this one is now."""
    if store.source not in ("changelog", "nothing"):
        return None
    for name, old in before.stores.items():
        is_alike = (old.kind, old.key, old.value) == (store.kind, store.key, store.value)
        is_fed_alike = old.origin == store.origin or (
            is_generated(name) and not set(old.origin).isdisjoint(store.origin)
        )
        if name not in after.stores and is_alike and is_fed_alike:
            return name
    return None


def _store(old: StorePrint, new: StorePrint, before: Blueprint) -> Iterator[tuple[Verdict, str]]:
    """Yield what has changed of a store that has kept its name."""
    if new.source == "global":
        if old.source != "global" or old.topic != new.topic:
            yield Verdict.SAFE, f"is filled from all of topic '{new.topic}'"
        return
    partitions = getattr(before.topics.get(old.topic), "partitions", None)
    wrong = [*_other_bytes(old, new), *placed_otherwise(old.placed_by, new.placed_by, partitions)]
    if (swapped := _swapped(old, new, before)) is not None:
        wrong.append(swapped)
    elif set(old.keyed_by) - set(new.keyed_by):
        made, was = (", ".join(each.keyed_by) for each in (new, old))
        wrong.append(f"has keys that come from {made}, and came from {was}")
    if wrong:
        yield (
            Verdict.NEW_APPLICATION,
            f"{'; '.join(wrong)}. Its rows would be read as what they are not: {_RENAME}",
        )
        return
    source = _source(old, new)
    if source is not None:
        yield source
    if source is None or source[0] is Verdict.SAFE:
        yield from _laid_out_otherwise(old, new)
    if old.origin != new.origin:
        yield Verdict.SAFE, "what feeds it has changed: what it has stays as it was made"


def _other_bytes(old: StorePrint, new: StorePrint) -> Iterator[str]:
    """Say why the records of the changelog cannot be those of the new store."""
    # A versioned store's changelog is that of a key-value store: each version is a record.
    keyed = {"key_value", "versioned"}
    if old.kind != new.kind and not {old.kind, new.kind} <= keyed:
        yield f"is a {new.kind.replace('_', '-')} store, and was a {old.kind.replace('_', '-')} store"
    elif old.duplicates != new.duplicates:
        yield "keeps every record of a window, or no longer does, so that its keys are others"
    elif old.windows != new.windows and new.kind == "window":
        yield f"has windows {new.windows or 'that a processor makes'}, and had {old.windows or 'a processor’s'}"
    elif old.size_ms != new.size_ms and not new.duplicates:
        # A store of a join has a row for each record, at its own time.
        yield f"has windows of {new.size_ms} ms, and had {old.size_ms} ms"
    if (reason := _other_form(old.key, new.key, is_key=True)) is not None:
        yield f"has other keys: {reason}"
    if (reason := _other_form(old.value, new.value, is_key=False)) is not None:
        yield f"has other values: {reason}"


def _other_form(old: Form, new: Form, *, is_key: bool) -> str | None:
    if old.serde != new.serde:
        return f"{new.serde}, and they were {old.serde}"
    if old.schema is None or new.schema is None or old.schema == new.schema:
        return None
    if is_key:
        return f"{new.serde} has other fields, and equal keys must have equal bytes"
    reason = unreadable(old.schema, new.schema)
    return None if reason is None else f"of {new.serde}, {reason}"


def _swapped(old: StorePrint, new: StorePrint, before: Blueprint) -> str | None:
    """Say whether a number that names a store now belongs to another one."""
    if not is_generated(new.name) or old.origin == new.origin:
        return None
    for other in before.stores.values():
        if other.name != old.name and other.kind == new.kind and other.origin == new.origin:
            return f"has the name that nobody chose, and is what '{other.name}' was"
    if not set(old.origin) & set(new.origin):
        return "has the name that nobody chose, and is fed by all other records than before"
    return None


def _source(old: StorePrint, new: StorePrint) -> tuple[Verdict, str] | None:
    """Say what follows where a store is restored from something else than before."""
    if new.source == "nothing":
        return _without_topic(old, new)
    match old.source, new.source:
        case "nothing", "changelog":
            return Verdict.REBUILDS, "has a changelog now, which is empty, and so is the store"
        case "changelog", "topic":
            return Verdict.SAFE, f"is restored from all of topic '{new.topic}' that was processed"
        case "topic", "changelog":
            return Verdict.REBUILDS, "has a changelog of its own now, which is empty, and so is the store"
        case "topic", "topic" if old.topic != new.topic:
            return Verdict.SAFE, f"is filled from all of topic '{new.topic}', and was from '{old.topic}'"
        case _:
            return None


def _without_topic(old: StorePrint, new: StorePrint) -> tuple[Verdict, str] | None:
    """Say what follows where a store is not restored from any topic: nothing is left but its rows as they lie."""
    if new.engine == "memory":
        return Verdict.REBUILDS, "has no changelog, and what is in memory ends with the process"
    if relaid := _relaid(old, new):
        return (
            Verdict.REBUILDS,
            f"has no changelog, and {', '.join(relaid)}: the rows that it had are of no use",
        )
    if old.source == "nothing":
        return None
    return (
        Verdict.SAFE,
        "has no changelog any more: rows stay where they lie, and a lost disk, or a move, begins anew",
    )


def _relaid(old: StorePrint, new: StorePrint) -> list[str]:
    """Say why rows on this machine are not those that are looked for. See `StoreSpec.mark`."""
    reasons = []
    if old.kind != new.kind:
        reasons.append(f"is {new.kind.replace('_', '-')} now")
    if old.engine != new.engine:
        reasons.append(f"is in {new.engine} now")
    if old.subtopology != new.subtopology:
        reasons.append(f"belongs to tasks {new.subtopology}_n, and did to {old.subtopology}_n")
    for word, one, other in (
        ("retention", old.retention_ms, new.retention_ms),
        ("history", old.history_ms, new.history_ms),
    ):
        if one != other and old.kind == new.kind:
            reasons.append(f"has a {word} of {other} ms, and had {one}")
    if (old.ttl_ms is None) != (new.ttl_ms is None):
        reasons.append(f"has rows that expire {'now' if old.ttl_ms is None else 'no more'}")
    if old.by_time != new.by_time:
        reasons.append(f"is read by time {'now' if new.by_time else 'no more'}")
    if (old.timestamped, old.headers) != (new.timestamped, new.headers):
        reasons.append("keeps other things beside its values")
    return reasons


def _laid_out_otherwise(old: StorePrint, new: StorePrint) -> Iterator[tuple[Verdict, str]]:
    """Yield what changes how rows lie on this machine, or how long they stay."""
    if (reasons := _relaid(old, new)) and new.source != "nothing":
        yield Verdict.SAFE, f"{', '.join(reasons)}: it is restored from its topic at the next start"
    if None not in (old.ttl_ms, new.ttl_ms) and old.ttl_ms != new.ttl_ms:
        yield Verdict.SAFE, f"has rows that expire after {new.ttl_ms} ms, and did after {old.ttl_ms}"
    if "changelog" == new.source == old.source and _topic_properties(old) != _topic_properties(new):
        yield (
            Verdict.SAFE,
            "its changelog keeps the properties that it was made with: set them there, on a cluster",
        )
    if old.rows_max != new.rows_max:
        yield Verdict.SAFE, f"keeps {new.rows_max or 'all'} rows, and kept {old.rows_max or 'all'}"
    if old.windows != new.windows and new.kind == "session":
        yield Verdict.SAFE, f"has {new.windows} now: sessions that were made keep their bounds"
    if old.caching != new.caching:
        yield (
            Verdict.SAFE,
            f"{'has a cache now' if new.caching else 'has no cache any more'}: results differ in number",
        )


def _topic_properties(store: StorePrint) -> tuple[object, ...]:
    return store.policy, store.retention_ms, store.history_ms


# ── topics ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _topics(before: Blueprint, after: Blueprint) -> Iterator[Change]:
    for name, topic in after.topics.items():
        subject = f"topic '{_full(after, topic)}'"
        if name not in before.topics:
            if topic.role == "input":
                yield Change(subject, Verdict.SAFE, "is read now: from where auto.offset.reset says")
            elif topic.role == "repartition":
                yield Change(subject, Verdict.SAFE, "is made at the next start")
            continue
        for verdict, text in _topic(before.topics[name], topic):
            yield Change(subject, verdict, text)
    for name, topic in before.topics.items():
        if name in after.topics:
            continue
        subject = f"topic '{_full(before, topic)}'"
        if topic.role == "repartition":
            text = "nobody reads it any more: what is in it and was not processed is lost, so let the lag be 0 before"
            yield Change(subject, Verdict.ORPHANS, text)
        elif topic.role == "changelog":
            yield Change(
                subject, Verdict.ORPHANS, "nobody reads it any more; `headrace topics orphans` removes it"
            )
        elif topic.role == "input":
            yield Change(subject, Verdict.SAFE, "is not read any more; what was made of it stays")


def _full(blueprint: Blueprint, topic: TopicPrint) -> str:
    is_own = topic.role in ("repartition", "changelog")
    return f"{blueprint.application_id}-{topic.name}" if is_own else topic.name


def _topic(old: TopicPrint, new: TopicPrint) -> Iterator[tuple[Verdict, str]]:
    known = old.partitions is not None and new.partitions is not None
    is_own = new.role in ("repartition", "changelog")
    if known and old.partitions != new.partitions:
        count = f"has {new.partitions} partitions, and had {old.partitions}"
        if is_own:
            yield (
                Verdict.NEW_APPLICATION,
                f"{count}: what it holds would be looked for in the wrong ones, and the start is refused",
            )
        else:
            yield Verdict.SAFE, f"{count}; what follows for state is said of the internal topics"
    if old.key is None or new.key is None or old.value is None or new.value is None:
        return
    parts = (("keys", old.key, new.key, True), ("values", old.value, new.value, False))
    for word, one, other, is_key in parts:
        reason = _other_form(one, other, is_key=is_key)
        if reason is None:
            continue
        if is_own:
            yield (
                Verdict.NEW_APPLICATION,
                f"has other {word}: {reason}. What is in it and was not processed cannot be read: let the lag be 0 "
                f"before, under another name of the topic, or choose another application.id",
            )
        elif new.role == "output":
            yield Verdict.SAFE, f"gets other {word}: {reason}; tell whoever reads it"
        else:
            yield Verdict.SAFE, f"is read with other {word}: {reason}; records that differ go to the handler"


# ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _nodes(before: Blueprint, after: Blueprint) -> Iterator[Change]:
    """Say what changes of the tasks. Nodes keep nothing under their own names."""
    moved = [
        name
        for name, topic in after.topics.items()
        if name in before.topics and before.topics[name].subtopology not in (None, topic.subtopology)
    ]
    if moved:
        text = (
            f"those that read {', '.join(map(repr, moved))} have other numbers: stop all instances before the first "
            "one starts with this topology, since a task would be another one to each"
        )
        yield Change("tasks", Verdict.SAFE, text)
    for word, names in (
        ("new", after.nodes.keys() - before.nodes.keys()),
        ("gone", before.nodes.keys() - after.nodes.keys()),
    ):
        chosen = sorted(name for name in names if not is_generated(name))
        if chosen:
            yield Change("nodes", Verdict.SAFE, f"{word}: {', '.join(chosen)}")


# ── on a log ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def changes_on_log(after: Blueprint, topics: Mapping[str, TopicInfo]) -> tuple[Change, ...]:
    """Compare a topology with the topics of a log on which the application has run, as far as those tell.

    Serdes and windows are in no topic: of those only a blueprint tells.
    """
    prefix = f"{after.application_id}-"
    there = {name: info for name, info in topics.items() if is_own_internal(name, after.application_id)}
    wanted = {f"{prefix}{name}": topic for name, topic in after.internal().items()}
    return tuple(_on_log(after, wanted, there))


def _on_log(
    after: Blueprint, wanted: Mapping[str, TopicPrint], there: Mapping[str, TopicInfo]
) -> Iterator[Change]:
    orphans = [name for name in there if name not in wanted]
    lost = any(name.endswith("-changelog") for name in orphans)
    kinds = {f"{after.application_id}-{store.topic}": store for store in after.stores.values()}
    for name, topic in sorted(wanted.items()):
        store = kinds.get(name)
        if name not in there:
            if store is not None and there:
                verdict = Verdict.REBUILDS if lost else Verdict.SAFE
                text = "has no changelog here: it begins with records from now on"
                yield Change(f"store '{store.name}'", verdict, text)
            continue
        info = there[name]
        if topic.partitions is not None and info.partitions != topic.partitions:
            text = (
                f"has {info.partitions} partitions, and {topic.partitions} are wanted: what it holds would be looked "
                "for in the wrong ones, and the start is refused"
            )
            yield Change(f"topic '{name}'", Verdict.NEW_APPLICATION, text)
        found = info.config.get("cleanup.policy")
        if store is not None and found is not None and set(found.split(",")) not in _policies(store):
            text = f"is that of another kind of store (cleanup.policy={found}): {_RENAME}"
            yield Change(f"topic '{name}'", Verdict.NEW_APPLICATION, text)
    for name in sorted(orphans):
        yield Change(f"topic '{name}'", Verdict.ORPHANS, "no store or repartition of this topology has it")


def _policies(store: StorePrint) -> list[set[str]]:
    """Return what its changelog may have: what the user has given it by now, and what stores of its kind have."""
    if store.retention_ms is None:
        own = {"compact"}
    else:
        own = {"delete"} if store.duplicates else {"compact", "delete"}
    return [own, set(store.policy.split(","))]
