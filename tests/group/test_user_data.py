"""What members and leaders of classic groups tell: there and back, byte by byte, and against hostile bytes."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.base.ids import TaskId
from headrace.group.members import Roles
from headrace.group.user_data import (
    LeaderWord,
    MemberWord,
    TaskProgress,
    UserDataError,
    read_leader_word,
    read_member_word,
    write_leader_word,
    write_member_word,
)
from tests.budget import examples

NUMBERS = st.integers(0, (1 << 62) - 1)
TASKS = st.builds(TaskId, st.integers(0, 300), st.integers(0, 5000))
SETS = st.frozensets(TASKS, max_size=30) | st.builds(
    lambda subtopology, start, length: frozenset(TaskId(subtopology, start + n) for n in range(length)),
    st.integers(0, 3),
    st.integers(0, 1000),
    st.integers(0, 200),
)
ROLES = st.builds(Roles, SETS, SETS, SETS)
PROGRESS = st.builds(lambda offset, lag: TaskProgress(offset, offset + lag), NUMBERS, NUMBERS)
ENDPOINTS = st.tuples(st.text(max_size=20), st.integers(0, 65_535))
MEMBER_WORDS = st.builds(
    MemberWord,
    st.text(max_size=40),
    ROLES,
    st.dictionaries(TASKS, PROGRESS, max_size=20),
    st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=4),
    st.none() | ENDPOINTS,
    NUMBERS,
    st.booleans(),
)
LEADER_WORDS = st.builds(
    LeaderWord,
    ROLES,
    st.booleans(),
    st.dictionaries(ENDPOINTS, ROLES, max_size=4),
    st.booleans(),
    st.booleans(),
)


@settings(max_examples=examples(300), deadline=None)
@given(MEMBER_WORDS)
def test_a_members_word_comes_back(word: MemberWord) -> None:
    assert read_member_word(write_member_word(word)) == word


@settings(max_examples=examples(300), deadline=None)
@given(LEADER_WORDS)
def test_a_leaders_word_comes_back(word: LeaderWord) -> None:
    assert read_leader_word(write_leader_word(word)) == word


@settings(max_examples=examples(500), deadline=None)
@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda rest: b"\x01" + rest))
def test_bytes_of_nobody_are_read_or_refused(data: bytes) -> None:
    for read in (read_member_word, read_leader_word):
        with contextlib.suppress(UserDataError):
            read(data)


@settings(max_examples=examples(100), deadline=None)
@given(MEMBER_WORDS, st.data())
def test_a_word_that_is_cut_or_goes_on_is_refused(word: MemberWord, data: st.DataObject) -> None:
    written = write_member_word(word)
    cut = data.draw(st.integers(0, len(written) - 1))
    for damaged in (written[:cut], written + b"\0"):
        with pytest.raises(UserDataError):
            read_member_word(damaged)


def test_the_bytes_of_a_members_word_are_these() -> None:
    word = MemberWord(
        "p",
        Roles(
            frozenset({TaskId(0, 1), TaskId(0, 2), TaskId(0, 3), TaskId(1, 0)}), frozenset({TaskId(1, 300)})
        ),
        {TaskId(1, 0): TaskProgress(128, 130)},
        {"zone": "a"},
        ("h", 9),
        5,
        True,
    )
    assert (
        write_member_word(word).hex(" ")
        == (
            "01 0a 05 01 70 "  # version, flags, number, process
            "02 00 01 01 03 01 01 00 01 "  # sub-topology 0: one run from 1, of 3; sub-topology 1: one from 0, of 1
            "01 01 01 ac 02 01 00 "  # standby; no warm-up
            "01 01 00 80 01 02 "  # progress: task, offset, lag
            "01 04 7a 6f 6e 65 01 61 "  # tags
            "01 68 09"  # endpoint
        )
    )


def test_the_bytes_of_a_leaders_word_are_these() -> None:
    word = LeaderWord(Roles(frozenset({TaskId(2, 0)})), is_all=False, endpoints={("h", 9): Roles()})
    assert write_leader_word(word).hex(" ") == "01 00 01 02 01 00 01 00 00 01 01 68 09 00 00 00"


def test_no_word_at_all_gives_no_roles_and_more_is_to_come() -> None:
    assert read_leader_word(b"") == LeaderWord(is_all=False)


@pytest.mark.parametrize("read", [read_member_word, read_leader_word])
def test_a_later_version_is_refused_in_words(read: object) -> None:
    assert callable(read)
    with pytest.raises(UserDataError, match="version 2, which a later headrace writes; this one knows 1"):
        read(b"\x02\x00whatever comes then")


def test_a_run_without_end_is_refused_before_it_is_made() -> None:
    endless = b"\x01\x00\x01\x00\x01\x00" + b"\xff\xff\xff\xff\x0f"
    with pytest.raises(UserDataError, match="more than 1048576 tasks"):
        read_leader_word(endless)


def test_neighbours_cost_nothing() -> None:
    tasks = frozenset(TaskId(subtopology, partition) for subtopology in range(4) for partition in range(250))
    assert len(write_leader_word(LeaderWord(Roles(tasks)))) < 35
