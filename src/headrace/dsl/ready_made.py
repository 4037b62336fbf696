"""Ready-made aggregations: what `headrace.agg` hands out, and the fold that one becomes over the values of a group."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeGuard

from typing_extensions import TypeVar

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.folds import DescribedFold, aggregated, aggregated_both_ways
from headrace.dsl.functions import result_annotation
from headrace.dsl.serdes import Typed, UnknownSerde, of_annotation, required
from headrace.operators.accumulators import Accumulator, Kept, as_bytes, as_it_is
from headrace.operators.fold import Fold
from headrace.serde.rows import RowSerde
from headrace.topology.arguments import given

__all__ = ["Aggregation", "Values", "aggregation_both_ways", "aggregation_of", "kept_by", "kept_values"]

V_contra = TypeVar("V_contra", contravariant=True)
A_co = TypeVar("A_co", covariant=True)

#: Of these a row keeps the values themselves, and tells them apart.
_PLAIN = frozenset({bool, bytes, float, int, str})
_NUMBERS = frozenset({bool, float, int})


@dataclass(frozen=True, slots=True)
class Values:
    """What an aggregation is told of what it will be given.

    Attributes:
        serde: of the group's values.
        is_of_table: whether these change, so that they are subtracted.
        where: where it is used.
    """

    serde: Typed
    is_of_table: bool
    where: Location


@dataclass(frozen=True, slots=True, eq=False)
class Aggregation(Generic[V_contra, A_co]):
    """Makes results of type A of values of type V. Made by the functions of `headrace.agg`, for `aggregate()`.

    Attributes:
        name: of the function that made it.
        accumulate: makes its functions for the values of a group.
        result: makes the serde of its results, as far as it is known, of that of the values.
        calls: the user's function, for descriptions.
    """

    name: str
    accumulate: Callable[[Values], Accumulator]
    result: Callable[[Typed], Typed]
    calls: Callable[..., Any] | None = None

    def __repr__(self) -> str:
        return f"agg.{self.name}(...)"


def kept_by(name: str, of: Callable[..., Any]) -> Kept:
    """Say how the values that a function returns are kept: by what it is annotated with, if it is."""
    serde = of_annotation(of if isinstance(of, type) else result_annotation(of), of, "value")
    if isinstance(serde, UnknownSerde) or serde.type in _PLAIN:
        return as_it_is(name, is_small=not isinstance(serde, UnknownSerde) and serde.type in _NUMBERS)
    return as_bytes(serde, f"agg.{name}")


def kept_values(name: str, values: Values) -> Kept:
    """Say how the values of a group are kept.

    Raises:
        TopologyError: their serde is not known.
    """
    return as_bytes(required(values.serde, f"agg.{name}()", values.where), f"agg.{name}")


def aggregation_of(
    init: object,
    aggregator: object,
    value: object,
    values: Typed,
    where: Location,
    *,
    merge: object = None,
    merges: bool = False,
) -> DescribedFold:
    """Return the fold that the arguments of `aggregate()` mean, over values of a serde: ready-made, or the user's own.

    `value` is the serde of its results, if it is given. What `merges` needs a `merge` of the user's own.
    """
    if _is_ready_made(init, where, aggregator, merge):
        return _fold_of(init, value, values, where, is_of_table=False)
    if merges and merge is None:
        raise TopologyError(
            f"{where}: sessions that meet need a merge(key, aggregate, other): write aggregate(init, aggregator, merge)"
        )
    return aggregated(init, aggregator, value, where, merge=merge)


def aggregation_both_ways(
    init: object, adder: object, subtractor: object, value: object, values: Typed, where: Location
) -> DescribedFold:
    """Return the same for the values of a table, which change."""
    if _is_ready_made(init, where, adder, subtractor):
        return _fold_of(init, value, values, where, is_of_table=True)
    return aggregated_both_ways(init, adder, subtractor, value, where)


def _is_ready_made(init: object, where: Location, *functions: object) -> TypeGuard[Aggregation[Any, Any]]:
    """Whether it is one.

    Raises:
        TopologyError: it is one that was not made, or stands beside functions.
    """
    if getattr(init, "__module__", None) == "headrace.agg" and not isinstance(init, Aggregation):
        name = getattr(init, "__name__", "mean")
        raise TopologyError(
            f"{where}: agg.{name} makes an aggregation when it is called: write agg.{name}(...)"
        )
    if not isinstance(init, Aggregation):
        return False
    if any(fn is not None for fn in functions):
        raise TopologyError(
            f"{where}: {init!r} is all that aggregate() needs: leave the functions beside it out"
        )
    return True


def _fold_of(
    aggregation: Aggregation[Any, Any], value: object, values: Typed, where: Location, *, is_of_table: bool
) -> DescribedFold:
    accumulator = aggregation.accumulate(Values(values, is_of_table, where))
    if is_of_table and accumulator.subtract is None:
        raise TopologyError(
            f"{where}: {aggregation!r} of a table has no meaning: agg.first() and agg.last() go by the order of "
            "processing, and a row that changes, or is restored, has no place in one. Choose by what a row says of "
            "itself, as in agg.top(1, by=lambda order: order.time), agg.min() or agg.max()"
        )
    functions: dict[str, Any] = {
        "empty": accumulator.empty,
        "add": accumulator.add,
        "merge": accumulator.merge,
        "subtract": accumulator.subtract,
    }
    fold = Fold("empty", "add(old, value)", "subtract(old, value)", "merge(old, other)", functions)
    rows = RowSerde(
        accumulator.signature,
        accumulator.result,
        is_small=accumulator.is_small,
        serdes=accumulator.serdes,
    )
    result = given(value, "value", where) or aggregation.result(values)
    return DescribedFold(fold, result, "AGGREGATE", aggregation.calls, rows)
