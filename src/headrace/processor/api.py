"""The Processor API: what user code implements, and the context that it is handed."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeAlias, overload

from typing_extensions import TypeVar

from headrace.base.callables import misfit
from headrace.base.durations import Duration, milliseconds
from headrace.base.errors import TopologyError
from headrace.base.records import NO_HEADERS, Headers, Record, RecordMetadata
from headrace.processor.context import Cancellable, TaskContext
from headrace.processor.parts import TIMESTAMP_MAX, checked_headers, checked_timestamp

if TYPE_CHECKING:
    # For annotations alone: the state room lies above this one.
    from headrace.state.declaration import Store

__all__ = [
    "FixedKeyContext",
    "FixedKeyProcessor",
    "FixedKeyProcessorSupplier",
    "NodeServices",
    "Processor",
    "ProcessorContext",
    "ProcessorFunction",
    "ProcessorSupplier",
    "processor",
]

K = TypeVar("K")
V = TypeVar("V")
K2 = TypeVar("K2")
V2 = TypeVar("V2")
S1 = TypeVar("S1")
S2 = TypeVar("S2")
KO = TypeVar("KO", default=Any)
VOut = TypeVar("VOut", default=Any)
K_contra = TypeVar("K_contra", contravariant=True)
V_contra = TypeVar("V_contra", contravariant=True)


class NodeServices(Protocol):
    """What a node offers to the context of its processor."""

    task: TaskContext
    forward: Callable[[Any, Any, int, Headers], None]

    def child(self, name: str) -> Callable[[Any, Any, int, Headers], None]:
        """Forward to one child only."""

    def store(self, name: str, handle: "Store[Any] | None") -> Any:
        """Typed view of a store that is connected to the node, and agrees with the handle."""

    def guard(self, do: Callable[[int], object]) -> Callable[[int], None]:
        """Wrap a punctuation's function."""


