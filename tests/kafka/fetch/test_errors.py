"""Every error code that a broker can send has one reaction."""

import pytest

from headrace.base.ids import TopicPartition
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.fetch.errors import (
    FetchRemedy,
    bound_remedy,
    fetch_remedy,
    metadata_remedy,
    refused,
)

FETCH = {
    "NONE": "TAKE",
    "OFFSET_OUT_OF_RANGE": "FIND_BOUNDS",
    "NOT_LEADER_OR_FOLLOWER": "FIND_LEADER",
    "LEADER_NOT_AVAILABLE": "FIND_LEADER",
    "REPLICA_NOT_AVAILABLE": "FIND_LEADER",
    "BROKER_NOT_AVAILABLE": "FIND_LEADER",
    "KAFKA_STORAGE_ERROR": "FIND_LEADER",
    "FENCED_LEADER_EPOCH": "FIND_LEADER",
    "UNKNOWN_LEADER_EPOCH": "FIND_LEADER",
    "OFFSET_NOT_AVAILABLE": "FIND_LEADER",
    "UNKNOWN_TOPIC_OR_PARTITION": "FIND_LEADER",
    "UNKNOWN_TOPIC_ID": "FIND_LEADER",
    "INCONSISTENT_TOPIC_ID": "FIND_LEADER",
    "NEW_LEADER_ELECTED": "FIND_LEADER",
    "UNKNOWN_SERVER_ERROR": "RETRY",
    "REQUEST_TIMED_OUT": "RETRY",
    "NETWORK_EXCEPTION": "RETRY",
    "THROTTLING_QUOTA_EXCEEDED": "RETRY",
    "FETCH_SESSION_ID_NOT_FOUND": "RETRY",
    "INVALID_FETCH_SESSION_EPOCH": "RETRY",
    "FETCH_SESSION_TOPIC_ID_ERROR": "RETRY",
}
METADATA = {
    "NONE": "TAKE",
    "REPLICA_NOT_AVAILABLE": "TAKE",
    "LEADER_NOT_AVAILABLE": "RETRY",
    "LISTENER_NOT_FOUND": "RETRY",
    "UNKNOWN_SERVER_ERROR": "RETRY",
    "REQUEST_TIMED_OUT": "RETRY",
    "NETWORK_EXCEPTION": "RETRY",
    "THROTTLING_QUOTA_EXCEEDED": "RETRY",
    "REBOOTSTRAP_REQUIRED": "RETRY",
    "UNKNOWN_TOPIC_OR_PARTITION": "MISSING",
    "UNKNOWN_TOPIC_ID": "MISSING",
}


@pytest.mark.parametrize("code", list(ErrorCode), ids=lambda code: code.name)
def test_each_code_has_the_reaction_that_is_listed(code: ErrorCode) -> None:
    assert fetch_remedy(code) is FetchRemedy[FETCH.get(code.name, "FAIL")]
    assert metadata_remedy(code) is FetchRemedy[METADATA.get(code.name, "FAIL")]
    asked_bound = "RETRY" if code is ErrorCode.OFFSET_OUT_OF_RANGE else FETCH.get(code.name, "FAIL")
    assert bound_remedy(code) is FetchRemedy[asked_bound]


def test_refusal_names_place_offset_code_and_what_to_do() -> None:
    error = refused(TopicPartition("orders", 3), 17, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    assert str(error) == (
        "cannot read orders-3 at offset 17: the broker answers TOPIC_AUTHORIZATION_FAILED; "
        "allow this principal to READ and DESCRIBE the topic"
    )
