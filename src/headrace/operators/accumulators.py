"""What ready-made aggregations keep of the records that they have seen, and what they show of it.

What is kept is a row, which nobody changes: each function returns another one. Records of which there is nothing to
keep, since the value or what is taken of it is None, leave a row as it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headrace.base import exact_sums
from headrace.serde.rows import Row
from headrace.serde.serde import Serde, kind_of

__all__ = [
    "Accumulator",
    "Kept",
    "Of",
    "as_bytes",
    "as_it_is",
    "average",
    "collection",
    "count",
    "distinct",
    "extreme",
    "first",
    "last",
    "refuse_unordered",
    "several",
    "top",
    "total",
]

Of = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Accumulator:
    """The functions of one aggregation.

    Attributes:
        signature: what tells its rows from those of others.
        empty: the row before the first record.
        add: row and value to row.
        merge: two rows to one, the earlier one first; None of a table's, which never meet.
        result: what a row is shown as; None is no value.
        subtract: row and a value that was added before to row; None where that cannot be told.
        is_small: whether all rows are a few numbers.
        serdes: of what stands in a row as bytes.
    """

    signature: str
    empty: Row
    add: Callable[[Row, Any], Row]
    merge: Callable[[Row, Row], Row] | None
    result: Callable[[Row], Any]
    subtract: Callable[[Row, Any], Row] | None = None
    is_small: bool = False
    serdes: tuple[Serde[Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """How values stand in a row: as themselves, or as bytes, which `serdes` make."""

    signature: str
    put: Callable[[Any], Any]
    get: Callable[[Any], Any]
    is_small: bool = False
    serdes: tuple[Serde[Any], ...] = ()


_PLAIN = frozenset({bool, bytes, float, int, str})


def as_it_is(name: str, *, is_small: bool = False) -> Kept:
    """Keep numbers, text, bytes and booleans, which rows tell apart by themselves. `name` is the aggregation's."""

    def put(value: Any) -> Any:
        if type(value) not in _PLAIN:
            raise TypeError(
                f"agg.{name}() keeps numbers, text, bytes and booleans, and was given {kind_of(value)}: annotate what "
                "its function returns, as in `def latest(order: Order) -> Order`"
            )
        if type(value) is int and not -(2**63) <= value < 2**63:
            raise OverflowError(f"agg.{name}() keeps whole numbers of 64 bits, and was given a larger one")
        return value

    return Kept("plain", put, lambda kept: kept, is_small)


def as_bytes(serde: Serde[Any], topic: str) -> Kept:
    """Keep values as the bytes of their serde; `topic` is what that is told."""
    serialize, deserialize = serde.serialize, serde.deserialize
    return Kept(
        repr(serde),
        lambda value: serialize(topic, value),
        lambda kept: deserialize(topic, kept),
        serdes=(serde,),
    )


def count() -> Accumulator:
    """Count records, those without a value too."""
    return Accumulator(
        "count",
        (0,),
        lambda row, value: (row[0] + 1,),
        lambda one, other: (one[0] + other[0],),
        lambda row: row[0],
        lambda row, value: (row[0] - 1,),
        is_small=True,
    )


def total(of: Of) -> Accumulator:
    """Add numbers up, exactly."""
    plus, minus = exact_sums.plus, exact_sums.minus

    def add(row: Row, value: Any) -> Row:
        number = None if value is None else of(value)
        return row if number is None else plus(row, number)

    def subtract(row: Row, value: Any) -> Row:
        number = None if value is None else of(value)
        return row if number is None else minus(row, number)

    return Accumulator(
        "sum", exact_sums.NOTHING, add, exact_sums.merged, exact_sums.value_of, subtract, is_small=True
    )


def average(of: Of) -> Accumulator:
    """Add numbers up, exactly, and count them."""
    plus, minus = exact_sums.plus, exact_sums.minus

    def add(row: Row, value: Any) -> Row:
        number = None if value is None else of(value)
        return row if number is None else (row[0] + 1, *plus(row[1:], number))

    def subtract(row: Row, value: Any) -> Row:
        number = None if value is None else of(value)
        return row if number is None else (row[0] - 1, *minus(row[1:], number))

    def merge(one: Row, other: Row) -> Row:
        return (one[0] + other[0], *exact_sums.merged(one[1:], other[1:]))

    def result(row: Row) -> float | None:
        return exact_sums.mean_of(row[1:], row[0]) if row[0] else None

    return Accumulator("mean", (0, *exact_sums.NOTHING), add, merge, result, subtract, is_small=True)


def extreme(name: str, of: Of, kept: Kept, comes_before: Callable[[Any, Any], Any]) -> Accumulator:
    """Keep the value that comes before all others; of equal ones the first."""
    put, get = kept.put, kept.get

    def add(row: Row, value: Any) -> Row:
        found = None if value is None else of(value)
        if found is None:
            return row
        refuse_unordered(name, found)
        return row if row and not comes_before(found, get(row[0])) else (put(found),)

    def merge(one: Row, other: Row) -> Row:
        if not (one and other):
            return one or other
        return other if comes_before(get(other[0]), get(one[0])) else one

    return Accumulator(
        f"{name} ({kept.signature})",
        (),
        add,
        merge,
        _only(get),
        is_small=kept.is_small,
        serdes=kept.serdes,
    )


def first(of: Of, kept: Kept) -> Accumulator:
    """Keep the first value."""

    def add(row: Row, value: Any) -> Row:
        if row or value is None:
            return row
        found = of(value)
        return row if found is None else (kept.put(found),)

    return Accumulator(
        f"first ({kept.signature})",
        (),
        add,
        lambda one, other: one or other,
        _only(kept.get),
        is_small=kept.is_small,
        serdes=kept.serdes,
    )


