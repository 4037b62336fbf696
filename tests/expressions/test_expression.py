"""What an expression says of itself, and of what it cannot be."""

from typing import Any

import pytest

import headrace as hr
from headrace.expressions.expression import document


def test_an_expression_reads_as_it_was_written() -> None:
    assert (
        repr((hr.col("a") > 1) & ~hr.col("b")["c"].is_null()) == "(col('a') > 1) & ~col('b')['c'].is_null()"
    )
    assert repr(1.2 * hr.col("price") - hr.value()[0]) == "(1.2 * col('price')) - value()[0]"
    assert repr(hr.key().startswith("x") | hr.key().is_in({"b", "a"})) == (
        "key().startswith('x') | key().is_in({'a', 'b'})"
    )
    assert repr(document({"id": hr.col("id"), "more": {"n": abs(hr.col("n"))}})) == (
        "{'id': col('id'), 'more': {'n': abs(col('n'))}}"
    )


@pytest.mark.parametrize(
    "use",
    [
        lambda x: 1 if x > 3 else 2,
        lambda x: x > 3 and x < 5,
        lambda x: not x,
        lambda x: 1 < x < 3,
        lambda x: [y for y in [1] if x == y],
        bool,
    ],
)
def test_what_asks_for_its_truth_is_told_to_write_operators(use: Any) -> None:
    with pytest.raises(TypeError, match=r"write & for `and`, \| for `or`, ~ for `not`"):
        use(hr.col("a"))


@pytest.mark.parametrize(
    "use",
    [lambda x: x > 1 & x, lambda x: x | True, lambda x: 4 & x, lambda x: x & "a"],
)
def test_and_and_or_stand_between_expressions(use: Any) -> None:
    with pytest.raises(TypeError, match="put comparisons in parentheses"):
        use(hr.col("a"))


def test_it_has_no_hash_no_elements_and_no_content() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(hr.col("a"))
    with pytest.raises(TypeError, match="not iterable"):
        list(hr.col("a"))  # type: ignore[call-overload]  # the mistake that is meant
    with pytest.raises(TypeError, match=r"write is_in\(\[...\]\) or contains"):
        _ = "x" in hr.col("a")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: hr.col(1), r"the whole value is value\(\)"),  # type: ignore[arg-type]  # the mistake that is meant
        (lambda: hr.col("a")[1.5], "the name of a field, or the place of an element"),  # type: ignore[index]  # as above
        (lambda: hr.col("a").is_in("abc"), r"contains\(\)"),
        (lambda: hr.col("a").is_in([hr.col("b")]), "is_in\\(\\) takes values"),
        (lambda: document({1: hr.col("a")}), "names of a document's fields are texts"),  # type: ignore[dict-item]  # as above
        (lambda: document({"a": []}), "one and the same list"),
    ],
)
def test_what_it_cannot_be_made_of_is_refused(make: Any, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        make()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("isin", r"write is_in\(...\)"),
        ("startsWith", "write startswith|did you mean startswith"),
        ("uper", "did you mean upper"),
        ("city", r"a field of a field is col\('a'\)\['city'\]"),
    ],
)
def test_a_method_that_is_not_there_is_answered(name: str, told: str) -> None:
    with pytest.raises(AttributeError, match=told):
        getattr(hr.col("a"), name)
