"""Stores of the user's own: what such a store implements, and what it is given."""

from collections.abc import Sequence
from pathlib import Path
from threading import get_ident
from typing import Protocol

from headrace.base.columns import Columns
from headrace.base.errors import StateError
from headrace.base.records import NO_HEADERS, Headers, Record
from headrace.processor.context import TaskContext
from headrace.processor.parts import checked_headers, checked_timestamp
from headrace.state.port import ChangelogAdmission

__all__ = ["CustomStore", "StoreContext"]


class StoreContext:
    """What a store of your own is given, and how it logs its changes.

    Attributes:
        name: of the store.
        application_id, task_id: whose store it is; a task has the partition that its id ends with.
        directory: the store's own, of this task, if it was declared with `persistent=True`; else None.
    """

    def __init__(
        self,
        name: str,
        task: TaskContext,
        directory: Path | None,
        changelog: Columns | None,
        admission: ChangelogAdmission | None,
    ) -> None:
        self.name = name
        self.application_id = task.application_id
        self.task_id = task.task_id
        self.directory = directory
        self._task = task
        self._changelog = changelog
        self._admission = admission
        self._is_closed = False

    @property
    def stream_time(self) -> int:
        """Highest timestamp that the task has seen (epoch ms), -1 if none."""
        return self._task.stream_time

    def log(
        self, key: bytes, value: bytes | None, *, timestamp: int | None = None, headers: Headers = NO_HEADERS
    ) -> None:
        """Log a change, to be restored after a crash; None as value says that the key has gone.

        The record is written with the next commit, or not at all. Topics are compacted: in the end the last record of
        each key is left, so it has to say all that is to be known of the key. Without a timestamp it has that of the
        record being processed. Without a changelog (`logging=False`) nothing happens.

        Raises:
            StateError: outside of processing: while it restores, once it is closed, or in another thread.
            ProductionError: the changelog's topic does not take the record.
            TypeError, ValueError: a part of it is wrong.
        """
        task = self._task
        if self._is_closed or get_ident() != task.thread:
            task.refuse(f"log a change of store {self.name!r}")
        for part, content in (("key", key), ("value", value)):
            if not isinstance(content, bytes) and not (content is None and part == "value"):
                raise TypeError(f"store {self.name!r} logs the {part} {content!r}: bytes are wanted")
        whose = f"a change of store {self.name!r}"
        at = task.timestamp if timestamp is None else checked_timestamp(timestamp, whose)
        headers = checked_headers(headers, whose)
        if self._admission is not None:
            self._admission.check(key, value, at)
        if self._changelog is not None:
            self._changelog.append(key, value, at, headers)

    def end(self) -> None:
        """Refuse what the store logs from now on: it was let go of."""
        self._is_closed = True


class CustomStore(Protocol):
    """A store of your own, one object for each task. Kafka Streams' `StateStore` with its `StateRestoreCallback`.

    Processors get the object itself: it has whatever methods you like. What changes it also calls `context.log`. In
    this order: `init`; `restore`, any number of times; then processing, with a `flush` in each commit; `close`. All
    calls come from the task's thread.

    What is promised: when processing begins, `restore` has had every change that was committed, and none that was not.
    After an abort (a retry, a lost broker) the object is closed, and another one takes its place, with all of it again.
    A store with `persistent=True` keeps files in `context.directory`: there only what was changed since it last flushed
    is restored. It must make its changes durable in `flush` alone, all or nothing, since they may be aborted until
    then; after a crash some may come once more. The directory is there from `init` on; where somebody deletes it, all
    of the store is restored.
    """

    def init(self, context: StoreContext) -> None:
        """Begin, empty or with what was flushed."""

    def restore(self, records: Sequence[Record[bytes, bytes | None]]) -> None:
        """Take over changes that were logged, in their order; None as value says that the key has gone."""

    def flush(self) -> None:
        """Make durable what was changed: it is committed. Nothing to do where nothing is kept in files."""

    def close(self) -> None:
        """Let go of everything, without flushing."""


def failed(name: str, method: str, error: BaseException) -> StateError:
    """Make the error of a method that failed."""
    return StateError(f"store {name!r}: its {method}() failed: {error!r}")
