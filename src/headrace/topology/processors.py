"""Runs a user's `Processor` or `FixedKeyProcessor` as a node."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from headrace.base.callables import TEXTS, misfit, not_several
from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.base.records import Headers, Record
from headrace.processor.api import FixedKeyContext, FixedKeyProcessor, Processor, ProcessorContext
from headrace.processor.context import TaskContext
from headrace.state.declaration import Store, check_handle
from headrace.state.spec import StoreSpec
from headrace.state.typed_stores import read_only, typed
from headrace.topology.wiring import Forward, Wiring

__all__ = ["ProcessorOperator"]


class ProcessorOperator:
    """A user's processor: makes one for each task, and feeds it.

    Attributes:
        declared_stores: what the supplier, its class or its processor names in `stores`.
    """

    def __init__(
        self, supplier: Callable[[], Any], *, name: str, where: Location, fixed_key: bool = False
    ) -> None:
        self._supplier = supplier
        self._name = name
        self._where = where
        self._fixed_key = fixed_key
        self.declared_stores: Sequence[Store[Any]] = self._checked()

    def _checked(self) -> Sequence[Store[Any]]:
        """Refuse a wrong supplier now, with the place of the call, rather than when the task starts."""
        expected = FixedKeyProcessor if self._fixed_key else Processor
        supplier = self._supplier
        if isinstance(supplier, type):
            if not issubclass(supplier, expected):
                raise self._wrong(f"{supplier.__name__} is not a {expected.__name__}")
            problem = misfit(supplier, ())
            if problem is not None:
                raise self._wrong(
                    f"{problem}; every task makes one: pass a function that gives it what it needs"
                )
            self._check_methods(supplier)
            return tuple(supplier.stores)
        if isinstance(supplier, expected):
            raise self._wrong(
                f"it got a {type(supplier).__name__} object, and every task needs its own; pass the class, or a "
                "function that makes one"
            )
        if not callable(supplier):
            raise self._wrong(f"it got {supplier!r}; pass a class, or a function that makes a processor")
        problem = misfit(supplier, ())
        if problem is not None:
            raise self._wrong(f"the function that makes a processor: {problem}")
        one = self._made()
        if one is self._made():
            raise self._wrong(
                f"its supplier gives the same {type(one).__name__} object twice; it must make a new one each time"
            )
        self._check_methods(type(one))
        return tuple(getattr(supplier, "stores", None) or one.stores)

    def _check_methods(self, kind: type) -> None:
        for method, arguments in (("process", ("record",)), ("init", ()), ("close", ())):
            is_bound = not isinstance(inspect.getattr_static(kind, method), staticmethod | classmethod)
            problem = misfit(
                getattr(kind, method),
                ("self", *arguments) if is_bound else arguments,
                yields=method == "process",
            )
            if problem is not None:
                takes_context = (
                    method == "init" and misfit(getattr(kind, method), ("self", "context")) is None
                )
                raise self._wrong(problem + ("; the context is self.context" if takes_context else ""))

    def _made(self) -> Any:
        made = self._supplier()
        expected = FixedKeyProcessor if self._fixed_key else Processor
        if not isinstance(made, expected):
            raise self._wrong(f"its supplier gives {made!r}, which is not a {expected.__name__}")
        return made

    def _wrong(self, problem: str) -> TopologyError:
        return TopologyError(f"{self._name} ({self._where}): {problem}")

    def check_fills(self, spec: StoreSpec) -> None:
        """Refuse a processor of a global store that has another store too.

        Raises:
            TopologyError: it names one; a store that only one instance has would be filled by all.
        """
        for store in self.declared_stores:
            if store.name != spec.name:
                raise self._wrong(
                    f"it fills global store {spec.name!r}, and names store {store.name!r} too; the processor of a "
                    "global store has that one alone"
                )
            check_handle(store, spec)

    def compile(self, wiring: Wiring) -> Forward:
        """Make this task's processor and the closure that feeds it."""
        processor = self._wired(wiring, wiring.forward)
        if self._fixed_key:
            return _run_fixed_key(processor, processor.context, wiring)
        return _run(processor, wiring)

    def compile_transform(self, wiring: Wiring) -> Callable[[Any, Any], Any]:
        """Make this task's processor, and what asks it for the value that takes another one's place, by key and value.

        The time and the headers of the record that it is given are the task's. It cannot forward. None is no value.
        """
        process, task = self._wired(wiring, _refuse_to_forward).process, wiring.context

        def transform(key: Any, value: Any) -> Any:
            return _only(process(Record(key, value, task.timestamp, task.headers)))

        return transform

    def _wired(self, wiring: Wiring, forward: Forward) -> Any:
        """Make this task's processor, with a context whose `forward` sends there."""
        processor, services = self._made(), _Services(wiring, forward)
        processor.context = FixedKeyContext(services) if self._fixed_key else ProcessorContext(services)
        wiring.on_start(processor.init)
        wiring.on_close(processor.close)
        return processor


