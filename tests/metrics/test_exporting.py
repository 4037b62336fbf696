"""Metrics outside of the process: for Prometheus and OpenTelemetry, and what their names are used for."""

import gc
import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

import headrace as hr
from headrace.cli.main import headrace
from headrace.metrics.catalogue import CATALOGUE, declared
from headrace.metrics.metric import Metric, Metrics
from headrace.metrics.naming import is_exported, opentelemetry_name, prometheus_name
from headrace.metrics.otel import instrument
from headrace.metrics.prometheus import StreamsCollector, exposition
from headrace.metrics.reference import reference
from tests.metrics.conftest import Counting
from tests.streams.waiting import until

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PROCESSED = declared("stream-task-metrics", "process-total")
LATENCY = declared("stream-task-metrics", "process-latency-avg")


class Rule(msgspec.Struct, forbid_unknown_fields=True, rename={"wait": "for"}):
    alert: str
    expr: str
    labels: dict[str, str]
    annotations: dict[str, str]
    wait: str = "0s"


class RuleGroup(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    rules: list[Rule]


class Application:
    """What has these metrics."""

    def __init__(self, *metrics: Metric, application_id: str = "shop") -> None:
        self.application_id = application_id
        self.values = metrics

    def metrics(self) -> Metrics:
        return Metrics(self.values)


def task(number: int, value: float) -> Metric:
    return Metric(PROCESSED, {"thread-id": "shop-StreamThread-1", "task-id": f"0_{number}"}, value)


def test_prometheus_reads_numbers_texts_and_labels() -> None:
    kind, body = exposition(
        Application(
            task(0, 3),
            Metric(declared("stream-metrics", "version"), {"client-id": "shop"}, "1.2"),
            Metric(declared("stream-state-metrics", "num-keys"), {"in-memory-lru-state-id": "recent"}, 7),
        )
    )
    assert kind.startswith("text/plain")
    samples = {
        (s.name, s.value, tuple(sorted(s.labels.items())))
        for f in parse_text(body.decode())
        for s in f.samples
    }
    assert samples == {
        (
            "kafka_stream_task_process_total",
            3.0,
            (("application_id", "shop"), ("task_id", "0_0"), ("thread_id", "shop-StreamThread-1")),
        ),
        (
            "kafka_stream_version_info",
            1.0,
            (("application_id", "shop"), ("client_id", "shop"), ("value", "1.2")),
        ),
        (
            "kafka_stream_state_num_keys",
            7.0,
            (("application_id", "shop"), ("state_id", "recent"), ("store_type", "in-memory-lru")),
        ),
    }


def test_a_metric_without_a_value_is_no_series() -> None:
    _, body = exposition(Application(Metric(LATENCY, {}, float("nan"))))
    assert body == b""


def test_several_applications_have_one_family_together() -> None:
    _, body = exposition(Application(task(0, 1)), Application(task(0, 2), application_id="other"))
    assert body.count(b"# TYPE kafka_stream_task_process_total counter") == 1
    assert b'application_id="other"' in body


def test_openmetrics_are_given_to_whom_takes_them(counting: Counting) -> None:
    with counting(10) as streams:
        until(lambda: streams.metrics().total("process-total") == 40)
        kind, body = exposition(streams, accept=OPENMETRICS)
    assert kind.startswith("application/openmetrics-text")
    families = {family.name: family for family in parse_openmetrics(body.decode())}  # type: ignore[no-untyped-call] # theirs
    assert sum(sample.value for sample in families["kafka_stream_thread_process"].samples) == 40
    assert families["kafka_stream_version"].type == "info"


def test_a_registry_takes_the_collector(counting: Counting) -> None:
    streams = counting(1)
    registry = CollectorRegistry()
    registry.register(StreamsCollector(streams))
    assert b"kafka_stream_client_state" in generate_latest(registry)


@pytest.mark.process
def test_gauges_are_right_where_prometheus_is_told_of_several_processes(tmp_path: Path) -> None:
    program = """
from tests.metrics.test_exporting import Application, LATENCY, Metric, exposition
print(exposition(Application(Metric(LATENCY, {}, 4.5)))[1].decode())
"""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": "."},
        check=True,
        capture_output=True,
        text=True,
    )
    assert 'kafka_stream_task_process_latency_avg{application_id="shop"} 4.5' in ran.stdout


def points(reader: InMemoryMetricReader, name: str) -> dict[str, float]:
    data = reader.get_metrics_data()
    assert data is not None
    found = {}
    for metric in (m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics):
        if metric.name == name:
            for point in metric.data.data_points:
                assert isinstance(point, NumberDataPoint)
                attributes = {name: str(value) for name, value in (point.attributes or {}).items()}
                found[f"{attributes['application_id']} {attributes.get('task_id', '')}"] = point.value
    return found


