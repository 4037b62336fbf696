"""Clicks of users in each five minutes, as a web service: FastAPI and an application of headrace in one process.

Shows: an application in the lifespan of a web service, a store as its database, queries by user and window, headrace's
own routes beside the service's, and a live page by server-sent events. `README.md` beside it says how to run it.

In: `clicks`, the page as value, with the user as key.
Out: the store `clicks-per-user`, a count for each user and five minutes.
"""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel

import headrace as hr
from headrace import stores

CLICKS = hr.Topic("clicks", value=str)
FIVE_MINUTES_MS = 300_000
PER_USER = stores.window("clicks-per-user", key=str, value=int, retention="1d")

builder = hr.StreamsBuilder()
(builder.stream(CLICKS).group_by_key().windowed_by(hr.TimeWindows("5m", grace="1m")).count(store=PER_USER))
topology = builder.build()


class Clicks(BaseModel):
    """How often a user clicked in one window."""

    user: str
    start: datetime
    end: datetime
    clicks: int


def service(streams: hr.Streams) -> FastAPI:
    """Make the web service around an application, which runs as long as the service does."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with streams:
            yield

    web = FastAPI(title="Clicks", lifespan=lifespan)
    # Health, metrics, every store and what changes in it, and headrace's page for people.
    web.mount("/streams", hr.server.asgi(streams))

    # Plain functions: FastAPI runs them in threads, where a query may wait for another instance.
    @web.get("/clicks/{user}")
    def of_user(user: str, since: datetime | None = None, until: datetime | None = None) -> list[Clicks]:
        """The windows of a user, oldest first, by when they start."""
        start, end = (None if moment is None else _ms(moment) for moment in (since, until))
        found = streams.query(PER_USER).range(user, start=start, end=end)
        return [_clicks(windowed, count) for windowed, count in found]

    @web.get("/clicks/{user}/{start}")
    def of_window(user: str, start: datetime) -> Clicks:
        """One window of a user, by when it starts."""
        count = streams.query(PER_USER).get(user, _ms(start))
        if count is None:
            raise HTTPException(404, f"{user} has not clicked in the five minutes from {start} on")
        window = hr.Window(_ms(start), _ms(start) + FIVE_MINUTES_MS)
        return _clicks(hr.Windowed(user, window), count)

    @web.get("/")
    def live() -> FileResponse:
        """The live page."""
        return FileResponse(Path(__file__).with_name("live.html"))

    @web.exception_handler(hr.StoreUnavailableError)
    def unavailable(_: Request, error: Exception) -> JSONResponse:
        """Say that the answer is not known now: the application starts, or a task is on its way."""
        return JSONResponse({"detail": str(error)}, 503)

    return web


def _clicks(windowed: hr.Windowed[str], count: int) -> Clicks:
    start, end = (datetime.fromtimestamp(time_ms / 1000, UTC) for time_ms in windowed.window)
    return Clicks(user=windowed.key, start=start, end=end, clicks=count)


def _ms(moment: datetime) -> int:
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def main() -> None:
    """Serve, until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Counts clicks, and answers on http://127.0.0.1:PORT/.")
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
    streams = hr.Streams(topology, application_id="clicks", properties={**log, **here})
    # A live page is an answer without an end: nobody waits for that when the service stops.
    uvicorn.run(service(streams), host="127.0.0.1", port=given.port, timeout_graceful_shutdown=2)


if __name__ == "__main__":
    main()
