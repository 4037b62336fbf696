"""Every error code to every request of a member: what follows, and that the end says which setting to change."""

import pytest

from headrace.group.classic_member import ClassicRefusal
from headrace.group.streams_member import Refusal
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.group.errors import GroupRequest, classic_refusal, is_name_given, refused, streams_refusal

E = ErrorCode
BUSY = {
    E.BROKER_NOT_AVAILABLE,
    E.COORDINATOR_LOAD_IN_PROGRESS,
    E.COORDINATOR_NOT_AVAILABLE,
    E.KAFKA_STORAGE_ERROR,
    E.NETWORK_EXCEPTION,
    E.NOT_COORDINATOR,
    E.NOT_ENOUGH_REPLICAS,
    E.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    E.REQUEST_TIMED_OUT,
    E.THROTTLING_QUOTA_EXCEEDED,
}


@pytest.mark.parametrize("request_", [GroupRequest.STREAMS_JOIN, GroupRequest.STREAMS_HEARTBEAT])
def test_each_code_leads_somewhere_in_a_streams_group(request_: GroupRequest) -> None:
    found: dict[Refusal, set[ErrorCode]] = {refusal: set() for refusal in Refusal}
    for code in ErrorCode:
        found[streams_refusal(request_, code)].add(code)
    joins = request_ is GroupRequest.STREAMS_JOIN
    assert found[Refusal.TRY_AGAIN] == BUSY
    gone = {E.UNKNOWN_MEMBER_ID, E.FENCED_MEMBER_EPOCH}
    assert found[Refusal.FENCED] == (gone if joins else gone | {E.GROUP_ID_NOT_FOUND})
    assert found[Refusal.INSTANCE_IN_USE] == ({E.UNRELEASED_INSTANCE_ID} if joins else set())


@pytest.mark.parametrize("request_", [GroupRequest.JOIN, GroupRequest.SYNC, GroupRequest.HEARTBEAT])
def test_each_code_leads_somewhere_in_a_classic_group(request_: GroupRequest) -> None:
    found: dict[ClassicRefusal, set[ErrorCode]] = {refusal: set() for refusal in ClassicRefusal}
    for code in ErrorCode:
        found[classic_refusal(request_, code)].add(code)
    if request_ is GroupRequest.JOIN:
        assert found[ClassicRefusal.TRY_AGAIN] == BUSY | {E.REBALANCE_IN_PROGRESS}
        assert found[ClassicRefusal.REBALANCE] == set()
        assert found[ClassicRefusal.FENCED] == {E.UNKNOWN_MEMBER_ID}
    else:
        assert found[ClassicRefusal.TRY_AGAIN] == BUSY
        assert found[ClassicRefusal.REBALANCE] == {E.REBALANCE_IN_PROGRESS}
        assert found[ClassicRefusal.FENCED] == {E.UNKNOWN_MEMBER_ID, E.ILLEGAL_GENERATION}


def test_an_id_that_the_coordinator_gives_is_no_error() -> None:
    assert [code for code in ErrorCode if is_name_given(code)] == [E.MEMBER_ID_REQUIRED]


@pytest.mark.parametrize(
    ("request_", "code", "said", "setting"),
    [
        (
            GroupRequest.STREAMS_JOIN,
            E.GROUP_ID_NOT_FOUND,
            "Group app is not a streams group.",
            "group.protocol",
        ),
        (GroupRequest.STREAMS_JOIN, E.UNRELEASED_INSTANCE_ID, None, "group.instance.id"),
        (GroupRequest.STREAMS_JOIN, E.UNSUPPORTED_VERSION, None, "group.protocol=classic"),
        (GroupRequest.STREAMS_JOIN, E.GROUP_AUTHORIZATION_FAILED, None, "READ the group"),
        (GroupRequest.STREAMS_JOIN, E.TOPIC_AUTHORIZATION_FAILED, None, "DESCRIBE all topics"),
        (GroupRequest.STREAMS_JOIN, E.CLUSTER_AUTHORIZATION_FAILED, None, "CREATE topics"),
        (
            GroupRequest.STREAMS_JOIN,
            E.INVALID_REQUEST,
            "Topology updates are not supported yet.",
            "another topology",
        ),
        (GroupRequest.STREAMS_HEARTBEAT, E.FENCED_INSTANCE_ID, None, "group.instance.id"),
        (GroupRequest.STREAMS_HEARTBEAT, E.GROUP_MAX_SIZE_REACHED, None, "group.streams.max.size"),
        (GroupRequest.JOIN, E.INCONSISTENT_GROUP_PROTOCOL, None, "application.id"),
        (GroupRequest.JOIN, E.INVALID_SESSION_TIMEOUT, None, "session.timeout.ms"),
        (GroupRequest.JOIN, E.GROUP_AUTHORIZATION_FAILED, None, "READ the group"),
        (GroupRequest.HEARTBEAT, E.FENCED_INSTANCE_ID, None, "group.instance.id"),
    ],
)
def test_what_stays_is_said_with_the_setting(
    request_: GroupRequest, code: ErrorCode, said: str | None, setting: str
) -> None:
    words = refused(request_, "app", code, said)
    assert words.startswith("cannot ")
    assert "group 'app'" in words
    assert code.name in words
    assert (said or "") in words
    assert setting in words


def test_a_code_without_advice_is_said_as_it_is() -> None:
    words = refused(GroupRequest.SYNC, "app", E.UNKNOWN_SERVER_ERROR, "oops")
    assert words == "cannot hear the assignment of group 'app': UNKNOWN_SERVER_ERROR: oops"
