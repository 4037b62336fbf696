"""Window stores as user code sees them: keys and values are objects, bytes stay inside."""

from collections.abc import Iterator
from threading import get_ident
from typing import TYPE_CHECKING, Generic, NoReturn, Protocol, cast, runtime_checkable

from typing_extensions import TypeVar

from headrace.base.records import Window, Windowed
from headrace.processor.context import TaskContext
from headrace.processor.parts import TIMESTAMP_MAX, checked_timestamp
from headrace.state.port import SegmentedReads, SegmentedState
from headrace.state.queried import Queried
from headrace.state.typed_keys import TypedKeys, only_read

__all__ = ["ReadOnlyWindowStore", "WindowReadings", "WindowStore", "check_time"]

K = TypeVar("K")
V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)

#: Kafka Streams cuts window ends off here instead of letting them overflow.
_TIME_MS_MAX = 2**63 - 1


@runtime_checkable
class ReadOnlyWindowStore(Protocol[K, V_co]):
    """Read a window store. Windows older than its retention, by stream time, cannot be read any more.

    `isinstance` looks for the names of methods, and a key-value store has these too: ask `ReadOnlyKeyValueStore` first.
    """

    def get(self, key: K, start: int) -> V_co | None:
        """Return the value of the window that starts at `start` (epoch ms), None if there is none."""

    def range(
        self, key: K | None = None, *, start: int | None = None, end: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[Windowed[K], V_co]]:
        """Iterate over the windows of one key, or of all, that start within [start, end] (epoch ms). None is open."""


class WindowReadings(Generic[K, V]):
    """A `ReadOnlyWindowStore` over the state of one task."""

    __slots__ = ("_keys", "_size_ms", "_state")

    def __init__(self, state: SegmentedReads, keys: TypedKeys[K]) -> None:
        self._state = state
        self._keys = keys
        size_ms = state.spec.size_ms
        self._size_ms = 0 if size_ms is None else size_ms

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise only_read(self, name)

    def get(self, key: K, start: int) -> V | None:
        """Return the value of the window that starts at `start` (epoch ms), None if there is none."""
        if type(start) is not int:
            check_time(start, "start", f"windows of store {self._keys.store!r} are read with")
        found = self._state.get(self._keys.to_bytes(key), start)
        return None if found is None else cast("V", found[0])

    def range(
        self, key: K | None = None, *, start: int | None = None, end: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[Windowed[K], V]]:
        """Iterate over the windows of one key, or of all, that start within [start, end] (epoch ms). None is open."""
        for name, time in (("start", start), ("end", end)):
            if time is not None and type(time) is not int:
                check_time(time, name, f"windows of store {self._keys.store!r} are read with")
        data = None if key is None else self._keys.to_bytes(key)
        to_key, size_ms = self._keys.to_key, self._size_ms
        rows = self._state.range(data, start, end, reverse)
        return (
            (Windowed(to_key(found), Window(begin, min(begin + size_ms, _TIME_MS_MAX))), value)
            for found, begin, value, _ in rows
        )


class WindowStore(WindowReadings[K, V], Queried[ReadOnlyWindowStore[K, V]]):
    """Read and write a window store. Writes have the timestamp of the record being processed.

    Writing raises StateError once the processor is closed, and in a thread that is not its task's.
    """

    __slots__ = ("_context", "_put")

    def __init__(self, state: SegmentedState, keys: TypedKeys[K], context: TaskContext) -> None:
        super().__init__(state, keys)
        self._put = state.put
        self._context = context

    def put(self, key: K, value: V | None, start: int) -> None:
        """Set the value of the window that starts at `start` (epoch ms); None deletes it. Expired ones are dropped."""
        context = self._context
        if get_ident() != context.thread:
            context.refuse(f"put a row of store {self._keys.store!r}")
        if type(start) is not int or not 0 <= start <= TIMESTAMP_MAX:
            start = checked_timestamp(start, f"a window of store {self._state.spec.name!r}")
        self._put(self._keys.to_bytes(key), start, value, context.timestamp, context.headers)


def check_time(time: object, name: str, sentence: str) -> None:
    """Refuse what is no time; integers of other libraries are.

    Raises:
        TypeError: in words that begin with `sentence`.
    """
    if isinstance(time, bool | float) or not hasattr(time, "__index__"):
        raise TypeError(
            f"{sentence} {name}={time!r}, of type {type(time).__name__}: epoch milliseconds are wanted, as an int; "
            f"int(moment.timestamp() * 1000) of a datetime"
        )
