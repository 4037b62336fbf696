"""Ready-made aggregations against a plain evaluation of the values that went in."""

from collections.abc import Callable
from operator import gt, lt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.operators.accumulators import (
    Accumulator,
    Kept,
    as_bytes,
    as_it_is,
    average,
    collection,
    count,
    distinct,
    extreme,
    first,
    last,
    several,
    top,
    total,
)
from headrace.operators.all_values import extreme_of_all, top_of_all
from headrace.serde.primitives import int64

values = st.lists(st.sampled_from([None, *range(-5, 6)]), max_size=12)


def itself(value: Any) -> Any:
    return value


def tupled(**parts: Any) -> Any:
    return tuple(sorted(parts.items()))


def numbers(given: list[Any]) -> list[int]:
    return [each for each in given if each is not None]


def mean(given: list[Any]) -> float | None:
    kept = numbers(given)
    return sum(kept) / len(kept) if kept else None


PLAIN, BYTES = as_it_is("x"), as_bytes(int64, "x")

CASES: dict[str, tuple[Accumulator, Callable[[list[Any]], Any]]] = {
    "count": (count(), len),
    "sum": (total(itself), lambda given: sum(numbers(given))),
    "mean": (average(itself), mean),
    "min": (extreme("min", itself, PLAIN, lt), lambda given: min(numbers(given), default=None)),
    "max": (extreme("max", itself, PLAIN, gt), lambda given: max(numbers(given), default=None)),
    "max of bytes": (
        extreme("max", itself, BYTES, gt),
        lambda given: max(numbers(given), default=None),
    ),
    "first": (first(itself, PLAIN), lambda given: next(iter(numbers(given)), None)),
    "last": (last(itself, BYTES), lambda given: next(reversed(numbers(given)), None)),
    "collect": (collection(itself, PLAIN, 3, is_of_table=False), lambda given: numbers(given)[-3:]),
    "collect of a table": (collection(itself, BYTES, 99, is_of_table=True), numbers),
    "distinct": (
        distinct(itself, PLAIN, 4, is_of_table=False),
        lambda given: min(4, len(set(numbers(given)))),
    ),
    "distinct of a table": (
        distinct(itself, PLAIN, 99, is_of_table=True),
        lambda given: len(set(numbers(given))),
    ),
    "min of a table": (
        extreme_of_all("min", itself, PLAIN, 99, is_least=True),
        lambda given: min(numbers(given), default=None),
    ),
    "max of a table": (
        extreme_of_all("max", itself, BYTES, 99, is_least=False),
        lambda given: max(numbers(given), default=None),
    ),
    "top of a table": (
        top_of_all(3, itself, BYTES, 99),
        lambda given: sorted(numbers(given), reverse=True)[:3],
    ),
    "top": (top(3, itself, BYTES), lambda given: sorted(numbers(given), reverse=True)[:3]),
    "several": (
        several({"n": count(), "mean": average(itself)}, tupled),
        lambda given: (("mean", mean(given)), ("n", len(given))),
    ),
}


def added(accumulator: Accumulator, given: list[Any]) -> Any:
    row = accumulator.empty
    for value in given:
        row = accumulator.add(row, value)
    return row


@pytest.mark.parametrize("name", CASES)
@given(values)
def test_a_result_is_that_of_all_values(name: str, given: list[Any]) -> None:
    accumulator, expected = CASES[name]
    assert accumulator.result(added(accumulator, given)) == expected(given)


@pytest.mark.parametrize("name", [name for name in CASES if "of a table" not in name])
@given(values, values)
def test_two_rows_are_merged_to_that_of_both(name: str, one: list[Any], other: list[Any]) -> None:
    accumulator, expected = CASES[name]
    assert accumulator.merge is not None
    row = accumulator.merge(added(accumulator, one), added(accumulator, other))
    assert accumulator.result(row) == expected([*one, *other])


