"""Compiles a sub-topology into closures, children first: the bridge from plain nodes to running code."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from typing_extensions import TypeVar

from headrace.base.callables import refuse_unstarted
from headrace.base.columns import Stretch
from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.base.rare_warnings import is_worth_a_warning
from headrace.base.records import NO_HEADERS, Headers
from headrace.engine.collector import RecordCollector
from headrace.engine.expiry import advancing, expiring
from headrace.engine.failures import Failures
from headrace.engine.fusion import FusedStep, fuse
from headrace.engine.options import EngineOptions
from headrace.engine.sinks import compile_sink
from headrace.engine.task_figures import TaskFigures
from headrace.processor.context import TaskContext
from headrace.topology.nodes import ProcessorNode, SinkNode, SourceNode
from headrace.topology.processors import ProcessorOperator
from headrace.topology.topology import SubTopology, Topology
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
from headrace.topology.wrapping import ProcessorWrapper, wrapped

if TYPE_CHECKING:
    from headrace.engine.tracing import Tracing

__all__ = ["Awaited", "CompiledTopology", "compile_topology", "tracing_of"]

_log = logging.getLogger("headrace.dropped")

T = TypeVar("T")

#: See `topology.wiring.Wiring.awaited`.
Awaited: TypeAlias = Callable[[Sequence[Callable[[], Awaitable[Any]]], int, float | None], Outcomes]


class CompiledTopology:
    """What a task runs: where each source's records go, and what to call when the task starts and closes."""

    __slots__ = ("on_close", "on_start", "records", "shared", "sources", "stretches")

    def __init__(self) -> None:
        self.sources: dict[str, Forward] = {}  # by the source node's name
        self.stretches: dict[str, ForwardStretch] = {}  # the same, of sources whose nodes take stretches
        self.records: dict[str, int] = {}  # how many of them are best taken together
        self.shared: dict[
            object, Any
        ] = {}  # what several nodes have together, by what they know each other by
        self.on_start: list[Callable[[], object]] = []  # parents before children
        self.on_close: list[Callable[[], object]] = []


class _Alone(Protocol):
    """Calls code of the user where there is no record; what it raises stops the application and names the node."""

    def __call__(self, do: Callable[[], T], verb: str) -> T: ...


class _Chain(NamedTuple):
    """The way of a stretch: steps, most of which call the user's functions, then who takes what is left, or the end."""

    steps: tuple[FusedStep | InnerStep, ...]
    into: ForwardStretch | LastStep
    records: int = 1


