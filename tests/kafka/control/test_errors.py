"""Every error code of every request of the control plane, with what it leads to."""

import pytest

from headrace.kafka.control.errors import ControlRemedy, ControlRequest, advice, remedy
from headrace.kafka.error_codes import ErrorCode

_BUSY = """REQUEST_TIMED_OUT BROKER_NOT_AVAILABLE NETWORK_EXCEPTION COORDINATOR_LOAD_IN_PROGRESS
    COORDINATOR_NOT_AVAILABLE LEADER_NOT_AVAILABLE LISTENER_NOT_FOUND NOT_CONTROLLER THROTTLING_QUOTA_EXCEEDED
    UNKNOWN_CONTROLLER_ID KAFKA_STORAGE_ERROR"""
_MOVED = """NOT_LEADER_OR_FOLLOWER LEADER_NOT_AVAILABLE REPLICA_NOT_AVAILABLE FENCED_LEADER_EPOCH
    UNKNOWN_LEADER_EPOCH OFFSET_NOT_AVAILABLE KAFKA_STORAGE_ERROR LISTENER_NOT_FOUND UNKNOWN_TOPIC_OR_PARTITION
    UNKNOWN_TOPIC_ID INCONSISTENT_TOPIC_ID"""

# What is not named fails; but for DeleteRecords and a doctor's questions, where it is warned of, and LeaveGroup, where
# it does not matter.
_REST = {
    ControlRequest.DELETE_RECORDS: ControlRemedy.WARN,
    ControlRequest.LEAVE_GROUP: ControlRemedy.IGNORE,
    ControlRequest.LOOK: ControlRemedy.WARN,
}

EXPECTED: dict[ControlRequest, dict[ControlRemedy, str]] = {
    ControlRequest.METADATA: {
        ControlRemedy.RETRY: _BUSY,
        ControlRemedy.ABSENT: "UNKNOWN_TOPIC_OR_PARTITION UNKNOWN_TOPIC_ID",
    },
    ControlRequest.DESCRIBE_CONFIGS: {
        ControlRemedy.RETRY: _BUSY,
        ControlRemedy.ABSENT: "UNKNOWN_TOPIC_OR_PARTITION UNKNOWN_TOPIC_ID",
        ControlRemedy.WARN: "TOPIC_AUTHORIZATION_FAILED CLUSTER_AUTHORIZATION_FAILED",
    },
    ControlRequest.CREATE_TOPICS: {ControlRemedy.RETRY: _BUSY, ControlRemedy.EXISTS: "TOPIC_ALREADY_EXISTS"},
    ControlRequest.DELETE_TOPICS: {
        ControlRemedy.RETRY: _BUSY,
        ControlRemedy.ABSENT: "UNKNOWN_TOPIC_OR_PARTITION UNKNOWN_TOPIC_ID",
    },
    ControlRequest.LIST_OFFSETS: {ControlRemedy.RETRY: _BUSY, ControlRemedy.REFRESH: _MOVED},
    ControlRequest.DELETE_RECORDS: {
        ControlRemedy.IGNORE: f"{_BUSY} {_MOVED} POLICY_VIOLATION OFFSET_OUT_OF_RANGE"
    },
    ControlRequest.FIND_COORDINATOR: {ControlRemedy.RETRY: _BUSY},
    ControlRequest.OFFSET_FETCH: {
        ControlRemedy.RETRY: f"{_BUSY} UNSTABLE_OFFSET_COMMIT",
        ControlRemedy.REFRESH: "NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE",
        ControlRemedy.ABSENT: "UNKNOWN_TOPIC_OR_PARTITION UNKNOWN_TOPIC_ID GROUP_ID_NOT_FOUND",
    },
    ControlRequest.OFFSET_COMMIT: {
        ControlRemedy.RETRY: _BUSY,
        ControlRemedy.REFRESH: "NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE",
    },
    ControlRequest.DESCRIBE_GROUPS: {
        ControlRemedy.RETRY: _BUSY,
        ControlRemedy.REFRESH: "NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE",
        ControlRemedy.ABSENT: "GROUP_ID_NOT_FOUND",
    },
    ControlRequest.DESCRIBE_STREAMS_GROUPS: {
        ControlRemedy.RETRY: _BUSY,
        ControlRemedy.REFRESH: "NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE",
        ControlRemedy.ABSENT: "GROUP_ID_NOT_FOUND UNSUPPORTED_VERSION",
    },
    ControlRequest.DESCRIBE_GROUP_CONFIGS: {
        ControlRemedy.RETRY: _BUSY,
        ControlRemedy.ABSENT: "INVALID_REQUEST UNSUPPORTED_VERSION INVALID_GROUP_ID GROUP_ID_NOT_FOUND",
        ControlRemedy.WARN: "GROUP_AUTHORIZATION_FAILED CLUSTER_AUTHORIZATION_FAILED",
    },
    ControlRequest.DELETE_GROUPS: {
        ControlRemedy.RETRY: _BUSY,
        ControlRemedy.REFRESH: "NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE",
        ControlRemedy.ABSENT: "GROUP_ID_NOT_FOUND",
    },
    ControlRequest.LIST_GROUPS: {
        ControlRemedy.RETRY: _BUSY,
        ControlRemedy.REFRESH: "NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE",
    },
    ControlRequest.LEAVE_GROUP: {
        ControlRemedy.RETRY: _BUSY,
        ControlRemedy.REFRESH: "NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE",
    },
    ControlRequest.LOOK: {
        ControlRemedy.RETRY: _BUSY,
        ControlRemedy.REFRESH: f"{_MOVED} NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE",
    },
}


@pytest.mark.parametrize("request_kind", ControlRequest)
def test_every_code_has_the_reaction_that_is_written_down(request_kind: ControlRequest) -> None:
    expected = dict.fromkeys(ErrorCode, _REST.get(request_kind, ControlRemedy.FAIL))
    for each, names in EXPECTED[request_kind].items():
        expected |= {ErrorCode[name]: each for name in names.split()}
    expected[ErrorCode.NONE] = ControlRemedy.TAKE
    assert {code: remedy(request_kind, code) for code in ErrorCode} == expected


@pytest.mark.parametrize("request_kind", ControlRequest)
def test_every_code_can_be_said(request_kind: ControlRequest) -> None:
    for code in ErrorCode:
        assert code.name in advice(request_kind, code)
        assert "the broker's words" in advice(request_kind, code, "the broker's words")


def test_a_missing_right_is_said_with_the_operation_and_the_resource() -> None:
    assert advice(ControlRequest.CREATE_TOPICS, ErrorCode.TOPIC_AUTHORIZATION_FAILED) == (
        "not authorised (TOPIC_AUTHORIZATION_FAILED); allow this principal to CREATE the topic"
    )
    assert advice(ControlRequest.OFFSET_FETCH, ErrorCode.GROUP_AUTHORIZATION_FAILED) == (
        "not authorised (GROUP_AUTHORIZATION_FAILED); allow this principal to DESCRIBE the group (READ, which an "
        "application wants, includes that)"
    )


def test_a_setting_that_helps_is_named() -> None:
    assert advice(ControlRequest.CREATE_TOPICS, ErrorCode.INVALID_REPLICATION_FACTOR, "too few brokers") == (
        "INVALID_REPLICATION_FACTOR: too few brokers; "
        "set replication.factor to at most the number of brokers, or to -1"
    )