@pytest.mark.parametrize(
    "name", ["count", "sum", "mean", "several", *(name for name in CASES if "of a table" in name)]
)
@given(values, st.randoms(use_true_random=False))
def test_what_was_added_can_be_taken_out_again(name: str, given: list[Any], choice: Any) -> None:
    accumulator, expected = CASES[name]
    row = added(accumulator, given)
    gone = choice.sample(given, len(given) // 2)
    left = list(given)
    subtract = accumulator.subtract
    assert subtract is not None
    for value in gone:
        row = subtract(row, value)
        left.remove(value)
    result = accumulator.result(row)
    if isinstance(result, list):  # which of equal values went is no matter
        assert sorted(result) == sorted(expected(left))
    else:
        assert result == expected(left)


@pytest.mark.parametrize("name", CASES)
@given(values)
def test_rows_are_never_changed(name: str, given: list[Any]) -> None:
    accumulator = CASES[name][0]
    row = accumulator.empty
    for value in given:
        before = repr(row)
        following = accumulator.add(row, value)
        assert repr(row) == before
        row = following


def test_equal_values_leave_the_first_one() -> None:
    by_length = as_it_is("max")
    longest = extreme("max", itself, by_length, lambda one, other: len(one) > len(other))
    assert longest.result(added(longest, ["aa", "bb", "c"])) == "aa"
    best = top(2, len, as_it_is("top"))
    assert best.result(added(best, ["c", "aa", "bb", "dd"])) == ["aa", "bb"]


@pytest.mark.parametrize(
    ("accumulator", "shown"),
    [
        (extreme_of_all("min", len, as_it_is("min"), 9, is_least=True), 2),
        (extreme_of_all("max", len, as_it_is("max"), 9, is_least=False), 3),
        (top_of_all(3, len, as_it_is("top"), 9), ["ccc", "aa", "aa"]),
        (top_of_all(9, len, as_it_is("top"), 9), ["ccc", "aa", "aa", "bb"]),
    ],
)
def test_an_equal_value_of_a_table_is_there_once_more(accumulator: Accumulator, shown: Any) -> None:
    assert accumulator.result(added(accumulator, ["aa", "ccc", "bb", "aa"])) == shown


def test_of_equal_values_of_a_table_the_one_that_is_there_for_longest_is_shown() -> None:
    class Word(str):
        """Compared by its length alone."""

        def __lt__(self, other: str) -> bool:
            return len(self) < len(other)

    words = Kept("words", str.encode, lambda kept: Word(kept.decode()))
    for is_least, other in ((True, "long"), (False, "s")):
        row = added(
            extreme := extreme_of_all("x", Word, words, 9, is_least=is_least), ["aa", "bb", "aa", other, "cc"]
        )
        assert extreme.subtract is not None
        shown = []
        for gone in ("aa", "aa", "bb", "cc", other):
            shown.append(extreme.result(row))
            row = extreme.subtract(row, gone)
        assert shown == ["aa", "aa", "bb", "cc", other]
        assert row == extreme.empty
    best = top_of_all(2, len, as_it_is("top"), 9)
    row = added(best, ["aa", "bb", "cc"])
    assert best.result(row) == ["aa", "bb"]
    assert best.subtract is not None
    assert best.result(best.subtract(row, "aa")) == ["bb", "cc"]


def test_values_that_are_equal_and_of_other_types_are_taken_out_by_themselves() -> None:
    most = extreme_of_all("max", itself, as_it_is("max"), 9, is_least=False)
    row = added(most, [1, True, 1.0, 0.5])
    assert most.subtract is not None
    shown = []
    for gone in (1, 1.0, True):
        shown.append(repr(most.result(row)))
        row = most.subtract(row, gone)
    assert shown == ["1", "True", "True"]
    assert most.result(row) == 0.5


@pytest.mark.parametrize("name", [name for name in CASES if "of a table" in name])
def test_a_value_whose_record_failed_is_not_taken_out(name: str) -> None:
    accumulator = CASES[name][0]
    row = added(accumulator, [3, 4])
    assert accumulator.subtract is not None
    for gone in (5, None):
        assert accumulator.subtract(row, gone) == row


@pytest.mark.parametrize(
    "accumulator",
    [
        collection(itself, PLAIN, 2, is_of_table=True),
        distinct(itself, PLAIN, 2, is_of_table=True),
        extreme_of_all("min", itself, PLAIN, 2, is_least=True),
        top_of_all(1, itself, BYTES, 2),
    ],
)
def test_a_table_with_more_values_than_the_limit_fails(accumulator: Accumulator) -> None:
    row = added(accumulator, [1, 2])
    assert accumulator.subtract is not None
    accumulator.add(accumulator.subtract(row, 1), 3)
    with pytest.raises(OverflowError, match="raise its limit"):
        accumulator.add(row, 3)


def test_a_value_that_a_row_cannot_hold_is_refused_with_what_to_write() -> None:
    with pytest.raises(
        TypeError, match=r"agg.first\(\) keeps numbers, text, bytes and booleans, and was given a list"
    ):
        first(itself, as_it_is("first")).add((), [1])
    with pytest.raises(OverflowError, match="64 bits"):
        first(itself, as_it_is("first")).add((), 2**63)


def test_not_a_number_is_neither_least_nor_most() -> None:
    for accumulator in (
        extreme("max", itself, PLAIN, gt),
        top(2, itself, PLAIN),
        extreme_of_all("min", itself, PLAIN, 9, is_least=True),
        top_of_all(2, itself, PLAIN, 9),
    ):
        with pytest.raises(ValueError, match="neither less nor more"):
            accumulator.add((), float("nan"))
