"""A member of a classic group and its messages: what it tells, how it leads, and what it makes of what it hears."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from kafka.protocol.consumer import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    HeartbeatResponse,
    JoinGroupResponse,
    SyncGroupResponse,
)

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication, SubtopologyTopics
from headrace.group.members import Roles
from headrace.group.membership import (
    Assigned,
    Ended,
    EndpointsChanged,
    EndpointTasks,
    EpochChanged,
    GroupStatus,
    Lost,
    StatusChanged,
)
from headrace.group.user_data import (
    LeaderWord,
    MemberWord,
    TaskProgress,
    read_leader_word,
    read_member_word,
    write_leader_word,
    write_member_word,
)
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.group.classic_protocol import ClassicProtocol
from headrace.kafka.group.classic_wire import PROTOCOL, assignment, subscription
from headrace.kafka.group.protocol import BrokerFacts, Heard
from headrace.kafka.net.errors import NetworkError
from headrace.log.membership import JoinOptions

A, B = TaskId(0, 0), TaskId(0, 1)
FACTS = BrokerFacts(None, 0)
APPLICATION = GroupApplication(
    (SubtopologyTopics(id=0, source_topics=frozenset({"in"}), is_stateful=True),), (A, B), {"in": 2}
)
GONE = NetworkError("gone", was_sent=True)


def new(
    *,
    instance_id: str | None = None,
    member_id: str = "",
    progress: Mapping[TaskId, TaskProgress] = MappingProxyType({}),
) -> ClassicProtocol:
    options = JoinOptions(
        process_id="p",
        member_id=member_id,
        instance_id=instance_id,
        max_poll_interval_ms=60_000,
        probing_rebalance_interval_ms=100_000,
        progress=progress,
        endpoint=("me", 1),
        client_tags={"zone": "a"},
    )
    return ClassicProtocol(
        "app",
        APPLICATION,
        options,
        session_timeout_ms=10_000,
        heartbeat_interval_ms=3000,
        now=0.0,
    )


def asked(protocol: ClassicProtocol, now: float) -> Any:
    question = protocol.ask(FACTS, now)
    assert question is not None
    return question.message


def told(request: Any) -> MemberWord:
    (protocol,) = request.protocols
    assert protocol.name == PROTOCOL
    subscribed = ConsumerProtocolSubscription.decode(protocol.metadata)
    assert subscribed.topics == ["in"]
    return read_member_word(subscribed.user_data)


def joined(
    member_id: str = "m",
    leader: str = "m",
    words: dict[str, bytes] | None = None,
    code: ErrorCode = ErrorCode.NONE,
) -> Any:
    made = JoinGroupResponse.JoinGroupResponseMember
    return JoinGroupResponse(
        version=9,
        error_code=int(code),
        generation_id=4,
        protocol_type="consumer",
        protocol_name=PROTOCOL,
        leader=leader,
        member_id=member_id,
        members=[
            made(member_id=name, metadata=subscription(["in"], word)) for name, word in (words or {}).items()
        ],
    )


def synced(word: LeaderWord) -> Any:
    return SyncGroupResponse(version=5, error_code=0, assignment=assignment((), write_leader_word(word)))


def following(protocol: ClassicProtocol, word: LeaderWord, now: float = 0.0) -> Heard:
    asked(protocol, now)
    protocol.answered(joined(leader="other"), now)
    request = asked(protocol, now)
    assert request.assignments == []
    return protocol.answered(synced(word), now)


def heartbeat(code: ErrorCode) -> Any:
    return HeartbeatResponse(version=4, error_code=int(code))


ALL = Roles(frozenset({A, B}))
ONE = Roles(frozenset({A}))


def test_a_join_tells_what_the_leader_wants_to_know() -> None:
    protocol = new(instance_id="i", progress={A: TaskProgress(5, 9)})
    request = asked(protocol, 0.0)
    assert request.group_instance_id == "i"
    assert (request.session_timeout_ms, request.rebalance_timeout_ms) == (10_000, 60_000)
    assert told(request) == MemberWord("p", Roles(), {A: TaskProgress(5, 9)}, {"zone": "a"}, ("me", 1), 1)


def test_the_answer_to_a_join_may_take_as_long_as_a_rebalance() -> None:
    question = new().ask(FACTS, 0.0)
    assert question is not None
    assert (question.timeout_ms, question.is_slow) == (65_000, True)


def test_it_joins_again_with_the_id_that_it_is_given() -> None:
    protocol = new()
    assert asked(protocol, 0.0).member_id == ""
    assert protocol.answered(joined("given", code=ErrorCode.MEMBER_ID_REQUIRED), 0.0) == Heard()
    assert asked(protocol, 0.0).member_id == "given"


def test_only_a_dynamic_member_comes_back_under_its_old_id() -> None:
    assert asked(new(member_id="old"), 0.0).member_id == "old"
    assert asked(new(member_id="old", instance_id="i"), 0.0).member_id == ""


def test_the_leader_assigns_and_shows_partitions_to_kafkas_tools() -> None:
    protocol = new()
    asked(protocol, 0.0)
    words = {
        "m": write_member_word(MemberWord("p")),
        "n": write_member_word(MemberWord("q")),
        "later": b"\x02?",
    }
    heard = protocol.answered(joined(words=words), 0.0)
    assert heard.effects == [EpochChanged("m", 4)]
    given = {
        each.member_id: ConsumerProtocolAssignment.decode(each.assignment)
        for each in asked(protocol, 0.0).assignments
    }
    read = {name: read_leader_word(each.user_data) for name, each in given.items()}
    assert read["later"].is_refused
    assert read["m"].roles.active | read["n"].roles.active == {A, B}
    for name in ("m", "n"):
        (task,) = read[name].roles.active
        ((topic,),) = [given[name].assigned_partitions]
        assert (topic.topic, topic.partitions) == ("in", [task.partition])


def test_a_follower_hears_roles_endpoints_and_that_all_is_to_stop() -> None:
    word = LeaderWord(
        ONE, endpoints={("me", 1): ONE, ("b", 2): Roles(frozenset({B}), ONE.active)}, stops_application=True
    )
    heard = following(new(), word)
    assert list(heard.effects) == [
        Assigned(1, ONE),
        StatusChanged({GroupStatus.SHUTDOWN_APPLICATION: ""}),
        EndpointsChanged(
            {
                ("me", 1): EndpointTasks({"in": [0]}, {}),
                ("b", 2): EndpointTasks({"in": [1]}, {"in": [0]}),
            }
        ),
    ]


def test_a_member_that_the_leader_did_not_know_has_nothing() -> None:
    protocol = new()
    asked(protocol, 0.0)
    protocol.answered(joined(leader="other"), 0.0)
    asked(protocol, 0.0)
    assert protocol.answered(SyncGroupResponse(version=5, error_code=0, assignment=b""), 0.0).effects == [
        Assigned(1, Roles())
    ]


def test_a_leader_of_an_earlier_headrace_refuses_in_words() -> None:
    (ended,) = following(new(), LeaderWord(is_refused=True)).effects
    assert isinstance(ended, Ended)
    assert "an earlier headrace" in (ended.reason or "")


def test_a_leader_of_a_later_headrace_is_refused_in_words() -> None:
    protocol = new()
    asked(protocol, 0.0)
    protocol.answered(joined(leader="other"), 0.0)
    asked(protocol, 0.0)
    answer = SyncGroupResponse(version=5, error_code=0, assignment=assignment((), b"\x02?"))
    (ended,) = protocol.answered(answer, 0.0).effects
    assert isinstance(ended, Ended)
    assert "version 2, which a later headrace writes" in (ended.reason or "")
    assert "Upgrade this instance" in (ended.reason or "")


def test_who_gives_up_a_copy_that_others_wait_for_joins_again() -> None:
    protocol = new()
    following(protocol, LeaderWord(Roles(ONE.active, frozenset({B}))))
    protocol.acknowledge(1, 0.0)
    asked(protocol, 3.0)
    protocol.answered(heartbeat(ErrorCode.REBALANCE_IN_PROGRESS), 3.0)
    following(protocol, LeaderWord(ONE, is_all=False), 3.0)
    protocol.acknowledge(2, 3.0)
    assert told(asked(protocol, 3.0)).owned == ONE


def test_who_gives_up_a_copy_that_nobody_waits_for_does_not() -> None:
    protocol = new()
    following(protocol, LeaderWord(Roles(ONE.active, frozenset({B}))))
    protocol.acknowledge(1, 0.0)
    asked(protocol, 3.0)
    protocol.answered(heartbeat(ErrorCode.REBALANCE_IN_PROGRESS), 3.0)
    following(protocol, LeaderWord(ONE), 3.0)
    protocol.acknowledge(2, 3.0)
    assert protocol.ask(FACTS, 3.0) is None


def test_a_static_member_that_is_back_says_again_where_it_is() -> None:
    protocol = new(instance_id="i")
    following(protocol, LeaderWord(ONE))
    protocol.acknowledge(1, 0.0)
    word = told(asked(protocol, 0.0))
    assert (word.owned, word.number) == (ONE, 2)


def test_a_leader_that_is_not_done_looks_again_after_a_while() -> None:
    protocol = new()
    asked(protocol, 0.0)
    members = {
        "m": write_member_word(
            MemberWord("p", ALL, {A: TaskProgress(9**9, 9**9), B: TaskProgress(9**9, 9**9)})
        ),
        "n": write_member_word(MemberWord("q")),
    }
    protocol.answered(joined(words=members), 0.0)
    word = read_leader_word(
        ConsumerProtocolAssignment.decode(asked(protocol, 0.0).assignments[0].assignment).user_data
    )
    assert word.roles.active == {A, B}
    protocol.answered(synced(word), 0.0)
    protocol.acknowledge(1, 0.0)
    assert protocol.next_time() == 0.5
    for now in (*range(3, 99, 3), 99.6):
        asked(protocol, now)
        protocol.answered(heartbeat(ErrorCode.NONE), now)
    assert protocol.next_time() == 100.0
    assert told(asked(protocol, 100.0)).owned == ALL


def test_whoever_stops_the_application_joins_to_say_so() -> None:
    protocol = new()
    following(protocol, LeaderWord(ONE))
    protocol.acknowledge(1, 0.0)
    protocol.stop_application(1.0)
    assert told(asked(protocol, 1.0)).stops_application


def test_a_refusal_that_stays_ends_all_tasks_with_the_setting() -> None:
    protocol = new()
    following(protocol, LeaderWord(ONE))
    protocol.acknowledge(1, 0.0)
    asked(protocol, 3.0)
    lost, ended = protocol.answered(heartbeat(ErrorCode.FENCED_INSTANCE_ID), 3.0).effects
    assert isinstance(lost, Lost)
    assert isinstance(ended, Ended)
    assert "group.instance.id" in (ended.reason or "")


def test_it_leaves_by_name_and_hears_the_end_whatever_comes() -> None:
    protocol = new(instance_id="i")
    following(protocol, LeaderWord(ONE))
    assert protocol.leave(1.0, for_good=True) == []
    (who,) = asked(protocol, 1.0).members
    assert (who.member_id, who.group_instance_id) == ("m", "i")
    assert protocol.unanswered(GONE, 1.0) == [Ended()]


def test_a_static_member_that_comes_back_says_nothing_when_it_goes() -> None:
    protocol = new(instance_id="i")
    following(protocol, LeaderWord(ONE))
    assert list(protocol.leave(1.0, for_good=False)) == [Ended()]
    protocol.begin_anew(2.0)
    assert told(asked(protocol, 2.0)).owned == Roles()


def test_who_waits_for_what_others_let_go_of_asks_often() -> None:
    found = []
    for is_all in (True, False):
        protocol = new()
        following(protocol, LeaderWord(ONE, is_all))
        protocol.acknowledge(1, 0.0)
        found.append(protocol.next_time())
    assert found == [0.5, 0.1]
