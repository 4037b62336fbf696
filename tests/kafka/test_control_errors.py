"""Every error code of every request of the control plane, with what it leads to."""

import pytest

from headrace.kafka.control_errors import Reaction, Request, advice, reaction
from headrace.kafka.error_codes import ErrorCode

_BUSY = """REQUEST_TIMED_OUT BROKER_NOT_AVAILABLE NETWORK_EXCEPTION COORDINATOR_LOAD_IN_PROGRESS
    COORDINATOR_NOT_AVAILABLE LEADER_NOT_AVAILABLE LISTENER_NOT_FOUND NOT_CONTROLLER THROTTLING_QUOTA_EXCEEDED
    UNKNOWN_CONTROLLER_ID KAFKA_STORAGE_ERROR"""
_MOVED = """NOT_LEADER_OR_FOLLOWER LEADER_NOT_AVAILABLE REPLICA_NOT_AVAILABLE FENCED_LEADER_EPOCH
    UNKNOWN_LEADER_EPOCH OFFSET_NOT_AVAILABLE KAFKA_STORAGE_ERROR LISTENER_NOT_FOUND UNKNOWN_TOPIC_OR_PARTITION
    UNKNOWN_TOPIC_ID INCONSISTENT_TOPIC_ID"""

# What is not named fails, but for DeleteRecords, where it is warned of.
EXPECTED: dict[Request, dict[Reaction, str]] = {
    Request.METADATA: {Reaction.RETRY: _BUSY, Reaction.ABSENT: "UNKNOWN_TOPIC_OR_PARTITION UNKNOWN_TOPIC_ID"},
    Request.DESCRIBE_CONFIGS: {
        Reaction.RETRY: _BUSY,
        Reaction.ABSENT: "UNKNOWN_TOPIC_OR_PARTITION UNKNOWN_TOPIC_ID",
        Reaction.WARN: "TOPIC_AUTHORIZATION_FAILED CLUSTER_AUTHORIZATION_FAILED",
    },
    Request.CREATE_TOPICS: {Reaction.RETRY: _BUSY, Reaction.EXISTS: "TOPIC_ALREADY_EXISTS"},
    Request.DELETE_TOPICS: {
        Reaction.RETRY: _BUSY,
        Reaction.ABSENT: "UNKNOWN_TOPIC_OR_PARTITION UNKNOWN_TOPIC_ID",
    },
    Request.LIST_OFFSETS: {Reaction.RETRY: _BUSY, Reaction.REFRESH: _MOVED},
    Request.DELETE_RECORDS: {Reaction.IGNORE: f"{_BUSY} {_MOVED} POLICY_VIOLATION OFFSET_OUT_OF_RANGE"},
    Request.FIND_COORDINATOR: {Reaction.RETRY: _BUSY},
    Request.OFFSET_FETCH: {
        Reaction.RETRY: f"{_BUSY} UNSTABLE_OFFSET_COMMIT",
        Reaction.REFRESH: "NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE",
        Reaction.ABSENT: "UNKNOWN_TOPIC_OR_PARTITION UNKNOWN_TOPIC_ID GROUP_ID_NOT_FOUND",
    },
    Request.DESCRIBE_GROUPS: {
        Reaction.RETRY: _BUSY,
        Reaction.REFRESH: "NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE",
        Reaction.ABSENT: "GROUP_ID_NOT_FOUND",
    },
    Request.LIST_GROUPS: {
        Reaction.RETRY: _BUSY,
        Reaction.REFRESH: "NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE",
    },
}


@pytest.mark.parametrize("request_kind", Request)
def test_every_code_has_the_reaction_that_is_written_down(request_kind: Request) -> None:
    rest = Reaction.WARN if request_kind is Request.DELETE_RECORDS else Reaction.FAIL
    expected = dict.fromkeys(ErrorCode, rest)
    for each, names in EXPECTED[request_kind].items():
        expected |= {ErrorCode[name]: each for name in names.split()}
    expected[ErrorCode.NONE] = Reaction.TAKE
    assert {code: reaction(request_kind, code) for code in ErrorCode} == expected


@pytest.mark.parametrize("request_kind", Request)
def test_every_code_can_be_said(request_kind: Request) -> None:
    for code in ErrorCode:
        assert code.name in advice(request_kind, code)
        assert "the broker's words" in advice(request_kind, code, "the broker's words")


def test_a_missing_right_is_said_with_the_operation_and_the_resource() -> None:
    assert advice(Request.CREATE_TOPICS, ErrorCode.TOPIC_AUTHORIZATION_FAILED) == (
        "not authorised (TOPIC_AUTHORIZATION_FAILED); allow this principal to CREATE the topic"
    )
    assert advice(Request.OFFSET_FETCH, ErrorCode.GROUP_AUTHORIZATION_FAILED) == (
        "not authorised (GROUP_AUTHORIZATION_FAILED); allow this principal to DESCRIBE the group (READ, which an "
        "application wants, includes that)"
    )


def test_a_setting_that_helps_is_named() -> None:
    assert advice(Request.CREATE_TOPICS, ErrorCode.INVALID_REPLICATION_FACTOR, "too few brokers") == (
        "INVALID_REPLICATION_FACTOR: too few brokers; "
        "set replication.factor to at most the number of brokers, or to -1"
    )
