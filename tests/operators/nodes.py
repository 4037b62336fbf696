"""Compiles one operator over real stores, with a stand-in for the task around it: what it forwards is recorded."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from typing_extensions import TypeVar

from headrace.base.columns import Stretch
from headrace.base.errors import TopologyError
from headrace.base.ids import Location, TaskId
from headrace.base.records import NO_HEADERS, Headers
from headrace.engine.event_loop import EventLoop
from headrace.processor.context import TaskContext
from headrace.state.buffer.live_cells import LiveBudget
from headrace.state.cache import CacheBudget
from headrace.state.memory import MemoryDatabase
from headrace.state.spec import StoreSpec
from headrace.state.task_rows import TaskRows
from headrace.state.task_state import TaskState
from headrace.topology.wiring import (
    Failed,
    Forward,
    ForwardStretch,
    InnerStep,
    LastStep,
    Operator,
    Outcomes,
    Step,
)

__all__ = ["Node", "Sent"]


T = TypeVar("T")


class Sent(NamedTuple):
    """A forwarded record."""

    key: Any
    value: Any
    timestamp: int


class Node:
    """One node of a task; `send` gives it a record, `sent` is what came out, by child."""

    name = "node"
    where = Location("test.py", 1)

    def __init__(
        self,
        operator: Operator,
        *stores: StoreSpec,
        cache_bytes: int = 0,
        children: tuple[str, ...] = ("child",),
        tells_late: bool = False,
    ) -> None:
        self.forward: Forward = self._to_all
        self.late: Forward | None = self._late if tells_late else None
        self.came_late: list[tuple[Sent, Headers]] = []
        self.failed: Failed = self._resumed
        self.context = TaskContext("app", TaskId(0, 0), lambda: 0)
        self.context.enter()
        self.children: dict[str, list[Sent]] = {name: [] for name in children}
        self.drops: list[str] = []
        self.failures: list[BaseException] = []
        self.starts: list[Callable[[], object]] = []
        self.closes: list[Callable[[], object]] = []
        self.cache = CacheBudget(cache_bytes)
        self.state = TaskState(
            TaskRows(stores, MemoryDatabase(), application_id="app", now_ms=lambda: 0),
            {},
            self.context,
            self.cache,
            live=LiveBudget(1 << 20),
            dropped=lambda store, reason: None,
            now_ms=lambda: 0,
        )
        self.run = operator.compile(self)
        for start in self.starts:
            start()

    @property
    def sent(self) -> list[Sent]:
        """What the only child got."""
        (child,) = self.children.values()
        return child

    def send(self, key: Any, value: Any, timestamp: int = 0, headers: Headers = NO_HEADERS) -> None:
        """Process one record."""
        self.run(key, value, timestamp, headers)

    def _to_all(self, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        for child in self.children.values():
            child.append(Sent(key, value, timestamp))

    def _late(self, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        self.came_late.append((Sent(key, value, timestamp), headers))

    def _resumed(self, error: BaseException, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        # As with a handler that resumes.
        self.failures.append(error)

    def child(self, name: str) -> Forward:
        """See `Wiring`."""
        if name not in self.children:
            raise TopologyError(name)
        return lambda key, value, timestamp, headers: self.children[name].append(Sent(key, value, timestamp))

    def take_stretches(self, do: ForwardStretch, *, records: int = 1) -> None:
        """See `Wiring`. A test may send several at once."""
        self.run_together = do

    def onward(self) -> ForwardStretch:
        """See `Wiring`."""

        def one_by_one(stretch: Stretch) -> None:
            for key, value, timestamp, headers, self.context.offset in stretch.records():
                self.forward(key, value, timestamp, headers)

        return one_by_one

    def onward_together(self) -> None:
        """See `Wiring`."""

    def awaited(
        self,
        calls: Sequence[Callable[[], Awaitable[Any]]],
        concurrency: int,
        timeout_seconds: float | None,
    ) -> Outcomes:
        """See `Wiring`. On a loop of its own."""
        loop = EventLoop()
        try:
            return loop.outcomes(calls, concurrency, timeout_seconds)
        finally:
            loop.close()

    def take_step(self, step: Step, call: Callable[..., Any] | None = None) -> None:
        """See `Wiring`. Records are sent one by one here."""

    def take_inner_step(self, step: InnerStep) -> None:
        """See `Wiring`. Records are sent one by one here."""

    def take_last_step(self, step: LastStep) -> None:
        """See `Wiring`. Records are sent one by one here."""

    def pass_through(self) -> None:
        """See `Wiring`. Records are sent one by one here."""

    def store(self, name: str) -> Any:
        """See `Wiring`."""
        return self.state.state(name)

    def is_global(self, name: str) -> bool:
        """See `Wiring`. A node has all of its stores to itself here."""
        return False

    def shared(self, between: object, make: Callable[[], T]) -> T:
        """See `Wiring`. There is no other node here."""
        return make()

    def drop(self, reason: str) -> None:
        """See `Wiring`."""
        self.drops.append(reason)

    def guard(self, do: Callable[[int], object]) -> Callable[[int], None]:
        """See `Wiring`."""

        def punctuate(now: int) -> None:
            do(now)

        return punctuate

    def on_close(self, do: Callable[[], object]) -> None:
        """See `Wiring`."""
        self.closes.append(do)

    def on_start(self, do: Callable[[], object]) -> None:
        """See `Wiring`."""
        self.starts.append(do)
