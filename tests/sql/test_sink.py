"""A topic in a table: each record once, by key or one after the other, and who stops or comes back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, Column, Engine, Integer, MetaData, String, Table, select, text

import headrace as hr
from headrace.base.errors import AlreadyRunningError, ConfigError, DatabaseError
from headrace.base.ids import TopicPartition
from headrace.log.embedded.log import EmbeddedLog
from tests.sql.orders import ORDERS, Order, Written, is_written, make_table, rows, table, write_file
from tests.streams.waiting import until


def sink(folder: Path, address: str | Engine, **options: Any) -> hr.sql.Sink[int, Order]:
    return hr.sql.Sink(
        ORDERS,
        options.pop("table", "orders"),
        database=address,
        application_id="sink",
        embedded_path=str(folder / "log.db"),
        state_dir=str(folder / "state"),
        **options,
    )


def run(folder: Path, address: str | Engine, engine: Engine, offsets: int, **options: Any) -> None:
    """Run a sink until the database has so many offsets."""
    with sink(folder, address, **options) as running:
        until(lambda: running.killed_by or is_written(engine, offsets))


def test_last_value_of_each_key_is_its_row(tmp_path: Path, address: str, engine: Engine) -> None:
    make_table(engine)
    write_file(tmp_path / "log.db", [(1, Order("tea", 300)), (2, Order("cup", 900)), (1, Order("tea", 250))])
    run(tmp_path, address, engine, 3)
    assert rows(engine) == [(1, "tea", 250), (2, "cup", 900)]


def test_tombstone_deletes_the_row(tmp_path: Path, address: str, engine: Engine) -> None:
    make_table(engine)
    write_file(tmp_path / "log.db", [(1, Order("tea", 300)), (2, Order("cup", 900)), (1, None), (3, None)])
    run(tmp_path, address, engine, 4)
    assert rows(engine) == [(2, "cup", 900)]


def test_sink_goes_on_where_the_database_is(tmp_path: Path, address: str, engine: Engine) -> None:
    make_table(engine)
    write_file(tmp_path / "log.db", [(1, Order("tea", 300)), (2, Order("cup", 900))])
    run(tmp_path, address, engine, 2)
    with engine.begin() as connection:  # whoever wrote it again would put it right
        connection.execute(text("UPDATE orders SET cents = 1 WHERE id = 1"))
    write_file(tmp_path / "log.db", [(3, Order("pot", 2000))])
    run(tmp_path, address, engine, 3)
    assert rows(engine) == [(1, "tea", 1), (2, "cup", 900), (3, "pot", 2000)]


def test_database_that_was_set_back_gets_what_it_has_lost(
    tmp_path: Path, address: str, engine: Engine
) -> None:
    """The log has the offsets as committed; they are for tools alone."""
    make_table(engine)
    write_file(tmp_path / "log.db", [(1, Order("tea", 300)), (2, Order("cup", 900))])
    run(tmp_path, address, engine, 2)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM orders"))
        connection.execute(text("DELETE FROM headrace_positions"))
    run(tmp_path, address, engine, 2)
    assert rows(engine) == [(1, "tea", 300), (2, "cup", 900)]


def test_log_is_told_how_far_the_database_is(tmp_path: Path, address: str, engine: Engine) -> None:
    make_table(engine)
    write_file(tmp_path / "log.db", [(1, Order("tea", 300)), (3, Order("cup", 900)), (2, Order("pot", 1))])
    run(tmp_path, address, engine, 3)
    log = EmbeddedLog.open(tmp_path / "log.db")
    committed = log.groups.committed("sink")
    log.close()
    assert {str(partition): place.offset for partition, place in committed.items()} == {
        "orders-0": 1,
        "orders-1": 2,
    }


def test_each_record_is_a_row_where_rows_are_appended(tmp_path: Path, address: str, engine: Engine) -> None:
    history = Table(
        "history",
        MetaData(),
        Column("place", String, primary_key=True),
        Column("order_id", Integer),
        Column("cents", Integer),
    )
    history.create(engine)

    def row(record: hr.sql.ReadRecord[int, Order]) -> dict[str, object] | None:
        if record.value is None or record.value.item == "cup":
            return None
        place = f"{record.topic}-{record.partition}@{record.offset}"
        return {"place": place, "order_id": record.key, "cents": record.value.cents}

    records: list[Written] = [(1, Order("tea", 300)), (2, Order("cup", 5)), (1, Order("tea", 250)), (1, None)]
    write_file(tmp_path / "log.db", records)
    run(tmp_path, address, engine, 4, table="history", mode="append", row=row)
    with engine.connect() as connection:
        found = [tuple(each) for each in connection.execute(select(history).order_by(history.c.place))]
    assert found == [("orders-1@0", 1, 300), ("orders-1@1", 1, 250)]


def test_columns_are_named_by_functions(tmp_path: Path, address: str, engine: Engine) -> None:
    prices = Table(
        "prices",
        MetaData(),
        Column("shop", String, primary_key=True),
        Column("n", Integer, primary_key=True),
        Column("info", JSON),
    )
    prices.create(engine)
    write_file(tmp_path / "log.db", [(1, Order("tea", 300)), (2, Order("cup", 9)), (2, None)])
    run(
        tmp_path,
        address,
        engine,
        3,
        table=prices,
        key=lambda key: {"shop": "eu", "n": key},
        row=lambda record: {"info": record.value},
    )
    with engine.connect() as connection:
        found = [tuple(each) for each in connection.execute(select(prices))]
    assert found == [("eu", 1, {"item": "tea", "cents": 300})]


def test_rows_of_a_schema_have_their_positions_there(tmp_path: Path, postgres: Any, engines: Any) -> None:
    address = postgres.make_database()
    engine = engines(address)
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA shop"))
        connection.execute(text("CREATE TABLE shop.orders (id bigint PRIMARY KEY, item text, cents bigint)"))
    write_file(tmp_path / "log.db", [(1, Order("tea", 300))])
    with sink(tmp_path, address, table="shop.orders") as running:
        until(lambda: running.killed_by or is_written(engine, 1, table="shop.headrace_positions"))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT item FROM shop.orders")).scalar() == "tea"


@dataclass(frozen=True)
class Place:
    country: str
    city: str


def test_key_with_fields_is_several_columns(tmp_path: Path, address: str, engine: Engine) -> None:
    cities = Table(
        "cities",
        MetaData(),
        Column("country", String, primary_key=True),
        Column("city", String, primary_key=True),
        Column("item", String),
        Column("cents", Integer),
    )
    cities.create(engine)
    topic = hr.Topic("cities", key=Place, value=Order, partitions=2)
    bern = Place("CH", "Bern")
    write_file(tmp_path / "log.db", [(bern, Order("tea", 1)), (bern, Order("tea", 2))], topic)
    running = hr.sql.Sink(
        topic,
        "cities",
        database=address,
        application_id="sink",
        embedded_path=str(tmp_path / "log.db"),
        state_dir=str(tmp_path / "state"),
    )
    with running:
        until(lambda: running.killed_by or is_written(engine, 2))
    with engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(select(cities))] == [("CH", "Bern", "tea", 2)]


def test_second_process_of_one_log_is_refused(tmp_path: Path, address: str, engine: Engine) -> None:
    make_table(engine)
    with sink(tmp_path, address), pytest.raises(AlreadyRunningError, match="'sink' is already running"):
        sink(tmp_path, address).start()


def test_table_that_is_missing_ends_it(tmp_path: Path, address: str) -> None:
    write_file(tmp_path / "log.db", [])
    running = sink(tmp_path, address)
    running.start()
    with pytest.raises(ConfigError, match="there is no table 'orders' at"):
        running.wait("60s")


def test_table_without_a_key_ends_it(tmp_path: Path, address: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id bigint, item text, cents bigint)"))
    running = sink(tmp_path, address)
    running.start()
    with pytest.raises(ConfigError, match="'orders' has no primary key"):
        running.wait("60s")
    unknown = sink(tmp_path, address, key_columns=["id"])
    unknown.start()
    with pytest.raises(ConfigError, match="no unique index on exactly that"):
        unknown.wait("60s")


def test_rows_may_be_known_by_a_unique_index(tmp_path: Path, address: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id bigint, item text, cents bigint)"))
        connection.execute(text("CREATE UNIQUE INDEX by_id ON orders (id)"))
    write_file(tmp_path / "log.db", [(1, Order("tea", 300)), (1, Order("tea", 250))])
    run(tmp_path, address, engine, 2, key_columns=["id"])
    assert rows(engine) == [(1, "tea", 250)]


def test_table_that_is_dropped_under_way_ends_it(tmp_path: Path, address: str, engine: Engine) -> None:
    make_table(engine)
    write_file(tmp_path / "log.db", [(1, Order("tea", 300))])
    running = sink(tmp_path, address)
    running.start()
    until(lambda: is_written(engine, 1))
    table().drop(engine)
    write_file(tmp_path / "log.db", [(1, Order("tea", 250))])
    with pytest.raises(DatabaseError, match=r"cannot write rows: .*orders"):
        running.wait("60s")
    assert is_written(engine, 1)


def test_topic_that_was_made_anew_is_refused(tmp_path: Path, address: str, engine: Engine) -> None:
    make_table(engine)
    write_file(tmp_path / "log.db", [(1, Order("tea", 300))])
    run(tmp_path, address, engine, 1)
    log = EmbeddedLog.open(tmp_path / "log.db")
    log.delete_topics(["orders"])
    log.close()
    write_file(tmp_path / "log.db", [(1, Order("pot", 1)), (1, Order("pot", 2))])
    running = sink(tmp_path, address)
    running.start()
    with pytest.raises(hr.LogError, match=r"it was deleted and made again.*DELETE FROM headrace_positions"):
        running.wait("60s")
    assert rows(engine) == [(1, "tea", 300)]


def test_records_that_retention_has_taken_are_told(tmp_path: Path, address: str, engine: Engine) -> None:
    make_table(engine)
    write_file(tmp_path / "log.db", [(1, Order("tea", 300))])
    run(tmp_path, address, engine, 1)
    write_file(tmp_path / "log.db", [(1, Order("tea", 250)), (1, Order("tea", 200)), (3, Order("cup", 1))])
    log = EmbeddedLog.open(tmp_path / "log.db")
    log.delete_records({TopicPartition("orders", 1): 3})
    log.close()
    running = sink(tmp_path, address)
    running.start()
    with pytest.raises(
        hr.LogError, match=r"at offset 1: the log begins at 3: .* SET next_offset = 3 WHERE"
    ) as told:
        running.wait("60s")
    with engine.begin() as connection:  # what it says is done
        connection.execute(text(str(told.value).partition("position: ")[2]))
    run(tmp_path, address, engine, 4)
    assert rows(engine) == [(1, "tea", 300), (3, "cup", 1)]
