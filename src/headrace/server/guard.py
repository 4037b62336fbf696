"""What stands before all routes: the token, names that it is asked under, and limits to what a request brings."""

import asyncio
import hmac
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace.server.answers import as_json
from headrace.server.page_files import is_page

__all__ = ["Guard", "name_of"]

#: What a path with its query may have; brokers allow longer keys, which `/query` takes.
_TARGET_BYTES_MAX = 8 * 1024
_BODY_BYTES_MAX = 1024 * 1024

#: How long a client may take for the next part of a body.
_BODY_SECONDS = 10.0

#: Answers without a token: it says nothing but alive or not, and who asks it often has none.
_OPEN = frozenset({"/health/live"})


class _Refused(Exception):  # noqa: N818 - of the request
    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class Guard:
    """An ASGI application around another one.

    Args:
        token: what `Authorization: Bearer` has to bring; None lets everybody in.
        is_closing: whether the server is closing, which cancels what is still to be answered.
        hosts: names under which it may be asked, so that no page of another site can ask it through the browser of who
            reads that (DNS rebinding); None allows any.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str | None,
        hosts: frozenset[str] | None = None,
        is_closing: Callable[[], bool] = lambda: False,
    ) -> None:
        self._app = app
        self._is_closing = is_closing
        self._token = None if token is None else token.encode()
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1003})
                return
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        has_begun = False

        async def sent(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, _limited(receive), sent)
        except _Refused as refused:
            if not has_begun:
                await refused.response(scope, receive, send)
        except asyncio.CancelledError:
            # uvicorn would say "Internal Server Error", and log it as a mistake. Whoever mounts us cancels for reasons
            # of its own, and wants to see it.
            if has_begun or not self._is_closing():
                raise
            await _closing()(scope, receive, send)

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> Response | None:
        raw_path = scope.get("raw_path") or b""
        if len(raw_path) + len(scope["query_string"]) > _TARGET_BYTES_MAX:
            return _said(414, f"path and query are longer than {_TARGET_BYTES_MAX} bytes")
        try:
            unquote_to_bytes(raw_path).decode()
        except UnicodeDecodeError:
            return _said(400, "the path is no percent-encoded UTF-8")
        if self._hosts is not None and name_of(headers.get(b"host", b"")) not in self._hosts:
            return _said(
                421, "this server is not asked under that name: use the one that it was started with"
            )
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if self._token is not None and path not in _OPEN and not is_page(path):
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self._token):
                return as_json(
                    {"error": "a token is needed: Authorization: Bearer TOKEN"},
                    401,
                    {"www-authenticate": "Bearer"},
                )
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > _BODY_BYTES_MAX:
            return _too_large()
        return None


def _said(status: int, text: str) -> Response:
    return as_json({"error": text}, status)


def _closing() -> Response:
    text = "the server is closing, since its application ends: ask again when it is back, or another instance"
    return as_json({"error": text}, 503, {"retry-after": "1"})


def _too_large() -> Response:
    return _said(413, f"the body is larger than {_BODY_BYTES_MAX} bytes")


def name_of(host: bytes) -> str:
    """Return the name in a Host header, without its port."""
    text = host.decode("latin-1").lower()
    return text[: text.find("]") + 1] if text.startswith("[") else text.partition(":")[0]


def _limited(receive: Receive) -> Receive:
    size = 0
    is_whole = False

    async def limited() -> Message:
        nonlocal size, is_whole
        if is_whole:
            return await receive()  # waits for the client to leave, however long that is
        try:
            message = await asyncio.wait_for(receive(), _BODY_SECONDS)
        except TimeoutError:
            raise _Refused(_said(408, "the body did not come in time")) from None
        size += len(message.get("body", b""))
        if size > _BODY_BYTES_MAX:
            raise _Refused(_too_large())
        is_whole = not message.get("more_body", False)
        return message

    return limited
