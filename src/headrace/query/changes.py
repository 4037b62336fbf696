"""Changes of stores as they are committed: what `Streams.watch` yields, read from the changelogs by one thread for all.

A changelog is the same wherever its task runs, so that nobody has to be asked, and a task that moves changes nothing.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import repeat
from types import TracebackType
from typing import Any, Self

from headrace.base.columns import Chunk
from headrace.base.errors import LogError, LogUnavailableError, OffsetOutOfRangeError, StoreUnavailableError
from headrace.base.ids import TopicPartition
from headrace.base.records import NO_HEADERS, Headers
from headrace.log.port import Log, Reader

__all__ = ["Change", "Changes", "Watcher"]

_log = logging.getLogger("headrace.query")

_POLL_MS = 100
_RETRY_SECONDS = 1.0
_CLOSE_SECONDS = 5.0

#: Changes that wait for who does not take them.
_WAITING_MAX = 10_000

#: So many of a commit wait for room together, and so long: then the watch ends, which would hold up the others.
_PART_MAX = 1_000
_ROOM_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a row.

    Attributes:
        key: of a windowed store, a `Windowed`.
        value: the new one, None where the row was deleted.
        timestamp: of the record that caused it (epoch ms).
    """

    key: Any
    value: Any
    timestamp: int


#: Makes a change of a record of a changelog: key, value, timestamp, headers; None if it is none of those wanted.
Opened = Callable[[bytes, bytes | None, int, Headers], Change | None]


