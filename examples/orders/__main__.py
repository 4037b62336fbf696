"""Runs the shop: `python -m examples.orders --embedded orders.db`. `README.md` says what happens then."""

import argparse
from contextlib import AbstractContextManager

import uvicorn

import headrace as hr
from examples.orders.database import open_database
from examples.orders.events import DEAD_LETTERS
from examples.orders.relay import Relay
from examples.orders.service import with_routes_of_orders, worker
from examples.orders.sinks import sinks
from examples.orders.topology import put_aside, topology


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.orders", description="Takes orders at http://127.0.0.1:PORT/."
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--embedded", metavar="FILE", help="a log that is a file; the outbox is relayed in this process"
    )
    where.add_argument(
        "--bootstrap-servers", metavar="HOST:PORT", help="a cluster, to which Debezium writes the outbox"
    )
    parser.add_argument(
        "--database", default="sqlite:///orders.sqlite", metavar="URL", help="as SQLAlchemy reads it"
    )
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--state-dir", metavar="PATH", help="one for each process of a machine")
    parser.add_argument(
        "--worker", action="store_true", help="without the routes of orders: one more of the rest"
    )
    given = parser.parse_args()
    if given.bootstrap_servers and not given.database.startswith("postgresql"):
        parser.error("Debezium reads the outbox of PostgreSQL: give --database postgresql+psycopg://…")
    return given


def main() -> None:
    """Serve, until Ctrl-C."""
    given = arguments()
    engine = open_database(given.database)
    properties: dict[str, object] = (
        {"embedded.path": given.embedded}
        if given.embedded
        else {"bootstrap.servers": given.bootstrap_servers}
    )
    beside: list[AbstractContextManager[object]] = []
    if given.embedded:
        producer = hr.Producer(properties=properties)
        beside = [producer, Relay(engine, producer)]
    if given.state_dir:
        properties["state.dir"] = given.state_dir
    streams = hr.Streams(
        topology,
        application_id="orders",
        processing_exception_handler=put_aside,
        deserialization_exception_handler=put_aside,
        errors_dead_letter_queue_topic_name=DEAD_LETTERS.name,
        # Where the routes of this instance are, for other instances that are asked for its keys.
        properties={**properties, "application.server": f"127.0.0.1:{given.port}", "server.path": "/streams"},
    )
    web = worker(streams, sinks(engine, properties), beside)
    if not given.worker:
        with_routes_of_orders(web, streams, engine)
    # A page of headrace that is open is an answer without an end: nobody waits for that when the service stops.
    uvicorn.run(web, host="127.0.0.1", port=given.port, timeout_graceful_shutdown=2)


if __name__ == "__main__":
    main()
