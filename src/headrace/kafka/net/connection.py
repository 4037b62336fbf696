"""One connection to a broker: kafka-python's, with our frames, our handshake, and the features that brokers tell."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from kafka.errors import IncompatibleBrokerVersion, KafkaTimeoutError
from kafka.net.connection import KafkaConnection
from kafka.net.sasl import get_sasl_mechanism
from kafka.protocol.metadata import ApiVersionsRequest
from kafka.protocol.parser import KafkaProtocol
from kafka.protocol.sasl import SaslAuthenticateRequest, SaslBytesRequest, SaslHandshakeRequest

from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.net.errors import NetworkError
from headrace.kafka.net.frames import FrameStream
from headrace.kafka.net.security.logins import Security

__all__ = ["BrokerVersions", "Connection"]

_log = logging.getLogger(__name__)

# The oldest broker that headrace is made for is 2.5; what sets it apart is OffsetFetch 7, which knows *stable* offsets.
_OFFSET_FETCH_KEY = 9
_OFFSET_FETCH_STABLE = 7


class BrokerVersions:
    """The versions of each request that a broker has. Has what kafka-python asks of its own BrokerVersionData."""

    # It asks this to know who sleeps when a broker throttles: since 2.0 the client does.
    broker_version = (2, 5)

    def __init__(self, ranges: Mapping[int, tuple[int, int]], features: Mapping[str, int]) -> None:
        self.ranges = ranges
        self.features = features

    def newest(self, request: Any) -> int | None:
        """Return the newest version of a request (class or instance) that the broker and kafka-python share."""
        known = self.ranges.get(request.API_KEY)
        if known is None or known[0] > request.max_version:
            return None
        version: int = min(known[1], request.max_version)
        return version

    def api_version(self, request: Any) -> int:
        """Return the version in which to send a request, kafka-python's way.

        Raises:
            IncompatibleBrokerVersion: the broker does not have it.
        """
        version = self.newest(request)
        least, most = request._min_version or 0, request._max_version
        if version is not None and most is not None:
            version = min(version, most)
        if version is None or version < max(least, self.ranges[request.API_KEY][0]):
            raise IncompatibleBrokerVersion(
                f"the broker does not have {request.name} in a version that we know"
            )
        return version


class _FrameProtocol(KafkaProtocol):  # type: ignore[misc]  # kafka-python has no types
    """Decodes whole frames, which the transport has cut, instead of pieces of them."""

    def receive_bytes(self, data: memoryview) -> list[Any]:
        return [self._process_response(FrameStream(data))]


class Connection(KafkaConnection):  # type: ignore[misc]  # kafka-python has no types
    """A connection that a Network makes, uses and closes."""

    def __init__(
        self, selector: Any, node_id: int, *, client_id: str, request_timeout_ms: int, security: Security
    ) -> None:
        super().__init__(
            selector,
            node_id=node_id,
            client_id=client_id,
            request_timeout_ms=request_timeout_ms,
            # Those who send know how much they have under way; here a limit would only fail requests.
            max_in_flight_requests_per_connection=1 << 30,
            security_protocol=security.protocol,
            sasl_mechanism=security.mechanism,
        )
        self._login = security.login
        self.throttled_ms = 0

    def connection_made(self, transport: Any) -> None:
        """Take over a transport that is connected."""
        super().connection_made(transport)
        self.parser = _FrameProtocol(client_id=self.config["client_id"], ident=f"node={self.node_id}")

    async def _get_api_versions(self, timeout_at: float | None = None) -> None:
        """Ask for versions and features; kafka-python keeps only the versions."""
        version = ApiVersionsRequest.max_version
        while True:
            request = ApiVersionsRequest(
                version=version, client_software_name="headrace", client_software_version=_software_version()
            )
            answer = await self._send_request(request, timeout_at=timeout_at)
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
        features = {each.name: each.max_version_level for each in answer.finalized_features or ()}
        self.broker_version_data = BrokerVersions(ranges, features)

    async def _sasl_authenticate(self, timeout_at: float | None = None) -> None:
        """Log in, at the start and (KIP-368) again before a session ends. Source: KIP-43, KIP-152."""
        if timeout_at is None:
            timeout_at = self._timeout_at()
        name = self.config["sasl_mechanism"]
        shake = await self._send_request(
            SaslHandshakeRequest(mechanism=name, max_version=1), timeout_at=timeout_at
        )
        code = ErrorCode(shake.error_code)
        if code is not ErrorCode.NONE:
            raise NetworkError(_refused_handshake(name, code, shake.mechanisms), is_fatal=True)
        mechanism = _start_login(name, host=self.transport.host, **self.config | self._login)
        answer = None
        while not mechanism.is_done():
            if time.monotonic() > timeout_at:
                raise KafkaTimeoutError("the login took too long")
            token = mechanism.auth_bytes()
            kind = SaslAuthenticateRequest if shake.API_VERSION == 1 else SaslBytesRequest
            answer = await self._send_request(kind(token), timeout_at=timeout_at)
            code = ErrorCode(answer.error_code)
            if code is not ErrorCode.NONE:
                raise NetworkError(
                    _refused_login(name, getattr(answer, "error_message", None)), is_fatal=True
                )
            if shake.API_VERSION == 0 and mechanism.is_done():
                break
            try:
                mechanism.receive(bytes(answer.auth_bytes))
            except Exception as error:
                # What the mechanism cannot make sense of: a broker that does not prove to know the password, say.
                said = f"{type(error).__name__}: {error}"
                raise NetworkError(_refused_login(name, said), is_fatal=True) from error
        if not mechanism.is_authenticated():
            raise NetworkError(_refused_login(name, None), is_fatal=True)
        if shake.API_VERSION == 1 and answer is not None:
            self._reauth.session_updated(answer.session_lifetime_ms)
        _log.debug("%s: %s", self, mechanism.auth_details())

    def _maybe_throttle(self, response: Any) -> None:
        self.throttled_ms += getattr(response, "throttle_time_ms", 0) or 0
        super()._maybe_throttle(response)


def _start_login(name: str, **arguments: object) -> Any:
    try:
        return get_sasl_mechanism(name)(**arguments)
    except Exception as error:
        # No Kerberos ticket, no AWS credentials.
        raise NetworkError(f"the login with {name} cannot begin: {error}", is_fatal=True) from error


def _refused_handshake(name: str, code: ErrorCode, mechanisms: Any) -> str:
    if code is ErrorCode.UNSUPPORTED_SASL_MECHANISM:
        enabled = ", ".join(mechanisms or ()) or "none"
        return f"it does not take sasl.mechanism={name} (enabled there: {enabled})"
    if code is ErrorCode.ILLEGAL_SASL_STATE:
        return "this port takes no login: set security.protocol to PLAINTEXT or SSL"
    return f"it refused the login ({code.name})"


def _refused_login(name: str, said: str | None) -> str:
    reason = f": {said}" if said else ""
    return f"it refused the login with {name}{reason}; check sasl.jaas.config (or sasl.username and sasl.password)"


def _software_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("headrace")
    except PackageNotFoundError:
        return "0"
