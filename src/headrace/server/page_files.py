"""The page for people at `/`: files that the browser fetches from here, and from nowhere else.

They hold no data of the application, so they are given without the token: a browser cannot send one before a page has
asked for it. What the page shows comes from the other routes, which want it.
"""

import hashlib
from collections.abc import Sequence
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headrace.server.answers import as_json

__all__ = ["is_page", "page_routes"]

_MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

#: Scripts and styles of this server alone, none within the page; nothing frames it, and it sends nothing anywhere else.
_HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

_DIRECTORY = "page/"


def is_page(path: str) -> bool:
    """Whether a path is one of the page's, which anybody may have."""
    return path == "/" or path.startswith(f"/{_DIRECTORY}")


def page_routes() -> Sequence[Route]:
    """Return the routes. All files are in memory from then on: there are a dozen small ones."""
    found = {
        each.name: _File(each.name, each.read_bytes())
        for each in (files("headrace.server") / "page").iterdir()
        if each.name.rpartition(".")[2] in _MEDIA_TYPES
    }

    async def index(request: Request) -> Response:
        return found["index.html"].answer(request)

    async def file(request: Request) -> Response:
        wanted = found.get(request.path_params["name"])
        if wanted is None:
            return as_json({"error": "the page has no such file"}, 404)
        return wanted.answer(request)

    return (
        Route("/", index, methods=["GET"]),
        Route(f"/{_DIRECTORY}{{name}}", file, methods=["GET"]),
    )


class _File:
    def __init__(self, name: str, data: bytes) -> None:
        self._data = data
        self._headers = {
            **_HEADERS,
            "content-type": _MEDIA_TYPES[name.rpartition(".")[2]],
            "etag": f'"{hashlib.sha256(data).hexdigest()[:20]}"',
        }

    def answer(self, request: Request) -> Response:
        """Give it, or say that the browser has it already."""
        if request.headers.get("if-none-match") == self._headers["etag"]:
            return Response(status_code=304, headers=self._headers)
        return Response(self._data, headers=self._headers)
