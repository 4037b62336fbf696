"""The application's lock."""

import os
from pathlib import Path

import pytest

from headrace.base.errors import AlreadyRunningError
from headrace.streams.lock import ApplicationLock


def test_a_second_holder_is_told_who_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "shop" / ".lock"
    first, second = ApplicationLock("shop", (file,)), ApplicationLock("shop", (file,))
    first.acquire()
    with pytest.raises(AlreadyRunningError, match=f"'shop' is already running: process {os.getpid()} holds"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_either_file_alone_keeps_a_second_one_out_and_leaves_nothing_locked(tmp_path: Path) -> None:
    a, b, c = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    holder = ApplicationLock("shop", (b,))
    holder.acquire()
    with pytest.raises(AlreadyRunningError):
        ApplicationLock("shop", (a, b)).acquire()
    free = ApplicationLock("shop", (a, c))
    free.acquire()
    free.release()
    holder.release()


def test_releasing_twice_is_fine(tmp_path: Path) -> None:
    lock = ApplicationLock("shop", (tmp_path / "lock",))
    lock.acquire()
    lock.release()
    lock.release()
