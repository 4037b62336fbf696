"""A member of a streams group and its messages: what brokers are told, what older ones are not, and the words."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication, SubtopologyTopics
from headrace.group.members import Roles
from headrace.group.membership import Assigned, Ended, EpochChanged, Lost
from headrace.group.user_data import TaskProgress
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.group.protocol import BrokerFacts, Heard
from headrace.kafka.group.streams_messages import StreamsGroupDescribeResponse, StreamsGroupHeartbeatResponse
from headrace.kafka.group.streams_protocol import StreamsProtocol
from headrace.kafka.net.errors import NetworkError
from headrace.log.membership import JoinOptions

A, B = TaskId(0, 0), TaskId(0, 1)
OLD, NEW = BrokerFacts(0, 1), BrokerFacts(1, 1)
APPLICATION = GroupApplication(
    (SubtopologyTopics(id=0, source_topics=frozenset({"in"}), is_stateful=True),), (A, B), {"in": 2}
)
GONE = NetworkError("gone", was_sent=True)


def new(
    *,
    member_id: str = "",
    instance_id: str | None = None,
    progress: Mapping[TaskId, TaskProgress] = MappingProxyType({}),
) -> StreamsProtocol:
    options = JoinOptions(
        process_id="p", protocol="streams", member_id=member_id, instance_id=instance_id, progress=progress
    )
    return StreamsProtocol("app", APPLICATION, options, session_timeout_s=10.0, rack=None, now=0.0)


def asked(protocol: StreamsProtocol, now: float, facts: BrokerFacts = NEW) -> Any:
    question = protocol.ask(facts, now)
    assert question is not None
    return question.message


def answer(
    code: ErrorCode = ErrorCode.NONE, epoch: int = 2, tasks: list[int] | None = None, said: str = ""
) -> Any:
    made = StreamsGroupHeartbeatResponse
    lists = None if tasks is None else [made.TaskIds(subtopology_id="0", partitions=tasks)]
    empty: list[Any] | None = None if tasks is None else []
    return made(
        version=1,
        error_code=int(code),
        error_message=said,
        member_epoch=epoch,
        heartbeat_interval_ms=5000,
        task_offset_interval_ms=60_000,
        status=[],
        active_tasks=lists,
        standby_tasks=empty,
        warmup_tasks=empty,
    )


def joined(protocol: StreamsProtocol, facts: BrokerFacts = NEW) -> StreamsProtocol:
    asked(protocol, 0.0, facts)
    heard = protocol.answered(answer(tasks=[0]), 0.0)
    assert isinstance(heard.effects[0], EpochChanged)
    assert heard.effects[1] == Assigned(1, Roles(frozenset({A})))
    return protocol


def test_a_member_keeps_the_id_of_its_former_life() -> None:
    assert asked(new(member_id="m"), 0.0).member_id == "m"
    assert len(asked(new(), 0.0).member_id) == 36


@pytest.mark.parametrize(
    ("facts", "instance_id", "words"),
    [
        (BrokerFacts(None, 0), None, "group.protocol=classic"),
        (BrokerFacts(1, 0), None, "streams.version"),
        (BrokerFacts(0, 1), "i", "group.instance.id"),
        (BrokerFacts(0, 1), None, None),
        (BrokerFacts(1, 1), "i", None),
    ],
)
def test_brokers_that_lack_something_are_told_of_with_the_setting(
    facts: BrokerFacts, instance_id: str | None, words: str | None
) -> None:
    obstacle = new(instance_id=instance_id).obstacle(facts)
    assert (obstacle is None) if words is None else (obstacle is not None and words in obstacle)


def test_an_older_broker_is_told_no_offsets() -> None:
    protocol = new()
    protocol.report({B: TaskProgress(5, 9)})
    message = asked(protocol, 0.0, OLD)
    assert (message.API_VERSION, message.task_offsets, message.task_end_offsets) == (0, None, None)


def test_offsets_are_told_with_the_join_and_when_they_have_changed_and_it_is_time() -> None:
    def told(message: Any) -> Any:
        return tuple(
            None if each is None else [(one.partition, one.offset) for one in each]
            for each in (message.task_offsets, message.task_end_offsets)
        )

    protocol = new(progress={A: TaskProgress(7, 7), B: TaskProgress(5, 9)})
    assert told(asked(protocol, 0.0)) == ([(0, 7), (1, 5)], [(0, 7), (1, 9)])
    protocol.answered(answer(tasks=[0]), 0.0)
    protocol.report({A: TaskProgress(8, 8), B: TaskProgress(6, 9)})
    # A is being run when this is said, and of such a task nothing is told.
    protocol.acknowledge(1, 0.1)
    assert told(asked(protocol, 0.1)) == ([(1, 6)], [(1, 9)])
    protocol.answered(answer(), 0.1)
    protocol.report({A: TaskProgress(8, 8), B: TaskProgress(7, 9)})
    assert told(asked(protocol, 5.0)) == (None, None)
    protocol.answered(answer(), 5.0)
    assert told(asked(protocol, 61.0)) == ([(1, 7)], None)
    protocol.unanswered(GONE, 61.0)
    # Nobody knows what was heard: all of it again, when it is time.
    assert told(asked(protocol, 200.0)) == ([(1, 7)], [(1, 9)])


def test_a_task_that_is_warm_is_told_of_at_once() -> None:
    protocol = new()
    asked(protocol, 0.0)
    first = answer(tasks=[])
    first.warmup_tasks = [StreamsGroupHeartbeatResponse.TaskIds(subtopology_id="0", partitions=[1])]
    first.acceptable_recovery_lag = 10
    protocol.answered(first, 0.0)
    protocol.acknowledge(1, 0.0)
    found = []
    for now, offset in enumerate((50, 89, 90, 90, 100)):
        protocol.report({B: TaskProgress(offset, 100)})
        found.append(asked(protocol, now).task_offsets)
        later = answer()
        later.acceptable_recovery_lag = 10
        protocol.answered(later, now)
    # The first goes with the acknowledgement.
    assert [None if told is None else told[0].offset for told in found] == [50, None, 90, None, 100]


def test_a_static_member_frees_the_place_of_its_former_life_before_it_joins() -> None:
    protocol = new(member_id="m", instance_id="i")
    free = asked(protocol, 0.0)
    assert (free.member_epoch, free.member_id, free.instance_id) == (-2, "m", "i")
    assert protocol.ask(NEW, 0.0) is None
    assert protocol.answered(answer(ErrorCode.UNKNOWN_MEMBER_ID), 0.0) == Heard()
    assert asked(protocol, 0.0).member_epoch == 0


def test_a_static_member_whose_join_was_not_answered_frees_its_own_place() -> None:
    protocol = new(instance_id="i")
    assert asked(protocol, 0.0).member_epoch == 0
    protocol.unanswered(GONE, 0.0)
    assert asked(protocol, 5.0).member_epoch == -2
    protocol.unanswered(GONE, 5.0)
    assert protocol.next_time() == 5.5
    assert asked(protocol, 5.5).member_epoch == -2
    protocol.answered(answer(epoch=-2), 5.5)
    assert asked(protocol, 5.5).member_epoch == 0


def test_a_dynamic_member_joins_again_as_it_is() -> None:
    protocol = new(member_id="m")
    assert asked(protocol, 0.0).member_epoch == 0
    protocol.unanswered(GONE, 0.0)
    assert asked(protocol, 5.0).member_epoch == 0


def test_an_id_in_use_is_waited_for_and_then_said() -> None:
    protocol = new(instance_id="i")
    asked(protocol, 0.0)
    taken = answer(ErrorCode.UNRELEASED_INSTANCE_ID, said="Static member i is owned by member m.")
    assert protocol.answered(taken, 0.0) == Heard([])
    assert protocol.waits_for is not None
    assert "owned by member m" in protocol.waits_for
    asked(protocol, 13.0)
    (ended,) = protocol.answered(taken, 13.0).effects
    assert isinstance(ended, Ended)
    assert "group.instance.id" in (ended.reason or "")
    assert protocol.has_ended
    assert protocol.waits_for is None


def test_a_coordinator_that_moved_is_looked_for_and_the_member_goes_on() -> None:
    protocol = joined(new())
    asked(protocol, 5.0)
    heard = protocol.answered(answer(ErrorCode.NOT_COORDINATOR), 5.0)
    assert heard == Heard([], has_moved=True)
    assert not protocol.has_ended


def test_after_a_lost_answer_it_asks_what_it_was_assigned() -> None:
    protocol = joined(new(member_id="m"))
    protocol.acknowledge(1, 0.1)
    asked(protocol, 0.1)
    protocol.unanswered(GONE, 0.1)
    asked(protocol, 2.0)
    assert protocol.answered(answer(), 2.0) == Heard([], is_member=True)
    assert asked(protocol, 2.0).group_ids == ["app"]
    made = StreamsGroupDescribeResponse.DescribedGroup
    refused = StreamsGroupDescribeResponse(
        version=0, groups=[made(error_code=int(ErrorCode.NOT_COORDINATOR), members=[])]
    )
    assert protocol.answered(refused, 2.0) == Heard(has_moved=True)
    asked(protocol, 4.0)
    protocol.answered(answer(), 4.0)
    asked(protocol, 4.0)
    mine = made.Member.Assignment(
        active_tasks=[made.Member.Assignment.TaskIds(subtopology_id="0", partitions=[1])],
        standby_tasks=[],
        warmup_tasks=[],
    )
    told = StreamsGroupDescribeResponse(
        version=0, groups=[made(error_code=0, members=[made.Member(member_id="m", assignment=mine)])]
    )
    # A description keeps no session alive: it is no sign that the member is one.
    assert protocol.answered(told, 4.0) == Heard([Assigned(2, Roles(frozenset({B})))], is_member=False)


def test_nobody_to_speak_to_is_the_end_of_all_tasks() -> None:
    protocol = joined(new())
    assert protocol.give_up("wrong password", 1.0) == [Lost("wrong password"), Ended("wrong password")]
    assert protocol.has_ended


def test_it_begins_anew_under_the_same_id() -> None:
    protocol = joined(new(member_id="m"))
    protocol.leave(1.0, for_good=False)
    assert asked(protocol, 1.0).member_epoch == -1
    protocol.answered(answer(epoch=-1), 1.0)
    assert protocol.has_ended
    protocol.begin_anew(2.0)
    message = asked(protocol, 2.0)
    assert (message.member_id, message.member_epoch) == ("m", 0)
