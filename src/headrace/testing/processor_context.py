"""One processor by itself, without a topology: what it forwards, schedules and asks for is written down.

Source: `MockProcessorContext`. We differ in that the processor is given to it, so that generators are run through as a
task runs them, and stores come from the declarations.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from typing_extensions import TypeVar

from headrace.base.durations import Duration, milliseconds
from headrace.base.errors import TopologyError
from headrace.base.ids import Location, TaskId
from headrace.base.records import Headers, Record
from headrace.engine.expiry import advancing, expiring
from headrace.processor.api import FixedKeyProcessor, FixedKeyProcessorSupplier, ProcessorSupplier
from headrace.processor.context import TaskContext
from headrace.state.buffer.live_cells import LiveBudget
from headrace.state.cache import CacheBudget
from headrace.state.declaration import Store, check_handle
from headrace.state.memory import MemoryDatabase
from headrace.state.task_rows import TaskRows
from headrace.state.task_state import TaskState
from headrace.state.typed_stores import typed
from headrace.topology.locations import caller
from headrace.topology.plain_stores import plain_store
from headrace.topology.processors import ProcessorOperator
from headrace.topology.wiring import Failed, Forward, ForwardStretch, InnerStep, LastStep, Outcomes, Step

__all__ = ["Forwarded", "MockProcessorContext", "Scheduled"]

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A record that the processor has sent on: to the child named, or to all."""

    record: Record[Any, Any]
    to: str | None = None


@dataclass(slots=True)
class Scheduled:
    """A punctuation that the processor has scheduled. It runs when a test calls `punctuate`, and not by itself.

    Attributes:
        start_ms: when it was to begin (epoch ms), None if nobody said so.
    """

    interval_ms: int
    on: Literal["stream", "wall"]
    start_ms: int | None
    is_cancelled: bool
    _do: Callable[[int], object]

    def punctuate(self, time: int) -> None:
        """Call the function with a time (epoch ms), as a task does: there is no record then."""
        self._do(time)

    def cancel(self) -> None:
        """See `Cancellable`."""
        self.is_cancelled = True


class MockProcessorContext:
    """Runs one processor. Its stores are in memory, and hold what a test puts there. Use it as a context manager.

    >>> import headrace as hr
    >>> class Double(hr.Processor[str, int, str, int]):
    ...     def process(self, record):
    ...         self.context.forward(record.with_value(2 * record.value))
    >>> with MockProcessorContext(Double) as mock:
    ...     mock.process(hr.Record("a", 21))
    ...     [each.record.value for each in mock.forwarded]
    [42]

    Attributes:
        forwarded: what was sent on, in order; clear it whenever you like.
        scheduled: what was scheduled, in order.
        commit_requested: whether a commit was asked for; set it back whenever you like.
        drops: reasons why records were dropped.
    """

    def __init__(
        self,
        processor: ProcessorSupplier[Any, Any, Any, Any] | FixedKeyProcessorSupplier[Any, Any, Any],
        *stores: Store[Any],
        application_id: str = "mock",
        task_id: tuple[int, int] = (0, 0),
    ) -> None:
        where = caller()
        fixed_key = isinstance(processor, type) and issubclass(processor, FixedKeyProcessor)
        if not isinstance(processor, type) and callable(processor):
            fixed_key = isinstance(processor(), FixedKeyProcessor)
        operator = ProcessorOperator(processor, name="processor", where=where, fixed_key=fixed_key)
        declared = {store.name: store for store in (*operator.declared_stores, *stores)}
        self.forwarded: list[Forwarded] = []
        self.scheduled: list[Scheduled] = []
        self.drops: list[str] = []
        self._wall_ms = 0
        self._task = TaskContext(application_id, TaskId(*task_id), lambda: self._wall_ms)
        self._rows = TaskRows(
            [plain_store(store, where, "memory") for store in declared.values()],
            MemoryDatabase(),
            application_id=application_id,
            now_ms=lambda: self._wall_ms,
        )
        self._state = TaskState(
            self._rows,
            {},
            self._task,
            CacheBudget(0),
            live=LiveBudget(0),
            dropped=lambda store, reason: self.drops.append(f"{store}: {reason}"),
            now_ms=lambda: self._wall_ms,
        )
        self._wiring = _Wiring(self._task, self._state, where, self.forwarded, self.drops)
        self._run = advancing(
            operator.compile(self._wiring),
            expiring(self._state.state(spec.name) for spec in self._state.specs),
        )
        self._task.scheduler = self._schedule

    def __enter__(self) -> Self:
        self._task.enter()
        for start in self._wiring.starts:
            start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            for close in self._wiring.closes:
                close()
        finally:
            self._task.leave()
            self._state.close()
            self._rows.close()

    def process(self, record: Record[Any, Any]) -> None:
        """Give the processor a record, which moves stream time on; what the processor raises comes out here."""
        task = self._task
        task.stream_time = max(task.stream_time, record.timestamp)
        self._run(record.key, record.value, record.timestamp, tuple(record.headers))

    def store(self, store: Store[S] | str) -> S:
        """Return a store of the processor, to fill it before and to look into it afterwards."""
        name = store if isinstance(store, str) else store.name
        state = self._state.state(str(name))
        if not isinstance(store, str):
            check_handle(store, state.spec)
        found: S = typed(state, self._task)
        return found

    def set_metadata(self, topic: str, partition: int, offset: int) -> None:
        """Say where records come from, from now on."""
        self._task.topic, self._task.partition, self._task.offset = topic, partition, offset

    def set_stream_time(self, time: int) -> None:
        """Set the highest timestamp so far (epoch ms)."""
        self._task.stream_time = time

    def advance(self, wall_clock: Duration) -> None:
        """Move the wall clock, which begins at 0, on. Punctuations run when a test calls them."""
        self._wall_ms += milliseconds(wall_clock, name="wall_clock")

    @property
    def commit_requested(self) -> bool:
        """Whether a commit was asked for."""
        return self._task.commit_requested

    @commit_requested.setter
    def commit_requested(self, requested: bool) -> None:
        self._task.commit_requested = requested

    def _schedule(
        self,
        interval_ms: int,
        do: Callable[[int], object],
        on: Literal["stream", "wall"],
        start_ms: int | None,
    ) -> Scheduled:
        self.scheduled.append(Scheduled(interval_ms, on, start_ms, False, do))
        return self.scheduled[-1]