class FixedKeyContext(Generic[VOut]):
    """What a processor may ask of its task. Belongs to the task's thread."""

    def __init__(self, services: NodeServices) -> None:
        self._services = services
        self._task = services.task
        self._send = services.forward
        #: The key of the record being processed, in a tuple; empty in a punctuation.
        self._current: tuple[Any, ...] = ()

    @property
    def application_id(self) -> str:
        """The application's id."""
        return self._task.application_id

    @property
    def task_id(self) -> str:
        """The task, as `<sub-topology>_<partition>`."""
        return str(self._task.task_id)

    @property
    def metadata(self) -> RecordMetadata | None:
        """Topic, partition and offset of the record being processed; None in a punctuation."""
        return self._task.metadata

    @property
    def stream_time(self) -> int:
        """Highest timestamp that the task has seen (epoch ms); -1 before the first record."""
        return self._task.stream_time

    @property
    def wall_time(self) -> int:
        """The wall clock (epoch ms); the test driver's own in tests."""
        return self._task.now_ms()

    def store(self, store: "Store[S1] | str") -> S1:
        """Return a store that is connected to this processor.

        Raises:
            TopologyError: it is not connected, or is of another kind or type than the declared one.
        """
        name = store if isinstance(store, str) else store.name
        if name is None:
            raise TopologyError(
                "a store without a name cannot be asked for; give it one where it is declared"
            )
        found: S1 = self._services.store(name, None if isinstance(store, str) else store)
        return found

    def schedule(
        self,
        interval: Duration,
        do: Callable[[int], object],
        *,
        on: Literal["stream", "wall"],
        start: datetime | None = None,
    ) -> Cancellable:
        """Call `do(time)` again and again; intervals that were missed make one call.

        `on="stream"`: by the records' time, first on the first record. `on="wall"`: by the wall clock, first after one
        interval. With `start` (aware), at that time and whole intervals from it.

        Raises:
            ValueError: the interval is no positive duration, `on` is neither, or `start` has no time zone.
            TypeError: `do` cannot be called with a time, or is async or a generator function, which would do nothing.
            StateError: the processor is closed, or the calling thread is not its task's.
        """
        if get_ident() != self._task.thread:
            self._task.refuse("schedule a punctuation")
        problem = misfit(do, ("time",))
        if problem is not None:
            raise TypeError(f"the function of a punctuation: {problem}")
        interval_ms = milliseconds(interval, name="interval")
        if interval_ms == 0:
            raise ValueError(
                f"interval={interval!r} would fire without end: a duration of 1 ms or more is wanted"
            )
        if on not in ("stream", "wall"):
            raise ValueError(
                f"on={on!r}: 'stream' (the records' time) or 'wall' (the clock on the wall) is wanted"
            )
        start_ms = None
        if start is not None:
            if start.tzinfo is None:
                raise ValueError(f"start={start!r} has no time zone: write datetime(..., tzinfo=UTC)")
            start_ms = round((start - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
        scheduler = self._task.scheduler
        assert scheduler is not None, "the task sets its scheduler before it initialises processors"
        return scheduler(interval_ms, self._services.guard(do), on, start_ms)

    def request_commit(self) -> None:
        """Ask for a commit soon, beside the regular ones."""
        self._task.request_commit()

    def forward(self, record: Record[Any, VOut]) -> None:
        """Send a record to all children; they have processed it when this returns.

        Raises:
            TypeError: it is no record, or its timestamp or its headers are of a wrong type.
            ValueError: its timestamp is out of range, or its key is not the one of the record being processed.
            StateError: the processor is closed, or the calling thread is not its task's.
        """
        if get_ident() != self._task.thread:
            self._task.refuse("forward a record")
        timestamp, headers = _checked_parts(record, self._task)
        if self._current and record.key is not self._current[0] and record.key != self._current[0]:
            raise ValueError(
                f"a FixedKeyProcessor cannot change the key (from {self._current[0]!r} to {record.key!r}): "
                "use process() with a Processor"
            )
        self._send(record.key, record.value, timestamp, headers)


class ProcessorContext(FixedKeyContext[VOut], Generic[KO, VOut]):
    """What a processor that may change keys may ask of its task."""

    def forward(self, record: Record[KO, VOut], *, to: str | None = None) -> None:
        """Send a record to all children, or to one by its name; it has processed it when this returns.

        Raises:
            TypeError: it is no record, or its timestamp or its headers are of a wrong type.
            ValueError: its timestamp is out of range.
            TopologyError: `to` is not a child of this node.
            StateError: the processor is closed, or the calling thread is not its task's.
        """
        if get_ident() != self._task.thread:
            self._task.refuse("forward a record")
        timestamp, headers = _checked_parts(record, self._task)
        send = self._send if to is None else self._services.child(to)
        send(record.key, record.value, timestamp, headers)


def _checked_parts(record: Record[Any, Any], task: TaskContext) -> tuple[int, Headers]:
    """Return timestamp and headers, looked at only where user code has made them."""
    if type(record) is not Record and not isinstance(record, Record):
        raise TypeError(f"a Record is to be forwarded, found {record!r}; write Record(key, value, timestamp)")
    timestamp, headers = record.timestamp, record.headers
    if type(timestamp) is not int or not 0 <= timestamp <= TIMESTAMP_MAX:
        timestamp = checked_timestamp(timestamp, "a forwarded record")
    if headers is not NO_HEADERS and headers is not task.headers:
        headers = checked_headers(headers, "a forwarded record")
    return timestamp, headers


class Processor(Generic[K_contra, V_contra, KO, VOut]):
    """Does something of your own to each record: with stores, punctuations, any number of results.

    One object for each task. `process` may forward, and may return or yield records, which are forwarded then.

    Attributes:
        stores: connected, and added to the topology, with the processor.
        context: there from `init()` on.
    """

    stores: ClassVar[Sequence["Store[Any]"]] = ()
    context: ProcessorContext[KO, VOut]

    def init(self) -> None:
        """Prepare: get stores, schedule punctuations. Called once, when the stores are restored."""

    def process(self, record: Record[K_contra, V_contra]) -> Iterable[Record[KO, VOut]] | None:
        """Process one record."""
        raise NotImplementedError(f"{type(self).__name__} does not override process()")

    def close(self) -> None:
        """Release what `init` made; the stores are the task's."""


class FixedKeyProcessor(Generic[K_contra, V_contra, VOut]):
    """As `Processor`, but keeps the key, so that no repartition is needed after it; returns or yields values."""

    stores: ClassVar[Sequence["Store[Any]"]] = ()
    context: FixedKeyContext[VOut]

    def init(self) -> None:
        """Prepare: get stores, schedule punctuations. Called once, when the stores are restored."""

    def process(self, record: Record[K_contra, V_contra]) -> Iterable[VOut] | None:
        """Process one record."""
        raise NotImplementedError(f"{type(self).__name__} does not override process()")

    def close(self) -> None:
        """Release what `init` made; the stores are the task's."""


#: A processor's class, or a function that makes a new processor each time.
ProcessorSupplier: TypeAlias = Callable[[], Processor[K, V, K2, V2]]
FixedKeyProcessorSupplier: TypeAlias = Callable[[], FixedKeyProcessor[K, V, V2]]


class ProcessorFunction:
    """The supplier that `@processor` makes of a function."""

    def __init__(self, function: Callable[..., Any], stores: "Sequence[Store[Any]]") -> None:
        self.function = function
        self.stores = tuple(stores)
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    def __call__(self) -> "Processor[Any, Any, Any, Any]":
        """Make a processor for one task."""
        return _FunctionProcessor(self.function, self.stores)


class _FunctionProcessor(Processor[Any, Any, Any, Any]):
    def __init__(self, function: Callable[..., Any], stores: "Sequence[Store[Any]]") -> None:
        self._function = function
        self._declared = stores
        self._opened: tuple[Any, ...] = ()

    def init(self) -> None:
        self._opened = tuple(self.context.store(store) for store in self._declared)

    def process(self, record: Record[Any, Any]) -> Iterable[Record[Any, Any]] | None:
        results: Iterable[Record[Any, Any]] | None = self._function(record, *self._opened)
        return results


@overload
def processor() -> Callable[
    [Callable[[Record[K, V]], Iterable[Record[K2, V2]]]], ProcessorSupplier[K, V, K2, V2]
]: ...
@overload
def processor(
    s1: "Store[S1]", /
) -> Callable[[Callable[[Record[K, V], S1], Iterable[Record[K2, V2]]]], ProcessorSupplier[K, V, K2, V2]]: ...
@overload
def processor(
    s1: "Store[S1]", s2: "Store[S2]", /
) -> Callable[
    [Callable[[Record[K, V], S1, S2], Iterable[Record[K2, V2]]]], ProcessorSupplier[K, V, K2, V2]
]: ...
def processor(*stores: "Store[Any]") -> Callable[[Callable[..., Any]], Any]:
    """Make a processor of a plain or generator function: it takes a record, then the stores named here.

    What it returns or yields is forwarded. The stores are added to the topology and connected.

    Raises:
        TopologyError: used without parentheses, with something else than declared stores, or on a function that is
            async or takes other arguments.
    """
    for store in stores:
        if not hasattr(store, "kind"):
            raise TopologyError(
                f"@processor takes declared stores, found {store!r}; write @processor() for none"
            )

    def decorate(function: Callable[..., Any]) -> ProcessorFunction:
        problem = misfit(function, ("record", *(store.name or "store" for store in stores)), yields=True)
        if problem is not None:
            raise TopologyError(f"@processor: {problem}")
        return ProcessorFunction(function, stores)

    return decorate
