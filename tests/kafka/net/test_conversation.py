"""A conversation with a broker, event by event: what goes out when, who hears of what, what ends it."""

import logging
import struct
from collections.abc import Callable
from typing import Any

import pytest
from kafka.protocol.consumer import HeartbeatRequest
from kafka.protocol.metadata import ApiVersionsResponse, MetadataRequest
from kafka.protocol.sasl import SaslAuthenticateResponse, SaslHandshakeResponse

from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.metadata import metadata_request
from headrace.kafka.net.conversation import Conversation, Phase
from headrace.kafka.net.errors import Ending, NetworkError
from headrace.kafka.net.messages import Request
from headrace.kafka.net.security.logins import Login
from tests.kafka.net.servers import brokers, versions

_METADATA, _VERSIONS, _SHAKE, _LOGIN = 3, 18, 17, 36


class Talk:
    """A conversation and the other side, with the time."""

    def __init__(self, *, login: bool = False, settle_by: float = 10.0) -> None:
        plain = {"sasl_plain_username": "ann", "sasl_plain_password": "secret", "host": "h"}
        plain |= {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN"}
        self.conversation = Conversation(
            "test", Login("PLAIN", plain) if login else None, request_timeout_s=30.0, settle_by=settle_by
        )
        self.now = 0.0
        self.heard: list[tuple[str, Any]] = []
        self._asked: list[bytes] = []

    def take(self) -> list[int]:
        """Take what was written; the API keys of it."""
        sent = [part[4:] for part in self.conversation.outgoing()]
        self._asked += sent
        return [struct.unpack_from(">h", each)[0] for each in sent]

    def answer(self, response: Any, *, number: int | None = None) -> None:
        """Answer the oldest request that has no answer."""
        request = self._asked.pop(0)
        correlation = request[4:8] if number is None else struct.pack(">i", number)
        is_flexible = response.API_KEY == _METADATA or (response.API_KEY == _LOGIN and response.version >= 2)
        body = correlation + (b"\0" if is_flexible else b"") + response.encode()
        self.conversation.hear(memoryview(body), self.now)
        self.conversation.look(self.now)

    def ask(self, name: str, *, seconds: float = 30.0) -> Request:
        """Ask for the brokers; what comes of it goes to `heard`."""
        request = Request(
            metadata_request(()),
            lambda answer: self.heard.append((name, "answered")),
            lambda error, was_sent: self.heard.append((name, (str(error), was_sent))),
            self.now + seconds,
        )
        self.conversation.ask(request, self.now)
        return request

    def phase(self) -> Phase:
        """Where it stands."""
        return self.conversation.phase

    def at(self, now: float) -> None:
        """Let it look at a time."""
        self.now = now
        self.conversation.look(now)


def _metadata(*, throttle_ms: int = 0) -> Any:
    return brokers("127.0.0.1:1", throttle_ms=throttle_ms)


def _open_talk(**given: Any) -> Talk:
    talk = Talk(**given)
    talk.conversation.begin(0.0)
    assert talk.take() == [_VERSIONS]
    talk.answer(versions())
    return talk


def _log_in(talk: Talk, *, lifetime_ms: int) -> None:
    assert talk.take() == [_SHAKE]
    talk.answer(SaslHandshakeResponse(version=1, error_code=0, mechanisms=["PLAIN"]))
    assert talk.take() == [_LOGIN]
    talk.answer(_let_in(lifetime_ms))


def _let_in(lifetime_ms: int) -> Any:
    return SaslAuthenticateResponse(
        version=2, error_code=0, error_message=None, auth_bytes=b"", session_lifetime_ms=lifetime_ms
    )


def test_requests_wait_for_the_handshake_and_go_out_in_their_order() -> None:
    talk = Talk()
    first, second = talk.ask("first"), talk.ask("second")
    talk.conversation.begin(0.0)
    assert talk.take() == [_VERSIONS]
    assert [first.was_sent, second.was_sent] == [False, False]
    talk.answer(versions())
    assert talk.take() == [_METADATA, _METADATA]
    assert [first.was_sent, second.was_sent] == [True, True]
    talk.answer(_metadata())
    talk.answer(_metadata())
    assert talk.heard == [("first", "answered"), ("second", "answered")]


def test_a_request_goes_in_the_newest_version_that_both_sides_have() -> None:
    talk = _open_talk()
    request = talk.ask("one")
    assert request.message.API_VERSION == 9
    assert MetadataRequest.max_version > 9


def test_what_the_broker_does_not_have_fails_alone() -> None:
    talk = _open_talk()
    talk.ask("before")
    heard: list[NetworkError] = []
    lacking = HeartbeatRequest(group_id="g", generation_id=1, member_id="m")
    talk.conversation.ask(Request(lacking, print, lambda error, sent: heard.append(error), 9.0), 0.0)
    assert [(str(error), error.is_fatal) for error in heard] == [
        ("the broker does not have HeartbeatRequest in a version that we know", True)
    ]
    talk.take()
    talk.answer(_metadata())
    assert talk.heard == [("before", "answered")]


def test_a_login_comes_before_requests() -> None:
    talk = _open_talk(login=True)
    talk.ask("one")
    _log_in(talk, lifetime_ms=0)
    assert talk.phase() is Phase.OPEN
    assert talk.take() == [_METADATA]


def test_what_kafka_python_says_of_a_login_is_kept_for_debug(caplog: pytest.LogCaptureFixture) -> None:
    talk = _open_talk(login=True)
    with caplog.at_level(logging.DEBUG):
        _log_in(talk, lifetime_ms=0)
    theirs = [record for record in caplog.records if record.name.startswith("kafka.")]
    assert theirs
    assert {record.levelname for record in theirs} == {"DEBUG"}
    assert "secret" not in caplog.text
    caplog.clear()
    logging.getLogger("kafka.net.sasl.plain").error("of another user of kafka-python")
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_login_is_renewed_before_it_ends_when_all_is_answered() -> None:
    talk = _open_talk(login=True)
    _log_in(talk, lifetime_ms=10_000)
    talk.at(8.4)
    talk.ask("early")
    assert talk.take() == [_METADATA]
    talk.at(9.6)
    assert talk.phase() is Phase.DRAINING
    talk.ask("late")
    assert talk.take() == []
    talk.answer(_metadata())
    assert talk.phase() is Phase.RENEWING
    _log_in(talk, lifetime_ms=10_000)
    assert talk.take() == [_METADATA]
    talk.answer(_metadata())
    assert talk.heard == [("early", "answered"), ("late", "answered")]
    talk.at(9.6 + 8.4)
    assert talk.phase() is Phase.OPEN
    talk.at(9.6 + 9.6)
    assert talk.phase() is Phase.RENEWING


def test_renewing_a_login_may_take_as_long_as_a_request() -> None:
    talk = _open_talk(login=True)
    _log_in(talk, lifetime_ms=10_000)
    talk.at(9.6)
    assert talk.conversation.next_time() == pytest.approx(39.6)
    with pytest.raises(NetworkError, match="it did not answer in time"):
        talk.at(39.7)


def test_a_throttled_broker_is_left_alone_until_its_time_is_over() -> None:
    talk = _open_talk()
    talk.ask("one")
    talk.take()
    talk.answer(_metadata(throttle_ms=250))
    talk.ask("two")
    talk.ask("hasty", seconds=0.1)
    assert talk.take() == []
    assert talk.conversation.next_time() == pytest.approx(0.1)
    talk.at(0.1)
    assert talk.heard[1:] == [("hasty", ("it throttles us for too long", False))]
    assert talk.conversation.next_time() == pytest.approx(0.25)
    talk.at(0.25)
    assert talk.take() == [_METADATA]


def test_a_longer_wait_is_not_cut_short_by_a_later_answer() -> None:
    talk = _open_talk()
    talk.ask("one")
    talk.ask("two")
    talk.take()
    talk.answer(_metadata(throttle_ms=500))
    talk.answer(_metadata(throttle_ms=100))
    assert not talk.conversation.takes_requests(0.4)
    assert talk.conversation.takes_requests(0.5)


def test_an_answer_that_takes_too_long_ends_it() -> None:
    talk = _open_talk()
    talk.ask("patient", seconds=300.0)
    talk.ask("hasty", seconds=1.0)
    assert talk.conversation.next_time() == pytest.approx(1.0)
    with pytest.raises(NetworkError) as failed:
        talk.at(1.0)
    assert failed.value.ending is Ending.SILENT
    talk.conversation.end(failed.value)
    assert [(name, what[1]) for name, what in talk.heard] == [("patient", True), ("hasty", True)]


def test_a_handshake_that_takes_too_long_ends_it() -> None:
    talk = Talk(settle_by=2.0)
    talk.conversation.begin(0.0)
    talk.at(1.9)
    with pytest.raises(NetworkError, match="it did not answer in time"):
        talk.at(2.0)


def test_the_end_fails_all_and_says_what_was_sent() -> None:
    talk = _open_talk()
    talk.ask("first")
    talk.ask("sent")
    talk.take()
    talk.answer(_metadata(throttle_ms=100))
    talk.ask("waits")
    talk.conversation.end(NetworkError("gone"))
    assert talk.heard[1:] == [("sent", ("gone", True)), ("waits", ("gone", False))]
    assert talk.conversation.outgoing() == []


def test_an_answer_to_nothing_ends_it() -> None:
    talk = _open_talk()
    with pytest.raises(NetworkError, match="it answered what was not asked"):
        talk.conversation.hear(memoryview(b"\0\0\0\x01"), 0.0)


def test_an_answer_to_another_request_ends_it() -> None:
    talk = _open_talk()
    talk.ask("one")
    talk.take()
    with pytest.raises(NetworkError, match=r"it answered another request \(number 77 instead of 2\)"):
        talk.answer(_metadata(), number=77)


@pytest.mark.parametrize("cut", range(4, 40))
def test_an_answer_that_is_cut_off_anywhere_ends_it(cut: int) -> None:
    talk = _open_talk()
    talk.ask("one")
    talk.take()
    body = struct.pack(">i", 2) + b"\0" + _metadata().encode()
    assert len(body) > 40
    with pytest.raises(NetworkError, match="its answer cannot be read"):
        talk.conversation.hear(memoryview(body[:cut]), 0.0)
    assert talk.heard == []


def _refuse_versions(talk: Talk) -> None:
    talk.answer(
        ApiVersionsResponse(version=0, error_code=ErrorCode.CLUSTER_AUTHORIZATION_FAILED, api_keys=[])
    )


def _refuse_mechanism(talk: Talk) -> None:
    talk.answer(versions())
    talk.take()
    code = ErrorCode.UNSUPPORTED_SASL_MECHANISM
    talk.answer(SaslHandshakeResponse(version=1, error_code=code, mechanisms=["GSSAPI"]))


def _refuse_login_here(talk: Talk) -> None:
    talk.answer(versions())
    talk.take()
    talk.answer(SaslHandshakeResponse(version=1, error_code=ErrorCode.ILLEGAL_SASL_STATE, mechanisms=[]))


def _refuse_password(talk: Talk) -> None:
    talk.answer(versions())
    talk.take()
    talk.answer(SaslHandshakeResponse(version=1, error_code=0, mechanisms=["PLAIN"]))
    talk.take()
    code = ErrorCode.SASL_AUTHENTICATION_FAILED
    answer = SaslAuthenticateResponse(
        version=2, error_code=code, error_message="no", auth_bytes=b"", session_lifetime_ms=0
    )
    talk.answer(answer)


@pytest.mark.parametrize(
    ("refuse", "said"),
    [
        (_refuse_versions, r"it refused to tell its versions \(CLUSTER_AUTHORIZATION_FAILED\)"),
        (_refuse_mechanism, r"it does not take sasl.mechanism=PLAIN \(enabled there: GSSAPI\)"),
        (_refuse_login_here, "this port takes no login: set security.protocol to PLAINTEXT or SSL"),
        (_refuse_password, "it refused the login with PLAIN: no; check sasl.jaas.config"),
    ],
)
def test_a_refusal_says_what_to_change(refuse: Callable[[Talk], None], said: str) -> None:
    talk = Talk(login=True)
    talk.conversation.begin(0.0)
    talk.take()
    with pytest.raises(NetworkError, match=said) as failed:
        refuse(talk)
    assert failed.value.is_fatal


def test_who_was_stopped_for_long_hears_its_answers_first() -> None:
    talk = _open_talk()
    talk.ask("one", seconds=1.0)
    talk.take()
    talk.now = 50.0
    talk.answer(_metadata())
    assert talk.heard == [("one", "answered")]
