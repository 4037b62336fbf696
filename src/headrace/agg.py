"""Ready-made aggregations: `from headrace import agg`, then `orders.group_by_key().aggregate(agg.mean(amount))`.

They serve streams, their windows and sessions, which need no `merge=` then, and tables, whose rows change: a value that
is no longer there is taken out again. `first` and `last`, which go by the order of processing, have no meaning there.

A function, or an expression such as `hr.col("amount")`, gives what is aggregated of a value. Where it gives None, as
for a value that is None, there is nothing to add, as in SQL; `count` counts all records. Where nothing was added yet,
`count`, `sum` and `distinct` are 0, `collect` and `top` are empty lists, and the others no value: the table has no such
row.

Stores keep what results are made of, and show results to whoever reads them.
"""

import inspect
from collections.abc import Callable, Mapping
from operator import gt, lt
from typing import Any, Final

from typing_extensions import TypeVar

from headrace.base.callables import named
from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.expressed import OfValues
from headrace.dsl.functions import result_annotation
from headrace.dsl.ready_made import Aggregation, Values, kept_by, kept_values
from headrace.dsl.serdes import Typed, UnknownSerde, of_annotation
from headrace.expressions.expression import Expression
from headrace.operators import accumulators
from headrace.operators.all_values import extreme_of_all, top_of_all
from headrace.serde.primitives import float64, int64
from headrace.serde.resolve import serde_of
from headrace.topology.locations import caller

__all__ = [
    "Aggregation",
    "collect",
    "count",
    "distinct",
    "first",
    "into",
    "last",
    "max",
    "mean",
    "min",
    "sum",
    "top",
]

V = TypeVar("V")
A = TypeVar("A")
N = TypeVar("N", int, float)

#: Of different values in a group of a table. As numbers they stay below a megabyte, which brokers take in a record.
LIMIT: Final = 10_000


def count() -> Aggregation[Any, int]:
    """Count records."""
    return Aggregation("count", lambda values: accumulators.count(), lambda values: int64)


def sum(of: Callable[[V], N | None] | Expression[N]) -> Aggregation[V, N]:
    """Add up what `of` returns: exactly, so that nothing drifts, whatever is subtracted and in which order.

    Of ints the sum is an int of at most 64 bits; it is a float once a float was added. Not-a-number and infinity are
    refused: the record fails.
    """
    fn = _function(of, "sum")
    return Aggregation(
        "sum",
        lambda values: accumulators.total(fn(values.serde)),
        lambda values: _result_of(fn(values)),
        fn.plain,
    )


def mean(of: Callable[[V], float | None] | Expression[Any]) -> Aggregation[V, float]:
    """Return the mean of what `of` returns, of the exact sum. Without any there is no value."""
    fn = _function(of, "mean")
    return Aggregation(
        "mean", lambda values: accumulators.average(fn(values.serde)), lambda values: float64, fn.plain
    )


def min(of: Callable[[V], A | None] | Expression[A], *, limit: int = LIMIT) -> Aggregation[V, A]:
    """Keep the least of what `of` returns, of equal ones the first.

    Of a stream one value is kept. Of a table's group all are, since the least may go: each different one once, and how
    often it is there. So an update reads and writes all of them, and logs them when it is committed: a thousand whole
    numbers are 3 to 10 kB, and 0.1 ms. There may be `limit` different ones; a record that would make them more
    fails.
    """
    return _extreme("min", of, limit, is_least=True)


def max(of: Callable[[V], A | None] | Expression[A], *, limit: int = LIMIT) -> Aggregation[V, A]:
    """Keep the most of what `of` returns, of equal ones the first.

    What is kept of a table, and what that costs, is as `min` says.
    """
    return _extreme("max", of, limit, is_least=False)


def first(of: Callable[[V], A | None] | Expression[A]) -> Aggregation[V, A]:
    """Keep the first of what `of` returns, in the order of processing. Streams alone have one that lasts."""
    return _kept_one("first", of, accumulators.first)


def last(of: Callable[[V], A | None] | Expression[A]) -> Aggregation[V, A]:
    """Keep the last of what `of` returns, in the order of processing. Streams alone have one that lasts."""
    return _kept_one("last", of, accumulators.last)


def collect(of: Callable[[V], A | None] | Expression[A], *, limit: int) -> Aggregation[V, list[A]]:
    """List what `of` returns, in the order of processing.

    Of a stream the last `limit` are kept. A group of a table has all of its rows' values, and a record that would make
    them more than `limit` fails.
    """
    fn, most = _function(of, "collect"), _limit(limit, "limit", "collect")

    def accumulate(values: Values) -> accumulators.Accumulator:
        of = fn(values.serde)
        return accumulators.collection(of, kept_by("collect", of), most, is_of_table=values.is_of_table)

    def result(values: Typed) -> Typed:
        of = fn(values)
        annotation: Any = of if isinstance(of, type) else result_annotation(of)
        found = of_annotation(annotation, of, "value")
        return found if isinstance(found, UnknownSerde) else of_annotation(list[annotation], of, "value")

    return Aggregation("collect", accumulate, result, fn.plain)


