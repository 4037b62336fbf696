"""What other instances of the application ask: one partition of a store, in MessagePack. See `query/questions.py`."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headrace.base.errors import HeadraceError
from headrace.query.connections import MEDIA_TYPE
from headrace.query.questions import AT_ONCE, read_question
from headrace.server.answers import as_json, problem_of
from headrace.streams.streams import Streams

__all__ = ["query_route"]

_log = logging.getLogger("headrace.server")

#: Threads that answer, which wait for nobody. Pages for people wait for other instances, and have other threads: two
#: instances whose threads all wait would wait for one another.
_THREADS_MAX = 16


def query_route(streams: Streams) -> Route:
    """Return the route. It is for instances alone, and has no place in the description."""
    encode = msgspec.msgpack.Encoder().encode
    threads = ThreadPoolExecutor(_THREADS_MAX, thread_name_prefix=f"{streams.application_id}-questions")

    async def query(request: Request) -> Response:
        if request.headers.get("content-type") != MEDIA_TYPE:
            return as_json({"error": f"a question of another instance is {MEDIA_TYPE}"}, 415)
        body = await request.body()
        try:
            question = read_question(body)
            if question.ask in AT_ONCE:
                answer = streams.answer(question)
            else:
                answer = await asyncio.get_running_loop().run_in_executor(threads, streams.answer, question)
        except HeadraceError as error:
            found = problem_of(error)
            assert found is not None
            return found
        except Exception:
            _log.exception("a question of another instance has failed")
            return as_json({"error": "the server has made a mistake, which its log tells"}, 500)
        return Response(encode(answer), media_type=MEDIA_TYPE)

    return Route("/query", query, methods=["POST"])
