"""The ASGI application over one `Streams`: all routes, behind the guard."""

from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from headrace.server.answers import as_json
from headrace.server.config_route import config_route
from headrace.server.guard import Guard
from headrace.server.inspection import inspection_routes
from headrace.server.lag_route import lag_route
from headrace.server.letter_route import letter_route
from headrace.server.metrics_route import METRICS, metrics_route
from headrace.server.openapi import described
from headrace.server.overview_route import overview_route
from headrace.server.page_files import page_routes
from headrace.server.parameters import Given
from headrace.server.query_route import query_route
from headrace.server.routes import Route, bound, exact
from headrace.server.store_routes import store_routes
from headrace.server.streaming import Streaming
from headrace.server.window_route import window_route
from headrace.server.work_routes import work_routes
from headrace.streams.server_options import token_of
from headrace.streams.streams import Streams

__all__ = ["application", "asgi"]


def asgi(streams: Streams) -> ASGIApp:
    """Return the application, to be mounted: `app.mount("/streams", hr.server.asgi(streams))`.

    It starts and stops nothing: run the application in the lifespan of yours (`async with streams: yield`). Who may ask
    is for yours to say, or for `server.token`. That other instances find it, `server.path` says where it is mounted.

    Raises:
        ConfigError: `server.token.file` cannot be read.
    """
    return application(streams, Streaming(), hosts=None)


def application(streams: Streams, streaming: Streaming, *, hosts: frozenset[str] | None) -> ASGIApp:
    """Return the application as `asgi` does, with the streams that it has open entered in `streaming`.

    `hosts` are the names under which it may be asked, None allows any.

    Raises:
        ConfigError: `server.token.file` cannot be read.
    """
    routes = [
        *inspection_routes(streams),
        config_route(streams),
        *work_routes(streams),
        window_route(streams),
        lag_route(streams),
        letter_route(streams),
        overview_route(streams),
        *store_routes(streams, streaming),
    ]
    document = described([*routes, METRICS])

    def openapi(given: Given) -> dict[str, Any]:
        return document

    routes.append(Route("/openapi.json", "This description.", openapi, blocks=False))
    starlette = Starlette(
        routes=[
            exact(each)
            for each in (
                query_route(streams),
                metrics_route(streams),
                *page_routes(),
                *(bound(each) for each in routes),
            )
        ],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )
    starlette.router.redirect_slashes = False
    return Guard(
        starlette, token=token_of(streams.config), hosts=hosts, is_closing=lambda: streaming.is_closed
    )


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    texts = {404: "there is no such page: /openapi.json lists those that there are"}
    return as_json(
        {"error": texts.get(error.status_code, error.detail)},
        error.status_code,
        dict(error.headers) if error.headers else None,
    )


def _failed(request: Request, error: Exception) -> Response:
    return as_json({"error": "the server has made a mistake, which its log tells"}, 500)
