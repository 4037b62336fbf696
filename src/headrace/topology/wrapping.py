"""Processors with something of the user's around each: tracing, timing, a guard. Source: `ProcessorWrapper`."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeAlias

from headrace.base.callables import misfit
from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.base.records import Headers, Record
from headrace.processor.context import TaskContext
from headrace.state.declaration import Store
from headrace.state.spec import Engine
from headrace.state.typed_stores import typed
from headrace.topology.arguments import accepted
from headrace.topology.assembly import Assembly
from headrace.topology.nodes import ProcessorNode
from headrace.topology.plain_stores import plain_store
from headrace.topology.wiring import Failed, Forward

__all__ = [
    "Process",
    "ProcessorWrapper",
    "WrapperWithStores",
    "add_stores_of_wrapper",
    "checked_wrapper",
    "stores_of_wrapper",
    "wrapped",
]

#: Processes a record, with all that follows from it below.
Process: TypeAlias = Callable[[Record[Any, Any]], object]


class WrapperWithStores(Protocol):
    """A wrapper that keeps something beside processors. Kafka Streams' `WrappedProcessorSupplier.stores()`."""

    def stores(self, name: str) -> Iterable[Store[Any]]:
        """Return the declared stores that are added to a processor and connected to it. Asked when it is built."""

    def __call__(self, name: str, process: Process, *stores: Any) -> Process:
        """Return what is done in the place of `process`, given the stores of this task, in their order."""


#: (name of a processor, what it does with a record) -> what is done in its place. Called once for each processor of
#: each task when that starts.
ProcessorWrapper: TypeAlias = Callable[[str, Process], Process] | WrapperWithStores


def checked_wrapper(wrapper: ProcessorWrapper | None, where: Location) -> ProcessorWrapper | None:
    """Return the wrapper, if it is one or None.

    Raises:
        TopologyError: it cannot be called with a name and a function, or returns nothing; it has `stores` that cannot
            be called with a name.
    """
    if wrapper is None:
        return None
    stores = getattr(wrapper, "stores", None)
    if stores is None:
        return accepted(wrapper, "wrapper, wrap_processors=,", where, "name", "process")
    problem = misfit(stores, ("name",)) if callable(stores) else "cannot be called"
    if problem is not None:
        raise TopologyError(f"{where}: the `stores` of the wrapper, wrap_processors=, {problem}")
    return wrapper


def stores_of_wrapper(wrapper: ProcessorWrapper | None, name: str) -> Sequence[Store[Any]]:
    """Return the declared stores that a wrapper adds to a processor; none where it has no `stores`."""
    stores = getattr(wrapper, "stores", None)
    return () if stores is None else tuple(stores(name))


def add_stores_of_wrapper(
    wrapper: ProcessorWrapper | None, assembly: Assembly, names: Iterable[str], engine: Engine
) -> None:
    """Add the stores that a wrapper wants to these nodes, as far as they are processors, and connect them.

    Raises:
        TopologyError: a store is not declared in full, another one has its name, or a processor that fills a global
            store is to have one.
    """
    for name in names:
        node = assembly.nodes[name]
        if not isinstance(node, ProcessorNode):
            continue
        for store in stores_of_wrapper(wrapper, name):
            if name in assembly.global_nodes:
                raise TopologyError(
                    f"{name} ({node.where}) fills a global store in every instance: the wrapper can add no store of "
                    "tasks to it; let its stores() return none there"
                )
            spec = plain_store(store, node.where, engine)
            assembly.add_store(spec)
            assembly.connect(name, spec.name, node.where)


def wrapped(
    wrapper: ProcessorWrapper,
    forward: Forward,
    failed: Failed,
    name: str,
    where: Location,
    state: Callable[[str], Any],
    task: TaskContext,
) -> Forward:
    """Make a node's closure that goes through the wrapper. What that raises is a failure of the node.

    `state` gives the state behind a store's name, in this task.

    Raises:
        TopologyError: the wrapper gives something that cannot be called with a record.
    """

    def process(record: Record[Any, Any]) -> None:
        forward(record.key, record.value, record.timestamp, tuple(record.headers))

    stores = [typed(state(store.name or ""), task) for store in stores_of_wrapper(wrapper, name)]
    around = wrapper(name, process, *stores)
    if not callable(around):
        raise TopologyError(
            f"{name} ({where}): the wrapper gave {around!r}; let it return a function of a record, which calls what it "
            "was given"
        )

    def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        try:
            around(Record(key, value, timestamp, headers))
        except (
            BaseException
        ) as error:  # what a node could not handle passes through: `failed` raises it again
            failed(error, key, value, timestamp, headers)

    def run_with_stores(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        before = task.timestamp, task.headers
        task.timestamp, task.headers = (
            timestamp,
            headers,
        )  # what is put is logged as of the record, as a processor's
        try:
            run(key, value, timestamp, headers)
        finally:
            task.timestamp, task.headers = before

    return run_with_stores if stores else run
