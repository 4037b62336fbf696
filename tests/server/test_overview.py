"""What one answer tells of an instance: it is what the application itself says."""

import time
from pathlib import Path

import headrace as hr
from headrace.base.columns import Columns
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import TopicSpec
from headrace.server import Server
from tests.server import orders
from tests.server.conftest import Served, application, ask
from tests.streams.waiting import until


def test_an_overview_is_what_the_application_says_of_itself(served: Served) -> None:
    streams, found = served.streams, served.ask("/overview").body
    status = streams.status()
    assert status is not None
    metrics = streams.metrics()
    longest = metrics.find("commit-latency-max", "stream-thread-metrics")[0].value
    assert found["application_id"] == "shop"
    assert (found["state"], found["waits_for"], found["is_paused"]) == ("running", None, False)
    assert found["failure"] is None
    assert found["log"].endswith("shop.db")
    assert (
        (found["records"], found["lag_records"], found["lag_age_ms"]) == (status.records, 0, 0) == (83, 0, 0)
    )
    assert 0 <= time.time() * 1000 - found["lag_as_of"] < 60_000
    assert (found["dropped"], found["failed"], found["commits"]) == (0, 0, status.commits)
    assert found["commit_ms_max"] == found["threads"][0]["commit_ms_max"] == longest
    assert found["threads"][0]["name"] == "shop-StreamThread-1"
    assert found["threads"][0]["tasks"] == ["0_0", "0_1", "1_0", "1_1", "2_0"]
    assert [(each["id"], each["state"], each["lag_records"], each["restore"]) for each in found["tasks"]] == [
        (str(task.id), "running", 0, None) for task in status.tasks
    ]
    assert found["instances"] == [
        {"host": "unavailable", "port": -1, "stores": 5, "partitions": 5, "standby_partitions": 0}
    ]


def test_before_the_start_an_overview_says_what_is_waited_for(tmp_path: Path) -> None:
    with Server(application(tmp_path)) as server:
        found = ask(server.url, "/overview").body
    assert (found["state"], found["waits_for"]) == ("created", "created: start() was not called")
    assert found["lag_as_of"] is None
    assert (found["records"], found["commit_ms_average"], found["tasks"], found["instances"]) == (
        0,
        None,
        [],
        [],
    )


def test_what_failed_and_what_waits_is_told(tmp_path: Path) -> None:
    log = EmbeddedLog.open(tmp_path / "log.db")
    log.create_topics([TopicSpec("numbers", 1)])
    writer, columns = log.writer("test"), Columns()
    for number, text in enumerate(("1", "x", "2")):
        columns.append(b"k", text.encode(), number, ())
    columns.append(None, b"3", 3, ())
    writer.append("numbers", 0, columns)
    writer.commit({})
    builder = hr.StreamsBuilder()
    numbers = builder.stream(hr.Topic("numbers", value=str))
    numbers.map_values(int, value=int).group_by_key().count(store="counts")
    streams = hr.Streams(
        builder.build(),
        application_id="counting",
        embedded_path=str(tmp_path / "log.db"),
        state_dir=str(tmp_path / "state"),
        processing_exception_handler=lambda failure: hr.Reaction.resume,
        commit_interval_ms=20,
    )
    with streams, Server(streams) as server:
        streams.wait_running("30s")
        until(lambda: {("numbers", 0): 4}.items() <= set(streams.position("counts").items()))
        found = ask(server.url, "/overview").body
        assert (found["dropped"], found["failed"], found["tasks"][0]["dropped"]) == (2, 1, 2)
        streams.pause()
        more = Columns()
        more.append(b"k", b"4", 4, ())
        writer.append("numbers", 0, more)
        writer.commit({})
        until(lambda: ask(server.url, "/overview").body["lag_records"] == 1)
        found = ask(server.url, "/overview").body
        assert found["tasks"][0]["lag_records"] == 1
        assert found["lag_age_ms"] == found["tasks"][0]["lag_age_ms"]
        assert found["is_paused"]
    writer.close()
    log.close()


def test_an_overview_tells_what_ended_the_application(tmp_path: Path) -> None:
    streams = hr.Streams(
        orders.topology(),
        application_id="shop",
        embedded_path=str(tmp_path / "orders.db"),
        state_dir=str(tmp_path / "state"),
    )
    orders.application(tmp_path)
    orders.write(tmp_path, orders.faulty(0)[:1])
    with Server(streams) as server:
        streams.start()
        until(lambda: streams.state == "error")
        found = ask(server.url, "/overview").body
        assert (found["state"], found["failure"]["error"]) == ("error", "ProcessingError")
        assert "an amount of -5 cannot be taxed" in found["failure"]["message"]
        assert "in with_tax" in found["failure"]["traceback"]
        assert ask(server.url, "/history").body["samples"][-1]["records_per_second"] >= 0
        streams.close()
