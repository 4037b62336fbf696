"""The comparison runs both systems on a real broker, and ours computes there what it says. Speed is not looked at."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.comparison import line_of
from benchmarks.workloads import order, orders
from headrace.testing import LocalKafka

_RECORDS = 20_000
_ROOT = Path(__file__).resolve().parents[2]


def _compare(*arguments: str) -> list[dict[str, Any]]:
    command = [sys.executable, "benchmarks/compare.py", "--records", str(_RECORDS), "--runs", "1", *arguments]
    printed = subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in printed.splitlines()]


# The first run on a machine fetches Kafka Streams with Maven.
@pytest.mark.broker
@pytest.mark.process
@pytest.mark.timeout(300)
def test_compare_prints_a_line_for_each_guarantee_with_the_figures_of_both(local_kafka: LocalKafka) -> None:
    servers = local_kafka.bootstrap_servers
    lines = _compare("count", "--bootstrap-servers", servers, "--keep")

    assert [line["guarantee"] for line in lines] == ["at_least_once", "exactly_once_v2"]
    figures = {
        f"{system}_{figure}"
        for system in ("headrace", "kafka_streams")
        for figure in (
            "records_per_second",
            "cpu_us_per_record",
            "resident_mb",
            "commit_ms_average",
            "commit_ms_max",
            "startup_seconds",
        )
    }
    said = {"workload", "guarantee", "partitions", "record_bytes", "runs", "records", "codec"}
    for line in lines:
        assert line.keys() == figures | said | {"ratio", "cpu_ratio"}
        assert (line["workload"], line["records"], line["partitions"]) == ("count", _RECORDS, 1)
        assert all(line[f"{system}_records_per_second"] > 0 for system in ("headrace", "kafka_streams"))

    # At least once, exactly once: of each, the output that stayed on the broker.
    outputs = sorted(
        name
        for name in local_kafka.view().topics
        if name.startswith("benchmark-") and name.endswith(".results")
    )
    counted = dict(Counter(key for key, _ in orders(_RECORDS)))
    assert [name.split("-count-")[0] for name in outputs] == ["benchmark-headrace"] * 2 + [
        "benchmark-kafka-streams"
    ] * 2
    for name in outputs:
        found = local_kafka.consume_with_java(name)
        assert {
            (record.key or b"").decode(): int.from_bytes(record.value or b"", "big") for record in found
        } == counted


def _last_rows(kafka: LocalKafka, topic: str) -> dict[bytes | None, bytes]:
    last = {record.key: record.value for record in kafka.consume_with_java(topic)}
    return {key: value for key, value in last.items() if value is not None}


@pytest.mark.broker
@pytest.mark.process
@pytest.mark.timeout(300)
@pytest.mark.parametrize("workload", ["table_join", "foreign_key"])
def test_both_systems_end_with_the_same_rows_of_a_join(local_kafka: LocalKafka, workload: str) -> None:
    servers = local_kafka.bootstrap_servers
    _compare(workload, "--bootstrap-servers", servers, "--guarantee", "exactly_once_v2", "--keep")

    outputs = [
        name for name in local_kafka.view().topics if f"-{workload}-" in name and name.endswith(".results")
    ]
    ours, theirs = (_last_rows(local_kafka, name) for name in sorted(outputs))
    assert ours == theirs
    assert len(ours) > 1_000


@pytest.mark.broker
@pytest.mark.process
def test_compare_leaves_nothing_but_its_input_on_the_broker(local_kafka: LocalKafka) -> None:
    before = set(local_kafka.view().topics)
    servers = local_kafka.bootstrap_servers
    _compare(
        "repartition",
        "--bootstrap-servers",
        servers,
        "--only",
        "headrace",
        "--guarantee",
        "exactly_once_v2",
        "--partitions",
        "2",
    )
    made = {name for name in set(local_kafka.view().topics) - before if not name.startswith("__")}
    assert made == {"benchmark-20000-2-110"}


def test_line_has_the_medians_of_each_system_and_their_ratios() -> None:
    def runs(rates: list[float], cpu: float) -> list[dict[str, Any]]:
        same = {"resident_mb": 1, "commit_ms_average": 2, "commit_ms_max": 3, "startup_seconds": 4}
        return [
            {"records": 9, "records_per_second": rate, "cpu_us_per_record": cpu, **same} for rate in rates
        ]

    line = line_of(
        {"workload": "count"}, {"headrace": runs([30, 10, 20], 2.0), "kafka-streams": runs([8, 9, 1], 4.0)}
    )
    assert line["records"] == 9
    assert (line["headrace_records_per_second"], line["kafka_streams_records_per_second"]) == (20, 8)
    assert (line["ratio"], line["cpu_ratio"]) == (2.5, 0.5)


@pytest.mark.parametrize("value_bytes", [11, 200, 1_000, 100_000])
def test_order_has_the_size_that_is_asked_for(value_bytes: int) -> None:
    assert {len(order(number, value_bytes)[1]) for number in (0, 7, 123_456)} == {value_bytes}


def test_order_that_is_filled_up_stays_json() -> None:
    key, value = order(7, 200)
    assert json.loads(value)["user"] == key


def test_compare_names_the_workloads_there_are(capfd: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run([sys.executable, "benchmarks/compare.py", "fastest"], cwd=_ROOT, check=False)
    assert done.returncode == 2
    assert "there is no workload 'fastest'; there are forward, json" in capfd.readouterr().err
