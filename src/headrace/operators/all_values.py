"""What ready-made aggregations keep of a table's group, where any value may go: all of its values, in order.

The least of a stream is one value. In a table it may be taken out, and then the next one is the least: its row has
every value of the group, each different one once with how often it is there. A row is columns, `(times, ranks)` or
`(times, ranks, values)`, in ascending order of what the ranks stand for. Flink calls it retraction.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headrace.operators.accumulators import Accumulator, Kept, Of, as_it_is, refuse_unordered
from headrace.serde.rows import Row

__all__ = ["extreme_of_all", "top_of_all"]


@dataclass(frozen=True, slots=True)
class _Columns:
    """How values stand in rows.

    Attributes:
        name: of the aggregation.
        limit: of different values in a row.
        rank_of: makes what is compared of what stands in the ranks; None compares that itself.
        first_is_least: of equal ones the later comes after the earlier; otherwise before it, so that the last one of
            a row is the earliest of the greatest.
    """

    name: str
    limit: int
    rank_of: Callable[[Any], Any] | None
    first_is_least: bool

    def plus(self, row: Row, rank: Any, *entry: Any) -> Row:
        """Put a value in; `rank` is what it is compared by, `entry` what stands in the columns.

        Raises:
            OverflowError: the group has too many different values.
        """
        low, high = self._equal_ones(row, rank)
        at = _place_of(row, entry, low, high)
        if at is not None:
            return (_with(row[0], at, row[0][at] + 1), *row[1:])
        if len(row[0]) >= self.limit:
            raise OverflowError(
                f"agg.{self.name}() of a group of a table keeps {self.limit} different values, and there is one more: "
                "raise its limit"
            )
        at = high if self.first_is_least else low
        return tuple([(*column[:at], part, *column[at:]) for column, part in zip(row, (1, *entry))])

    def minus(self, row: Row, rank: Any, *entry: Any) -> Row:
        """Take a value out; a row that does not have it, since its record failed, stays as it is."""
        at = _place_of(row, entry, *self._equal_ones(row, rank))
        if at is None:
            return row
        if row[0][at] > 1:
            return (_with(row[0], at, row[0][at] - 1), *row[1:])
        return tuple([column[:at] + column[at + 1 :] for column in row])

    def _equal_ones(self, row: Row, rank: Any) -> tuple[int, int]:
        low = bisect_left(row[1], rank, key=self.rank_of)
        return low, bisect_right(row[1], rank, low, key=self.rank_of)


def _place_of(row: Row, entry: tuple[Any, ...], low: int, high: int) -> int | None:
    """Return where the same value stands among those that are equal in rank: 1 is not True, nor 1.0."""
    for at in range(low, high):
        if all(type(column[at]) is type(part) and column[at] == part for column, part in zip(row[1:], entry)):
            return at
    return None


def _with(times: tuple[int, ...], at: int, count: int) -> tuple[int, ...]:
    return (*times[:at], count, *times[at + 1 :])


def extreme_of_all(name: str, of: Of, kept: Kept, limit: int, *, is_least: bool) -> Accumulator:
    """Keep all values, up to `limit` different ones; of equal ones, that which has been there for longest is shown."""
    columns = _Columns(name, limit, kept.get, first_is_least=is_least)
    put, get, at = kept.put, kept.get, 0 if is_least else -1

    def add(row: Row, value: Any) -> Row:
        found = None if value is None else of(value)
        if found is None:
            return row
        refuse_unordered(name, found)
        return columns.plus(row, found, put(found))

    def subtract(row: Row, value: Any) -> Row:
        found = None if value is None else of(value)
        return row if found is None else columns.minus(row, found, put(found))

    return Accumulator(
        f"{name} ({kept.signature}), of all",
        ((), ()),
        add,
        None,
        lambda row: get(row[1][at]) if row[1] else None,
        subtract,
        serdes=kept.serdes,
    )


def top_of_all(n: int, by: Of, kept: Kept, limit: int) -> Accumulator:
    """Keep all values with what `by` returns, up to `limit` different ones; the `n` with most are shown."""
    columns = _Columns("top", limit, None, first_is_least=False)
    score_of, put = as_it_is("top").put, kept.put

    def add(row: Row, value: Any) -> Row:
        score = None if value is None else by(value)
        if score is None:
            return row
        refuse_unordered("top", score)
        return columns.plus(row, score, score_of(score), put(value))

    def subtract(row: Row, value: Any) -> Row:
        score = None if value is None else by(value)
        return row if score is None else columns.minus(row, score, score_of(score), put(value))

    def result(row: Row) -> list[Any]:
        shown: list[Any] = []
        for times, value in zip(reversed(row[0]), reversed(row[2])):
            shown += [kept.get(value) for _ in range(min(times, n - len(shown)))]
            if len(shown) == n:
                break
        return shown

    return Accumulator(
        f"top ({kept.signature}), of all",
        ((), (), ()),
        add,
        None,
        result,
        subtract,
        serdes=kept.serdes,
    )
