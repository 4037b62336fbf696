"""Questions of other instances, answered straight from the bytes of their requests.

The way through h11, uvicorn and Starlette takes half a millisecond of a core, which the stream threads share; this one
a tenth of that. Whatever is not just such a question, whole, in one piece and with the right token,
goes the long way, where it gets its refusal.
"""

import hmac

import msgspec

from headrace.query.connections import MEDIA_TYPE
from headrace.query.questions import AT_ONCE, read_question
from headrace.server.guard import name_of
from headrace.streams.streams import Streams

__all__ = ["QuickQuestions"]

_BEGINNING = b"POST /query HTTP/1.1\r\n"
_HEAD_BYTES_MAX = 4 * 1024
_KNOWN = frozenset({b"content-type", b"content-length", b"authorization", b"host"})
_ANSWER = f"HTTP/1.1 200 OK\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: %d\r\n\r\n".encode()

_encode = msgspec.msgpack.Encoder().encode


class QuickQuestions:
    """For one server, with its token and the names under which it may be asked. Belongs to its event loop."""

    def __init__(self, streams: Streams, *, token: str | None, hosts: frozenset[str] | None) -> None:
        self._streams = streams
        self._token = None if token is None else token.encode()
        self._hosts = hosts

    def answer(self, data: bytes) -> bytes | None:
        """Return the answer to a request; None where it is for others."""
        if not data.startswith(_BEGINNING):
            return None
        end = data.find(b"\r\n\r\n", 0, _HEAD_BYTES_MAX)
        if end < 0:
            return None
        lines = data[len(_BEGINNING) : end].split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        body = data[end + 4 :]
        if len(headers) != len(lines) or not headers.keys() <= _KNOWN:
            return None
        if headers.get(b"content-length") != b"%d" % len(body):
            return None
        if headers.get(b"content-type") != MEDIA_TYPE.encode() or not self._may_ask(headers):
            return None
        try:
            question = read_question(body)
            if question.ask not in AT_ONCE:
                return None
            answer = _encode(self._streams.answer(question))
        except Exception:
            return None  # the long way says what it is
        return _ANSWER % len(answer) + answer

    def _may_ask(self, headers: dict[bytes, bytes]) -> bool:
        if self._hosts is not None and name_of(headers.get(b"host", b"")) not in self._hosts:
            return False
        if self._token is None:
            return True
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        return scheme == b"Bearer" and hmac.compare_digest(given, self._token)
