"""A route: where it is, what it takes, and who answers; and how it becomes one of Starlette's."""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from headrace.base.errors import HeadraceError
from headrace.server.answers import JSON, Problem, as_json, problem_of
from headrace.server.parameters import Given, Parameter, read

__all__ = ["Route", "bound", "exact"]

_log = logging.getLogger("headrace.server")


@dataclass(frozen=True, slots=True)
class Route:
    """One of the server's questions.

    Attributes:
        path: as OpenAPI writes it.
        summary: one line for people.
        answer: is given the parameters, and returns a document, or a response of another kind.
        statuses: what it answers with beside 200, 400 and 401.
        schema: JSON schema of the document.
        media_types: of the answer.
        blocks: whether `answer` may wait for a disk or another instance: it runs in a thread of the pool. One that does
            not may be a coroutine function.
    """

    path: str
    summary: str
    answer: Callable[[Given], object]
    parameters: Sequence[Parameter] = ()
    statuses: Sequence[int] = ()
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "object"})
    media_types: Sequence[str] = (JSON,)
    blocks: bool = True


class _AnyText(Convertor[str]):
    """The rest of a path, whatever is in it. Starlette's own takes no newline, and would drop one at the end."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


def exact(route: StarletteRoute) -> StarletteRoute:
    """Let a route match its paths and no others: a `$`, as Starlette has it, matches before a last newline too."""
    route.path_regex = re.compile(route.path_regex.pattern.removesuffix("$") + r"\Z")
    return route


def bound(route: Route) -> StarletteRoute:
    """Return it for Starlette. A key in a path may have slashes."""

    async def answer(request: Request) -> Response:
        try:
            given = read(route.parameters, request.path_params, request.scope["query_string"])
            found = await run_in_threadpool(route.answer, given) if route.blocks else route.answer(given)
            if isawaitable(found):
                found = await found
            return found if isinstance(found, Response) else as_json(found)
        except (Problem, HeadraceError, TimeoutError) as error:
            response = problem_of(error)
            return response if response is not None else as_json({"error": str(error)}, 503)
        except Exception:
            _log.exception("a request for %s has failed", route.path)
            return as_json({"error": "the server has made a mistake, which its log tells"}, 500)

    register_url_convertor("headrace_key", _AnyText())
    return StarletteRoute(route.path.replace("{key}", "{key:headrace_key}"), answer, methods=["GET"])