class Changes(Iterator[Change]):
    """The changes of one watch, in the order of each partition. Iterate in one thread; `close` from any.

    It ends when it is closed, or with the application.
    """

    def __init__(
        self, starts: dict[TopicPartition, int], opened: Opened, ended: Callable[["Changes"], None]
    ) -> None:
        self.starts = starts
        self._opened = opened
        self._ended = ended
        self._waiting: deque[Change] = deque()
        self._changed = threading.Condition()
        self._is_over = False
        self._reason: str | None = None
        self._wake: Callable[[], object] = lambda: None

    # ── who reads ────────────────────────────────────────────────────────────────────────────────────────────────

    def __next__(self) -> Change:
        """Wait for the next one.

        Raises:
            StoreUnavailableError: the changelog cannot be read any more, or more has come than was taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_over)
        change = self.taken()
        if change is None:
            raise StopIteration
        return change

    def taken(self) -> Change | None:
        """Return the next one if it is there; raises as `__next__`."""
        with self._changed:
            if self._waiting:
                self._changed.notify_all()
                return self._waiting.popleft()
            if self._reason is not None:
                raise StoreUnavailableError(self._reason)
            return None

    @property
    def is_over(self) -> bool:
        """Whether nothing comes any more."""
        return self._is_over

    def when_ready(self, wake: Callable[[], object]) -> None:
        """Call `wake`, in another thread, whenever something has come, or it is over."""
        self._wake = wake
        wake()

    def close(self) -> None:
        """End it. Twice is fine."""
        self.end(None)
        self._ended(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # ── the watcher's thread ─────────────────────────────────────────────────────────────────────────────────────

    def take(self, chunk: Chunk) -> None:
        """Take in what is wanted of a chunk of a changelog."""
        start = self.starts[TopicPartition(chunk.topic, chunk.partition)]
        all_headers = repeat(NO_HEADERS) if chunk.headers is None else chunk.headers
        found = []
        for offset, key, value, timestamp, headers in zip(
            chunk.offsets, chunk.keys, chunk.values, chunk.timestamps, all_headers
        ):
            if offset >= start and key is not None:
                change = self._opened(key, value, timestamp, headers)
                if change is not None:
                    found.append(change)
        for begin in range(0, len(found), _PART_MAX):
            if not self._put(found[begin : begin + _PART_MAX]):
                return

    def _put(self, found: list[Change]) -> bool:
        """Let them wait to be taken, as soon as there is room; return whether they do."""
        with self._changed:
            has_room = self._changed.wait_for(
                lambda: self._is_over or len(self._waiting) + len(found) <= _WAITING_MAX, _ROOM_SECONDS
            )
            if self._is_over:
                return False
            if has_room:
                self._waiting += found
                self._changed.notify_all()
        if not has_room:
            self.end(
                f"more than {_WAITING_MAX} changes wait to be taken: take them faster, or watch fewer keys"
            )
            self._ended(self)
        self._wake()
        return has_room

    def end(self, reason: str | None) -> None:
        """Let nothing come any more; a reason is raised."""
        with self._changed:
            if not self._is_over:
                self._is_over, self._reason = True, reason
                self._changed.notify_all()
        self._wake()


class Watcher:
    """Reads the changelogs that are watched, while any is. From any thread."""

    def __init__(self, log: Log, name: str) -> None:
        self._log = log
        self._name = name
        self._lock = threading.Lock()
        self._watches: list[Changes] = []
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def watch(self, partitions: Iterable[TopicPartition], opened: Opened) -> Changes:
        """Yield what is committed from now on.

        Raises:
            StoreUnavailableError: the application has ended.
            LogError: the log cannot be asked where its ends are.
        """
        starts = dict(self._log.end_offsets(list(partitions)))
        with self._lock:
            if self._closed.is_set():
                raise StoreUnavailableError("nothing can be watched any more: the application has stopped")
            changes = Changes(starts, opened, self._forget)
            self._watches.append(changes)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        return changes

    def close(self) -> None:
        """End all watches, and let go of the log."""
        with self._lock:
            self._closed.set()
            thread, watches = self._thread, self._watches
            self._watches = []
        for each in watches:
            each.end(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(_CLOSE_SECONDS)

    def _forget(self, changes: Changes) -> None:
        with self._lock:
            self._watches = [each for each in self._watches if each is not changes]

    def _wanted(self) -> list[Changes] | None:
        """Return who is to be read for; None, and the thread is to end, where nobody is."""
        with self._lock:
            if not self._watches:
                self._thread = None
                return None
            return list(self._watches)

    def _run(self) -> None:
        try:
            with closing(self._log.reader()) as reader:
                self._read(reader)
        except Exception as error:
            if not self._closed.is_set() and not isinstance(error, LogError):
                _log.exception("changes of stores cannot be read any more")
            with self._lock:
                watches, self._watches, self._thread = self._watches, [], None
            for each in watches:
                each.end(f"changes cannot be read any more: {error}")

    def _read(self, reader: Reader) -> None:
        known: set[TopicPartition] = set()
        while (watches := self._wanted()) is not None:
            self._assign(reader, known, watches)
            try:
                for chunk in reader.poll(_POLL_MS):
                    self._hand_out(chunk)
            except OffsetOutOfRangeError as error:
                # What was to be read next has been deleted: nobody can tell what has changed there.
                self._fail(watches, TopicPartition(error.topic, error.partition), error)
            except LogUnavailableError as error:
                _log.warning("changes wait for the log: %s", error)
                self._closed.wait(_RETRY_SECONDS)

    def _hand_out(self, chunk: Chunk) -> None:
        """Give it to all who watch by now: one that has begun since the poll did is given nothing of it again."""
        place = TopicPartition(chunk.topic, chunk.partition)
        with self._lock:
            watches = list(self._watches)
        for each in watches:
            if place in each.starts:
                each.take(chunk)

    def _assign(self, reader: Reader, known: set[TopicPartition], watches: list[Changes]) -> None:
        wanted: dict[TopicPartition, int] = {}
        for each in watches:
            for place, start in each.starts.items():
                wanted[place] = min(start, wanted.get(place, start))
        gone = known - wanted.keys()
        if gone:
            reader.unassign(gone)
        # A watch that begins behind what has been read so far changes nothing; none begins before it for long.
        new = {place: start for place, start in wanted.items() if place not in known}
        if new:
            reader.assign(new)
        known.clear()
        known.update(wanted)

    def _fail(self, watches: list[Changes], place: TopicPartition, error: Exception) -> None:
        for each in watches:
            if place in each.starts:
                each.end(f"changes were missed: {error}")
                self._forget(each)
