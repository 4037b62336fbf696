"""The description of all routes, for tools: OpenAPI 3.1, made of what the routes declare."""

from collections.abc import Sequence
from typing import Any

from headrace import __version__
from headrace.server.answers import JSON
from headrace.server.parameters import Parameter
from headrace.server.routes import Route

__all__ = ["described"]

_TEXTS = {
    400: "A parameter is unknown, or is none of its kind.",
    401: "The token is missing or wrong.",
    404: "There is no such store, or no such key.",
    422: "The answer has a value that JSON cannot hold.",
    501: "What it needs is not installed.",
    503: "Unavailable now; the text says why, and whether to try again.",
}
_ERROR = {
    "application/json": {
        "schema": {
            "type": "object",
            "properties": {"error": {"type": "string"}},
        }
    }
}


def described(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "headrace", "version": __version__},
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"token": []}],
        "paths": {route.path: {"get": _operation(route)} for route in routes},
    }


def _operation(route: Route) -> dict[str, Any]:
    statuses = sorted({400, 401, *route.statuses})
    return {
        "summary": route.summary,
        "parameters": [_parameter(each) for each in route.parameters],
        "responses": {
            "200": {
                "description": "The answer.",
                "content": {
                    each: {"schema": route.schema} if each == JSON else {} for each in route.media_types
                },
            },
            **{str(each): {"description": _TEXTS[each], "content": _ERROR} for each in statuses},
        },
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "path" if parameter.is_in_path else "query",
        "required": parameter.is_in_path,
        "description": parameter.text,
        "schema": parameter.schema,
    }
