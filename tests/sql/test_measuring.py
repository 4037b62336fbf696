"""What a sink tells of itself: states, figures, metrics, and where they go."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

import headrace as hr
from headrace.base.errors import ConfigError, StateError
from headrace.metrics.of_sinks import SINKS
from headrace.metrics.prometheus import exposition
from headrace.streams.config import Layer
from tests.sql.orders import ORDERS, Order, is_written, make_table, rows, write_file
from tests.streams.waiting import until


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'out.db'}"


def sink(folder: Path, address: str, **options: Any) -> hr.sql.Sink[int, Order]:
    return hr.sql.Sink(ORDERS, "orders", database=address, state_dir=str(folder / "state"), **options)


def numbers(running: hr.sql.Sink[int, Order], *names: str) -> list[float]:
    found = running.metrics()
    return [found.total(name, "stream-sink-metrics", table="orders") for name in names]


def test_what_is_written_is_counted_and_timed(tmp_path: Path, address: str, engine: Engine) -> None:
    make_table(engine)
    write_file(tmp_path / "log.db", [(1, Order("tea", 300)), (2, Order("cup", 900)), (1, Order("tea", 250))])
    log = str(tmp_path / "log.db")
    with sink(tmp_path, address, application_id="sink", embedded_path=log) as running:
        until(lambda: running.killed_by or is_written(engine, 3))
        until(lambda: numbers(running, "record-total") == [3])
        # Of a key that comes twice in a batch one row is made.
        assert numbers(running, "row-total", "claim-total", "lost-claim-total") == [2, 2, 0]
        until(lambda: numbers(running, "records-lag", "partitions-claimed") == [0, 2])
        assert {each.declaration for each in running.metrics()} >= set(SINKS)
        (latency,) = running.metrics().find("transaction-latency-max")
        assert isinstance(latency.value, float)
        assert latency.value > 0
        status = running.status()
        assert status is not None
        assert (status.records, status.lag_records, [str(each.id) for each in status.tasks]) == (
            3,
            0,
            ["0_0", "0_1"],
        )
        _, body = exposition(running)
        assert b'kafka_stream_sink_row_total{application_id="sink",table="orders"} 2.0' in body
        assert b'kafka_stream_client_state{application_id="sink"' in body


def test_record_that_is_let_go_is_counted(tmp_path: Path, address: str, engine: Engine) -> None:
    make_table(engine)
    write_file(tmp_path / "log.db", [(1, Order("tea", 300)), (2, Order("cup", 900))])

    def row(record: hr.sql.ReadRecord[int, Order]) -> dict[str, object]:
        assert record.value is not None
        return {"item": record.value.item, "cents": 100 // (record.value.cents - 300)}

    with sink(
        tmp_path,
        address,
        application_id="sink",
        embedded_path=str(tmp_path / "log.db"),
        row=row,
        processing_exception_handler=lambda failure: hr.Reaction.resume,
    ) as running:
        until(lambda: running.killed_by or numbers(running, "record-total") == [2])
        assert numbers(running, "dropped-record-total", "row-total") == [1, 1]


def test_database_that_does_not_answer_is_seen_in_the_figures(tmp_path: Path) -> None:
    write_file(tmp_path / "log.db", [(1, Order("tea", 300))])
    nobody = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    with sink(tmp_path, nobody, application_id="sink", embedded_path=str(tmp_path / "log.db")) as running:
        until(lambda: numbers(running, "waiting") == [1] and numbers(running, "retry-total") >= [1])
        assert (running.state, running.trouble is None) == ("rebalancing", False)


def test_states_are_told_in_their_order(tmp_path: Path, address: str, engine: Engine) -> None:
    make_table(engine)
    write_file(tmp_path / "log.db", [(1, Order("tea", 300))])
    running = sink(tmp_path, address, application_id="sink", embedded_path=str(tmp_path / "log.db"))
    told: list[str] = []
    running.on_state_change(lambda new, old: told.append(new))
    assert running.state == "created"
    with running:
        until(lambda: running.killed_by or is_written(engine, 1))
        with pytest.raises(StateError, match="make another Sink"):
            running.start()
    assert told == ["rebalancing", "running", "pending_shutdown", "not_running"]


def test_configuration_of_who_runs_it_wins_over_its_code(
    tmp_path: Path, address: str, engine: Engine
) -> None:
    make_table(engine)
    write_file(tmp_path / "log.db", [(1, Order("tea", 300))])
    # Its code names neither an application nor a log.
    declared = sink(tmp_path, address)
    flags = hr.Config().with_values({"embedded.path": str(tmp_path / "log.db")}, Layer.FLAG)
    running = declared.with_config(flags.with_values({"application.id": "by-flag"}, Layer.DEFAULT))
    with running:
        until(lambda: running.killed_by or rows(engine) == [(1, "tea", 300)])
    assert running.application_id == "by-flag"
    assert declared.state == "created"


def test_log_that_nobody_names_is_told_at_the_start(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError, match="no log is named"):
        sink(tmp_path, address, application_id="sink").start()


def test_sink_that_was_never_started_is_closed(tmp_path: Path, address: str) -> None:
    made = sink(tmp_path, address, application_id="sink", embedded_path=str(tmp_path / "log.db"))
    made.close()
    made.close()
    assert (made.state, made.status(), made.log) == ("not_running", None, None)
