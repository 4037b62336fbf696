"""What users' functions make of the records of a group, whatever its windows: the fold, and the serde of its result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from headrace.base.ids import Location
from headrace.dsl.functions import deletions_of, plain, result_annotation
from headrace.dsl.serdes import Typed, first_known, of_annotation
from headrace.operators.fold import COUNT, Fold, aggregation, reduction
from headrace.serde.primitives import int64
from headrace.serde.rows import RowSerde
from headrace.topology.arguments import given

__all__ = [
    "DescribedFold",
    "aggregated",
    "aggregated_both_ways",
    "counted",
    "reduced",
    "reduced_both_ways",
]


@dataclass(frozen=True, slots=True)
class DescribedFold:
    """A fold, and what the builder has to know of it.

    Attributes:
        value: serde of its results.
        kind: what nodes and stores are named after.
        calls: the user's function, for descriptions.
        rows: serde of what is kept, where that is not the result.
    """

    fold: Fold
    value: Typed
    kind: Literal["AGGREGATE", "REDUCE"]
    calls: Callable[..., Any] | None = None
    rows: RowSerde | None = None

    @property
    def keeps_values(self) -> bool:
        """Whether results are of the type that values have: a reduction's are, an aggregate's are not."""
        return self.kind == "REDUCE"

    @property
    def counts(self) -> bool:
        """Whether it is `count()`."""
        return self.fold is COUNT


def counted() -> DescribedFold:
    """Count records."""
    return DescribedFold(COUNT, int64, "AGGREGATE")


def reduced(reducer: object, value: Typed, where: Location) -> DescribedFold:
    """Fold values of one type: `reducer(aggregate, value)`."""
    fn, _ = plain(reducer, "reducer", where, "aggregate", "value")
    return DescribedFold(reduction(fn, deletions=deletions_of(fn)), value, "REDUCE", fn)


def aggregated(
    init: object, aggregator: object, value: object, where: Location, *, merge: object = None
) -> DescribedFold:
    """Fold into what `init` makes: `aggregator(key, value, aggregate)`. `value` is the serde, if it is given.

    `merge(key, aggregate, other)` makes one of two; sessions need it.
    """
    make, _ = plain(init, "initialiser", where)
    fn, _ = plain(aggregator, "aggregator", where, "key", "value", "aggregate")
    merger = None if merge is None else plain(merge, "merger", where, "key", "aggregate", "other")[0]
    serde = _aggregate_serde(init, fn, value, where)
    fold = aggregation(make, fn, merge=merger, deletions=deletions_of(fn))
    return DescribedFold(fold, serde, "AGGREGATE", fn)


def reduced_both_ways(adder: object, subtractor: object, value: Typed, where: Location) -> DescribedFold:
    """Fold values of one type, which may change: both functions take the aggregate and a value."""
    add, _ = plain(adder, "adder", where, "aggregate", "value")
    subtract, _ = plain(subtractor, "subtractor", where, "aggregate", "value")
    fold = reduction(add, subtract, deletions=deletions_of(add), subtractions=deletions_of(subtract))
    return DescribedFold(fold, value, "REDUCE", add)


def aggregated_both_ways(
    init: object, adder: object, subtractor: object, value: object, where: Location
) -> DescribedFold:
    """Fold values that may change into what `init` makes: both functions take key, value and aggregate."""
    make, _ = plain(init, "initialiser", where)
    add, _ = plain(adder, "adder", where, "key", "value", "aggregate")
    subtract, _ = plain(subtractor, "subtractor", where, "key", "value", "aggregate")
    serde = _aggregate_serde(init, add, value, where)
    fold = aggregation(make, add, subtract, deletions=deletions_of(add), subtractions=deletions_of(subtract))
    return DescribedFold(fold, serde, "AGGREGATE", add)


def _aggregate_serde(init: object, fn: Callable[..., Any], value: object, where: Location) -> Typed:
    """Return the serde of an aggregate: given, or of the class that makes the first one, or of an annotation."""
    explicit = given(value, "value", where)
    if explicit is not None:
        return explicit
    by_init = init if isinstance(init, type) else result_annotation(init) if callable(init) else None
    # A class that leaves open what it holds, such as dict, may be told by the aggregator.
    sources = [of_annotation(result_annotation(fn), fn, "value")]
    if callable(init):
        sources.insert(0 if isinstance(init, type) else 1, of_annotation(by_init, init, "value"))
    return first_known(*sources)
