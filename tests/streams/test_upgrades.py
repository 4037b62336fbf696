"""What `topology diff` says of a change is what happens: each pair runs on an embedded log, one after the other."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace.base.columns import Columns
from headrace.base.errors import HeadraceError
from headrace.base.ids import TopicPartition
from headrace.base.murmur2 import partition_for
from headrace.cli.blueprint_file import blueprint, read_file, write_file
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import TopicInfo, TopicSpec
from headrace.plan.blueprint import blueprint_of
from headrace.plan.upgrade import changes_on_log, upgrade_changes
from headrace.plan.verdicts import Verdict
from headrace.testing import TopologyTestDriver
from tests.streams.upgrade_pairs import PAIRS, count_words, counted, kv, several
from tests.streams.waiting import until

#: Key, value and time; "c" comes in the first part alone.
Rows = Sequence[tuple[str, str, int]]
FIRST: Rows = [("c", "x", 63_000), ("a", "x y", 61_000), ("b", "y", 62_000), ("a", "x", 95_000)]
LAST: Rows = [("a", "x", 100_000), ("b", "z y", 101_000)]
TOPICS = ("in", "other")
KEYS = ("a", "b", "c", "x", "y", "z")


def write(log: EmbeddedLog, rows: Rows, topics: Sequence[str] = TOPICS) -> None:
    writer = log.writer("test")
    for topic in topics:
        for key, value, timestamp in rows:
            columns = Columns()
            columns.append(key.encode(), value.encode(), timestamp, ())
            writer.append(topic, partition_for(key.encode(), 2), columns)
    writer.commit({})
    writer.close()


def is_caught_up(log: EmbeddedLog, topology: hr.Topology) -> bool:
    parts = [part for part in topology.subtopologies if not part.is_global]
    names = {topology.decorate(topic, "app") for part in parts for topic in part.source_topics}
    counts = log.partition_counts(sorted(names))
    places = [TopicPartition(name, number) for name, count in counts.items() for number in range(count)]
    ends, committed = log.end_offsets(places), log.groups.committed("app")
    return all(
        ends[place] == 0 or (place in committed and committed[place].offset == ends[place])
        for place in places
    )


def rows_of(topology: hr.Topology, name: str, store: Any) -> list[Any] | None:
    """What a store has, without times; None where nobody can read it."""
    rows: list[Any]
    match topology.stores[name].kind:
        case "key_value":
            rows = [(key, getattr(value, "value", value)) for key, value in store.all()]
        case "window":
            found = (store.range(key, start=0, end=10**9) for key in KEYS)
            rows = [
                (windowed.key, windowed.window.start, value) for each in found for windowed, value in each
            ]
        case "session":
            found = (store.sessions(key) for key in KEYS)
            rows = [(each.key, *each.window[:2], value) for one in found for each, value in one]
        case "versioned":
            rows = [(key, version[0]) for key in KEYS if (version := store.get(key)) is not None]
        case _:
            return None
    # What a join by a foreign key keeps says by which change it came: only whose it is counts here.
    return sorted((row[0], *([] if isinstance(row[0], bytes) else map(_plain, row[1:]))) for row in rows)


def _plain(value: Any) -> Any:
    return str(value) if not isinstance(value, int | str | float) else value


def ran(log: EmbeddedLog, directory: Path, topology: hr.Topology) -> dict[str, list[Any] | None]:
    """Run an application until it has processed all; return what its stores have."""
    streams = hr.Streams(
        topology,
        application_id="app",
        embedded_path=str(directory / "log.db"),
        state_dir=str(directory / "state"),
        commit_interval_ms=20,
    )
    with streams:
        streams.wait_running("20s")
        until(lambda: streams.state != "running" or is_caught_up(log, topology))
        kinds = {name: spec.kind for name, spec in topology.stores.items()}
        return {
            name: rows_of(topology, name, streams.query(name))
            for name in topology.stores
            if kinds[name] != "suppress"
        }


def driven(topology: hr.Topology, rows: Rows) -> dict[str, list[Any] | None]:
    """What stores have that were never anything else."""
    read = {topic for part in topology.subtopologies for topic in part.source_topics}
    with TopologyTestDriver(topology, partitions=2) as driver:
        for topic in sorted(read.intersection(TOPICS), reverse=True):
            handle = hr.Topic(topic, value=str)
            for row in rows:
                driver.input(handle).pipe(*row)
        return {name: rows_of(topology, name, store) for name, store in driver.stores.items()}


@pytest.mark.parametrize("name", PAIRS)
def test_what_a_change_is_said_to_cost_is_what_it_costs(name: str, tmp_path: Path) -> None:
    pair = PAIRS[name]()
    write_file(tmp_path / "lock", blueprint(pair.before, "app"))
    changes = upgrade_changes(read_file(tmp_path / "lock"), blueprint(pair.after, "app"))
    assert {each.subject: each.verdict for each in changes if each.verdict is not Verdict.SAFE} == pair.costs
    kept = driven(pair.after, [*FIRST, *LAST])
    anew = {} if set(pair.costs.values()) <= {Verdict.ORPHANS} else driven(pair.after, LAST)
    with closing(EmbeddedLog.open(tmp_path / "log.db")) as log:
        log.create_topics([TopicSpec(topic, 2) for topic in TOPICS])
        write(log, FIRST)
        ran(log, tmp_path, pair.before)
        write(log, LAST)
        try:
            found = ran(log, tmp_path, pair.after)
        except HeadraceError:
            assert Verdict.NEW_APPLICATION in pair.costs.values()
            return
        for store, rows in found.items():
            match pair.costs.get(f"store '{store}'", Verdict.SAFE):
                case Verdict.SAFE:
                    assert rows == pair.kept.get(store, kept[store])
                case Verdict.REBUILDS:
                    assert rows == anew[store] != kept[store]
                case _:
                    assert rows not in (kept[store], anew[store])
        orphans = {subject for subject, verdict in pair.costs.items() if verdict is Verdict.ORPHANS}
        assert orphans <= {f"topic '{topic}'" for topic in log.topics()}


@pytest.mark.parametrize(
    ("logging", "policy", "verdicts"),
    [
        (True, "compact", []),
        (True, "compact,delete", [Verdict.NEW_APPLICATION]),
        ({"cleanup.policy": "compact,delete"}, "delete,compact", []),
        ({"cleanup.policy": "compact,delete"}, "compact", []),
        ({"cleanup.policy": "compact,delete"}, "delete", [Verdict.NEW_APPLICATION]),
    ],
)
def test_a_changelog_may_have_the_policy_of_its_kind_or_its_own(
    logging: Any, policy: str, verdicts: list[Verdict]
) -> None:
    changelog = TopicInfo("app-c-changelog", 2, "id", {"cleanup.policy": policy})
    found = changes_on_log(blueprint_of(counted(logging=logging), "app"), {changelog.name: changelog})
    assert [each.verdict for each in found] == verdicts


@pytest.mark.parametrize(("after", "rows"), [("words", 2), ("terms", 1)])
def test_what_waits_in_a_repartition_topic_is_lost_with_its_name(
    after: str, rows: int, tmp_path: Path
) -> None:
    with closing(EmbeddedLog.open(tmp_path / "log.db")) as log:
        log.create_topics([TopicSpec(topic, 2) for topic in TOPICS])
        write(log, [("a", "x", 61_000)])
        ran(log, tmp_path, several(count_words(kv(), name="words")))
        # What a task has written, and the next one has not read, when the application stops.
        writer, columns = log.writer("test"), Columns()
        columns.append(b"x", b"x", 62_000, ())
        writer.append("app-words-repartition", partition_for(b"x", 2), columns)
        writer.commit({})
        writer.close()
        assert ran(log, tmp_path, several(count_words(kv(), name=after))) == {"c": [("x", rows)]}
