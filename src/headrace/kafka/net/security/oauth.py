"""Tokens for SASL/OAUTHBEARER: from a function of the user's, a token endpoint, or unsigned for development."""

import base64
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from headrace.base.errors import ConfigError
from headrace.kafka.net.errors import NetworkError
from headrace.kafka.net.security.jaas import Jaas
from headrace.kafka.options import ConnectionSettings

__all__ = ["EndpointTokens", "token_source", "unsigned_token"]

_UNSIGNED_CLAIM = "unsecuredLoginStringClaim_"
_UNSIGNED_S = 3600
# A token is asked for anew when this share of its life is over: the same as Kafka's sasl.login.refresh.window.factor.
_REFRESH_SHARE = 0.8
_ANSWER_BYTES_MAX = 1 << 20


def token_source(settings: ConnectionSettings, jaas: Jaas | None) -> Callable[[], str]:
    """Return a function that gives a valid token each time it is called.

    Raises:
        ConfigError: nothing says where a token comes from.
    """
    if settings.sasl_oauthbearer_token_provider is not None:
        return settings.sasl_oauthbearer_token_provider
    options: Mapping[str, str] = {} if jaas is None else jaas.options
    url = settings.sasl_oauthbearer_token_endpoint_url
    if url is not None:
        identity = settings.sasl_oauthbearer_client_credentials_client_id or options.get("clientId")
        secret = settings.sasl_oauthbearer_client_credentials_client_secret or options.get("clientSecret")
        if not identity or not secret:
            raise ConfigError(
                "sasl.oauthbearer.token.endpoint.url needs sasl.oauthbearer.client.credentials.client.id and "
                "sasl.oauthbearer.client.credentials.client.secret (or clientId and clientSecret in sasl.jaas.config)"
            )
        if not url.startswith(("https://", "http://")):
            raise ConfigError(
                f"sasl.oauthbearer.token.endpoint.url is {url!r}; write an address that begins with https://"
            )
        scope = settings.sasl_oauthbearer_scope or options.get("scope")
        timeout_s = settings.socket_connection_setup_timeout_ms / 1000
        return EndpointTokens(url, identity, secret, scope, timeout_s=timeout_s)
    claims = {
        name.removeprefix(_UNSIGNED_CLAIM): value
        for name, value in options.items()
        if name.startswith(_UNSIGNED_CLAIM)
    }
    if claims:
        return lambda: unsigned_token(claims, time.time())
    raise ConfigError(
        "sasl.mechanism=OAUTHBEARER needs a token: set sasl.oauthbearer.token.provider to a function, or "
        "sasl.oauthbearer.token.endpoint.url with a client id and secret"
    )


def unsigned_token(claims: Mapping[str, str], now_s: float) -> str:
    """Make a token that nobody signed, which brokers take in development only. Source: KIP-255."""
    # Whole seconds: a broker's clock has no fractions of a ms, and a token that is issued later than now is refused.
    body = {**claims, "iat": int(now_s), "exp": int(now_s) + _UNSIGNED_S}
    return f"{_encoded({'alg': 'none'})}.{_encoded(body)}."


def _encoded(value: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


class EndpointTokens:
    """Asks a token endpoint with a client's id and secret (RFC 6749, section 4.4), and keeps a token while it is good.

    Source: KIP-768. Blocks the thread that connects for `timeout_s` at most.
    """

    def __init__(self, url: str, identity: str, secret: str, scope: str | None, *, timeout_s: float) -> None:
        self._url = url
        # The two are form-encoded before they are joined (RFC 6749, section 2.3.1).
        pair = f"{urllib.parse.quote_plus(identity)}:{urllib.parse.quote_plus(secret)}"
        self._authorization = "Basic " + base64.b64encode(pair.encode()).decode()
        self._form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
        self._timeout_s = timeout_s
        self._token = ""
        self._refresh_at = 0.0

    def __call__(self) -> str:
        """Return a valid token.

        Raises:
            NetworkError: the endpoint cannot be reached, or refuses.
        """
        if not self._token or time.monotonic() >= self._refresh_at:
            answer = self._ask()
            token, lifetime_s = answer.get("access_token"), answer.get("expires_in", 0)
            if not isinstance(token, str) or not token or "\x01" in token:
                raise NetworkError(
                    f"token endpoint {self._url}: its answer has no access_token", is_fatal=True
                )
            self._token = token
            seconds = float(lifetime_s) if isinstance(lifetime_s, int | float) else 0.0
            self._refresh_at = time.monotonic() + seconds * _REFRESH_SHARE
        return self._token

    def _ask(self) -> Mapping[str, Any]:
        request = urllib.request.Request(
            self._url,
            data=urllib.parse.urlencode(self._form).encode(),
            headers={"Authorization": self._authorization, "Accept": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as response:
                answer = json.loads(response.read(_ANSWER_BYTES_MAX))
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(200).decode(errors="replace").strip()
            is_fatal = 400 <= error.code < 500 and error.code not in {408, 429}
            raise NetworkError(
                f"token endpoint {self._url}: it answered {error.code} ({said}); check client id and secret",
                is_fatal=is_fatal,
            ) from error
        except OSError as error:
            raise NetworkError(f"token endpoint {self._url}: {getattr(error, 'reason', error)}") from error
        except ValueError as error:
            raise NetworkError(f"token endpoint {self._url}: its answer is no JSON", is_fatal=True) from error
        if not isinstance(answer, dict):
            raise NetworkError(f"token endpoint {self._url}: its answer is no JSON object", is_fatal=True)
        return answer
