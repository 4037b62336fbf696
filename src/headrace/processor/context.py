"""The task's place in its input, and what else a node may ask of its task while a record is processed."""

import threading
from bisect import bisect_left
from collections.abc import Callable
from typing import Any, Literal, NoReturn, Protocol

from headrace.base.columns import Chunk
from headrace.base.errors import StateError
from headrace.base.ids import TaskId
from headrace.base.records import NO_HEADERS, Headers, RecordMetadata
from headrace.processor.window_clock import WindowClock

__all__ = ["NO_THREAD", "Cancellable", "Kept", "Scheduler", "TaskContext"]

#: No thread has this identity.
NO_THREAD = 0


class Cancellable(Protocol):
    """A scheduled punctuation."""

    def cancel(self) -> None:
        """Never fire again. Twice is fine."""


class Kept(Protocol):
    """What is left of a record after its chunk has gone: a cached entry is one. Its raw bytes are not kept."""

    @property
    def timestamp(self) -> int:
        """The record's (epoch ms)."""

    @property
    def headers(self) -> Headers:
        """The record's."""


class _NoRecord:
    """Stands for the record where there is none."""

    __slots__ = ("headers", "timestamp")

    def __init__(self, timestamp: int) -> None:
        self.timestamp = timestamp
        self.headers: Headers = NO_HEADERS


class Scheduler(Protocol):
    """What a context forwards `schedule` to."""

    def __call__(
        self,
        interval_ms: int,
        do: Callable[[int], object],
        on: Literal["stream", "wall"],
        start_ms: int | None,
    ) -> Cancellable: ...


class TaskContext:
    """What is being processed now. One a task; written by the task, read on demand by everyone else.

    The task sets `offset` for each record, `topic` and `chunk` for each stretch, and nothing more: raw bytes and
    headers are looked up only when asked for. While an entry that was kept is flushed, `topic` and `offset` are its
    own, and `kept` has its timestamp and headers. In a punctuation the topic is None and the offset -1: there is no
    record.

    `interrupted` asks the task to end its stretch after this record (a commit was requested, a punctuation scheduled).
    `timestamp` and `headers` are those of the record at the processor that runs (user code may have changed them on
    the way); plain stores stamp their changelog records with `timestamp`.

    `join_emit_interval_ms` is how often left and outer joins of streams look for what has no match (wall clock).

    `has_more_input` says whether records wait for the task, here or in the log, for all that its reader knows.

    `thread` is the one that runs the task, `NO_THREAD` while it is closed: what changes something compares it with its
    own, and calls `refuse` where they differ.

    `processor_metadata` is what nodes remember beyond a restart, each under the name of its store: it is committed with
    the offsets, and goes back with them. `window_emit_interval_ms` is the time between two looks for windows that have
    closed (wall clock, ms), and `emits_expired_windows` says whether results leave of those that have expired by then.
    `window_clocks` tell by what the windows of nodes close, by the nodes' names.
    """

    __slots__ = (
        "application_id",
        "chunk",
        "commit_requested",
        "emits_expired_windows",
        "has_more_input",
        "headers",
        "interrupted",
        "join_emit_interval_ms",
        "kept",
        "now_ms",
        "offset",
        "partition",
        "processor_metadata",
        "scheduler",
        "stream_time",
        "task_id",
        "thread",
        "timestamp",
        "topic",
        "window_clocks",
        "window_emit_interval_ms",
    )

    def __init__(self, application_id: str, task_id: TaskId, now_ms: Callable[[], int]) -> None:
        self.application_id = application_id
        self.task_id = task_id
        self.partition = task_id.partition
        self.now_ms = now_ms
        self.topic: str | None = None
        self.offset = -1
        self.chunk: Chunk | None = None
        self.kept: Kept | None = None
        self.timestamp = -1
        self.headers: Headers = NO_HEADERS
        self.stream_time = -1
        self.commit_requested = False
        self.has_more_input: Callable[[], bool] = bool
        self.interrupted = False
        self.join_emit_interval_ms = 1000
        self.scheduler: Scheduler | None = None
        self.thread = NO_THREAD
        self.processor_metadata: dict[str, int] = {}
        self.window_emit_interval_ms = 1000
        self.emits_expired_windows = True
        self.window_clocks: dict[str, WindowClock] = {}

    def enter(self) -> None:
        """Belong to the calling thread from now on."""
        self.thread = threading.get_ident()

    def leave(self) -> None:
        """Belong to no thread: the task is closed, until it is entered again."""
        self.thread = NO_THREAD

    def refuse(self, attempt: str) -> NoReturn:
        """Say why something cannot be done here.

        Raises:
            StateError: always.
        """
        if self.thread == NO_THREAD:
            raise StateError(
                f"cannot {attempt}: task {self.task_id} is closed, and has made its last commit; do it in process() or "
                "in a punctuation"
            )
        raise StateError(
            f"cannot {attempt} in thread {threading.current_thread().name!r}: task {self.task_id} belongs to the "
            "thread that runs it; do it in process() or in a punctuation, such as one that empties a queue which other "
            "threads fill"
        )

    @property
    def metadata(self) -> RecordMetadata | None:
        """Topic, partition and offset of the record being processed; None in a punctuation."""
        topic = self.topic
        return None if topic is None else RecordMetadata(topic, self.partition, self.offset)

    @property
    def raw_key(self) -> bytes | None:
        """Key bytes as read; None when null, in a punctuation, or for a record that was kept in a cache."""
        return (
            None if self.chunk is None or self.kept is not None else self.chunk.keys[self._index(self.chunk)]
        )

    @property
    def raw_value(self) -> bytes | None:
        """Value bytes as read; None as for `raw_key`."""
        return (
            None
            if self.chunk is None or self.kept is not None
            else self.chunk.values[self._index(self.chunk)]
        )

    @property
    def source_headers(self) -> Headers:
        """Headers as read, or as kept."""
        if self.kept is not None:
            return self.kept.headers
        if self.chunk is None or self.chunk.headers is None:
            return NO_HEADERS
        return self.chunk.headers[self._index(self.chunk)]

    @property
    def source_timestamp(self) -> int:
        """Timestamp as read (before any extractor), or as kept; -1 in a punctuation."""
        if self.kept is not None:
            return self.kept.timestamp
        return -1 if self.chunk is None else self.chunk.timestamps[self._index(self.chunk)]

    def _index(self, chunk: Chunk) -> int:
        return bisect_left(chunk.offsets, self.offset)

    def request_commit(self) -> None:
        """Ask for a commit soon: after this record, at the end of the stretch."""
        self.commit_requested = True
        self.interrupted = True

    def save(self) -> tuple[Any, ...]:
        """Return where the task is, for `return_to`: something else is to be processed for a while."""
        return self.topic, self.offset, self.chunk, self.kept, self.timestamp, self.headers

    def leave_record(self, timestamp: int) -> tuple[Any, ...]:
        """Be where there is no record, at a time (epoch ms, -1 for none). Return where it was, for `return_to`."""
        saved = self.save()
        self.topic, self.offset, self.chunk, self.kept = None, -1, None, _NoRecord(timestamp)
        self.timestamp, self.headers = timestamp, NO_HEADERS
        return saved

    def return_to(self, saved: tuple[Any, ...]) -> None:
        """Be where the task was."""
        self.topic, self.offset, self.chunk, self.kept, self.timestamp, self.headers = saved
