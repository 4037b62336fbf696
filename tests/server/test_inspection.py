"""What the server tells of its application: health, topology, tasks, instances, lag, and its own description."""

from pathlib import Path

from headrace.server import Server
from tests.server.conftest import Served, application, ask
from tests.streams.waiting import until


def test_health_follows_the_state_of_the_application(tmp_path: Path) -> None:
    streams = application(tmp_path)
    with Server(streams) as server:
        assert ask(server.url, "/health/live").status == 200
        answer = ask(server.url, "/health/ready")
        assert (answer.status, answer.body) == (
            503,
            {"state": "created", "waits_for": "created: start() was not called"},
        )
        assert ask(server.url, "/stores/counts/a").status == 503
        with streams:
            streams.wait_running("30s")
            answer = ask(server.url, "/health/ready")
            assert (answer.status, answer.body) == (200, {"state": "running", "waits_for": None})
        assert ask(server.url, "/health/live").body == {"state": "not_running"}
        assert ask(server.url, "/health/live").status == 503


def test_topology_comes_in_three_forms(served: Served) -> None:
    assert len(served.ask("/topology").body["subtopologies"]) == 3
    assert served.ask("/topology?form=text").body == served.streams.topology.describe()
    assert served.ask("/topology?form=mermaid").body.startswith("flowchart")


def test_tasks_tell_what_runs_here(served: Served) -> None:
    found = served.ask("/tasks").body
    assert [(each["id"], each["state"]) for each in found["tasks"]] == [
        (task, "running") for task in ("0_0", "0_1", "1_0", "1_1", "2_0")
    ]
    assert found["threads"][0]["name"] == "shop-StreamThread-1"


def test_instances_tell_who_has_what(served: Served) -> None:
    [found] = served.ask("/instances").body["instances"]
    assert found["stores"] == ["counts", "last", "minutes", "numbers", "visits"]
    assert "clicks-1" in found["partitions"]


def test_lag_is_of_inputs_and_of_stores(served: Served) -> None:
    until(lambda: served.ask("/lag").body["records"] == 0)
    found = served.ask("/lag").body
    assert (found["is_exact"], found["partitions_not_told_of"], found["age_ms"]) == (True, 0, 0)
    assert [
        (each["topic"], each["partition"], each["task"], each["lag"]) for each in found["partitions"]
    ] == [
        ("clicks", 0, "0_0", 0),
        ("clicks", 1, "0_1", 0),
        ("pages", 0, "1_0", 0),
        ("pages", 1, "1_1", 0),
        ("figures", 0, "2_0", 0),
    ]
    assert found["stores"]["counts"]["0"]["offset_lag"] == 0


def test_description_has_all_routes(served: Served) -> None:
    document = served.ask("/openapi.json").body
    assert document["openapi"] == "3.1.0"
    for path in document["paths"]:
        if path.endswith("/watch"):  # which does not end
            continue
        target = path.replace("{store}", "counts").replace("{key}", "a")
        assert served.ask(target).status == 200, path


def test_metrics_come_as_prometheus_reads_them(served: Served) -> None:
    answer = served.ask("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'application_id="shop"' in answer.body
    answer = served.ask("/metrics", headers={"accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
