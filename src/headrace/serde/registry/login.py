"""Who asks the registry: the `Authorization` header, by a password, a token, or an OAuth server's token."""

import base64
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import msgspec

from headrace.base.errors import ConfigError, SchemaRegistryError
from headrace.serde.registry.options import RegistrySettings

__all__ = ["Login", "Post"]

#: (URL, body, headers) -> the answer's body.
Post = Callable[[str, bytes, Mapping[str, str]], bytes]

#: A token is asked for anew when this part of its life is over.
_LIFE_PART = 0.8


class Login:
    """Makes the headers that say who asks. Not safe to use from several threads.

    Raises:
        ConfigError: properties are missing, or contradict each other.
    """

    def __init__(
        self, settings: RegistrySettings, post: Post, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._post = post
        self._now = now
        self._token: tuple[str, float] | None = None  # with the time from which on another one is wanted
        source = settings.schema_registry_bearer_auth_credentials_source
        if source == "STATIC_TOKEN":
            _wanted(settings.schema_registry_bearer_auth_token, "bearer.auth.token", source)
        elif source == "OAUTHBEARER":
            _wanted(
                settings.schema_registry_bearer_auth_issuer_endpoint_url,
                "bearer.auth.issuer.endpoint.url",
                source,
            )
            _wanted(settings.schema_registry_bearer_auth_client_id, "bearer.auth.client.id", source)
            _wanted(settings.schema_registry_bearer_auth_client_secret, "bearer.auth.client.secret", source)
        if source is not None and self._basic_of_properties() is not None:
            raise ConfigError(
                "schema.registry.bearer.auth.credentials.source and schema.registry.basic.auth.credentials.source both "
                "log in: keep one"
            )

    def headers(self, url: str) -> dict[str, str]:
        """Return the headers for a call of this registry."""
        settings = self._settings
        source = settings.schema_registry_bearer_auth_credentials_source
        if source is not None:
            token = (
                settings.schema_registry_bearer_auth_token or ""
                if source == "STATIC_TOKEN"
                else self._fresh()
            )
            found = {"Authorization": f"Bearer {token}"}
            if (cluster := settings.schema_registry_bearer_auth_logical_cluster) is not None:
                found["target-sr-cluster"] = cluster
            if (pool := settings.schema_registry_bearer_auth_identity_pool_id) is not None:
                found["Confluent-Identity-Pool-Id"] = pool
            return found
        said = self._basic_of_properties() or _basic_of_url(url)
        return {} if said is None else {"Authorization": f"Basic {base64.b64encode(said.encode()).decode()}"}

    def _basic_of_properties(self) -> str | None:
        settings = self._settings
        match settings.schema_registry_basic_auth_credentials_source:
            case "USER_INFO":
                return _wanted(
                    settings.schema_registry_basic_auth_user_info, "basic.auth.user.info", "USER_INFO"
                )
            case "SASL_INHERIT":
                if settings.sasl_username is None or settings.sasl_password is None:
                    raise ConfigError(
                        "schema.registry.basic.auth.credentials.source is SASL_INHERIT, but sasl.username and "
                        "sasl.password are not both set"
                    )
                return f"{settings.sasl_username}:{settings.sasl_password}"
            case _:
                return None

    def _fresh(self) -> str:
        if self._token is None or self._token[1] <= self._now():
            settings = self._settings
            url = settings.schema_registry_bearer_auth_issuer_endpoint_url or ""
            scope = settings.schema_registry_bearer_auth_scope
            client = settings.schema_registry_bearer_auth_client_id
            said = f"{client}:{settings.schema_registry_bearer_auth_client_secret}"
            answer = self._post(
                url,
                urlencode(
                    {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
                ).encode(),
                {
                    "Authorization": f"Basic {base64.b64encode(said.encode()).decode()}",
                    "Content-Type": "application/x-www-form-urlencoded",
                },
            )
            try:
                found: Any = msgspec.json.decode(answer)
                token, seconds = str(found["access_token"]), float(found.get("expires_in", 60))
            except (msgspec.DecodeError, KeyError, TypeError, ValueError):
                raise SchemaRegistryError(
                    f"{url} gave no token for the schema registry: its answer has none"
                ) from None
            self._token = token, self._now() + seconds * _LIFE_PART
        return self._token[0]


def _wanted(value: str | None, name: str, source: str) -> str:
    if value is None:
        raise ConfigError(
            f"schema.registry.{name} is not set, but credentials.source is {source}: set it, best in the environment"
        )
    return value


def _basic_of_url(url: str) -> str | None:
    parts = urlsplit(url)
    if parts.username is None:
        return None
    return f"{unquote(parts.username)}:{unquote(parts.password or '')}"
