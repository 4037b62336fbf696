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


def test_moves_of_two_threads_are_told_in_their_order_each_once() -> None:
    life = Lifecycle()
    seen: list[str] = []
    hears, goes_on = threading.Event(), threading.Event()

    def listen(new: str, old: str) -> None:
        if new == "running":
            hears.set()
            assert goes_on.wait(10.0)
        seen.append(new)

    life.listen(listen)
    life.move("rebalancing")
    worker = threading.Thread(target=lambda: life.move("running"))
    worker.start()
    assert hears.wait(10.0)
    assert life.move("pending_shutdown")  # waits for nobody
    assert life.state == "pending_shutdown"
    goes_on.set()
    worker.join(10.0)
    assert seen == ["rebalancing", "running", "pending_shutdown"]
    life.move("not_running")
    assert seen == ["rebalancing", "running", "pending_shutdown", "not_running"]


def test_all_hear_of_a_move_before_any_hears_of_one_that_a_listener_makes() -> None:
    life = Lifecycle()
    seen: list[str] = []
    life.listen(lambda new, old: life.move("pending_shutdown") if new == "running" else None)
    life.listen(lambda new, old: seen.append(new))
    life.move("rebalancing")
    life.move("running")
    assert seen == ["rebalancing", "running", "pending_shutdown"]


def test_a_listener_hears_of_no_move_before_it_listens() -> None:
    life = Lifecycle()
    seen: list[str] = []
    life.change("rebalancing")
    life.listen(lambda new, old: seen.append(new))
    life.move("running")
    assert seen == ["running"]


def test_ctrl_c_in_a_listener_is_raised_when_all_have_heard() -> None:
    life = Lifecycle()
    seen: list[str] = []

    def interrupted(new: str, old: str) -> None:
        if new == "rebalancing":
            life.move("running")
            raise KeyboardInterrupt

    life.listen(interrupted)
    life.listen(lambda new, old: seen.append(new))
    with pytest.raises(KeyboardInterrupt):
        life.move("rebalancing")
    assert seen == ["rebalancing", "running"]
