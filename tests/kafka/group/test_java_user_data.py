"""What members of Kafka Streams tell each other: bytes of version 11 as 4.4 writes them, and of the versions before."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.base.ids import TaskId
from headrace.group.members import Roles
from headrace.group.user_data import UserDataError
from headrace.kafka.group.java_user_data import JavaMember, read_assignment, read_subscription

PROCESS = bytes.fromhex("41e49a49620e4180bf210efca7bbb058")
PROCESS_ID = "41e49a49-620e-4180-bf21-0efca7bbb058"


def numbers(*of: int) -> bytes:
    return struct.pack(f">{len(of)}i", *of)


#: As a member wrote it that had nothing yet: its version and the newest one, process, endpoint, no offsets, a number
#: that changes with each join, no error, no tags.
TOLD = numbers(11, 11) + PROCESS + numbers(8) + b"host-1:1" + numbers(0) + b"\x07" + numbers(0, 0)

READS = numbers(1) + b"\x00\x02in" + numbers(3)

#: Two tasks to run, one to follow; partitions by host, those of standbys, no error, the time of the next rebalance.
GIVEN = {
    11: numbers(11, 11, 2, 0, 1, 0, 1, 2, 0, 1, 1, 3, 0) + READS + numbers(0, 0, 0, 0) + bytes(8),
    7: numbers(7, 11, 2, 0, 1, 1, 2, 1, 1, 3) + READS + numbers(0, 0, 0, 0) + bytes(8),
    3: numbers(3, 11, 2, 0, 1, 1, 2, 1, 1, 3) + READS + numbers(0),
    1: numbers(1, 2, 0, 1, 1, 2, 1, 1, 3) + READS,
}


def test_what_a_member_tells_is_its_process_and_its_endpoint() -> None:
    assert read_subscription(TOLD) == JavaMember(PROCESS_ID, ("host-1", 1))
    without = numbers(11, 11) + PROCESS + numbers(0, 0) + b"\x07" + numbers(0, 0)
    assert read_subscription(without) == JavaMember(PROCESS_ID, None)


def test_earlier_versions_have_the_endpoint_behind_tasks_or_not_at_all() -> None:
    second = numbers(2) + PROCESS + numbers(1, 0, 0, 1, 0, 1) + numbers(4) + b"h:42"
    third = numbers(3, 11) + second[4:]
    for data in (second, third):
        assert read_subscription(data) == JavaMember(PROCESS_ID, ("h", 42))
    assert read_subscription(numbers(1) + PROCESS + numbers(0, 0)) == JavaMember(PROCESS_ID, None)


@pytest.mark.parametrize("version", GIVEN)
def test_what_the_leader_tells_are_tasks_to_run_and_to_follow(version: int) -> None:
    assert read_assignment(GIVEN[version]) == Roles(
        frozenset({TaskId(0, 1), TaskId(1, 2)}), frozenset({TaskId(1, 3)})
    )


def test_a_task_of_a_named_topology_is_known_by_its_numbers() -> None:
    named = numbers(11, 11, 1, 0, 1, 2) + "ab".encode("utf-16-be") + numbers(0)
    assert read_assignment(named) == Roles(frozenset({TaskId(0, 1)}))


def test_a_later_version_is_told_and_not_guessed_at() -> None:
    with pytest.raises(UserDataError, match="version 12; known are those up to 11"):
        read_assignment(numbers(12, 12) + GIVEN[11][8:])
    with pytest.raises(UserDataError, match="version 12"):
        read_subscription(numbers(12, 12) + TOLD[8:])


@pytest.mark.parametrize("data", [GIVEN[11], GIVEN[1]])
def test_what_is_cut_off_before_the_tasks_end_is_refused(data: bytes) -> None:
    end = data.index(b"in") + 2 + 4
    for size in range(end):
        with pytest.raises(UserDataError):
            read_assignment(data[:size])


@given(st.binary(max_size=60), st.integers(0, 12))
def test_bytes_of_anybody_are_read_or_refused(data: bytes, version: int) -> None:
    for read in (read_assignment, read_subscription):
        with suppress(UserDataError):
            read(numbers(version) + data)