def last(of: Of, kept: Kept) -> Accumulator:
    """Keep the last value."""

    def add(row: Row, value: Any) -> Row:
        found = None if value is None else of(value)
        return row if found is None else (kept.put(found),)

    return Accumulator(
        f"last ({kept.signature})",
        (),
        add,
        lambda one, other: other or one,
        _only(kept.get),
        is_small=kept.is_small,
        serdes=kept.serdes,
    )


def _only(get: Callable[[Any], Any]) -> Callable[[Row], Any]:
    return lambda row: get(row[0]) if row else None


def collection(of: Of, kept: Kept, limit: int, *, is_of_table: bool) -> Accumulator:
    """Keep values in their order: the last `limit` of a stream; of a table all, of which there may be so many."""
    put, get = kept.put, kept.get

    def limited(row: Row) -> Row:
        if len(row) > limit and is_of_table:
            raise OverflowError(
                f"agg.collect() of a group keeps {limit} values, and there is one more: raise its limit"
            )
        return row[-limit:]

    def add(row: Row, value: Any) -> Row:
        found = None if value is None else of(value)
        return row if found is None else limited((*row, put(found)))

    def subtract(row: Row, value: Any) -> Row:
        found = None if value is None else put(of(value))
        if found is None or found not in row:
            return row
        at = row.index(found)
        return row[:at] + row[at + 1 :]

    return Accumulator(
        f"collect ({kept.signature})",
        (),
        add,
        None if is_of_table else lambda one, other: limited(one + other),
        lambda row: [get(each) for each in row],
        subtract,
        serdes=kept.serdes,
    )


def distinct(of: Of, kept: Kept, limit: int, *, is_of_table: bool) -> Accumulator:
    """Keep each value once, up to `limit`; of a table with how often it is there."""
    put = kept.put

    def seen(row: Row, found: Any) -> Row:
        return row if found in row or len(row) >= limit else (*row, found)

    def add(row: Row, value: Any) -> Row:
        found = None if value is None else of(value)
        return row if found is None else seen(row, put(found))

    def merge(one: Row, other: Row) -> Row:
        for found in other:
            one = seen(one, found)
        return one

    if not is_of_table:
        return Accumulator(f"distinct ({kept.signature})", (), add, merge, len, serdes=kept.serdes)

    def changed(row: Row, value: Any, by: int) -> Row:
        found = None if value is None else of(value)
        if found is None:
            return row
        times = dict(row)
        found = put(found)
        if by < 0 and found not in times:
            return row  # its record failed
        times[found] = times.get(found, 0) + by
        if not times[found]:
            del times[found]
        if len(times) > limit:
            raise OverflowError(
                f"agg.distinct() of a group tells {limit} values apart, and there is one more: raise its limit"
            )
        return tuple(times.items())

    return Accumulator(
        f"distinct ({kept.signature}), how often",
        (),
        lambda row, value: changed(row, value, 1),
        None,
        len,
        lambda row, value: changed(row, value, -1),
        serdes=kept.serdes,
    )


def top(n: int, by: Of, kept: Kept) -> Accumulator:
    """Keep the `n` values for which `by` gives most, the highest first; of equal ones the earlier first."""
    rank = as_it_is("top").put

    def placed(row: Row, score: Any, found: Any) -> Row:
        at = next((at for at, (other, _) in enumerate(row) if score > other), len(row))
        return row if at == n else (*row[:at], (score, found), *row[at : n - 1])

    def add(row: Row, value: Any) -> Row:
        score = None if value is None else by(value)
        if score is None:
            return row
        refuse_unordered("top", score)
        if len(row) == n and not score > row[-1][0]:
            return row  # before its bytes are made
        return placed(row, rank(score), kept.put(value))

    def merge(one: Row, other: Row) -> Row:
        for score, found in other:
            one = placed(one, score, found)
        return one

    return Accumulator(
        f"top ({kept.signature})",
        (),
        add,
        merge,
        lambda row: [kept.get(found) for _, found in row],
        serdes=kept.serdes,
    )


def several(parts: Mapping[str, Accumulator], make: Callable[..., Any]) -> Accumulator:
    """Keep a row for each part, in the order of their names; the result is made of the parts' results, by name."""
    names = sorted(parts)
    each = [parts[name] for name in names]
    adds = [part.add for part in each]
    merges = [part.merge for part in each if part.merge is not None]
    results = [(name, parts[name].result) for name in names]
    subtracts = [part.subtract for part in each if part.subtract is not None]

    def add(row: Row, value: Any) -> Row:
        return tuple([add(part, value) for add, part in zip(adds, row)])

    def subtract(row: Row, value: Any) -> Row:
        return tuple([subtract(part, value) for subtract, part in zip(subtracts, row)])

    def merge(one: Row, other: Row) -> Row:
        return tuple([merge(part, beside) for merge, part, beside in zip(merges, one, other)])

    def result(row: Row) -> Any:
        return make(**{name: result(part) for (name, result), part in zip(results, row)})

    return Accumulator(
        ", ".join(f"{name}: {parts[name].signature}" for name in names),
        tuple([part.empty for part in each]),
        add,
        merge if len(merges) == len(each) else None,
        result,
        subtract if len(subtracts) == len(each) else None,
        is_small=all(part.is_small for part in each),
        serdes=tuple(serde for part in each for serde in part.serdes),
    )


def refuse_unordered(name: str, value: Any) -> None:
    """Raise ValueError for not-a-number, which has no place among others."""
    if value != value:  # noqa: PLR0124 - not-a-number alone is not itself
        raise ValueError(f"agg.{name}() was given {value!r}, which is neither less nor more than others")
