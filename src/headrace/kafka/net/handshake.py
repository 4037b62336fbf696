"""What is said at the begin of a connection, and again before a login ends: versions, then the login. No IO.

Each is a generator: it yields a request, with its version set, and is sent the answer. Sources: KIP-35, KIP-43,
KIP-152, KIP-368, KIP-511.
"""

from collections.abc import Generator
from functools import cache
from typing import Any, NamedTuple, TypeAlias, TypeVar

from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.net.client_logging import quietly
from headrace.kafka.net.errors import NetworkError
from headrace.kafka.net.messages import ApiMessage, BrokerVersions
from headrace.kafka.net.security.logins import Login

__all__ = ["Dialogue", "Session", "greet", "log_in"]

_R = TypeVar("_R")

#: Requests out, answers in, a result at the end.
Dialogue: TypeAlias = Generator[ApiMessage, ApiMessage, _R]

# The oldest broker that headrace is made for is 2.5; what sets it apart is OffsetFetch 7, which knows *stable* offsets.
_OFFSET_FETCH_KEY = 9
_OFFSET_FETCH_STABLE = 7

# Version 1 is followed by SaslAuthenticate requests (KIP-152); all brokers that are new enough have it.
_SASL_HANDSHAKE = 1


class Session(NamedTuple):
    """What a connection knows after its handshake. `lifetime_ms` is 0 where the login does not end."""

    versions: BrokerVersions
    lifetime_ms: int


def greet(login: Login | None) -> Dialogue[Session]:
    """Ask for versions and features, then log in.

    Raises:
        NetworkError: the broker is too old, or does not let us in.
    """
    versions = yield from _learn_versions()
    lifetime_ms = 0 if login is None else (yield from log_in(login, versions))
    return Session(versions, lifetime_ms)


def _learn_versions() -> Dialogue[BrokerVersions]:
    from kafka.protocol.metadata import ApiVersionsRequest

    version: int = ApiVersionsRequest.max_version
    while True:
        answer = yield ApiVersionsRequest(
            version=version, client_software_name="headrace", client_software_version=_software_version()
        )
        code = ErrorCode(answer.error_code)
        ranges = {each.api_key: (each.min_version, each.max_version) for each in answer.api_keys}
        if code is ErrorCode.NONE:
            break
        if code is not ErrorCode.UNSUPPORTED_VERSION or version == 0:
            raise NetworkError(f"it refused to tell its versions ({code.name})", is_fatal=True)
        # The refusal itself is in version 0 and says what the broker has; very old ones say nothing.
        version = min(ranges.get(ApiVersionsRequest.API_KEY, (0, 0))[1], version - 1)
    if ranges.get(_OFFSET_FETCH_KEY, (0, 0))[1] < _OFFSET_FETCH_STABLE:
        raise NetworkError("it is too old: headrace needs Kafka 2.5 or later", is_fatal=True)
    return BrokerVersions(
        ranges, {each.name: each.max_version_level for each in answer.finalized_features or ()}
    )


def log_in(login: Login, versions: BrokerVersions) -> Dialogue[int]:
    """Log in; return for how long that holds (ms), 0 for as long as the connection does.

    Raises:
        NetworkError: the broker does not take the mechanism, or not these credentials.
    """
    from kafka.protocol.sasl import SaslAuthenticateRequest, SaslHandshakeRequest

    name = login.mechanism
    shake = yield SaslHandshakeRequest(version=_SASL_HANDSHAKE, mechanism=name)
    code = ErrorCode(shake.error_code)
    if code is not ErrorCode.NONE:
        raise NetworkError(_refused_mechanism(name, code, shake.mechanisms), is_fatal=True)
    with quietly():
        mechanism = _start(login)
    lifetime_ms = 0
    version = versions.choose(SaslAuthenticateRequest, None)
    while not mechanism.is_done():
        with quietly():
            token = _token(name, mechanism)
        answer = yield SaslAuthenticateRequest(version=version, auth_bytes=token)
        if ErrorCode(answer.error_code) is not ErrorCode.NONE:
            raise NetworkError(_refused(name, answer.error_message), is_fatal=True)
        # Version 0 has none.
        lifetime_ms = getattr(answer, "session_lifetime_ms", 0) or 0
        try:
            with quietly():
                mechanism.receive(bytes(answer.auth_bytes))
        except Exception as error:
            # What the mechanism cannot make sense of: a broker that does not prove to know the password, say.
            raise NetworkError(_refused(name, f"{type(error).__name__}: {error}"), is_fatal=True) from error
    if not mechanism.is_authenticated():
        raise NetworkError(_refused(name, None), is_fatal=True)
    return lifetime_ms


def _start(login: Login) -> Any:
    try:
        return login.start()
    except Exception as error:
        # No Kerberos ticket, no AWS credentials.
        raise NetworkError(
            f"the login with {login.mechanism} cannot begin: {error}", is_fatal=True
        ) from error


def _token(name: str, mechanism: Any) -> bytes:
    try:
        token: bytes = mechanism.auth_bytes()
    except Exception as error:
        # A token endpoint may be away for a moment.
        raise NetworkError(f"the login with {name} cannot go on: {error}") from error
    return token


def _refused_mechanism(name: str, code: ErrorCode, mechanisms: Any) -> str:
    if code is ErrorCode.UNSUPPORTED_SASL_MECHANISM:
        enabled = ", ".join(mechanisms or ()) or "none"
        return f"it does not take sasl.mechanism={name} (enabled there: {enabled})"
    if code is ErrorCode.ILLEGAL_SASL_STATE:
        return "this port takes no login: set security.protocol to PLAINTEXT or SSL"
    return f"it refused the login ({code.name})"


def _refused(name: str, said: str | None) -> str:
    reason = f": {said}" if said else ""
    return f"it refused the login with {name}{reason}; check sasl.jaas.config (or sasl.username and sasl.password)"


@cache
def _software_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("headrace")
    except PackageNotFoundError:
        return "0"
