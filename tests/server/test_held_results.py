"""Results that wait for windows to close, in the store that has them: how many, and when the first one leaves."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace.base.columns import Columns
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import TopicSpec
from headrace.server import Server, held_results
from tests.server.conftest import Served, ask
from tests.streams.waiting import until

#: Key and second of each click.
CLICKS = (("a", 0), ("a", 70), ("b", 75), ("a", 130), ("c", 131))


def _write(directory: Path, clicks: tuple[tuple[str, int], ...]) -> None:
    log = EmbeddedLog.open(directory / "log.db")
    log.create_topics([TopicSpec("clicks", 1)])
    writer, columns = log.writer("test"), Columns()
    for key, second in clicks:
        columns.append(key.encode(), b"/", second * 1000, ())
    writer.append("clicks", 0, columns)
    writer.commit({})
    writer.close()
    log.close()


def _application(directory: Path) -> hr.Streams:
    builder = hr.StreamsBuilder()
    clicks = builder.stream(hr.Topic("clicks", value=str, partitions=1)).group_by_key()
    minutes = hr.TimeWindows("1m", grace="30s")
    clicks.windowed_by(minutes, emit="close").count(name="tumbling")
    clicks.windowed_by(hr.TimeWindows("1m", advance="30s", grace="30s"), emit="close").count(name="hopping")
    clicks.windowed_by(hr.SessionWindows("20s", grace="30s"), emit="close").count(name="sessions")
    clicks.windowed_by(hr.SlidingWindows("1m", grace="30s"), emit="close").count(name="sliding")
    clicks.windowed_by(minutes).count(name="updates")
    return hr.Streams(
        builder.build(),
        application_id="held",
        embedded_path=str(directory / "log.db"),
        state_dir=str(directory / "state"),
        commit_interval_ms=20,
    )


@pytest.fixture
def closing(tmp_path: Path) -> Iterator[Served]:
    """An application whose stream time is 131 s."""
    _write(tmp_path, CLICKS)
    with _application(tmp_path) as streams, Server(streams) as server:
        streams.wait_running("30s")
        until(lambda: (status := streams.status()) is not None and status.records == len(CLICKS))
        until(lambda: streams.status().tasks[0].stream_time == 131_000)  # type: ignore[union-attr]
        yield Served(streams, server.url)


def _told(served: Served) -> dict[str, tuple[Any, ...]]:
    nodes = served.ask("/windows").body["nodes"]
    return {
        node["node"]: tuple(node["tasks"][0][key] for key in ("held", "held_is_exact", "first_leaves_at"))
        for node in nodes
    }


def test_each_kind_of_window_tells_what_has_not_left(closing: Served) -> None:
    until(lambda: _told(closing)["tumbling"][0] == 4)
    found = _told(closing)
    # [0, 60) has left: 131 s less grace is past its end. [60, 120) has two keys, [120, 180) two.
    assert found["tumbling"] == (4, True, 150_000)
    # [60, 120) and [30, 90) hold 70 s and 75 s; [90, 150) and [120, 180) 130 s and 131 s.
    assert found["hopping"][1:] == (True, 150_000)
    # 75 s + 20 s + 30 s is over.
    assert found["sessions"] == (2, True, 180_001)
    assert found["updates"] == (0, True, None)


def test_what_waits_since_before_a_restart_is_told(tmp_path: Path) -> None:
    _write(tmp_path, (("a", 0), ("b", 1)))
    with _application(tmp_path) as streams:
        streams.wait_running("30s")
        until(lambda: (status := streams.status()) is not None and status.records == 2)
    with _application(tmp_path) as streams, Server(streams) as server:
        streams.wait_running("30s")
        served = Served(streams, server.url)
        until(lambda: _told(served)["tumbling"][0] == 2)
        assert _told(served)["tumbling"] == (2, True, 90_000)
        [task] = next(n for n in ask(server.url, "/windows").body["nodes"] if n["node"] == "tumbling")[
            "tasks"
        ]
        assert task["stream_time"] is None


def test_a_look_that_takes_too_long_tells_what_it_has_found(
    closing: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_results, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(held_results, "_ROWS_BETWEEN_LOOKS", 1)
    until(lambda: _told(closing)["tumbling"][:2] == (1, False))


def test_who_asks_again_is_told_the_same_for_a_while(
    closing: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(held_results, "_TOLD_AGAIN_SECONDS_MIN", 3600.0)
    first = _told(closing)
    _write(tmp_path, (("d", 132),))
    until(lambda: (status := closing.streams.status()) is not None and status.records == len(CLICKS) + 1)
    assert _told(closing) == first