class _NodeWiring:
    """What one processor node is given while it is compiled. See `topology.wiring.Wiring`."""

    def __init__(
        self,
        node: ProcessorNode,
        children: dict[str, Forward],
        late: Forward | None,
        stores: dict[str, Any],
        global_states: Mapping[str, Any],
        compiled: CompiledTopology,
        failed: Failed,
        context: TaskContext,
        figures: TaskFigures,
        below: _Chain | None,
        alone: "_Alone",
        awaited: Awaited,
    ) -> None:
        self.name = node.name
        self.where = node.where
        self.context = context
        self.forward = _to_all(list(children.values()))
        self.late = late
        self.failed = failed
        self._compiled = compiled
        self._alone = alone
        self.chain: _Chain | None = None
        self._below = below
        self._children = children
        self._stores = stores
        self._global_states = global_states
        self._figures = figures
        self.drop = _dropper(node.name, node.where, context, figures.drop)
        self.awaited = awaited

    def compiled(self, operator: Operator, wrapper: ProcessorWrapper | None) -> Forward:
        """Make the node's closure."""
        run = self._alone(partial(operator.compile, self), "be made")
        if wrapper is not None:
            self.chain = None  # it is given records one by one
            run = self._alone(
                partial(wrapped, wrapper, run, self.failed, self.name, self.where, self.store, self.context),
                "be wrapped",
            )
        stores = expiring(self._stores.values())
        if stores:
            self.chain = None  # each record moves the time of the stores
            run = advancing(run, stores)
        if self._figures.times_calls:
            self.chain = None  # each call is timed
            run = self._figures.timed(self.name, run)
        return run

    def on_start(self, do: Callable[[], object]) -> None:
        self._compiled.on_start.append(lambda: self._alone(do, "initialise"))

    def on_close(self, do: Callable[[], object]) -> None:
        self._compiled.on_close.append(lambda: self._alone(do, "close"))

    def take_stretches(self, do: ForwardStretch, *, records: int = 1) -> None:
        self.chain = _Chain((), do, records)

    def take_step(self, step: Step, call: Callable[..., Any] | None = None) -> None:
        if self._below is not None:
            this = FusedStep(self.name, step, call, self.failed)
            self.chain = self._below._replace(steps=(this, *self._below.steps))

    def take_inner_step(self, step: InnerStep) -> None:
        below = self._below
        if below is None or isinstance(below.into, LastStep):
            return
        if not any(isinstance(each, InnerStep) for each in below.steps):
            self.chain = below._replace(steps=(step, *below.steps))

    def take_last_step(self, step: LastStep) -> None:
        self.chain = _Chain((), step)

    def pass_through(self) -> None:
        self.chain = self._below

    def onward(self) -> ForwardStretch:
        below, forward, context = self._below, self.forward, self.context
        if below is not None:
            return fuse(below.steps, context, below.into)

        def one_by_one(stretch: Stretch) -> None:
            for key, value, timestamp, headers, context.offset in stretch.records():
                forward(key, value, timestamp, headers)

        return one_by_one

    def onward_together(self) -> ForwardStretch | None:
        below = self._below
        return None if below is None or below.records > 1 else fuse(below.steps, self.context, below.into)

    def child(self, name: str) -> Forward:
        if name not in self._children:
            raise TopologyError(
                f"{self.name} ({self.where}) forwards to '{name}', which is not one of its children: "
                f"{', '.join(self._children) or 'it has none'}"
            )
        return self._children[name]

    def store(self, name: str) -> Any:
        if self.is_global(name):
            return self._global_states[name]
        if name not in self._stores:
            raise TopologyError(
                f"{self.name} ({self.where}) has no access to store '{name}'; connect it: name the store where the "
                "processor is added, process(processor, store), or in its `stores` (connected now: "
                f"{', '.join(self._stores) or 'none'})"
            )
        return self._stores[name]

    def is_global(self, name: str) -> bool:
        return name not in self._stores and name in self._global_states

    def shared(self, between: object, make: Callable[[], T]) -> T:
        if between not in self._compiled.shared:
            self._compiled.shared[between] = make()
        made: T = self._compiled.shared[between]
        return made

    def guard(self, do: Callable[[int], object]) -> Callable[[int], None]:
        context, failed = self.context, self.failed

        def punctuate(now: int) -> None:
            # No record is being processed: metadata is None, and plain stores stamp their changes with `now`.
            before = context.leave_record(now)
            try:
                result = do(now)
                if result is not None:
                    refuse_unstarted(result)
            except BaseException as error:  # the user's function
                failed(error, None, None, now, NO_HEADERS)
            finally:
                context.return_to(before)

        return punctuate


def _dropper(
    name: str, where: Location, context: TaskContext, dropped: Callable[[str, str], None]
) -> Callable[[str], None]:
    """Make what counts the records that one node drops, and warns of them now and then."""
    warnings: dict[str, int] = {}

    def drop(reason: str) -> None:
        dropped(name, reason)
        seen = warnings[reason] = warnings.get(reason, 0) + 1
        if is_worth_a_warning(seen):
            _log.warning(
                "%s (%s): record dropped, %s (topic %s, partition %d, offset %d); %d so far",
                name, where, reason, context.topic, context.partition, context.offset, seen, extra={"node": name},
            )  # fmt: skip

    return drop


