"""Tells of the outbox where there is no Debezium: reads its rows, writes them to topics, and deletes them.

For one process on SQLite, which has one writer at a time, so that the numbers of rows are in the order of their
commits; in PostgreSQL they are not. It writes what Debezium's event router does, and repeats as that does: killed
between writing and deleting, it writes the same events once more.
"""

import json
import logging
import threading
import time
from itertools import groupby
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Engine, Row, delete, select
from sqlalchemy.exc import OperationalError

import headrace as hr
from examples.orders.database import outbox

__all__ = ["Relay"]

_POLL_SECONDS = 0.1
_ROWS_MAX = 500

_log = logging.getLogger(__name__)


class Relay:
    """Relays the outbox in a thread, as a context."""

    def __init__(self, engine: Engine, producer: hr.Producer) -> None:
        self._engine = engine
        self._producer = producer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="relay", daemon=True)

    def relay(self) -> int:
        """Write the oldest rows to their topics, then delete them; return how many there were."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(outbox).order_by(outbox.c.number).limit(_ROWS_MAX)).all()
        # One after the other: a product's price is told before the orders that were placed at it.
        for kind, events in groupby(rows, key=lambda row: row.aggregatetype):
            topic = hr.Topic(f"outbox.event.{kind}", partitions=4)
            self._producer.send_all(topic, [_record(event) for event in events])
        with self._engine.begin() as connection:
            connection.execute(delete(outbox).where(outbox.c.number.in_([row.number for row in rows])))
        return len(rows)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                found = self.relay()
            except (OperationalError, hr.LogError) as error:
                _log.warning("the outbox waits: %s", error)
                found = 0
            if not found:
                self._stop.wait(_POLL_SECONDS)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()


def _record(event: Row[Any]) -> hr.Record[str, bytes]:
    headers = (("id", event.id.encode()), ("eventType", event.type.encode()))
    return hr.Record(
        event.aggregateid, json.dumps(event.payload).encode(), time.time_ns() // 1_000_000, headers
    )
