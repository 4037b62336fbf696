"""From topics back into the database, each order once: what is to be shipped, and what somebody has to approve."""

from collections.abc import Mapping
from dataclasses import asdict

from sqlalchemy import Engine

import headrace as hr
from examples.orders.database import approvals, shipments
from examples.orders.events import TO_APPROVE, TO_SHIP, Delivery

__all__ = ["Deliveries", "sinks"]

Deliveries = hr.sql.Sink[str, Delivery]


def sinks(engine: Engine, properties: Mapping[str, object]) -> dict[str, Deliveries]:
    """Make the sinks, each an application of its own. Every record is a row: one that came twice would be seen."""
    return {
        table.name: hr.sql.Sink(
            topic,
            table,
            database=engine,
            mode="append",
            row=_row,
            application_id=f"orders-{table.name}",
            properties=properties,
        )
        for topic, table in ((TO_SHIP, shipments), (TO_APPROVE, approvals))
    }


def _row(record: hr.sql.ReadRecord[str, Delivery]) -> dict[str, object]:
    row = asdict(record.value)
    return {"order_id": row.pop("order"), **row}
