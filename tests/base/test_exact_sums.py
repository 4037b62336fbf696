"""Sums that lose nothing."""

import math
import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.base.exact_sums import NOTHING, Sum, mean_of, merged, minus, plus, value_of

floats = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)
numbers = st.lists(st.one_of(floats, st.integers(-(2**50), 2**50)), max_size=30)


def total_of(values: list[Any]) -> Sum:
    total = NOTHING
    for value in values:
        total = plus(total, value)
    return total


@given(numbers)
def test_a_sum_is_the_exact_one_rounded_once(values: list[Any]) -> None:
    assert value_of(total_of(values)) == float(sum(map(Fraction, values)))


@given(numbers.filter(bool))
def test_a_mean_is_the_exact_one_rounded_once(values: list[Any]) -> None:
    assert mean_of(total_of(values), len(values)) == float(sum(map(Fraction, values)) / len(values))


@given(numbers, numbers, st.randoms(use_true_random=False))
def test_what_was_added_can_be_taken_out_in_any_order(
    kept: list[Any], gone: list[Any], choice: random.Random
) -> None:
    everything = [*kept, *gone]
    choice.shuffle(everything)
    total = total_of(everything)
    choice.shuffle(gone)
    for value in gone:
        total = minus(total, value)
    assert value_of(total) == value_of(total_of(kept))


@given(numbers, numbers)
def test_two_sums_are_merged_to_that_of_both(one: list[Any], other: list[Any]) -> None:
    assert value_of(merged(total_of(one), total_of(other))) == value_of(total_of([*one, *other]))


@given(numbers)
def test_a_sum_keeps_few_numbers_whatever_goes_in(values: list[Any]) -> None:
    assert len(total_of(values)) <= 42


def test_whole_numbers_stay_whole_and_a_float_makes_a_float() -> None:
    assert repr(value_of(total_of([2**53, 1]))) == "9007199254740993"
    assert repr(value_of(total_of([True, True, 1]))) == "3"
    assert repr(value_of(total_of([1, 0.5]))) == "1.5"
    assert repr(value_of(minus(total_of([0.5]), 0.5))) == "0.0"


def test_tenths_do_not_drift() -> None:
    total = total_of([0.1] * 10)
    assert value_of(total) == 1.0
    for _ in range(10):
        total = minus(total, 0.1)
    assert total == (0, 0.0)


@pytest.mark.parametrize(
    ("value", "error"),
    [(math.nan, ValueError), (math.inf, ValueError), (Decimal("1.5"), TypeError), ("1", TypeError)],
)
def test_what_cannot_be_taken_out_again_is_refused(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        plus(NOTHING, value)
    with pytest.raises(error):
        minus(NOTHING, value)


def test_a_sum_beyond_its_bounds_is_refused() -> None:
    with pytest.raises(OverflowError, match="64 bits"):
        plus(plus(NOTHING, 2**63 - 1), 1)
    with pytest.raises(OverflowError, match="beyond all floats"):
        plus(plus(NOTHING, 1.7e308), 1.7e308)
