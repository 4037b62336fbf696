"""Python's collector is held back where many objects are made, and nowhere else."""

import gc

import pytest

from headrace.base.garbage import collector_held_back


def test_the_collector_is_off_within_and_on_after_it() -> None:
    with collector_held_back():
        assert not gc.isenabled()
        with collector_held_back():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_an_error_lets_the_collector_go_on() -> None:
    with pytest.raises(ValueError, match="bad"), collector_held_back():
        raise ValueError("bad")
    assert gc.isenabled()


def test_a_collector_that_is_off_stays_off() -> None:
    gc.disable()
    try:
        with collector_held_back():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
