"""A stream on its way into branches. Source: `BranchedKStreamImpl`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self

from typing_extensions import TypeVar

from headrace.base.callables import refuse_unstarted
from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.advice import no_operator
from headrace.dsl.aliases import Name, Predicate
from headrace.dsl.expressed import of_record
from headrace.dsl.functions import optional_plain
from headrace.dsl.graph import GraphProcessor
from headrace.dsl.stream_state import Flow
from headrace.operators.stateless import Branch, PassThrough
from headrace.topology.locations import caller
from headrace.topology.names import check_name

if TYPE_CHECKING:
    from headrace.dsl.kstream import KStream

__all__ = ["BranchedKStream", "GrowingBranch"]

K = TypeVar("K")
V = TypeVar("V")


class GrowingBranch:
    """A `Branch` whose predicates and children are added until the topology is built."""

    def __init__(self) -> None:
        self.predicates: list[Callable[[Any, Any], object]] = []
        self.children: list[str] = []
        self.compile = Branch(self.predicates, self.children).compile


class BranchedKStream(Generic[K, V]):
    """A stream on its way into branches. Made by `split`; ends with `default_branch` or `no_default_branch`.

    A branch is named after the split, followed by its `name` or its number. The dictionary at the end has those names.
    """

    def __init__(self, flow: Flow, operator: GrowingBranch) -> None:
        self._flow = flow
        self._operator = operator
        self._has_ended = False
        self._streams: dict[str, KStream[K, V]] = {}

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_operator(self, name)

    def branch(
        self,
        predicate: Predicate[K, V],
        *,
        name: Name = None,
        then: Callable[["KStream[K, V]"], object] | None = None,
    ) -> Self:
        """Add a branch for records for which the predicate is true, and none before was.

        `then` gets the branch's stream; the dictionary has what it returns, if that is a stream.
        """
        where = caller()
        then = optional_plain(then, "function behind then=", where, "stream", acts=True)
        self._keep(self._branch(predicate, name, where), then)
        return self

    def default_branch(
        self, *, name: Name = None, then: Callable[["KStream[K, V]"], object] | None = None
    ) -> dict[str, "KStream[K, V]"]:
        """Add a branch for all other records; return the streams by name."""
        where = caller()
        then = optional_plain(then, "function behind then=", where, "stream", acts=True)
        self._keep(self._default(name, where), then)
        return self._streams

    def no_default_branch(self) -> dict[str, "KStream[K, V]"]:
        """Drop all other records; return the streams by name."""
        self._end(caller())
        return self._streams

    def _branch(self, predicate: object, name: Name, where: Location) -> "KStream[K, V]":
        fn = of_record(predicate, "predicate", where, self._flow)
        if self._has_ended:
            raise TopologyError(f"{where}: the split has ended; add branches before its default branch")
        self._operator.predicates.append(fn)
        return self._child(name if name is not None else str(len(self._operator.predicates)), where, fn)

    def _default(self, name: Name, where: Location) -> "KStream[K, V]":
        self._end(where)
        return self._child(name if name is not None else "0", where)

    def _end(self, where: Location) -> None:
        if self._has_ended:
            raise TopologyError(f"{where}: the split has ended already; it has one default branch at most")
        self._has_ended = True

    def _child(
        self, suffix: str, where: Location, predicate: Callable[..., Any] | None = None
    ) -> "KStream[K, V]":
        flow = self._flow
        child = check_name(f"{flow.name}{suffix}", "branch", where)
        self._operator.children.append(child)
        # Java uses an index up for a name that is never generated.
        flow.building.graph.names.generate("")
        stream: KStream[K, V] = flow.building.stream(
            flow.then(GraphProcessor(child, where, PassThrough(), calls=predicate))
        )
        return stream

    def _keep(self, stream: "KStream[K, V]", then: Callable[["KStream[K, V]"], object] | None) -> None:
        kept = stream if then is None else then(stream)
        refuse_unstarted(kept)
        if isinstance(kept, type(stream)):
            self._streams[stream._flow.name] = kept
