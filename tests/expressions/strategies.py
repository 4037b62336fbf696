"""Random documents, and expressions over them that succeed about as often as they fail."""

from typing import Any

from hypothesis import strategies as st

import headrace as hr
from headrace.expressions.expression import Expression, document

NAMES = ("a", "b", "c", "if", "x-y")

#: Small ones, since texts are multiplied too, and such as no 64 bits hold.
integers = st.one_of(st.integers(-5, 5), st.sampled_from([2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**70]))
texts = st.text("aB é\n\u2028\ud800", max_size=4)
plain = st.one_of(st.none(), st.booleans(), integers, st.floats(), texts)
values = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=6,
)
documents = st.dictionaries(st.sampled_from(NAMES), values, max_size=5)

_leaves = st.one_of(
    st.sampled_from(NAMES).map(hr.col),
    st.sampled_from(NAMES).map(hr.col),
    st.builds(hr.key),
    st.builds(hr.value),
)


def _compared(one: Any, sign: str, other: Any) -> Any:
    return {"==": one == other, "!=": one != other, "<": one < other, "<=": one <= other}.get(
        sign, one > other
    )


def _computed(one: Any, sign: str, other: Any) -> Any:
    match sign:
        case "+":
            return one + other
        case "-":
            return other - one if not isinstance(other, Expression) else one - other
        case "*":
            return one * other
        case "/":
            return one / other
        case "//":
            return one // other
        case _:
            return one % other


def _larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    operands = st.one_of(inner, inner, plain)
    return st.one_of(
        st.builds(_compared, inner, st.sampled_from(["==", "!=", "<", "<=", ">"]), operands),
        st.builds(_computed, inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), operands),
        st.builds(lambda one, other: one & other, inner, inner),
        st.builds(lambda one, other: one | other, inner, inner),
        st.builds(lambda one: ~one, inner),
        st.builds(lambda one: -one, inner),
        st.builds(abs, inner),
        st.builds(lambda one, name: one[name], inner, st.sampled_from(NAMES)),
        st.builds(lambda one, index: one[index], inner, st.integers(-2, 2)),
        st.builds(lambda one: one.is_null(), inner),
        st.builds(lambda one, several: one.is_in(several), inner, st.lists(plain, max_size=3)),
        st.builds(lambda one, several: one.is_in(several), inner, st.frozensets(plain, max_size=3)),
        st.builds(lambda one: one.length(), inner),
        st.builds(lambda one, other: one.contains(other), inner, operands),
        st.builds(lambda one, other: one.startswith(other), inner, st.one_of(inner, texts)),
        st.builds(lambda one: one.upper(), inner),
        st.builds(lambda one: one.strip(), inner),
    )


expressions = st.recursive(_leaves, _larger, max_leaves=6)
mappers = st.one_of(
    expressions,
    st.dictionaries(st.sampled_from(NAMES), st.one_of(expressions, plain), max_size=4).map(document),
)
