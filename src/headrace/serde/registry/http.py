"""A registry over HTTP: one connection a call, since each schema is asked for once."""

import threading
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

import msgspec

from headrace.base.errors import SchemaRegistryError, SchemaRegistryUnavailableError
from headrace.serde.registry.login import Login
from headrace.serde.registry.options import RegistrySettings
from headrace.serde.registry.schema import Reference, Registered, Schema
from headrace.serde.registry.tls import tls_context

__all__ = ["HttpRegistry"]

_CONTENT = "application/vnd.schemaregistry.v1+json"

#: Answers after which the same request may be answered otherwise.
_PASSING = frozenset({408, 429, 500, 502, 503, 504})

#: A registry that answers more than this is none.
_ANSWER_BYTES_MAX = 64 << 20


class HttpRegistry:
    """Asks a registry, the first of several addresses that answers; see `RegistryClient`.

    Raises:
        ConfigError: properties of TLS or of the login contradict each other, or files cannot be read.
    """

    def __init__(self, settings: RegistrySettings, sleep: Callable[[float], object] = time.sleep) -> None:
        self._settings = settings
        self._sleep = sleep
        self._urls = list(settings.schema_registry_url)
        self._login = Login(settings, self._post)
        urls = [*self._urls, settings.schema_registry_bearer_auth_issuer_endpoint_url or ""]
        self._tls = tls_context(settings) if any(url.startswith("https:") for url in urls) else None
        self._lock = threading.Lock()

    def register(self, subject: str, schema: Schema, *, normalize: bool) -> Registered:
        """Register a schema, or find it."""
        found = self._ask(
            "POST",
            f"/subjects/{quote(subject, safe='')}/versions{'?normalize=true' if normalize else ''}",
            _body(schema),
        )
        return _registered(found, schema)

    def lookup(self, subject: str, schema: Schema, *, normalize: bool) -> Registered:
        """Find a schema under a subject."""
        found = self._ask(
            "POST",
            f"/subjects/{quote(subject, safe='')}{'?normalize=true' if normalize else ''}",
            _body(schema),
        )
        return _registered(found, schema)

    def version(self, subject: str, version: int | None) -> Registered:
        """Return a version of a subject, the latest one if None."""
        last = "latest" if version is None else version
        return _registered(self._ask("GET", f"/subjects/{quote(subject, safe='')}/versions/{last}"), None)

    def by_id(self, id: int) -> Registered:
        """Return the schema of an id."""
        return _registered({**self._ask("GET", f"/schemas/ids/{id}"), "id": id}, None)

    def by_guid(self, guid: UUID) -> Registered:
        """Return the schema of a GUID."""
        return _registered({"id": 0, "guid": str(guid), **self._ask("GET", f"/schemas/guids/{guid}")}, None)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        with self._lock:
            answer = self._tried(method, path, body)
        try:
            found = msgspec.json.decode(answer)
        except msgspec.DecodeError:
            found = None
        if not isinstance(found, dict):
            raise SchemaRegistryError(
                f"{method} {path} was answered with something else than an object of JSON: is {self._urls[0]} the "
                "address of a schema registry?"
            )
        return found

    def _tried(self, method: str, path: str, body: bytes | None) -> bytes:
        settings = self._settings
        wait_ms = settings.schema_registry_retries_wait_ms
        reason = ""
        for attempt in range(settings.schema_registry_max_retries + 1):
            if attempt:
                self._sleep(wait_ms / 1000)
                wait_ms = min(wait_ms * 2, settings.schema_registry_retries_max_wait_ms)
            for url in list(self._urls):
                try:
                    headers = {"Accept": f"{_CONTENT}, application/json", **self._login.headers(url)}
                    if body is not None:
                        headers["Content-Type"] = _CONTENT
                    status, answer = self._call(method, url, path, body, headers)
                except (OSError, HTTPException) as error:
                    reason = f"{_shown(url)}: {str(error) or type(error).__name__}"
                else:
                    if status not in _PASSING:
                        self._put_first(url)
                        return _accepted(status, answer, f"{method} {path}")
                    reason = f"{_shown(url)}: {status} {_message(answer)}"
        raise SchemaRegistryUnavailableError(
            f"the schema registry does not answer {method} {path} ({reason})"
        )

    def _put_first(self, url: str) -> None:
        if self._urls[0] != url:
            self._urls.sort(key=lambda each: each != url)

    def _call(
        self, method: str, url: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        parts = urlsplit(url)
        timeout = self._settings.schema_registry_http_read_timeout_ms / 1000
        host = parts.hostname or ""
        connection: HTTPConnection
        if parts.scheme == "https":
            connection = HTTPSConnection(host, parts.port, timeout=timeout, context=self._tls)
        else:
            connection = HTTPConnection(host, parts.port, timeout=timeout)
        try:
            query = f"?{parts.query}" if parts.query else ""
            connection.request(method, parts.path.rstrip("/") + path + query or "/", body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read(_ANSWER_BYTES_MAX)
        finally:
            connection.close()

    def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Ask an OAuth server for a token."""
        status, answer = self._call("POST", url, "", body, headers)
        if status in _PASSING:
            raise OSError(f"{_shown(url)} answered {status}")
        if status != 200:
            raise SchemaRegistryError(
                f"{_shown(url)} gives no token for the schema registry: {status} {_message(answer)}; check "
                "schema.registry.bearer.auth.client.id and its secret",
                status=status,
            )
        return answer


def _body(schema: Schema) -> bytes:
    found: dict[str, object] = {"schema": schema.text}
    if schema.kind != "AVRO":  # which is what a registry takes one for that does not say
        found["schemaType"] = schema.kind
    if schema.references:
        found["references"] = [
            {"name": each.name, "subject": each.subject, "version": each.version}
            for each in schema.references
        ]
    return msgspec.json.encode(found)


def _registered(found: Mapping[str, Any], asked: Schema | None) -> Registered:
    try:
        if asked is None:
            references = tuple(
                Reference(str(each["name"]), str(each["subject"]), int(each["version"]))
                for each in found.get("references") or ()
            )
            asked = Schema(found.get("schemaType") or "AVRO", str(found["schema"]), references)
        guid = found.get("guid")
        return Registered(
            asked,
            int(found["id"]),
            None if guid is None else UUID(guid),
            found.get("subject"),
            found.get("version"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SchemaRegistryError(
            f"the schema registry's answer has no schema that can be read ({error!r})"
        ) from error


def _accepted(status: int, answer: bytes, attempt: str) -> bytes:
    if status == 200:
        return answer
    advice = ""
    if status in {401, 403}:
        advice = "; see the properties schema.registry.basic.auth.* and schema.registry.bearer.auth.*"
    raise SchemaRegistryError(
        f"the schema registry answers {attempt} with {status}: {_message(answer)}{advice}", status=status
    )


def _message(answer: bytes) -> str:
    try:
        found = msgspec.json.decode(answer)
        return str(found["message"]).strip()
    except (msgspec.DecodeError, KeyError, TypeError):
        return answer[:300].decode(errors="replace").strip() or "nothing"


def _shown(url: str) -> str:
    """Return an address without user and password."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"
