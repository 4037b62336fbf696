"""A registry within the process behind HTTP: what `HttpRegistry` is tried on. It binds to 127.0.0.1."""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit
from uuid import UUID

from headrace.base.errors import SchemaRegistryError
from headrace.serde.registry.mock import MockRegistry
from headrace.serde.registry.schema import Reference, Registered, Schema


class HttpFront:
    """Serves a `MockRegistry` until it is left.

    Attributes:
        asked: what was asked: method, path, the Authorization header.
        answers: statuses with texts to answer the next calls with, in place of the registry.
        incompatible: subjects that take no other version.
    """

    def __init__(self, tls: tuple[Path, Path] | None = None) -> None:
        self.registry = MockRegistry()
        self.asked: list[tuple[str, str, str | None]] = []
        self.answers: list[tuple[int, str]] = []
        self.incompatible: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "http" if tls is None else "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, str]:
        """Answer one call."""
        if self.answers:
            return self.answers.pop(0)
        if path == "/token":
            return 200, json.dumps({"access_token": "made-token", "expires_in": 3600})
        parts = [unquote(part) for part in urlsplit(path).path.strip("/").split("/")]
        try:
            return 200, json.dumps(self._found(method, parts, json.loads(body or b"{}")))
        except SchemaRegistryError as error:
            return error.status, json.dumps({"error_code": error.status * 100 + 3, "message": str(error)})

    def _found(self, method: str, parts: list[str], given: dict[str, Any]) -> dict[str, Any]:
        match method, parts:
            case "POST", ["subjects", subject, *rest]:
                references = tuple(Reference(**each) for each in given.get("references", ()))
                schema = Schema(given.get("schemaType", "AVRO"), given["schema"], references)
                if not rest:
                    return _said(self.registry.lookup(subject, schema))
                known = self.registry.subjects.get(subject, [])
                if subject in self.incompatible and known and schema not in known:
                    raise SchemaRegistryError("the new field 'total' has no default", status=409)
                found = self.registry.register(subject, schema)
                return {"id": found.id, "guid": str(found.guid)}
            case "GET", ["subjects", subject, "versions", version]:
                return _said(self.registry.version(subject, None if version == "latest" else int(version)))
            case "GET", ["schemas", "ids", id]:
                return _said(self.registry.by_id(int(id)))
            case "GET", ["schemas", "guids", guid]:
                return _said(self.registry.by_guid(UUID(guid)))
            case _:
                raise SchemaRegistryError(f"there is no {'/'.join(parts)}", status=404)


def _said(found: Registered) -> dict[str, Any]:
    return {
        "schema": found.schema.text,
        "schemaType": found.schema.kind,
        "references": [
            {"name": each.name, "subject": each.subject, "version": each.version}
            for each in found.schema.references
        ],
        "id": found.id,
        "guid": str(found.guid),
        "subject": found.subject,
        "version": found.version,
    }


def _handler(front: HttpFront) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def _answer(self, method: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            front.asked.append((method, self.path, self.headers.get("Authorization")))
            status, text = front.answer(method, self.path, body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler
