"""Members of groups on real brokers, without an engine: they share tasks, come, go, die and sleep, in both protocols.

Sessions of 3 s, heartbeats of 0.2 s (classic), no delay before a first or a next assignment: see `conftest`.
"""

import time
import uuid
from collections.abc import Callable

import pytest

from headrace.base.errors import StateError, TransactionAbortedError
from headrace.base.ids import TopicPartition
from headrace.group.members import Roles
from headrace.group.membership import Assigned, GroupStatus, Lost
from headrace.log.port import CommittedOffset
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.jars import KAFKA_VERSION
from tests.kafka.group.conftest import PROTOCOLS, SESSION_S, NewGroup, Protocol
from tests.kafka.group.members import Worker, shared, until

pytestmark = pytest.mark.broker

KafkaOf = Callable[[str], LocalKafka]

both = pytest.mark.parametrize("protocol", PROTOCOLS)


def assignments(worker: Worker) -> list[Roles]:
    return [effect.roles for effect in worker.heard if isinstance(effect, Assigned)]


#: Brokers with each protocol: the newest, and the oldest that we are tried with.
ON = pytest.mark.parametrize(
    ("protocol", "version"),
    [("classic", KAFKA_VERSION), ("classic", "3.9.2"), ("streams", KAFKA_VERSION), ("streams", "4.3.1")],
)


@ON
def test_members_share_the_tasks_and_the_others_have_them_when_one_leaves(
    protocol: Protocol, version: str, kafka_of: KafkaOf, new_group: NewGroup
) -> None:
    group = new_group(protocol, kafka=kafka_of(version))
    first = group.join("first")
    until(shared(group.application, first))
    second, third = group.join("second"), group.join("third")
    until(shared(group.application, first, second, third))
    second.leave()
    assert until(shared(group.application, first, third)) < SESSION_S - 0.5
    assert not first.was_lost


def test_a_killed_member_has_no_tasks_when_its_session_is_over(new_group: NewGroup) -> None:
    groups = [new_group(protocol) for protocol in PROTOCOLS]
    first, second = ([group.join(name) for group in groups] for name in ("first", "second"))
    until(lambda: all(shared(group.application, *group.workers)() for group in groups))
    for worker in second:
        worker.kill()
    took = until(lambda: all(shared(group.application, worker)() for group, worker in zip(groups, first)))
    assert SESSION_S - 1.5 < took < SESSION_S + 1.5


@both
def test_the_dead_need_not_be_waited_for_when_somebody_leaves_in_their_name(
    protocol: Protocol, new_group: NewGroup
) -> None:
    group = new_group(protocol)
    first, second = group.join("first"), group.join("second")
    until(shared(group.application, first, second))
    who = second.kill()
    assert who is not None
    group.log.groups.end_membership(group.name, who.member_id)
    assert until(shared(group.application, first)) < 1.5
    # There is no such member any more, which is as well.
    group.log.groups.end_membership(group.name, who.member_id)


@ON
def test_a_member_that_comes_back_under_its_old_id_has_its_tasks_in_its_first_answer(
    protocol: Protocol, version: str, kafka_of: KafkaOf, new_group: NewGroup
) -> None:
    group = new_group(protocol, kafka=kafka_of(version))
    process_id = str(uuid.uuid4())
    first, second = group.join("first"), group.join("second", process_id)
    until(shared(group.application, first, second))
    had, told = second.roles, len(assignments(first))
    who = second.kill()
    assert who is not None
    again = group.join("second", process_id, member_id=who.member_id)
    took = until(shared(group.application, first, again))
    assert took < 1.5
    assert assignments(again)[0].active
    assert not first.was_lost
    if protocol == "streams":
        # The coordinator is told nothing new, so that nobody else hears of it.
        assert (again.roles, len(assignments(first))) == (had, told)


@both
def test_a_worker_that_is_silent_for_too_long_is_taken_out_and_comes_back(
    protocol: Protocol, new_group: NewGroup
) -> None:
    group = new_group(protocol)
    first = group.join("first")
    second = group.join("second", max_poll_interval_ms=1200)
    until(shared(group.application, first, second))
    second.sleep()
    group.ledger.count_no_more("second")
    assert until(shared(group.application, first)) < SESSION_S
    second.wake()
    until(shared(group.application, first, second))
    (lost,) = [effect for effect in second.heard if isinstance(effect, Lost)]
    assert "max.poll.interval.ms" in lost.reason


def test_user_code_that_takes_long_costs_no_membership(new_group: NewGroup) -> None:
    groups = [new_group(protocol) for protocol in PROTOCOLS]
    first = [group.join("first") for group in groups]
    until(lambda: all(shared(group.application, *group.workers)() for group in groups))
    for worker in first:
        worker.sleep()
    time.sleep(SESSION_S + 1.0)  # longer than a session, shorter than max.poll.interval.ms
    for worker, group in zip(first, groups):
        worker.wake()
        group.join("second")
    until(lambda: all(shared(group.application, *group.workers)() for group in groups))
    assert [worker.was_lost for worker in first] == [False, False]


