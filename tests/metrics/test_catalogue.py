import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from headrace.metrics.absent import ABSENT, why_absent
from headrace.metrics.catalogue import CATALOGUE, declared
from headrace.metrics.declaration import Level

#: Recorded at a lower level here, since the figures are there anyway.
CHEAPER = re.compile(
    r"stream-task-metrics/(process|punctuate|restore|active-buffer)-.*"
    r"|stream-processor-node-metrics/(process|suppression-emit)-.*"
    r"|stream-state-metrics/suppression-.*|stream-state-updater-metrics/.*-tasks"
)
#: What a thread's tasks write, they write together.
OTHER_TAGS = {
    "stream-topic-metrics/records-produced-total": {"thread-id", "topic"},
    "stream-topic-metrics/bytes-produced-total": {"thread-id", "topic"},
}


@dataclass(frozen=True)
class Theirs:
    group: str
    name: str
    level: str
    tags: frozenset[str]

    def __str__(self) -> str:
        return f"{self.group}/{self.name}"


def theirs() -> list[Theirs]:
    found = []
    for line in (Path(__file__).parent / "kafka_streams.txt").read_text().splitlines():
        group, name, level, _, tags = line.split(" ")
        found.append(
            Theirs(group, name, level, frozenset(re.sub(r"[a-z-]+-state-id", "state-id", tags).split(",")))
        )
    return found


def is_here(metric: Theirs) -> bool:
    return any(
        (each.group, each.name) == (metric.group, metric.name) and not each.is_own for each in CATALOGUE
    )


@pytest.fixture(scope="module")
def listed() -> list[Theirs]:
    return theirs()


def test_each_metric_of_kafka_streams_is_here_or_has_a_reason_not_to_be(listed: list[Theirs]) -> None:
    assert [
        str(each) for each in listed if not is_here(each) and why_absent(each.group, each.name) is None
    ] == []


def test_what_is_here_has_no_reason_to_be_absent(listed: list[Theirs]) -> None:
    assert [str(each) for each in listed if is_here(each) and why_absent(each.group, each.name)] == []


def test_each_reason_is_that_of_a_metric_of_kafka_streams(listed: list[Theirs]) -> None:
    used = {why_absent(each.group, each.name) for each in listed}
    assert [each for each in ABSENT if each.reason not in used] == []


def test_tags_are_those_of_kafka_streams(listed: list[Theirs]) -> None:
    here = {str(each): set(declared(each.group, each.name).tags) for each in listed if is_here(each)}
    wanted = {str(each): set(each.tags) for each in listed if is_here(each)}
    assert here == {**wanted, **OTHER_TAGS}


def test_levels_are_those_of_kafka_streams_or_lower_where_it_costs_nothing(listed: list[Theirs]) -> None:
    assert [
        f"{each}: {each.level}"
        for each in listed
        if is_here(each)
        and declared(each.group, each.name).level
        != (Level.INFO if CHEAPER.fullmatch(str(each)) else Level[each.level])
    ] == []


def test_a_metric_of_another_name_than_kafka_streams_is_said_to_be_our_own(listed: list[Theirs]) -> None:
    names = {str(each) for each in listed}
    assert [each.name for each in CATALOGUE if each.is_own == (f"{each.group}/{each.name}" in names)] == []


def test_counters_end_in_total_and_only_they_are_totals() -> None:
    # Kafka Streams calls some that fall totals too, and some that do not fall nothing.
    odd = {each.name for each in CATALOGUE if (each.kind == "counter") != each.name.endswith("-total")}
    assert odd == {"restore-remaining-records-total", "failed-stream-threads"}