class _Services:
    """See `processor.api.NodeServices`."""

    def __init__(self, wiring: Wiring, forward: Forward) -> None:
        self.task: TaskContext = wiring.context
        self.forward = forward
        self.child = wiring.child
        self.guard = wiring.guard
        self._wiring = wiring
        self._stores: dict[str, Any] = {}

    def store(self, name: str, handle: Store[Any] | None) -> Any:
        if name not in self._stores:
            state = self._wiring.store(name)
            if handle is not None:
                check_handle(handle, state.spec)
            filled_by = state.spec.filled_by
            only_reads = self._wiring.is_global(name) or filled_by not in {None, self._wiring.name}
            self._stores[name] = (
                read_only(state, self.task.application_id) if only_reads else typed(state, self.task)
            )
        return self._stores[name]


def _refuse_to_forward(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
    raise ValueError(
        "a row of a table has one value: return it in a list, or yield it; to forward records, write "
        "to_stream().process_values(...)"
    )


def _only(results: Any) -> Any:
    """Return the one value among a processor's results, None where there is none."""
    if results is None:
        return None
    if isinstance(results, TEXTS) or not isinstance(results, Iterable):
        raise not_several(results)
    found = list(results)
    if len(found) > 1:
        raise ValueError(f"a row of a table has one value, and the processor gave {len(found)}: yield one")
    return found[0] if found else None


def _run(processor: Processor[Any, Any, Any, Any], wiring: Wiring) -> Forward:
    process, task, forward, failed = (
        processor.process,
        wiring.context,
        processor.context.forward,
        wiring.failed,
    )

    def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        before = task.timestamp, task.headers
        task.timestamp, task.headers = timestamp, headers
        results = None
        try:
            results = process(Record(key, value, timestamp, headers))
            if results is not None:
                # A generator runs while its records are forwarded, so its failures come here as well. What a child
                # could not handle passes through: `failed` raises it again.
                for record in results:
                    forward(record)
        except BaseException as error:
            failed(_explained(error, results), key, value, timestamp, headers)
        finally:
            task.timestamp, task.headers = before

    return run


def _explained(error: BaseException, results: object) -> BaseException:
    """Say what to write where something else was returned than an iterable of results."""
    if isinstance(results, Record):
        return TypeError("the processor returned a Record: yield it, or return [record]")
    if results is None or (isinstance(results, Iterable) and not isinstance(results, TEXTS)):
        return error
    return not_several(results)


def _run_fixed_key(
    processor: FixedKeyProcessor[Any, Any, Any], context: FixedKeyContext[Any], wiring: Wiring
) -> Forward:
    process, task, forward, failed = processor.process, wiring.context, wiring.forward, wiring.failed

    def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        before = task.timestamp, task.headers
        task.timestamp, task.headers = timestamp, headers
        context._current = (key,)
        results = None
        try:
            results = process(Record(key, value, timestamp, headers))
            if results is not None:
                if isinstance(results, TEXTS):
                    raise not_several(results)
                for result in results:
                    forward(key, result, timestamp, headers)
        except BaseException as error:
            failed(_explained(error, results), key, value, timestamp, headers)
        finally:
            context._current = ()
            task.timestamp, task.headers = before

    return run
