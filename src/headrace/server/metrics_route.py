"""The metrics of this process, for Prometheus."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from headrace.server.answers import as_json
from headrace.server.routes import Route
from headrace.streams.runnable import Runnable

__all__ = ["METRICS", "metrics_route"]

#: Threads of its own: those of pages may all wait for other instances, and a scrape that comes late is a gap in every
#: graph. Two, so that a second Prometheus does not wait for the first.
_THREADS = 2

#: How it is described.
METRICS = Route(
    "/metrics",
    "The metrics of this process, as Prometheus reads them, or as OpenMetrics for who accepts that.",
    lambda given: None,
    statuses=(501,),
    media_types=("text/plain", "application/openmetrics-text"),
)


def metrics_route(application: Runnable) -> StarletteRoute:
    """Return the route. Without the extra `metrics` it says what is missing."""
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"{application.application_id}-metrics")

    def exposed(accept: str) -> Response:
        try:
            from headrace.metrics.prometheus import exposition
        except ImportError as error:
            return as_json({"error": f"{error}: pip install 'headrace[metrics]'"}, 501)
        content_type, body = exposition(application, accept=accept)
        return Response(body, headers={"content-type": content_type})

    async def metrics(request: Request) -> Response:
        accept = request.headers.get("accept", "")
        return await asyncio.get_running_loop().run_in_executor(threads, exposed, accept)

    return StarletteRoute(METRICS.path, metrics, methods=["GET"])
