"""Session stores as user code sees them: keys and values are objects, bytes stay inside."""

from collections.abc import Iterator
from threading import get_ident
from typing import TYPE_CHECKING, Generic, NoReturn, Protocol, cast, runtime_checkable

from typing_extensions import TypeVar

from headrace.base.records import Window, Windowed
from headrace.processor.context import TaskContext
from headrace.processor.parts import TIMESTAMP_MAX
from headrace.state.buffer.session_layout import session_of, session_slot
from headrace.state.port import SegmentedReads, SegmentedState
from headrace.state.queried import Queried
from headrace.state.typed_keys import TypedKeys, only_read
from headrace.state.typed_window import check_time

__all__ = ["ReadOnlySessionStore", "SessionReadings", "SessionStore"]

K = TypeVar("K")
V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)


@runtime_checkable
class ReadOnlySessionStore(Protocol[K, V_co]):
    """Read a session store. Sessions that ended longer ago than its retention, by stream time, cannot be read any more.

    A session's window is [start, end], both included: the times of its first record and of its last one.
    """

    def get(self, session: Windowed[K]) -> V_co | None:
        """Return the value of exactly this session, None if there is none."""

    def sessions(
        self, key: K | None = None, *, start: int | None = None, end: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[Windowed[K], V_co]]:
        """Iterate over the sessions of one key, or of all, that overlap [start, end] (epoch ms). None is open.

        Those of one key come in the order of their ends.
        """


class SessionReadings(Generic[K, V]):
    """A `ReadOnlySessionStore` over the state of one task."""

    __slots__ = ("_keys", "_state")

    def __init__(self, state: SegmentedReads, keys: TypedKeys[K]) -> None:
        self._state = state
        self._keys = keys

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise only_read(self, name)

    def get(self, session: Windowed[K]) -> V | None:
        """Return the value of exactly this session, None if there is none."""
        data, slot = self._cell(session)
        found = self._state.get(data, slot)
        return None if found is None else cast("V", found[0])

    def sessions(
        self, key: K | None = None, *, start: int | None = None, end: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[Windowed[K], V]]:
        """Iterate over the sessions of one key, or of all, that overlap [start, end] (epoch ms). None is open.

        Those of one key come in the order of their ends.
        """
        for name, time in (("start", start), ("end", end)):
            if time is not None and type(time) is not int:
                check_time(time, name, f"sessions of store {self._keys.store!r} are read with")
        data = None if key is None else self._keys.to_bytes(key)
        return self._overlapping(self._state.range(data, start, None, reverse), end)

    def _overlapping(
        self, rows: Iterator[tuple[bytes, int, object, int]], end: int | None
    ) -> Iterator[tuple[Windowed[K], V]]:
        to_key = self._keys.to_key
        for found, slot, value, _ in rows:
            began, ended = session_of(slot)
            if end is None or began <= end:
                yield Windowed(to_key(found), Window(began, ended)), cast("V", value)

    def _cell(self, session: Windowed[K]) -> tuple[bytes, int]:
        if not isinstance(session, Windowed):
            raise TypeError(
                f"a session of store {self._keys.store!r} is told by key and window, found {session!r}: write "
                "Windowed(key, Window(start, end))"
            )
        start, end = session.window
        for name, time in (("start", start), ("end", end)):
            if type(time) is not int:
                check_time(time, name, f"a session of store {self._keys.store!r} has")
        if not 0 <= start <= end <= TIMESTAMP_MAX:
            raise ValueError(
                f"a session of store {self._keys.store!r} cannot start at {start} and end at {end}: epoch milliseconds "
                f"are wanted, the start not after the end"
            )
        return self._keys.to_bytes(session.key), session_slot(start, end)


class SessionStore(SessionReadings[K, V], Queried[ReadOnlySessionStore[K, V]]):
    """Read and write a session store. Writes have the timestamp of the record being processed.

    Writing raises StateError once the processor is closed, and in a thread that is not its task's.
    """

    __slots__ = ("_context", "_put")

    def __init__(self, state: SegmentedState, keys: TypedKeys[K], context: TaskContext) -> None:
        super().__init__(state, keys)
        self._put = state.put
        self._context = context

    def put(self, session: Windowed[K], value: V | None) -> None:
        """Set the value of a session; None deletes it. Expired ones are dropped. Sessions are not merged by it.

        Raises:
            TypeError, ValueError: it is no session.
        """
        context = self._context
        if get_ident() != context.thread:
            context.refuse(f"put a row of store {self._keys.store!r}")
        data, slot = self._cell(session)
        self._put(data, slot, value, context.timestamp, context.headers)
