"""What goes out: JSON for people, and errors as one sentence with a status."""

import msgspec
from starlette.responses import Response

from headrace.base.errors import (
    HeadraceError,
    SerializationError,
    StoreUnavailableError,
    TopologyError,
)
from headrace.query.formats import plain

__all__ = ["JSON", "UNWRITABLE", "Problem", "as_json", "problem_of"]

JSON = "application/json"

#: What a value of the user's own that JSON has no place for raises, such as a number of 70 bits.
UNWRITABLE = (OverflowError, TypeError, ValueError, RecursionError)

_encode = msgspec.json.Encoder(enc_hook=plain).encode

#: How long to wait before the next try, for who is told that a store is unavailable (seconds).
_RETRY_AFTER = {"retry-after": "1"}


class Problem(Exception):  # noqa: N818 - what a request meets, seldom an error of ours
    """An answer that is a refusal: its status, and what to do about it in one sentence."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def as_json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with a document."""
    try:
        body = _encode(value)
    except UNWRITABLE as error:
        return as_json({"error": f"the answer cannot be written as JSON: {error}"}, 422)
    return Response(body, status, headers, media_type=JSON)


def problem_of(error: Exception) -> Response | None:
    """Answer for what a handler has raised; None where it is a mistake of ours."""
    if isinstance(error, Problem):
        return as_json({"error": str(error)}, error.status)
    if isinstance(error, StoreUnavailableError):
        return as_json({"error": str(error)}, 503, _RETRY_AFTER)
    if isinstance(error, TopologyError):
        return as_json({"error": str(error)}, 404)
    if isinstance(error, SerializationError):
        return as_json({"error": str(error)}, 400)
    if isinstance(error, HeadraceError):
        return as_json({"error": str(error)}, 503, _RETRY_AFTER)
    return None
