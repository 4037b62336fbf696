"""What is left to process, counted by the server: records, and not what else has offsets."""

from pathlib import Path

import pytest

import headrace as hr
from headrace.base.columns import Columns
from headrace.log.embedded import EmbeddedLog
from headrace.server import Server, lag_route
from tests.server.conftest import ask
from tests.streams.waiting import until


@pytest.fixture
def streams(tmp_path: Path) -> hr.Streams:
    """An application that reads one topic of one partition, not started."""
    builder = hr.StreamsBuilder()
    builder.stream(hr.Topic("numbers", value=str, partitions=1)).group_by_key().count(store="counts")
    return hr.Streams(
        builder.build(),
        application_id="counting",
        embedded_path=str(tmp_path / "log.db"),
        state_dir=str(tmp_path / "state"),
        commit_interval_ms=20,
    )


def write(directory: Path, *timestamps: int) -> None:
    """Append records."""
    log = EmbeddedLog.open(directory / "log.db")
    writer, columns = log.writer("test"), Columns()
    for timestamp in timestamps:
        columns.append(b"k", b"v", timestamp, ())
    writer.append("numbers", 0, columns)
    writer.commit({})
    writer.close()
    log.close()


def test_what_is_left_is_told_with_its_age_also_when_the_application_has_stopped(
    streams: hr.Streams, tmp_path: Path
) -> None:
    with Server(streams) as server:
        with streams:
            streams.wait_running("30s")
            write(tmp_path, 1)
            until(lambda: ask(server.url, "/lag").body.get("records") == 0)
        write(tmp_path, 7000, 9000)
        until(lambda: ask(server.url, "/lag").body.get("records") == 2)
        found = ask(server.url, "/lag").body
        [row] = found["partitions"]
        assert (row["committed"], row["end"], row["lag"], row["oldest"]) == (1, 3, 2, 7000)
        assert found["is_exact"]
        assert found["age_ms"] == row["age_ms"] > 0


def test_it_is_counted_once_for_all_who_ask_within_a_while(
    streams: hr.Streams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lag_route, "_TOLD_AGAIN_SECONDS_MIN", 3600.0)
    with Server(streams) as server, streams:
        streams.wait_running("30s")
        write(tmp_path, 1)
        until(lambda: ask(server.url, "/lag").status == 200)  # there is no group before the first commit
        first = ask(server.url, "/lag").body["counted_at"]
        assert {ask(server.url, "/lag").body["counted_at"] for _ in range(5)} == {first}


def test_before_the_first_commit_it_says_that_nothing_is_known(streams: hr.Streams) -> None:
    with Server(streams) as server:
        answer = ask(server.url, "/lag")
        assert answer.status == 503
        assert "its log is not there yet; start it" in answer.body["error"]


def test_a_lag_that_takes_too_long_to_count_is_told_by_offsets(
    streams: hr.Streams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lag_route, "_COUNT_SECONDS", 0.0)
    with streams:
        streams.wait_running("30s")
        write(tmp_path, 1)
        until(lambda: streams.query("counts").get("k") == 1)
    write(tmp_path, 7000)
    with Server(streams) as server:
        found = ask(server.url, "/lag").body
        assert (found["records"], found["is_exact"], found["age_ms"]) == (1, False, None)
