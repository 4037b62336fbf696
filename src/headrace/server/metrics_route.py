"""The metrics of this process, for Prometheus."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from headrace.server.answers import as_json
from headrace.server.routes import Route
from headrace.streams.streams import Streams

__all__ = ["METRICS", "metrics_route"]

#: How it is described.
METRICS = Route(
    "/metrics",
    "The metrics of this process, as Prometheus reads them, or as OpenMetrics for who accepts that.",
    lambda given: None,
    statuses=(501,),
    media_types=("text/plain", "application/openmetrics-text"),
)


def metrics_route(streams: Streams) -> StarletteRoute:
    """Return the route. Without the extra `metrics` it says what is missing."""

    def exposed(accept: str) -> Response:
        try:
            from headrace.metrics.prometheus import exposition
        except ImportError as error:
            return as_json({"error": f"{error}: pip install 'headrace[metrics]'"}, 501)
        content_type, body = exposition(streams, accept=accept)
        return Response(body, headers={"content-type": content_type})

    async def metrics(request: Request) -> Response:
        return await run_in_threadpool(exposed, request.headers.get("accept", ""))

    return StarletteRoute(METRICS.path, metrics, methods=["GET"])
