"""The application's lock."""

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.base.errors import AlreadyRunningError, StateError
from headrace.streams.lock import ApplicationLock, application_lock


def test_a_second_holder_is_told_who_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "shop" / ".lock"
    first, second = ApplicationLock("shop", (file,)), ApplicationLock("shop", (file,))
    first.acquire()
    with pytest.raises(AlreadyRunningError, match=f"'shop' is already running: process {os.getpid()} holds"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_on_a_cluster_it_is_said_that_each_instance_needs_a_directory_of_its_own(tmp_path: Path) -> None:
    first, second = (application_lock("shop", tmp_path / "shop", None) for _ in range(2))
    first.acquire()
    try:
        with pytest.raises(AlreadyRunningError, match=r"give each instance a state\.dir of its own"):
            second.acquire()
    finally:
        first.release()


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


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_another_name_of_the_log_is_the_same_log(tmp_path: Path, link: Callable[[Path, Path], None]) -> None:
    log, other = tmp_path / "a" / "shop.db", tmp_path / "b" / "store.db"
    for file in (log, other):
        file.parent.mkdir()
    log.touch()
    link(log, other)
    first = application_lock("shop", tmp_path / "state", log)
    second = application_lock("shop", tmp_path / "state2", other)
    first.acquire()
    with pytest.raises(AlreadyRunningError, match="'shop' is already running"):
        second.acquire()
    # What was refused holds nothing, and another application may use the log.
    another = application_lock("cafe", tmp_path / "state2", other)
    another.acquire()
    another.release()
    first.release()
    second.acquire()
    second.release()


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOLCK, "its file system keeps no locks"),
        (errno.EOPNOTSUPP, "its file system keeps no locks"),
        (errno.EACCES, "make it writable for this user"),
        (errno.EINVAL, "its file system keeps no locks"),
    ],
)
def test_lock_that_the_system_cannot_give_is_no_running_application(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StateError, match=said) as caught:
        ApplicationLock("shop", (tmp_path / "lock",)).acquire()
    assert f"cannot lock {tmp_path / 'lock'}: {os.strerror(number)}" in str(caught.value)


def test_lock_whose_directory_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="File exists; a file is where a directory is wanted"):
        ApplicationLock("shop", (tmp_path / "file" / "lock",)).acquire()


@pytest.mark.process
def test_forked_child_holds_no_lock(tmp_path: Path) -> None:
    """The child outlives the lock's owner; whoever comes next gets the lock."""
    program = f"""
import os, sys
from pathlib import Path
from headrace.streams.lock import ApplicationLock
lock = ApplicationLock("shop", (Path({str(tmp_path / "lock")!r}),))
lock.acquire()
if os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
os._exit(0)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE)
    assert process.wait(20) == 0
    lock = ApplicationLock("shop", (tmp_path / "lock",))
    lock.acquire()
    lock.release()
    assert process.stdin is not None
    process.stdin.close()


def test_workers_share_the_state_each_by_its_number_and_with_nobody_else(tmp_path: Path) -> None:
    def lock(worker: int | None) -> ApplicationLock:
        return application_lock("shop", tmp_path, None, worker)

    one, two = lock(1), lock(2)
    one.acquire()
    two.acquire()
    for other in (lock(1), lock(None)):
        with pytest.raises(AlreadyRunningError):
            other.acquire()
    one.release()
    with pytest.raises(AlreadyRunningError):
        lock(None).acquire()
    two.release()
    alone = lock(None)
    alone.acquire()
    with pytest.raises(AlreadyRunningError):
        lock(1).acquire()
    alone.release()
