"""The benchmarks compute what they say: outputs over 20,000 records against plain Python. Speed is not looked at."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

import headrace as hr
from benchmarks.measure import Figures, measure
from benchmarks.workloads import (
    BY_EXPRESSIONS,
    ORDERS_PER_PROFILE,
    WORKLOADS,
    Topics,
    Workload,
    click,
    orders,
    profile,
    user,
)
from headrace.base.ids import TopicPartition
from headrace.log.embedded import EmbeddedLog
from headrace.testing import TopologyTestDriver

_RECORDS = 20_000

Pairs = list[tuple[str, bytes]]


def _run(workload: str, directory: Path) -> tuple[Figures, Pairs]:
    figures = measure(workload, _RECORDS, directory=directory)
    log = EmbeddedLog.open(directory / "log.db")
    try:
        place = TopicPartition("results", 0)
        reader = log.reader()
        reader.assign({place: 0})
        pairs: Pairs = []
        end = log.end_offsets([place])[place]
        while reader.position(place) < end:
            for chunk in reader.poll(1000):
                pairs += [
                    ((key or b"").decode(), value or b"") for key, value in zip(chunk.keys, chunk.values)
                ]
        reader.close()
        return figures, pairs
    finally:
        log.close()


def _last_counts(pairs: Pairs) -> dict[str, int]:
    return {key: int.from_bytes(value, "big") for key, value in pairs}


def _counted(words: Iterable[str]) -> dict[str, int]:
    return dict(Counter(words))


def test_forward_appends_to_each_value(tmp_path: Path) -> None:
    figures, pairs = _run("forward", tmp_path)
    assert pairs == [(key, f"{value}!".encode()) for key, value in orders(_RECORDS)]
    assert figures.records == _RECORDS


def test_json_adds_a_total_to_what_costs_more_than_ten(tmp_path: Path) -> None:
    _, pairs = _run("json", tmp_path)
    parsed = [(key, json.loads(value)) for key, value in orders(_RECORDS)]
    assert [(key, json.loads(value)) for key, value in pairs] == [
        (key, {**value, "total": value["amount"] * 1.2}) for key, value in parsed if value["amount"] > 10
    ]


def test_count_ends_with_the_count_of_each_user(tmp_path: Path) -> None:
    _, pairs = _run("count", tmp_path)
    assert _last_counts(pairs) == _counted(key for key, _ in orders(_RECORDS))


def test_uncached_count_sends_every_update(tmp_path: Path) -> None:
    _, pairs = _run("count_uncached", tmp_path)
    assert len(pairs) == _RECORDS
    assert _last_counts(pairs) == _counted(key for key, _ in orders(_RECORDS))


def test_window_counts_each_user_within_five_minutes(tmp_path: Path) -> None:
    _, pairs = _run("window", tmp_path)
    # The orders take 20 seconds and begin on a whole five minutes: one window.
    assert _last_counts(pairs) == _counted(key for key, _ in orders(_RECORDS))


def test_suppress_sends_the_final_count_of_each_user_once(tmp_path: Path) -> None:
    _, pairs = _run("suppress", tmp_path)
    # Windows of 15 seconds, of which one closes within the 20.
    first = _counted(key for key, _ in orders(15_000))
    assert sorted((key, int.from_bytes(value, "big")) for key, value in pairs) == sorted(first.items())


def test_session_counts_each_user_in_the_one_session_that_grows(tmp_path: Path) -> None:
    _, pairs = _run("session", tmp_path)
    # Each count is preceded by the deletion of the session that it replaces.
    counts = [(key, value) for key, value in pairs if value is not None]
    assert _last_counts(counts) == _counted(key for key, _ in orders(_RECORDS))


def test_repartition_counts_by_the_last_twelve_characters(tmp_path: Path) -> None:
    _, pairs = _run("repartition", tmp_path)
    assert _last_counts(pairs) == _counted(value[-12:] for _, value in orders(_RECORDS))


def test_wordcount_counts_each_word(tmp_path: Path) -> None:
    _, pairs = _run("wordcount", tmp_path)
    words = [re.split(r"\W+", value.lower()) for _, value in orders(_RECORDS)]
    assert _last_counts(pairs) == _counted(word for found in words for word in found[:-1])


def test_enrich_joins_each_order_with_its_user(tmp_path: Path) -> None:
    _, pairs = _run("enrich", tmp_path)
    users = dict(map(user, range(10_000)))
    assert pairs == [(key, (value + users[key]).encode()) for key, value in orders(_RECORDS)]


def test_foreign_key_ends_with_the_last_order_of_each_user_and_the_user_of_its_number(tmp_path: Path) -> None:
    _, pairs = _run("foreign_key", tmp_path)
    users = dict(map(user, range(10_000)))
    last = dict(orders(_RECORDS))
    joined = {
        key: value + users[f"user{json.loads(value)['order_id'] % 10_000}"] for key, value in last.items()
    }
    assert {key: value.decode() for key, value in dict(pairs).items()} == joined


def test_table_join_ends_with_the_last_order_of_each_user_who_has_a_profile(tmp_path: Path) -> None:
    _, pairs = _run("table_join", tmp_path)
    profiles = dict(map(profile, range(_RECORDS // ORDERS_PER_PROFILE)))
    last = dict(orders(_RECORDS))
    joined = {key: order + value for key, value in profiles.items() if (order := last[key]) and value}
    assert {key: value.decode() for key, value in dict(pairs).items() if value} == joined
    assert 0 < len(joined) < len(profiles)


def test_stream_join_joins_each_order_with_the_clicks_around_it(tmp_path: Path) -> None:
    _, pairs = _run("stream_join", tmp_path)
    # Five seconds before an order of a user, and five after it.
    expected = {
        (order_key, (value + click(number)[1]).encode())
        for at, (order_key, value) in enumerate(orders(_RECORDS))
        for number in (at - 5_000, at + 5_000)
        if 0 <= number < _RECORDS
    }
    # The last click that an order waits for may come after the run has ended, which the orders decide.
    assert set(pairs) <= expected
    assert len(set(pairs)) == len(pairs) > len(expected) - 10


def test_restore_brings_back_a_row_for_each_order(tmp_path: Path) -> None:
    figures = measure("restore", _RECORDS, directory=tmp_path)
    assert figures.records == _RECORDS


@pytest.mark.parametrize("name", BY_EXPRESSIONS)
def test_expressions_write_what_functions_write(name: str) -> None:
    def written(workload: Workload) -> list[tuple[str, bytes]]:
        with TopologyTestDriver(workload.build(None, Topics())) as driver:
            driver.input(hr.Topic("orders", value=str)).pipe_all(list(orders(200)))
            return driver.output(hr.Topic("results", value=bytes)).read_pairs()

    pairs = written(BY_EXPRESSIONS[name])
    assert pairs == written(WORKLOADS[name])
    assert len(pairs) > 100


def test_all_workloads_are_tested() -> None:
    tested = {
        "forward",
        "json",
        "count",
        "count_uncached",
        "window",
        "suppress",
        "session",
        "repartition",
        "wordcount",
        "enrich",
        "foreign_key",
        "table_join",
        "stream_join",
        "restore",
    }
    assert tested == set(WORKLOADS)


@pytest.mark.process
def test_run_prints_a_json_line_for_each_workload(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/run.py", "forward", "count", "--records", "2000"]
    root = Path(__file__).resolve().parents[2]
    printed = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert [json.loads(line)["workload"] for line in printed.splitlines()] == ["forward", "count"]