@both
def test_instances_know_where_the_others_are(protocol: Protocol, new_group: NewGroup) -> None:
    group = new_group(protocol)
    (topic,) = group.application.source_topics
    first = group.join("first", endpoint=("one", 1))
    second = group.join("second", endpoint=("two", 2))

    def told(worker: Worker) -> dict[tuple[str, int], list[int]]:
        return {at: sorted(tasks.active.get(topic, [])) for at, tasks in worker.endpoints.items()}

    def is_right(*workers: Worker) -> Callable[[], bool]:
        def is_so() -> bool:
            has = {
                ("one", 1): sorted(task.partition for task in first.roles.active),
                ("two", 2): sorted(task.partition for task in second.roles.active),
            }
            return all(told(worker) == has for worker in workers)

        return is_so

    until(shared(group.application, first, second))
    until(is_right(first, second))
    second.leave()
    until(shared(group.application, first))
    # A broker keeps the endpoint of who is gone, until it is asked for all of them.
    first.membership.ask_for_endpoints()
    until(lambda: told(first) == {("one", 1): [0, 1, 2, 3]})


@both
def test_all_members_hear_that_the_application_is_to_stop(protocol: Protocol, new_group: NewGroup) -> None:
    group = new_group(protocol)
    first, second = group.join("first"), group.join("second")
    until(shared(group.application, first, second))
    second.membership.stop_application()
    until(lambda: all(GroupStatus.SHUTDOWN_APPLICATION in worker.statuses for worker in (first, second)))


@both
def test_a_static_member_comes_back_to_its_tasks_and_nobody_else_loses_one(
    protocol: Protocol, new_group: NewGroup
) -> None:
    group = new_group(protocol)
    process_id = str(uuid.uuid4())
    first = group.join("first", instance_id="one")
    second = group.join("second", process_id, instance_id="two")
    until(shared(group.application, first, second))
    has, had = first.roles, second.roles
    second.leave()
    again = group.join("second", process_id, instance_id="two")
    assert until(shared(group.application, first, again)) < 1.5
    assert assignments(again)[0] == had
    assert all(roles.active >= has.active for roles in assignments(first)[1:])


@both
def test_a_static_member_that_was_killed_comes_back_at_once_where_its_id_was_kept(
    protocol: Protocol, new_group: NewGroup
) -> None:
    group = new_group(protocol)
    process_id = str(uuid.uuid4())
    first = group.join("first", instance_id="one")
    second = group.join("second", process_id, instance_id="two")
    until(shared(group.application, first, second))
    had = second.roles
    who = second.kill()
    assert who is not None
    again = group.join("second", process_id, instance_id="two", member_id=who.member_id)
    assert until(shared(group.application, first, again)) < 1.5
    assert assignments(again)[0] == had


@both
def test_a_static_member_that_leaves_for_good_leaves_its_tasks_at_once(
    protocol: Protocol, new_group: NewGroup
) -> None:
    group = new_group(protocol)
    first, second = group.join("first", instance_id="one"), group.join("second", instance_id="two")
    until(shared(group.application, first, second))
    second.leave(for_good=True)
    assert until(shared(group.application, first)) < SESSION_S - 0.5


@both
@pytest.mark.parametrize("guarantee", ["exactly once", "at least once"])
def test_a_zombie_commits_nothing(
    guarantee: str, protocol: Protocol, new_group: NewGroup, unique: Callable[[str], str]
) -> None:
    group = new_group(protocol)
    (topic,) = group.application.source_topics
    place = TopicPartition(topic, 0)
    first = group.join("first", max_poll_interval_ms=1200)
    until(shared(group.application, first))
    writer = group.log.writer(group.name, unique("writer") if guarantee == "exactly once" else None)
    try:
        who = first.membership.member
        assert who is not None
        writer.commit({place: CommittedOffset(5)}, who)
        with pytest.raises(StateError, match="as nobody"):
            writer.commit({place: CommittedOffset(6)})
        first.sleep()
        group.ledger.count_no_more("first")
        second = group.join("second")
        until(shared(group.application, second))
        with pytest.raises(TransactionAbortedError):
            writer.commit({place: CommittedOffset(7)}, who)
        writer.abort()
        assert group.log.committed(group.name, [place]) == {place: CommittedOffset(5)}
        writer.commit({place: CommittedOffset(8)}, second.membership.member)
        assert group.log.committed(group.name, [place]) == {place: CommittedOffset(8)}
    finally:
        writer.close()


def test_who_has_not_heard_yet_that_it_is_lost_is_nobody(new_group: NewGroup) -> None:
    group = new_group("streams")
    first = group.join("first", max_poll_interval_ms=1200)
    until(shared(group.application, first))
    first.sleep()
    group.ledger.count_no_more("first")
    second = group.join("second")
    until(shared(group.application, second))
    # Lost stands in the queue: what it has from before that must not be committed.
    assert first.membership.member is None