class _Wiring:
    """Stands for the task around the node; see `topology.wiring.Wiring`. What a handler would decide is raised."""

    name = "processor"
    late: Forward | None = None

    def __init__(
        self,
        task: TaskContext,
        state: TaskState,
        where: Location,
        forwarded: list[Forwarded],
        drops: list[str],
    ) -> None:
        self.where = where
        self.context = task
        self.drop = drops.append
        self.starts: list[Callable[[], object]] = []
        self.closes: list[Callable[[], object]] = []
        self.on_start, self.on_close = self.starts.append, self.closes.append
        self._state = state
        self._forwarded = forwarded
        self.forward = self.child(None)
        self.failed: Failed = self._raised

    def child(self, name: str | None) -> Forward:
        def forward(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            self._forwarded.append(Forwarded(Record(key, value, timestamp, headers), name))

        return forward

    def _raised(self, error: BaseException, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        raise error

    def store(self, name: str) -> Any:
        if name not in {spec.name for spec in self._state.specs}:
            raise TopologyError(
                f"{self.where}: the processor has no store {name!r}: give its declaration to MockProcessorContext, "
                "beside the processor"
            )
        return self._state.state(name)

    def is_global(self, name: str) -> bool:
        return False

    def guard(self, do: Callable[[int], object]) -> Callable[[int], None]:
        def punctuate(now: int) -> None:
            before = self.context.leave_record(now)
            try:
                do(now)
            finally:
                self.context.return_to(before)

        return punctuate

    def shared(self, between: object, make: Callable[[], T]) -> T:
        return make()

    def take_stretches(self, do: ForwardStretch, *, records: int = 1) -> None:
        """Records come one by one."""

    def onward(self) -> ForwardStretch:
        raise NotImplementedError("records come one by one")

    def awaited(
        self,
        calls: Sequence[Callable[[], Awaitable[Any]]],
        concurrency: int,
        timeout_seconds: float | None,
    ) -> Outcomes:
        raise NotImplementedError("a processor awaits nothing")

    def take_step(self, step: Step, call: Callable[..., Any] | None = None) -> None:
        """Records come one by one."""

    def onward_together(self) -> None:
        return None

    def take_inner_step(self, step: InnerStep) -> None:
        """Records come one by one."""

    def take_last_step(self, step: LastStep) -> None:
        """Records come one by one."""

    def pass_through(self) -> None:
        """Records come one by one."""
