"""Fraud detection as a web service: payments come in over HTTP, alerts are asked for by card, and shown as they come.

Shows: a producer beside an application in one web service, and a processor's store as what people ask. `topology.py`
has the rules, and `README.md` says how to run it.

In: `POST /payments`, which writes to the topic `payments`.
Out: `GET /alerts/CARD`, and headrace's own routes below `/streams`: what changes in the store `alerted` is a live page.
"""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, Field

import headrace as hr
from examples.fraud.topology import ALERTED, PAYMENTS, WINDOW_MS, Payment, topology

APPLICATION_ID = "fraud"


class CardPayment(BaseModel):
    """What a shop tells: that a card was used, for how much and where. Without a time it is of now."""

    card: Annotated[str, Field(min_length=1)]
    amount: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")]
    at: datetime | None = None


class Alert(BaseModel):
    """Why a card was alerted of, once in the ten minutes that began at `start`."""

    card: str
    start: datetime
    end: datetime
    reason: str


def service(streams: hr.Streams, producer: hr.Producer) -> FastAPI:
    """Make the web service around an application and a producer, which are there as long as the service is."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with producer:
            async with streams:
                yield

    web = FastAPI(title="Fraud", lifespan=lifespan)
    # Health, metrics, every store and what changes in it, and headrace's page for people.
    web.mount("/streams", hr.server.asgi(streams))

    # Plain functions: FastAPI runs them in threads, where they may wait for a log or another instance.
    @web.post("/payments", status_code=202)
    def pay(payment: CardPayment) -> dict[str, str]:
        """Take a payment: it is in the log when the answer comes, and judged a moment later."""
        at = None if payment.at is None else _ms(payment.at)
        producer.send(PAYMENTS, payment.card, Payment(payment.amount, payment.country), timestamp=at)
        return {"card": payment.card}

    @web.get("/alerts/{card}")
    def of_card(card: str) -> list[Alert]:
        """The alerts of a card in the last hour, oldest first."""
        return [_alert(windowed, reason) for windowed, reason in streams.query(ALERTED).range(card)]

    @web.get("/")
    def live() -> FileResponse:
        """The live page."""
        return FileResponse(Path(__file__).with_name("live.html"))

    @web.exception_handler(hr.StoreUnavailableError)
    @web.exception_handler(hr.LogError)
    def unavailable(_: Request, error: Exception) -> JSONResponse:
        """Say that it cannot be known or written now: the application starts, a task moves, brokers are away."""
        return JSONResponse({"detail": str(error)}, 503)

    return web


def _alert(windowed: hr.Windowed[str], reason: str) -> Alert:
    start = windowed.window.start
    begin, end = (datetime.fromtimestamp(time_ms / 1000, UTC) for time_ms in (start, start + WINDOW_MS))
    return Alert(card=windowed.key, start=begin, end=end, reason=reason)


def _ms(moment: datetime) -> int:
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def main() -> None:
    """Serve, until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Finds fraud, and answers on http://127.0.0.1:PORT/.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--embedded", metavar="FILE", help="a log that is a file")
    where.add_argument("--bootstrap-servers", metavar="HOST:PORT", help="brokers of a Kafka cluster")
    parser.add_argument("--port", type=int, default=8000)
    given = parser.parse_args()
    log = (
        {"embedded.path": given.embedded}
        if given.embedded
        else {"bootstrap.servers": given.bootstrap_servers}
    )
    # Where the routes of this instance are, for other instances that are asked for its keys.
    here = {"application.server": f"127.0.0.1:{given.port}", "server.path": "/streams"}
    streams = hr.Streams(topology, application_id=APPLICATION_ID, properties={**log, **here})
    web = service(streams, hr.Producer(properties=log))
    # A live page is an answer without an end: nobody waits for that when the service stops.
    uvicorn.run(web, host="127.0.0.1", port=given.port, timeout_graceful_shutdown=2)


if __name__ == "__main__":
    main()