def test_opentelemetry_observes_all_tasks_of_all_applications() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    shop, other = Application(task(0, 1), task(1, 2)), Application(task(0, 3), application_id="other")
    for application in (shop, shop, other):
        instrument(application, provider)
    name = "org.apache.kafka.stream.task.process.total"
    assert points(reader, name) == {"shop 0_0": 1, "shop 0_1": 2, "other 0_0": 3}
    shop.values = (task(0, 10),)
    assert points(reader, name) == {"shop 0_0": 10, "other 0_0": 3}
    del other, application
    gc.collect()
    assert points(reader, name) == {"shop 0_0": 10}
    provider.shutdown()


def test_an_application_that_fails_to_tell_is_asked_once_a_round() -> None:
    class Failing(Application):
        asked = 0

        def metrics(self) -> Metrics:
            self.asked += 1
            raise RuntimeError("it has no metrics now")

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    application = Failing()
    instrument(application, provider)
    assert reader.get_metrics_data() is None
    assert application.asked == 1
    provider.shutdown()


def test_opentelemetry_observes_a_whole_application(counting: Counting) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    with counting(10) as streams:
        instrument(streams, provider)
        streams.wait_running("20s")
        assert points(reader, "org.apache.kafka.stream.alive.stream.threads") == {"counting ": 2}
        assert points(reader, "org.apache.kafka.stream.client.state") == {"counting ": 2}
    provider.shutdown()


def test_no_two_metrics_have_one_name_outside() -> None:
    exported = [each for each in CATALOGUE if is_exported(each)]
    for name_of in (prometheus_name, opentelemetry_name):
        assert len({name_of(each) for each in exported}) == len(exported)


@pytest.mark.parametrize("file", ["dashboard.json", "alerts.yml"])
def test_each_metric_that_a_file_names_is_there(file: str) -> None:
    text = files("headrace.metrics").joinpath("files", file).read_text()
    named = set(re.findall(r"\bkafka_stream_\w+", text))
    exported = {prometheus_name(each) for each in CATALOGUE if is_exported(each)}
    assert len(named) >= 8
    assert named - exported == set()


def test_labels_that_the_files_name_are_tags_of_their_metrics() -> None:
    texts = [
        files("headrace.metrics").joinpath("files", file).read_text()
        for file in ("dashboard.json", "alerts.yml")
    ]
    tags = {tag.replace("-", "_") for each in CATALOGUE for tag in each.tags}
    known = tags | {"application_id", "instance", "store_type", "alertname"}
    named = set(re.findall(r"{{ ?(?:\$labels\.)?(\w+) ?}}", "".join(texts)))
    named |= {
        label.strip() for by in re.findall(r"by \(([^)]*)\)", "".join(texts)) for label in by.split(",")
    }
    assert named - known == set()


def test_the_alert_rules_are_yaml_as_prometheus_wants_it() -> None:
    text = files("headrace.metrics").joinpath("files", "alerts.yml").read_text()
    ((group,),) = msgspec.yaml.decode(text, type=dict[str, list[RuleGroup]]).values()
    assert len({rule.alert for rule in group.rules}) == len(group.rules) >= 10
    assert all(rule.expr and rule.annotations.keys() == {"summary", "description"} for rule in group.rules)


def test_commands_print_the_dashboard_the_alerts_and_the_list() -> None:
    runner = CliRunner()
    panels = json.loads(runner.invoke(headrace, ["metrics", "dashboard"]).output)["panels"]
    assert {"State", "Lag", "Dropped records"} <= {panel["title"] for panel in panels}
    assert "alert: ApplicationDead" in runner.invoke(headrace, ["metrics", "alerts"]).output
    listed = runner.invoke(headrace, ["metrics", "list", "--level", "info", "--json"]).output.splitlines()
    names = {(row["group"], row["name"]) for row in map(json.loads, listed)}
    assert ("stream-thread-metrics", "process-total") in names
    assert ("stream-state-metrics", "put-rate") not in names
    assert "kafka_stream_state_put_rate" in runner.invoke(headrace, ["metrics", "list"]).output


def test_the_reference_in_the_docs_is_that_of_the_catalogue() -> None:
    page = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert page.read_text() == reference(), (
        "make it again: python -m headrace.metrics.reference > docs/metrics.md"
    )


def test_metrics_are_public_names() -> None:
    assert (hr.Metric, hr.Metrics) == (Metric, Metrics)