def distinct(of: Callable[[V], object] | Expression[Any], *, limit: int) -> Aggregation[V, int]:
    """Count the different values that `of` returns, each once.

    Up to `limit` of them are told apart. Of a stream the count stays there; in a table a record that would make them
    more fails.
    """
    fn, most = _function(of, "distinct"), _limit(limit, "limit", "distinct")

    def accumulate(values: Values) -> accumulators.Accumulator:
        of = fn(values.serde)
        return accumulators.distinct(of, kept_by("distinct", of), most, is_of_table=values.is_of_table)

    return Aggregation("distinct", accumulate, lambda values: int64, fn.plain)


def top(
    n: int, by: Callable[[V], float | None] | Expression[Any], *, limit: int = LIMIT
) -> Aggregation[V, list[V]]:
    """List the `n` values for which `by` returns most, the highest first; of equal ones the earlier first.

    Of a stream `n` values are kept. Of a table's group all are, and what `by` returned: an update costs as `min` says,
    by the bytes of whole values. There may be `limit` different ones; a record that would make them more fails.
    """
    fn, most = _function(by, "top"), _limit(n, "n", "top")
    _limit(limit, "limit", "top")

    def accumulate(values: Values) -> accumulators.Accumulator:
        by, kept = fn(values.serde), kept_values("top", values)
        return top_of_all(most, by, kept, limit) if values.is_of_table else accumulators.top(most, by, kept)

    def result(values: Typed) -> Typed:
        if isinstance(values, UnknownSerde) or values.type is None:
            return UnknownSerde("value", "agg.top()", "write `value=`, as in `value=list[Order]`")
        return serde_of(list[values.type])  # type: ignore[name-defined]  # a class, known when it runs

    return Aggregation("top", accumulate, result, fn.plain)


def into(result: Callable[..., A], **parts: Aggregation[V, Any]) -> Aggregation[V, A]:
    """Make one result of several: `into(Stats, n=count(), total=sum(amount))` is `Stats(n=…, total=…)`.

    A part without a value is given as None.
    """
    where = caller()
    for name, part in parts.items():
        if not isinstance(part, Aggregation):
            raise TopologyError(f"{where}: the part {name!r} of agg.into() is no aggregation: found {part!r}")
    if not parts:
        raise TopologyError(
            f"{where}: agg.into() has no parts: name them, as in agg.into(Stats, n=agg.count())"
        )
    _check_names(result, parts, where)
    return Aggregation(
        "into",
        lambda values: accumulators.several(
            {name: part.accumulate(values) for name, part in parts.items()}, result
        ),
        lambda values: of_annotation(
            result if isinstance(result, type) else result_annotation(result), result, "value"
        ),
        result,
    )


def _extreme(
    name: str, of: Callable[[V], A | None] | Expression[A], limit: int, *, is_least: bool
) -> Aggregation[V, A]:
    fn, most = _function(of, name), _limit(limit, "limit", name)

    def accumulate(values: Values) -> accumulators.Accumulator:
        of = fn(values.serde)
        if values.is_of_table:
            return extreme_of_all(name, of, kept_by(name, of), most, is_least=is_least)
        return accumulators.extreme(name, of, kept_by(name, of), lt if is_least else gt)

    return Aggregation(name, accumulate, lambda values: _result_of(fn(values)), fn.plain)


def _kept_one(
    name: str,
    of: Callable[[V], A | None] | Expression[A],
    make: Callable[[Callable[..., Any], accumulators.Kept], accumulators.Accumulator],
) -> Aggregation[V, A]:
    fn = _function(of, name)

    def accumulate(values: Values) -> accumulators.Accumulator:
        of = fn(values.serde)
        return make(of, kept_by(name, of))

    return Aggregation(name, accumulate, lambda values: _result_of(fn(values)), fn.plain)


def _result_of(fn: Callable[..., Any]) -> Typed:
    return of_annotation(fn if isinstance(fn, type) else result_annotation(fn), fn, "value")


def _function(of: object, name: str) -> OfValues:
    return OfValues(of, f"function of agg.{name}()", caller())


def _check_names(result: object, parts: Mapping[str, object], where: Location) -> None:
    if not callable(result):
        raise TopologyError(
            f"{where}: agg.into() makes its result by a class or a function, found {result!r}"
        )
    try:
        inspect.signature(result).bind(**parts)
    except TypeError as error:
        raise TopologyError(
            f"{where}: agg.into() cannot make {named(result)} of {', '.join(parts)}: {error}"
        ) from error
    except ValueError:  # some builtins say nothing of what they take
        return


def _limit(limit: object, what: str, name: str) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise TopologyError(
            f"{caller()}: {what}={limit!r} of agg.{name}() is no number of values: write 1 or more"
        )
    return limit