def _to_all(children: list[Forward]) -> Forward:
    """One closure for all children: the usual single child is called directly."""
    if not children:
        return lambda key, value, timestamp, headers: None
    if len(children) == 1:
        return children[0]
    if len(children) == 2:
        first, second = children

        def to_both(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            first(key, value, timestamp, headers)
            second(key, value, timestamp, headers)

        return to_both

    def to_each(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        for child in children:
            child(key, value, timestamp, headers)

    return to_each


def _alone(failures: Failures, name: str, where: Location) -> _Alone:
    def call(do: Callable[[], T], verb: str) -> T:
        try:
            return do()
        except BaseException as error:
            # An end is told by what was raised itself.
            if verb != "close" or not isinstance(error, Exception):
                failures.ensure_made(error, name, where, verb)
            raise

    return call


def _sink(
    node: SinkNode,
    full_name: Callable[[str], str],
    collector: RecordCollector,
    context: TaskContext,
    failures: Failures,
    figures: TaskFigures,
) -> tuple[Forward, ForwardStretch | None]:
    run, together = compile_sink(
        node,
        full_name=full_name,
        collector=collector,
        context=context,
        failed=failures.of_processing(node.name, node.where),
        refused=failures.of_production(node.name, node.where),
        drop=_dropper(node.name, node.where, context, figures.drop),
    )
    return (figures.timed(node.name, run), None) if figures.times_calls else (run, together)


def _add_source(
    compiled: CompiledTopology,
    name: str,
    run: Forward,
    below: _Chain | None,
    context: TaskContext,
    tracing: "Tracing | None",
) -> None:
    """Enter where a source's records go one by one, and in stretches where `below` takes these."""
    if tracing is not None:
        run = tracing.processing(run)
    compiled.sources[name] = run
    if below is not None:
        together = fuse(below.steps, context, below.into)
        if tracing is not None:
            together = tracing.processing_stretch(run, together, below.records)
        compiled.stretches[name], compiled.records[name] = together, below.records


def tracing_of(options: EngineOptions, context: TaskContext) -> "Tracing | None":
    """Return what makes the spans of a task; None where nothing is traced."""
    if not options.tracing_enabled:
        return None
    from headrace.engine.tracing import Tracing  # of an extra

    return Tracing(context)


def compile_topology(
    topology: Topology,
    subtopology: SubTopology,
    *,
    application_id: str,
    context: TaskContext,
    collector: RecordCollector,
    failures: Failures,
    state: Callable[[str], Any],
    global_states: Mapping[str, Any],
    figures: TaskFigures,
    awaited: Awaited,
    tracing: "Tracing | None",
) -> CompiledTopology:
    """Compile a sub-topology for one task.

    `state` gives the store behind a name; `global_states` are for all nodes to read. `figures` count what is dropped.
    With `tracing`, records that bring a trace are processed within spans. Nodes are compiled from the sinks up;
    `on_start` runs from the sources down.
    """
    compiled = CompiledTopology()
    forwards: dict[str, Forward] = {}
    chains: dict[str, _Chain] = {}  # of the nodes below which all take stretches
    for name in reversed(subtopology.nodes):
        node = topology.nodes[name]
        children = {child: forwards[child] for child in topology.children.get(name, ())}
        late = children.pop(node.late, None) if isinstance(node, ProcessorNode) else None
        below = chains.get(next(iter(children))) if len(children) == 1 else None
        if isinstance(node, SourceNode):
            _add_source(compiled, name, _to_all(list(children.values())), below, context, tracing)
        elif isinstance(node, SinkNode):
            decorate = partial(topology.decorate, application_id=application_id)
            forwards[name], together = _sink(node, decorate, collector, context, failures, figures)
            if together is not None:
                chains[name] = _Chain((), together)
        else:
            failed = failures.of_processing(node.name, node.where)
            alone = _alone(failures, node.name, node.where)
            if tracing is not None and isinstance(node.operator, ProcessorOperator):
                children = {child: tracing.carrying(forward) for child, forward in children.items()}
            wiring = _NodeWiring(
                node,
                children,
                late,
                {store: state(store) for store in node.stores},
                global_states,
                compiled,
                failed,
                context,
                figures,
                below,
                alone,
                awaited,
            )
            forwards[name] = wiring.compiled(node.operator, topology.wrapper)
            if wiring.chain is not None:
                chains[name] = wiring.chain
    compiled.on_start.reverse()
    return compiled
