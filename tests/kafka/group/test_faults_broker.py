"""Members of groups on brokers that die, lose answers, or find a member again that was long away; both protocols.

Sessions of 3 s, heartbeats of 0.2 s (classic), brokers that are missed after 3 s: see `conftest`, and `LocalKafka`.
"""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka.protocol.metadata import FindCoordinatorRequest

from headrace.kafka.net.network import Bounded, Network
from headrace.testing import LocalKafka
from tests.kafka.broker.proxy import Proxy
from tests.kafka.group.conftest import PROTOCOLS, SESSION_S, Group, NewGroup, Protocol
from tests.kafka.group.members import shared, until

pytestmark = pytest.mark.broker

both = pytest.mark.parametrize("protocol", PROTOCOLS)

_JOIN, _HEARTBEAT, _SYNC, _STREAMS_HEARTBEAT = 11, 12, 14, 88


def coordinator_of(group: Group) -> int:
    """The node id of a group's coordinator; -1 while there is none."""
    network = Network(group.settings, purpose="test")
    try:
        network.connect()
        answer = network.call(Bounded(FindCoordinatorRequest(key=group.name, key_type=0), 3))
        node_id: int = answer.node_id
        return node_id
    finally:
        network.close()


def all_share(groups: list[Group]) -> bool:
    return all(shared(group.application, *group.workers)() for group in groups)


def test_members_outlive_their_coordinator(cluster: LocalKafka, new_group: NewGroup) -> None:
    classic: Group = new_group("classic", kafka=cluster)
    until(lambda: coordinator_of(classic) >= 0)
    dead = coordinator_of(classic)
    others = (new_group("streams", kafka=cluster) for _ in range(50))
    groups = [classic, next(group for group in others if coordinator_of(group) == dead)]
    for name in ("first", "second"):
        for group in groups:
            group.join(name)
    until(lambda: all_share(groups))
    cluster.kill_broker(dead)
    until(lambda: all(coordinator_of(group) not in (dead, -1) for group in groups))
    for group in groups:
        group.join("third")
    until(lambda: all_share(groups))
    assert [worker.name for group in groups for worker in group.workers if worker.was_lost] == []


def test_members_outlive_connections_that_are_gone_for_less_than_a_session(
    proxied: LocalKafka, proxy: Proxy, new_group: NewGroup
) -> None:
    groups: list[Group] = [new_group(protocol, kafka=proxied) for protocol in PROTOCOLS]
    for name in ("first", "second"):
        for group in groups:
            group.join(name)
    until(lambda: all_share(groups))
    with proxy.refusing():
        proxy.cut_connections()
        threading.Event().wait(1.0)
    for group in groups:
        group.join("third")
    until(lambda: all_share(groups))
    assert [worker.name for group in groups for worker in group.workers if worker.was_lost] == []


@both
@pytest.mark.parametrize("loses", ["requests", "answers"])
def test_what_is_lost_on_the_way_costs_nobody_a_task(
    loses: str, protocol: Protocol, proxied: LocalKafka, proxy: Proxy, new_group: NewGroup
) -> None:
    group: Group = new_group(protocol, kafka=proxied)
    first = group.join("first")
    until(shared(group.application, first))
    keys = [_STREAMS_HEARTBEAT] if protocol == "streams" else [_JOIN, _HEARTBEAT, _SYNC]
    faults = [
        proxy.swallow_answers(api_key=key, count=3)
        if loses == "answers"
        else proxy.cut_requests(api_key=key, count=3)
        for key in keys
    ]
    second = group.join("second")
    for fault in faults:
        fault.wait(3)
    until(shared(group.application, first, second))


@contextmanager
def lone_member(kafka: LocalKafka, group: Group) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A member in a process of its own, and the lines that it has printed."""
    (topic,) = group.application.source_topics
    arguments = [kafka.bootstrap_servers, group.name, topic, "4", group.protocol, str(int(1000 * SESSION_S))]
    program = Path(__file__).with_name("lone_member.py")
    process = subprocess.Popen([sys.executable, str(program), *arguments], stdout=subprocess.PIPE, text=True)
    lines: list[str] = []

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.strip())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield process, lines
    finally:
        process.kill()
        process.wait()
        reader.join()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.process
def test_zombies_hear_that_all_is_lost_and_share_again(broker: LocalKafka, new_group: NewGroup) -> None:
    groups: list[Group] = [new_group(protocol) for protocol in PROTOCOLS]
    with lone_member(broker, groups[0]) as one, lone_member(broker, groups[1]) as other:
        zombies = (one, other)
        until(lambda: all("assigned 4" in lines for _, lines in zombies))
        for group in groups:
            group.join("first")
        until(lambda: all("assigned 2" in lines for _, lines in zombies))
        for process, _ in zombies:
            process.send_signal(signal.SIGSTOP)
        until(lambda: all_share(groups))
        for process, lines in zombies:
            lines.clear()
            process.send_signal(signal.SIGCONT)
        until(lambda: all("assigned 2" in lines for _, lines in zombies))
        assert [lines[0] for _, lines in zombies] == ["lost", "lost"]
        assert [len(worker.roles.active) for group in groups for worker in group.workers] == [2, 2]


@both
def test_members_of_one_process_share_its_tasks(protocol: Protocol, new_group: NewGroup) -> None:
    group: Group = new_group(protocol)
    first, second = group.join("first", "process"), group.join("second", "process")
    third = group.join("third")
    until(lambda: all(worker.roles.active for worker in (first, second, third)))
    until(lambda: sum(len(worker.roles.active) for worker in (first, second, third)) == 4)
    second.leave()
    until(shared(group.application, first, third))
