#!/usr/bin/env bash
# starlette 1.10.0: Route("/admin") also answers /admin%0A, since the pattern that it makes of a path ends with $, which
# matches before a last newline. Whoever guards or counts by scope["path"], as a middleware does, sees another path than the one
# that is routed: a guard of "/admin" lets "/admin\n" through, and the endpoint runs.
# Guessed: a route without parameters matches its path, and nothing else.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check starlette==1.10.0
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def admin(request):
    return PlainTextResponse("secret")


inner = Starlette(routes=[Route("/admin", admin)])


async def guarded(scope, receive, send):
    if scope["path"] == "/admin":
        await PlainTextResponse("no", 403)(scope, receive, send)
    else:
        await inner(scope, receive, send)


async def status_of(path):
    found = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        found.append(message.get("status"))

    scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "query_string": b"", "headers": []}
    await guarded(scope, receive, send)
    return found[0]


answers = {path: asyncio.run(status_of(path)) for path in ("/admin", "/admin\n", "/admin\n\n", "/admin ")}
print(answers)
assert answers == {"/admin": 403, "/admin\n": 200, "/admin\n\n": 404, "/admin ": 404}
PYTHON
