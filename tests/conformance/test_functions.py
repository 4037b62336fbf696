"""The functions that cases name do what Java's do, where Python by itself would not."""

import math

import pytest

import headrace as hr
from tests.conformance.functions import aggregate, mapped, test, text


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (100.0, "100.0"),
        (9_999_999.5, "9999999.5"),
        (1e7, "1.0E7"),
        (12_345_678.9, "1.23456789E7"),
        (-1e22, "-1.0E22"),
        (0.001, "0.001"),
        (0.00099, "9.9E-4"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        (None, "null"),
        (True, "true"),
        (10_000_000, "10000000"),
        (hr.Windowed("k", hr.Window(0, 10)), "[k@0/10]"),
    ],
)
def test_a_value_becomes_the_text_that_java_makes_of_it(value: object, written: str) -> None:
    assert text(value) == written


def test_texts_of_doubles_are_javas_wherever_a_function_makes_one() -> None:
    assert mapped("append:!", None, 1e7) == "1.0E7!"
    assert mapped("length", None, 1e7) == 5
    assert mapped("null_if:1.0E7", None, 1e7) is None
    assert aggregate("concat_comma", 1e7, 1e-4) == "1.0E-4,1.0E7"
    assert test("key_eq:1.0E7", 1e7, None)


def test_a_double_counts_as_the_long_that_java_cuts_it_to() -> None:
    assert mapped("add:1", None, -2.9) == -1
    assert mapped("mod:3", None, 1e300) == f"m{(2**63 - 1) % 3}"
    assert mapped("mul:2", None, math.nan) == 0


@pytest.mark.parametrize("digits", [" 5", "1_000", "1.0", "", str(2**63)])
def test_what_java_reads_as_no_long_fails(digits: str) -> None:
    with pytest.raises(ValueError, match="is no long"):
        mapped("to_long", None, digits)


def test_a_text_is_no_number() -> None:
    with pytest.raises(TypeError, match="is no number"):
        mapped("add:1", None, "5")


def test_a_prefix_is_counted_in_utf_16() -> None:
    assert mapped("prefix:3", None, "😀ab") == "😀a"
