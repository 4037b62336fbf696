"""What log records say beside their message: which application, task, record and node they are about.

The standard library's own way: attributes of the record, by `extra=` where a message is about a node, and by a filter
for what the thread is at. Nothing of a record's key or value is among them.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["FIELDS", "LogFields", "at_work"]

#: Attributes of log records, beside those of the standard library; the thread's name is `threadName` there.
FIELDS = ("application", "task", "topic", "partition", "offset", "node")


class Work(Protocol):
    """What a thread is at: a task, and the record at hand. `topic` is None where there is none."""

    @property
    def application_id(self) -> str: ...
    @property
    def task_id(self) -> object: ...
    @property
    def topic(self) -> str | None: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...


class _Thread(threading.local):
    work: Work | None = None


# Of each thread: handlers and filters are called in the thread that logs, and are told of nothing else.
_thread = _Thread()


@contextmanager
def at_work(work: Work) -> Iterator[None]:
    """Let what this thread logs in between say what it is at; takes less than 1 µs."""
    before, _thread.work = _thread.work, work
    try:
        yield
    finally:
        _thread.work = before


class LogFields(logging.Filter):
    """Gives log records `application`, `task`, `topic`, `partition`, `offset` and `node`; None where there is none.

    For a handler, `handler.addFilter(hr.LogFields())`, whose formatter may then use them: those of headrace's own
    records, and of what your functions log while they process one. What a record has by `extra=` stays.
    `application` is for records of threads that belong to no task.
    """

    def __init__(self, application: str | None = None) -> None:
        super().__init__()
        self._application = application

    def filter(self, record: logging.LogRecord) -> bool:
        """Add what is not there yet; keeps every record."""
        work, has = _thread.work, vars(record)
        has_record = work is not None and work.topic is not None
        found: tuple[object, ...] = (
            self._application if work is None else work.application_id,
            None if work is None else str(work.task_id),
            work.topic if work is not None else None,
            work.partition if work is not None and has_record else None,
            work.offset if work is not None and has_record else None,
            None,
        )
        for name, value in zip(FIELDS, found):
            has.setdefault(name, value)
        return True
