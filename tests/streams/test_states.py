"""The states of an application: every pair of them, who is told, and who waits."""

import logging
import threading

import pytest

from headrace.base.errors import StateError
from headrace.streams.states import NEXT, Lifecycle, State

_PATHS: dict[State, tuple[State, ...]] = {
    "created": (),
    "rebalancing": ("rebalancing",),
    "running": ("rebalancing", "running"),
    "pending_shutdown": ("pending_shutdown",),
    "pending_error": ("rebalancing", "pending_error"),
    "error": ("rebalancing", "pending_error", "error"),
    "not_running": ("pending_shutdown", "not_running"),
}

_MOVES: set[tuple[State, State]] = {
    ("created", "rebalancing"),
    ("created", "pending_shutdown"),
    ("rebalancing", "running"),
    ("rebalancing", "pending_shutdown"),
    ("rebalancing", "pending_error"),
    ("running", "rebalancing"),
    ("running", "running"),
    ("running", "pending_shutdown"),
    ("running", "pending_error"),
    ("pending_shutdown", "not_running"),
    ("pending_error", "error"),
}

# What a worker or a second close reports too late.
_LATE: tuple[State, ...] = ("pending_shutdown", "rebalancing", "running", "pending_error")
_CLOSING: tuple[State, ...] = ("pending_shutdown", "pending_error", "error", "not_running")
_IGNORED: set[tuple[State, State]] = {
    ("rebalancing", "rebalancing"),
    *((state, late) for state in _CLOSING for late in _LATE),
}


def _at(state: State) -> Lifecycle:
    life = Lifecycle()
    for step in _PATHS[state]:
        life.move(step)
    assert life.state == state
    return life


@pytest.mark.parametrize("new", list(NEXT))
@pytest.mark.parametrize("old", list(NEXT))
def test_every_pair_of_states_moves_is_ignored_or_is_refused(old: State, new: State) -> None:
    life = _at(old)
    if (old, new) in _MOVES:
        assert life.move(new)
        assert life.state == new
    elif (old, new) in _IGNORED:
        assert not life.move(new)
        assert life.state == old
    else:
        with pytest.raises(StateError):
            life.move(new)
        assert life.state == old


def test_listeners_are_told_new_and_old_state() -> None:
    life = Lifecycle()
    seen: list[tuple[str, str]] = []
    life.listen(lambda new, old: seen.append((new, old)))
    life.move("rebalancing")
    life.move("running")
    assert seen == [("rebalancing", "created"), ("running", "rebalancing")]


def test_a_listener_that_fails_is_logged_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    life = Lifecycle()
    seen: list[str] = []

    def bad(new: str, old: str) -> None:
        raise ValueError("no")

    life.listen(bad)
    life.listen(lambda new, old: seen.append(new))
    with caplog.at_level(logging.ERROR, "headrace.streams"):
        assert life.move("rebalancing")
    assert seen == ["rebalancing"]
    assert "a listener failed" in caplog.text


def test_a_listener_may_move_on() -> None:
    life = Lifecycle()
    life.listen(lambda new, old: life.move("pending_shutdown") if new == "running" else None)
    life.move("rebalancing")
    life.move("running")
    assert life.state == "pending_shutdown"


def test_waiting_ends_with_the_state_or_the_time() -> None:
    life = Lifecycle()
    assert not life.wait_for(frozenset({"rebalancing"}), 0.0)
    mover = threading.Thread(target=lambda: life.move("rebalancing"))
    mover.start()
    assert life.wait_for(frozenset({"rebalancing"}), 10.0)
    mover.join()
