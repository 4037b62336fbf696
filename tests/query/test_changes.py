"""Changes of a changelog as they are handed to those who watch."""

import threading

import pytest

from headrace.base.columns import Chunk, Columns
from headrace.base.errors import LogUnavailableError, StoreUnavailableError
from headrace.base.ids import TopicPartition
from headrace.base.records import Headers
from headrace.log.memory import MemoryLog
from headrace.log.memory.reader import MemoryReader
from headrace.log.port import TopicSpec
from headrace.query import changes as changes_module
from headrace.query.changes import Change, Changes, Watcher

PLACE = TopicPartition("changelog", 0)


def change(key: bytes, value: bytes | None, timestamp: int, headers: Headers) -> Change:
    return Change(key, value, timestamp)


def commit(log: MemoryLog, timestamps: range) -> None:
    columns = Columns()
    for timestamp in timestamps:
        columns.append(b"a", b"1", timestamp, ())
    writer = log.writer("test")
    writer.append("changelog", 0, columns)
    writer.commit({})


def new_log() -> MemoryLog:
    log = MemoryLog()
    log.create_topics([TopicSpec("changelog", 1)])
    return log


def take(changes: Changes, count: int) -> list[int]:
    return [next(changes).timestamp for _ in range(count)]


def test_who_misses_changes_is_given_none_after_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes_module, "_WAITING_MAX", 2)
    monkeypatch.setattr(changes_module, "_ROOM_SECONDS", 0)
    log = new_log()
    watcher = Watcher(log, "watcher")
    slow, quick = watcher.watch([PLACE], change), watcher.watch([PLACE], change)
    commit(log, range(2))
    assert take(quick, 2) == [0, 1]
    commit(log, range(2, 3))
    assert take(quick, 1) == [2]
    assert take(slow, 1) == [0]
    commit(log, range(3, 4))
    assert take(quick, 1) == [3]
    assert take(slow, 1) == [1]
    with pytest.raises(StoreUnavailableError, match="more than 2 changes wait to be taken"):
        next(slow)
    assert watcher._watches == [quick]
    watcher.close()


def test_large_commit_waits_for_who_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes_module, "_WAITING_MAX", 10)
    monkeypatch.setattr(changes_module, "_PART_MAX", 3)
    monkeypatch.setattr(changes_module, "_ROOM_SECONDS", 10)
    log = new_log()
    watcher = Watcher(log, "watcher")
    changes = watcher.watch([PLACE], change)
    commit(log, range(100))
    assert take(changes, 100) == list(range(100))
    watcher.close()


def test_watch_that_begins_as_another_ends_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    is_polling, may_poll = threading.Event(), threading.Event()

    class HeldReader(MemoryReader):
        def poll(self, timeout_ms: int) -> list[Chunk]:
            is_polling.set()
            may_poll.wait(20)
            return super().poll(timeout_ms)

    log = new_log()
    monkeypatch.setattr(log, "reader", lambda: HeldReader(log._contents))
    watcher = Watcher(log, "watcher")
    first = watcher.watch([PLACE], change)
    is_polling.wait(20)
    first.close()
    second = watcher.watch([PLACE], change)
    commit(log, range(3))
    may_poll.set()
    assert take(second, 3) == [0, 1, 2]
    watcher.close()


def test_log_that_gives_no_reader_ends_the_watch_and_not_those_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = new_log()
    watcher = Watcher(log, "watcher")

    def no_reader() -> MemoryReader:
        raise LogUnavailableError("no files are left")

    with monkeypatch.context() as patch:
        patch.setattr(log, "reader", no_reader)
        failed = watcher.watch([PLACE], change)
        with pytest.raises(StoreUnavailableError, match="cannot be read any more: no files are left"):
            next(failed)
    changes = watcher.watch([PLACE], change)
    commit(log, range(1))
    assert take(changes, 1) == [0]
    watcher.close()
