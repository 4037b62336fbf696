"""An update that a handler drops changes no store, no changelog, nothing downstream, and nothing that comes later."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.base.columns import Columns
from headrace.base.records import Headers
from headrace.engine.clock import ManualClock
from headrace.engine.options import EngineOptions
from headrace.engine.worker_building import build_worker
from headrace.log.memory import MemoryLog
from headrace.log.port import TopicSpec

EVENTS = hr.Topic("events", key=str, value=str)
OUT = hr.Topic("out", key=str, value=str)
_HOUR = 3_600_000

#: What is put, and at which of these a serde or the changelog's topic says no.
_FAULTS = {"serde": "bad", "size": "x" * 5_000, "time": "late"}


class _Text(hr.Serde[str]):
    """Text but for what is bad; `changes_mind` says no only to the second try."""

    type = str

    def __init__(self, *, immutable: bool, changes_mind: bool = False) -> None:
        self.immutable = immutable
        self._changes_mind = changes_mind
        self._tries = 0

    def serialize(self, topic: str, value: str, headers: Headers = ()) -> bytes:
        if "bad" in value:
            self._tries += 1
            if not self._changes_mind or self._tries > 1:
                raise ValueError(f"{value} is bad")
        return value.encode()

    def deserialize(self, topic: str, data: bytes, headers: Headers = ()) -> str:
        return data.decode()


class _Application:
    def __init__(
        self, folder: Path, kind: str, serde: hr.Serde[str], *, caching: bool, **handlers: Any
    ) -> None:
        logging = {"max.message.bytes": "5000", "message.timestamp.after.max.ms": str(_HOUR)}
        builder = hr.StreamsBuilder()
        grouped = builder.stream(EVENTS).group_by_key()

        def join(key: str, new: str, old: Any) -> Any:
            return f"{old}+{new}" if old else new

        if kind == "window":
            of_windows = stores.window(
                "joined", key=str, value=serde, retention="100d", caching=caching, logging=logging
            )
            windows = grouped.windowed_by(hr.TimeWindows("90d", grace="1d")).aggregate(
                lambda: "", join, value=serde, store=of_windows
            )
            windows.to_stream().map(lambda key, value: (key.key, value), key=str, value=str).to(OUT)
        else:
            of_keys = stores.key_value("joined", key=str, value=serde, caching=caching, logging=logging)
            grouped.aggregate(lambda: "", join, value=serde, store=of_keys).to_stream().map_values(
                str, value=str
            ).to(OUT)
        self.log = MemoryLog()
        self.log.create_topics([TopicSpec("events", 1), TopicSpec("out", 1), TopicSpec("dead", 1)])
        values = {name.replace("_", "."): value for name, value in handlers.items()}
        self.worker = build_worker(
            builder.build(),
            self.log,
            EngineOptions.of(values | {"commit.interval.ms": 1_000_000_000}),
            application_id="app",
            state_dir=folder,
            clock=ManualClock(0),
        )
        self.worker.open()

    def process(self, *values: str) -> None:
        """Process records of key 'a', and commit. One that is late is two hours ahead of the clock."""
        columns = Columns()
        for value in values:
            columns.append(b"a", value.encode(), 2 * _HOUR if value == "late" else 0, ())
        writer = self.log.writer("feed")
        writer.append("events", 0, columns)
        writer.commit({})
        while self.worker.step(0):
            pass
        self.worker.commit()

    def stored(self) -> list[str]:
        store = self.worker.query("joined")[0]
        return [value for _, value in store.range()]

    def written(self, topic: str) -> list[bytes | None]:
        return [record[3] for record in self.log.records(topic)]


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Callable[..., _Application]]:
    made: list[_Application] = []

    def make(*args: Any, **options: Any) -> _Application:
        made.append(_Application(tmp_path / "state", *args, **options))
        return made[-1]

    yield make
    for each in made:
        each.worker.close()


def _both(reaction: hr.Reaction, stages: list[str]) -> dict[str, Callable[[hr.Failure], hr.Reaction]]:
    def handler(failure: hr.Failure) -> hr.Reaction:
        stages.append(failure.stage)
        return reaction

    return {"processing_exception_handler": handler, "production_exception_handler": handler}


@pytest.mark.parametrize("kind", ["key_value", "window"])
@pytest.mark.parametrize("caching", [True, False])
@pytest.mark.parametrize("immutable", [True, False])
@pytest.mark.parametrize("fault", ["serde", "size", "time"])
def test_update_that_is_resumed_leaves_everything_as_it_was(
    application: Callable[..., _Application], kind: str, caching: bool, immutable: bool, fault: str
) -> None:
    stages: list[str] = []
    app = application(kind, _Text(immutable=immutable), caching=caching, **_both(hr.Reaction.resume, stages))
    app.process("1", _FAULTS[fault])
    assert app.stored() == ["1"]
    app.process("2")
    assert app.stored() == ["1+2"]
    assert app.written("out") == [b"1", b"1+2"]
    assert app.written("app-joined-changelog") == [b"1", b"1+2"]
    assert stages == ["process" if fault == "serde" else "produce"]


@pytest.mark.parametrize("kind", ["key_value", "window"])
@pytest.mark.parametrize("caching", [True, False])
@pytest.mark.parametrize("fault", ["serde", "size", "time"])
def test_update_that_becomes_a_dead_letter_leaves_everything_as_it_was(
    application: Callable[..., _Application], kind: str, caching: bool, fault: str
) -> None:
    app = application(
        kind, _Text(immutable=True), caching=caching, **_both(hr.Reaction.dead_letter("dead"), [])
    )
    app.process("1", _FAULTS[fault], "2")
    assert app.stored() == ["1+2"]
    assert app.written("app-joined-changelog")[-1] == b"1+2"
    assert app.written("dead") == [_FAULTS[fault].encode()]


@pytest.mark.parametrize("kind", ["key_value", "window"])
@pytest.mark.parametrize("caching", [True, False])
@pytest.mark.parametrize("fault", ["serde", "size", "time"])
def test_update_that_stops_the_application_names_its_record(
    application: Callable[..., _Application], kind: str, caching: bool, fault: str
) -> None:
    app = application(kind, _Text(immutable=True), caching=caching)
    with pytest.raises(hr.ProcessingError, match="topic 'events', partition 0, offset 1") as raised:
        app.process("1", _FAULTS[fault])
    assert "KSTREAM-AGGREGATE" in str(raised.value)
    assert app.written("app-joined-changelog") == []


@pytest.mark.parametrize("kind", ["key_value", "window"])
def test_update_that_is_refused_only_when_the_cache_lets_go_of_it_leaves_the_row_below(
    application: Callable[..., _Application], kind: str
) -> None:
    stages: list[str] = []
    serde = _Text(immutable=True, changes_mind=True)
    app = application(kind, serde, caching=True, **_both(hr.Reaction.resume, stages))
    app.process("1")
    app.process("bad")
    assert app.stored() == ["1"]
    app.process("2")
    assert app.stored() == ["1+2"]
    assert app.written("out") == [b"1", b"1+2"]
    assert app.written("app-joined-changelog") == [b"1", b"1+2"]
    assert stages == ["process"]


def test_update_that_an_eviction_cannot_write_is_told_with_its_own_record(
    application: Callable[..., _Application],
) -> None:
    seen: list[int] = []

    def resume(failure: hr.Failure) -> hr.Reaction:
        seen.append(failure.offset)
        return hr.Reaction.resume

    app = application(
        "key_value",
        _Text(immutable=True, changes_mind=True),
        caching=True,
        processing_exception_handler=resume,
        statestore_cache_max_bytes=600,
    )
    columns = Columns()
    for key, value in ((b"a", b"bad"), (b"b", b"1"), (b"c", b"2")):
        columns.append(key, value, 0, ())
    writer = app.log.writer("feed")
    writer.append("events", 0, columns)
    writer.commit({})
    app.process("3")
    assert seen == [0]
    assert app.stored() == ["3", "1", "2"]


@pytest.mark.parametrize("caching", [True, False])
def test_record_on_which_a_later_window_fails_is_in_no_window(caching: bool) -> None:
    """A function that has seen one record in the second window fails there, when the first has its result."""
    totals = stores.window("totals", key=str, value=str, retention="1h", caching=caching)

    def join(key: str, new: str, old: str) -> str:
        if new == "bad" and old == "2":
            raise ValueError("bad")
        return old + new

    builder = hr.StreamsBuilder()
    windows = (
        builder.stream(EVENTS).group_by_key().windowed_by(hr.TimeWindows("10s", grace="0s", advance="5s"))
    )
    windows.aggregate(str, join, store=totals)
    with testing.TopologyTestDriver(
        builder.build(), processing_exception_handler=lambda failure: hr.Reaction.resume
    ) as driver:
        driver.input(EVENTS).pipe_all(
            [("a", "1", 0), ("a", "2", 6_000), ("a", "bad", 7_000), ("a", "3", 8_000)]
        )
        assert [value for _, value in driver.store(totals).range("a")] == ["123", "23"]


def test_counts_keep_to_what_their_changelog_takes(tmp_path: Path) -> None:
    """Counting takes a short cut past `put`."""
    offsets: list[int] = []

    def resume(failure: hr.Failure) -> hr.Reaction:
        offsets.append(failure.offset)
        return hr.Reaction.resume

    counts = stores.key_value(
        "counts", key=str, value=int, logging={"message.timestamp.after.max.ms": str(_HOUR)}
    )
    builder = hr.StreamsBuilder()
    builder.stream(EVENTS).group_by_key().count(store=counts)
    log = MemoryLog()
    log.create_topics([TopicSpec("events", 1)])
    options = EngineOptions.of({"production.exception.handler": resume, "commit.interval.ms": 1_000_000_000})
    worker = build_worker(
        builder.build(), log, options, application_id="app", state_dir=tmp_path, clock=ManualClock(0)
    )
    worker.open()
    for timestamps in ((0, 1, _HOUR), (2, _HOUR + 1, 3), (_HOUR + 1,)):
        columns = Columns()
        for timestamp in timestamps:
            columns.append(b"a", b"x", timestamp, ())
        writer = log.writer("feed")
        writer.append("events", 0, columns)
        writer.commit({})
        while worker.step(0):
            pass
    worker.commit()
    assert worker.query("counts")[0].get("a") == 5
    assert offsets == [4, 6]
    assert [(record[3], record[4]) for record in log.records("app-counts-changelog")] == [
        ((5).to_bytes(8, "big"), _HOUR)
    ]
    worker.close()
