"""Records that cannot be read, make no row, or that the database refuses: the handlers decide, one by one."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

import headrace as hr
from headrace.log.embedded.log import EmbeddedLog
from tests.sql.orders import Order, Written, is_written, make_table, read_from, rows, write_file
from tests.sql.test_sink import run, sink
from tests.streams.waiting import until

#: The fifth is refused by the table, the seventh cannot be read, the ninth has no key.
BAD: list[Written] = [
    (2, Order("tea", 1)),
    (4, Order("cup", 2)),
    (6, Order("pot", 3)),
    (2, Order("tea", 4)),
    (4, Order("cup", -5)),
    (8, Order("jug", 6)),
    (6, b"{"),
    (2, Order("tea", 8)),
    (None, Order("tea", 9)),
    (10, Order("tin", 10)),
]


def dead_letter(failure: hr.Failure) -> hr.Reaction:
    return hr.Reaction.dead_letter("dead")


HANDLERS: dict[str, Any] = {
    "deserialization_exception_handler": dead_letter,
    "processing_exception_handler": dead_letter,
    "production_exception_handler": dead_letter,
}


def test_record_that_the_database_refuses_ends_the_sink_with_its_place(
    tmp_path: Path, address: str, engine: Engine
) -> None:
    make_table(engine)
    write_file(tmp_path / "log.db", BAD[:6])
    running = sink(tmp_path, address)
    running.start()
    with pytest.raises(
        hr.ProcessingError, match="could not write the row of a record: topic 'orders'"
    ) as told:
        running.wait("60s")
    assert (told.value.partition, told.value.offset, running.state) == (0, 4, "error")
    assert rows(engine) == []  # what was before it in the batch is not there either: it is written next time
    assert "-5" not in str(told.value).partition("DETAIL")[0]


def test_record_that_is_refused_again_and_again_stops_each_start(
    tmp_path: Path, address: str, engine: Engine
) -> None:
    make_table(engine)
    write_file(tmp_path / "log.db", BAD[:6])
    for _ in range(2):
        running = sink(tmp_path, address, batch_records=1)
        running.start()
        with pytest.raises(hr.ProcessingError, match="offset 4"):
            running.wait("60s")
    assert rows(engine) == [(2, "tea", 4), (4, "cup", 2), (6, "pot", 3)]


def test_handlers_put_records_aside_and_the_others_are_written(
    tmp_path: Path, address: str, engine: Engine
) -> None:
    make_table(engine)
    write_file(tmp_path / "log.db", BAD)
    run(tmp_path, address, engine, 10, **HANDLERS)
    expected = [(2, "tea", 8), (4, "cup", 2), (6, "pot", 3), (8, "jug", 6), (10, "tin", 10)]
    assert rows(engine) == expected
    log = EmbeddedLog.open(tmp_path / "log.db")
    letters = read_from(log, "dead")
    log.close()
    found = {
        (headers["__streams.errors.offset"], headers["__headrace.errors.stage"], value)
        for _, value, headers in letters
    }
    assert found == {
        (b"4", b"produce", b'{"item":"cup","cents":-5}'),
        (b"6", b"deserialize", b"{"),
        (b"8", b"process", b'{"item":"tea","cents":9}'),
    }


def test_refused_records_are_dropped_where_the_handler_goes_on(
    tmp_path: Path, address: str, engine: Engine
) -> None:
    make_table(engine)
    refused: list[tuple[int, str]] = []

    def go_on(failure: hr.Failure) -> hr.Reaction:
        refused.append((failure.offset, failure.node))
        return hr.Reaction.resume

    bad = [(2 * number, Order("tea", -1 if number % 7 == 3 else number)) for number in range(1, 500)]
    write_file(tmp_path / "log.db", bad)
    run(tmp_path, address, engine, 499, production_exception_handler=go_on)
    assert rows(engine) == [(key, order.item, order.cents) for key, order in bad if order.cents >= 0]
    assert refused == [(offset, "sink into orders") for offset in range(499) if (offset + 1) % 7 == 3]


def test_value_that_no_column_takes_is_its_records_fault(
    tmp_path: Path, address: str, engine: Engine
) -> None:
    make_table(engine)
    refused: list[int] = []

    def go_on(failure: hr.Failure) -> hr.Reaction:
        refused.append(failure.offset)
        return hr.Reaction.resume

    write_file(tmp_path / "log.db", [(2, Order("tea", 1)), (4, Order("tea", 2**63)), (6, Order("tea", 3))])
    run(tmp_path, address, engine, 3, production_exception_handler=go_on)
    assert (rows(engine), refused) == ([(2, "tea", 1), (6, "tea", 3)], [1])


def test_handler_that_wants_it_tried_again_is_asked_until_it_goes(
    tmp_path: Path, address: str, engine: Engine
) -> None:
    make_table(engine)
    asked: list[int] = []

    def patient(failure: hr.Failure) -> hr.Reaction:
        asked.append(failure.offset)
        if len(asked) == 2:
            with engine.begin() as connection:
                connection.execute(text("DELETE FROM rules"))
        return hr.Reaction.retry

    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE rules (least bigint)"))
        connection.execute(text("INSERT INTO rules VALUES (5)"))

    def row(record: hr.sql.ReadRecord[int, Order]) -> dict[str, object]:
        with engine.connect() as connection:
            least = connection.execute(text("SELECT max(least) FROM rules")).scalar()
        if least is not None and record.value.cents < least:
            raise ValueError(f"too cheap: {record.value.cents}")
        return {"item": record.value.item, "cents": record.value.cents}

    write_file(tmp_path / "log.db", [(2, Order("tea", 7)), (2, Order("tea", 3))])
    run(tmp_path, address, engine, 2, row=row, processing_exception_handler=patient)
    assert (rows(engine), asked) == ([(2, "tea", 3)], [1, 1])


def test_batch_that_fails_in_another_order_is_written_in_its_own(
    tmp_path: Path, address: str, engine: Engine
) -> None:
    """The first order gives its item away before the second one takes it: without the step between it clashes."""
    make_table(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE UNIQUE INDEX by_item ON orders (item)"))
    records = [
        (2, Order("a", 1)),
        (2, Order("b", 2)),
        (4, Order("a", 3)),
        (2, Order("c", 4)),
        (6, Order("b", 5)),
    ]
    write_file(tmp_path / "log.db", [(2, Order("b", 0))])
    run(tmp_path, address, engine, 1)
    write_file(tmp_path / "log.db", [(4, Order("d", 0)), *records])
    run(tmp_path, address, engine, 7)
    assert rows(engine) == [(2, "c", 4), (4, "a", 3), (6, "b", 5)]


def test_constraint_that_is_judged_at_the_commit_finds_its_record(
    tmp_path: Path, postgres: Any, engines: Any
) -> None:
    address = postgres.make_database()
    engine = engines(address)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id bigint PRIMARY KEY, item text, cents bigint)"))
        connection.execute(text("ALTER TABLE orders ADD UNIQUE (item) DEFERRABLE INITIALLY DEFERRED"))
    refused: list[int] = []

    def go_on(failure: hr.Failure) -> hr.Reaction:
        refused.append(failure.offset)
        return hr.Reaction.resume

    write_file(
        tmp_path / "log.db", [(2, Order("a", 1)), (4, Order("b", 2)), (6, Order("a", 3)), (8, Order("c", 4))]
    )
    run(tmp_path, address, engine, 4, production_exception_handler=go_on)
    assert (rows(engine), refused) == ([(2, "a", 1), (4, "b", 2), (8, "c", 4)], [2])


def test_name_of_a_column_that_is_not_there_is_told(tmp_path: Path, address: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id bigint PRIMARY KEY, item text)"))
    write_file(tmp_path / "log.db", [(2, Order("tea", 1))])
    running = sink(tmp_path, address)
    running.start()
    with pytest.raises(
        hr.ProcessingError, match="'orders' has no column 'cents': say with row= what goes where"
    ):
        running.wait("60s")


def test_database_that_goes_away_is_waited_for(tmp_path: Path, postgres: Any, engines: Any) -> None:
    address = postgres.make_database()
    engine = engines(address)
    make_table(engine)
    write_file(tmp_path / "log.db", [(2, Order("tea", 1))])
    with sink(tmp_path, address) as running:
        until(lambda: is_written(engine, 1))
        engine.dispose()
        postgres.stop(at_once=True)
        try:
            write_file(tmp_path / "log.db", [(4, Order("cup", 2))])
            until(lambda: running.trouble is not None)
            assert (running.trouble or "").startswith("cannot write rows now: ")
        finally:
            postgres.start()
        until(lambda: running.killed_by or is_written(engine, 2))
        until(lambda: running.trouble is None)
    assert rows(engine) == [(2, "tea", 1), (4, "cup", 2)]


def test_lock_of_somebody_else_is_waited_for(tmp_path: Path, address: str, engine: Engine) -> None:
    make_table(engine)
    write_file(tmp_path / "log.db", [(2, Order("tea", 1))])
    run(tmp_path, address, engine, 1)
    write_file(tmp_path / "log.db", [(2, Order("tea", 2))])
    with engine.connect() as other:
        other.execute(text("UPDATE orders SET cents = 50 WHERE id = 2"))
        with sink(tmp_path, address) as running:
            other.commit()
            until(lambda: running.killed_by or is_written(engine, 2))
    assert rows(engine) == [(2, "tea", 2)]
