"""What a coordinator will not have, on real brokers: one clear end that names the setting, and no retry for ever.

Sessions of 3 s (of 1.5 s where an id is waited for), heartbeats of 0.2 s (classic): see `conftest`.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from headrace.group.application import InternalTopic
from headrace.testing import LocalKafka
from tests.kafka.broker.acls import allow
from tests.kafka.group.conftest import Group, NewGroup, Protocol
from tests.kafka.group.members import Worker, shared, until

pytestmark = pytest.mark.broker

OTHER: dict[Protocol, Protocol] = {"classic": "streams", "streams": "classic"}


def end_of(worker: Worker) -> str:
    """Wait for the end, and return its reason."""
    until(lambda: worker.ended is not None)
    assert worker.ended is not None
    assert worker.ended.reason is not None
    return worker.ended.reason


@pytest.mark.parametrize("protocol", OTHER)
def test_a_group_with_members_of_the_other_protocol_is_not_joined(
    protocol: Protocol, new_group: NewGroup
) -> None:
    group: Group = new_group(protocol)
    first = group.join("first")
    until(shared(group.application, first))
    reason = end_of(group.join("second", protocol=OTHER[protocol]))
    assert f"cannot join group {group.name!r}" in reason
    assert "group.protocol" in reason
    assert "application.id" in reason
    assert shared(group.application, first)()
    assert not first.was_lost


def test_a_static_id_that_is_used_twice_ends_the_one_that_had_it_in_a_classic_group(
    new_group: NewGroup,
) -> None:
    group: Group = new_group("classic")
    first = group.join("first", instance_id="same")
    until(shared(group.application, first))
    group.ledger.count_no_more("first")
    second = group.join("second", instance_id="same")
    assert "group.instance.id" in end_of(first)
    until(shared(group.application, second))


def test_a_static_id_that_is_used_twice_ends_the_one_that_comes_in_a_streams_group(
    new_group: NewGroup,
) -> None:
    group: Group = new_group("streams", session_timeout_ms=1500)
    first = group.join("first", instance_id="same")
    until(shared(group.application, first))
    second = group.join("second", instance_id="same")
    until(lambda: second.membership.trouble is not None)
    assert "same" in (second.membership.trouble or "")
    assert "group.instance.id" in end_of(second)
    assert second.membership.trouble is None
    assert not first.was_lost


def test_another_topology_is_refused_in_a_streams_group(new_group: NewGroup) -> None:
    group: Group = new_group("streams")
    first = group.join("first")
    until(shared(group.application, first))
    (part,) = group.application.subtopologies
    changed = replace(
        part, changelogs=(InternalTopic(f"{group.name}-more-changelog", {"cleanup.policy": "compact"}),)
    )
    group.application = replace(group.application, subtopologies=(changed,))
    reason = end_of(group.join("second"))
    assert "another topology" in reason
    assert "application.id" in reason
    assert not first.was_lost


@pytest.mark.parametrize("protocol", OTHER)
def test_who_may_not_read_the_group_is_told_which_acl_is_missing(
    protocol: Protocol, secured: LocalKafka, new_group: NewGroup
) -> None:
    alice = dict(secured.client_properties_of("alice"))
    group: Group = new_group(protocol, kafka=secured, **alice)
    reason = end_of(group.join("first"))
    assert group.name in reason
    assert "GROUP_AUTHORIZATION_FAILED" in reason
    assert "the group" in reason


def test_who_may_not_see_a_topic_is_told_so_in_a_streams_group(
    secured: LocalKafka, new_group: NewGroup
) -> None:
    alice = dict(secured.client_properties_of("alice"))
    group: Group = new_group("streams", kafka=secured, **alice)
    allow(secured, "alice", "group", group.name, "READ")
    reason = end_of(group.join("first"))
    assert "TOPIC_AUTHORIZATION_FAILED" in reason
    assert "DESCRIBE all topics" in reason


def test_a_session_that_the_brokers_do_not_allow_is_said(new_group: NewGroup) -> None:
    group: Group = new_group("classic", session_timeout_ms=100, heartbeat_interval_ms=30)
    assert "session.timeout.ms" in end_of(group.join("first"))


def test_brokers_without_streams_groups_are_too_old_for_them(
    kafka_of: Callable[[str], LocalKafka], new_group: NewGroup
) -> None:
    group: Group = new_group("streams", kafka=kafka_of("3.9.2"), is_configured=False)
    reason = end_of(group.join("first"))
    assert "4.2.1 or later" in reason
    assert "group.protocol=classic" in reason


def test_brokers_before_4_4_have_no_static_members_in_streams_groups(
    kafka_of: Callable[[str], LocalKafka], new_group: NewGroup
) -> None:
    group: Group = new_group("streams", kafka=kafka_of("4.3.1"))
    assert "group.instance.id" in end_of(group.join("first", instance_id="one"))
