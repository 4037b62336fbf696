"""A table grouped anew: counted, reduced, aggregated. Source: `KGroupedTableImpl`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NoReturn, overload

from typing_extensions import TypeVar

from headrace.base.ids import Location
from headrace.dsl.advice import no_operator
from headrace.dsl.aliases import AnyStore, Name, TableStore
from headrace.dsl.folds import DescribedFold, counted, reduced_both_ways
from headrace.dsl.ready_made import Aggregation, aggregation_both_ways
from headrace.dsl.table_grouping import TableGrouping
from headrace.serde.serde import SerdeLike, SerdeOf
from headrace.topology.locations import caller

if TYPE_CHECKING:
    from headrace.dsl.ktable import KTable

__all__ = ["KGroupedTable"]

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")


class KGroupedTable(Generic[K, V]):
    """A table whose rows belong to groups. Made by `KTable.group_by`.

    A row that changes is subtracted from the group it was in, then added to the one it is in now. Stores are cached
    unless they say otherwise.
    """

    def __init__(self, grouping: TableGrouping, tables: "type[KTable[Any, Any]]") -> None:
        self._grouping = grouping
        # Tables know this class, so it cannot know theirs.
        self._tables = tables

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_operator(self, name)

    def count(self, *, store: TableStore[K, int] = None, name: Name = None) -> "KTable[K, int]":
        """Count the rows of each group. A group that no row is left in has the count 0."""
        return self._table(counted(), store, name, caller())

    def reduce(
        self,
        adder: Callable[[V, V], V],
        subtractor: Callable[[V, V], V],
        *,
        store: TableStore[K, V] = None,
        name: Name = None,
    ) -> "KTable[K, V]":
        """Fold each group's values, all of one type: `adder(aggregate, value)`, `subtractor(aggregate, value)`.

        The first value is the first result.
        """
        where = caller()
        fold = reduced_both_ways(adder, subtractor, self._grouping.flow.value, where)
        return self._table(fold, store, name, where)

    @overload
    def aggregate(
        self,
        aggregation: Aggregation[V, A],
        /,
        *,
        value: SerdeOf[A] = None,
        store: TableStore[K, A] = None,
        name: Name = None,
    ) -> "KTable[K, A]": ...
    @overload
    def aggregate(
        self,
        init: type[A],
        adder: Callable[[K, V, A], A | None],
        subtractor: Callable[[K, V, A], A | None],
        *,
        value: SerdeOf[A] = None,
        store: TableStore[K, A] = None,
        name: Name = None,
    ) -> "KTable[K, A]": ...
    @overload
    def aggregate(
        self,
        init: Callable[[], A],
        adder: Callable[[K, V, A], A | None],
        subtractor: Callable[[K, V, A], A | None],
        *,
        value: SerdeLike[A],
        store: TableStore[K, A] = None,
        name: Name = None,
    ) -> "KTable[K, A]": ...
    def aggregate(
        self,
        init: Callable[[], Any] | Aggregation[V, Any],
        adder: Callable[[K, V, Any], Any] | None = None,
        subtractor: Callable[[K, V, Any], Any] | None = None,
        *,
        value: Any = None,
        store: Any = None,
        name: Name = None,
    ) -> "KTable[K, Any]":
        """Fold each group's rows into a value of another type: both functions take `(key, value, aggregate)`.

        `init` makes a group's first aggregate; a class is initialiser, type and serde at once. A result of None deletes
        the group.

        Or `aggregate(agg.mean(of))`, with an aggregation of `headrace.agg` that can take values out again.
        """
        where = caller()
        fold = aggregation_both_ways(init, adder, subtractor, value, self._grouping.flow.value, where)
        return self._table(fold, store, name, where)

    def _table(self, fold: DescribedFold, store: AnyStore, name: Name, where: Location) -> "KTable[Any, Any]":
        return self._tables(self._grouping.table(fold, store, name, where))
