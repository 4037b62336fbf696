"""The ASGI application over one `Streams`, or one sink: all routes, behind the guard."""

from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp

from headrace.server.answers import as_json
from headrace.server.config_route import config_route
from headrace.server.guard import Guard
from headrace.server.inspection import health_routes, inspection_routes
from headrace.server.lag_route import lag_route
from headrace.server.letter_route import letter_routes
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
from headrace.streams.runnable import Runnable
from headrace.streams.server_options import token_of
from headrace.streams.streams import Streams

__all__ = ["asgi", "serving"]


def asgi(application: Runnable) -> ASGIApp:
    """Return the application, to be mounted: `app.mount("/streams", hr.server.asgi(streams))`.

    Of a sink there are health, metrics, lag and configuration. It starts and stops nothing: run the application in the
    lifespan of yours (`async with streams: yield`). Who may ask is for yours to say, or for `server.token`. That other
    instances find it, `server.path` says where it is mounted.

    Raises:
        ConfigError: `server.token.file` cannot be read.
    """
    return serving(application, Streaming(), hosts=None)


def serving(application: Runnable, streaming: Streaming, *, hosts: frozenset[str] | None) -> ASGIApp:
    """Return the application as `asgi` does, with the streams that it has open entered in `streaming`.

    `hosts` are the names under which it may be asked, None allows any.

    Raises:
        ConfigError: `server.token.file` cannot be read.
    """
    routes: list[Route] = []
    if isinstance(application, Streams):
        routes += _routes_of(application, streaming)
    routes += (*health_routes(application), config_route(application), lag_route(application))
    document = described([*routes, METRICS])

    def openapi(given: Given) -> dict[str, Any]:
        return document

    routes.append(Route("/openapi.json", "This description.", openapi, blocks=False))
    starlette = Starlette(
        routes=[
            exact(each)
            for each in (
                *_bare_routes_of(application),
                metrics_route(application),
                *(bound(each) for each in routes),
            )
        ],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )
    starlette.router.redirect_slashes = False
    return Guard(
        starlette, token=token_of(application.config), hosts=hosts, is_closing=lambda: streaming.is_closed
    )


def _routes_of(streams: Streams, streaming: Streaming) -> Sequence[Route]:
    return (
        *store_routes(streams, streaming),  # asked most, and Starlette looks at one after the other
        *inspection_routes(streams),
        *work_routes(streams),
        window_route(streams),
        *letter_routes(streams),
        overview_route(streams),
    )


def _bare_routes_of(application: Runnable) -> Sequence[StarletteRoute]:
    """Return what is for the page and for other instances; a sink has neither."""
    return (query_route(application), *page_routes()) if isinstance(application, Streams) else ()


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
