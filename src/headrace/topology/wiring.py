"""How a node becomes code: the contract between the operators, which compile, and the task, which wires.

Before a task runs, its sub-topology is compiled, children first, into closures
`(key, value, timestamp, headers) -> None`. What can be decided once is decided here, not per record.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum, auto
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from typing_extensions import TypeVar

from headrace.base.columns import Stretch
from headrace.base.ids import Location
from headrace.base.records import Headers
from headrace.processor.context import TaskContext

__all__ = [
    "INNER_NEXT",
    "MISSING",
    "Change",
    "Failed",
    "Forward",
    "ForwardStretch",
    "InnerStep",
    "LastStep",
    "Operator",
    "Outcomes",
    "Step",
    "Windowing",
    "Wiring",
]

T = TypeVar("T")

#: One record on its way to the next node. Headers are an immutable tuple. Never called with a negative timestamp.
Forward: TypeAlias = Callable[[Any, Any, int, Headers], None]

#: What flows as *value* between table nodes: (new value, old value, is the latest version). A plain tuple, since one
#: is made for each update. A value of None is absence; the old value is None where nobody asked for old values.
Change: TypeAlias = tuple[Any, Any, bool]

#: Hands a failure of a node's own work to the processing handler. Returns when the handler resumes (the record is
#: dropped at this node, and its caller goes on with the other children), raises otherwise. It is told of all that a
#: function of the user raises, `sys.exit()` included: that ends the application, and no handler is asked.
Failed: TypeAlias = Callable[[BaseException, Any, Any, int, Headers], None]


#: The records of a stretch on their way into a node that calls no function of the user's, all at once. What caches let
#: go of meanwhile comes when caches please, as always.
ForwardStretch: TypeAlias = Callable[[Stretch], None]


#: Of each record the result of a function, or what it raised.
Outcomes: TypeAlias = Sequence[tuple[Any, BaseException | None]]


class Step(Enum):
    """What a stateless node does to a record, told so that neighbours can be made one loop (`engine.fusion`)."""

    LOOK = auto()
    """Calls the function with key and value."""
    KEEP = auto()
    """Keeps the record if the function of key and value says so."""
    KEEP_NOT = auto()
    """Keeps it if the function does not."""
    KEEP_KEYED = auto()
    """Keeps it if it has a key."""
    KEY = auto()
    """Replaces the key by what the function of key and value returns."""
    VALUE = auto()
    """Replaces the value by what the function of the value returns."""
    VALUE_WITH_KEY = auto()
    """Replaces the value by what the function of key and value returns."""
    PAIR = auto()
    """Replaces both by the pair that the function of key and value returns."""
    JOIN = auto()
    """As `VALUE_WITH_KEY`; drops the record where the function returns `MISSING`."""


#: What the function of a `Step.JOIN` returns for a record that has nothing to be joined with.
MISSING = object()


class LastStep(NamedTuple):
    """The end of such a loop: what a node does to each record, none of which leaves it at once.

    Attributes:
        node: its name.
        body: statements of `key`, `value`, `timestamp` and `headers`; `continue` where they are done with a record. The
            context says where the record stands.
        names: what they find by name.
        variables: what they assign and find again at the next record, and its first values. Each loop has its own.
    """

    node: str
    body: str
    names: Mapping[str, Any]
    variables: Mapping[str, Any]


class InnerStep(NamedTuple):
    """What a node does to each record in the midst of such a loop, as statements; see `LastStep`.

    They may replace the record's parts, by which it goes on; where it does not, they say `INNER_NEXT`.
    """

    node: str
    body: str
    names: Mapping[str, Any]
    variables: Mapping[str, Any]


#: Leaves a record out.
INNER_NEXT = "keep(False); continue\n"


class Wiring(Protocol):
    """What a task offers to one node while it compiles it. The attributes may be bound in closures."""

    #: The node's own name, and where it was declared.
    name: str
    where: Location
    context: TaskContext
    #: Sends to all children in the order in which they were added, but not to the sink of late records.
    forward: Forward
    #: Sends to the sink of late records; None where the user wants none.
    late: Forward | None
    failed: Failed

    def take_stretches(self, do: ForwardStretch, *, records: int = 1) -> None:
        """Offer a function that takes stretches; it is used where all above can send them.

        It calls nobody's code, or is best given so many `records` at a time, which a task then takes however long they
        take.
        """

    def onward(self) -> ForwardStretch:
        """Return what sends a stretch to all children, together where they can take it, else one by one."""

    def onward_together(self) -> ForwardStretch | None:
        """Return the same where they can take it together, as it comes; else None."""

    def awaited(
        self,
        calls: Sequence[Callable[[], Awaitable[Any]]],
        concurrency: int,
        timeout_seconds: float | None,
    ) -> Outcomes:
        """Await calls of async functions, so many at a time, while this thread waits."""

    def take_step(self, step: Step, call: Callable[..., Any] | None = None) -> None:
        """Offer to be a step of a loop, which does what the closure does; it is used where all below take stretches."""

    def take_inner_step(self, step: InnerStep) -> None:
        """Offer to be a step of a loop, which does what the closure does; used where all below take stretches.

        That is, where what leaves goes into columns: a loop has room for the statements of one node alone.
        """

    def take_last_step(self, step: LastStep) -> None:
        """Offer to be the end of a loop, which does what the closure does; used where all above can send stretches."""

    def pass_through(self) -> None:
        """Say that records go on as they are."""

    def child(self, name: str) -> Forward:
        """Forward to one child only. Raises TopologyError for a name that is not a child."""

    def store(self, name: str) -> Any:
        """The state behind a store connected to this node: a `KeyValueState` or `SegmentedState` by its kind.

        Global stores are there for all nodes.
        """

    def is_global(self, name: str) -> bool:
        """Whether a store is a global one that others fill: this node may only read it."""

    def shared(self, between: object, make: Callable[[], T]) -> T:
        """Return what several nodes have together in this task; the first of them that asks makes it.

        `between` is the one object by which they know each other.
        """

    def drop(self, reason: str) -> None:
        """Count a record as dropped, and warn (rate limited) with node, topic, partition, offset and reason."""

    def guard(self, do: Callable[[int], object]) -> Callable[[int], None]:
        """Wrap a punctuation's function: no record context while it runs, failures to the processing handler."""

    def on_close(self, do: Callable[[], object]) -> None:
        """Run `do` when the task is closed or built again."""

    def on_start(self, do: Callable[[], object]) -> None:
        """Run `do` once when the task's stores are restored and it starts to process (processors' `init`)."""


class Operator(Protocol):
    """What a node does to a record."""

    def compile(self, wiring: Wiring) -> Forward:
        """Make this node's closure for one task. Called once a task (and again after an abort)."""


@runtime_checkable
class Rekeying(Protocol):
    """An operator whose function makes the keys by which records go on."""

    rekeys: bool


@runtime_checkable
class Windowing(Protocol):
    """An operator whose store has rows for windows."""

    @property
    def windows(self) -> str:
        """Which windows a record falls into, in words. Rows that were made for others have other bounds."""
