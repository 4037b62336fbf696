"""The sink that is killed, or put to sleep: it appends each record to a table that would show it if one came twice."""

import argparse
import logging
from typing import Any

from sqlalchemy import create_engine, event

import headrace as hr
from tests.faults.killing import killer
from tests.faults.orphans import end_with_parent
from tests.sql.orders import ORDERS, Order

TABLE = "arrived"


def row(record: hr.sql.ReadRecord[int, Order]) -> dict[str, object]:
    """Say where a record was, and what is in it."""
    return {"place": f"{record.partition}@{record.offset}", "id": record.key, "cents": record.value.cents}


def main() -> None:
    """Run until it is told to stop."""
    end_with_parent()
    logging.basicConfig(level=logging.INFO)
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--stop-at")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--set", dest="properties", action="append", default=[])
    arguments = parser.parse_args()
    engine = create_engine(arguments.address)
    reached = killer(arguments.stop_at)

    def executed(connection: Any, cursor: Any, statement: str, *_: object) -> None:
        if TABLE in statement and statement.startswith("INSERT"):
            reached("rows")
        elif statement.startswith("UPDATE headrace_positions SET next_offset"):
            reached("position")
        elif statement.startswith("UPDATE headrace_positions SET epoch"):
            reached("claim")

    event.listen(engine, "after_cursor_execute", executed)
    event.listen(engine, "begin", lambda connection: reached("begin"))
    event.listen(engine, "commit", lambda connection: reached("commit"))
    properties = dict(each.split("=", 1) for each in arguments.properties)
    hr.sql.Sink(
        ORDERS,
        TABLE,
        database=engine,
        mode="append",
        row=row,
        batch_records=arguments.batch,
        application_id="sink",
        properties=properties,
    ).run()


if __name__ == "__main__":
    main()
