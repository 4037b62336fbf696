"""What runs is compiled Python: it gives what the tree means, errors included, on its own and within a loop."""

from collections.abc import Callable
from dataclasses import make_dataclass
from types import SimpleNamespace
from typing import Any, TypedDict

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import headrace as hr
from headrace.base.callables import named, outline, short_name
from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.base.programs import inlinable
from headrace.expressions.expression import Expression, node_of
from headrace.expressions.function import function_of
from headrace.expressions.types import Types
from tests.expressions.evaluation import evaluated
from tests.expressions.strategies import documents, expressions, mappers, plain, values

HERE = Location(__file__, 3)
UNKNOWN = Types()
DICTIONARIES = Types(value=dict[str, Any])
Order = make_dataclass("Order", [("a", int), ("b", dict[str, int])], frozen=True)


def outcome(do: Callable[[], Any]) -> str:
    """By its text, which tells 1 from 1.0 and True, and has one not-a-number equal another."""
    try:
        return repr(do())
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"


def compiled(expression: Expression[Any], types: Types = UNKNOWN) -> Callable[..., Any]:
    return function_of(expression, "function", HERE, types, "key", "value")


def compiled_at_random(expression: Expression[Any], types: Types = UNKNOWN) -> Callable[..., Any]:
    try:
        return compiled(expression, types)
    except TopologyError as error:
        # A field of what is a number or a text whatever the record is.
        assume("has no field" not in str(error))
        raise


@settings(max_examples=400)
@given(mappers, plain, values)
def test_a_function_gives_what_the_tree_means(expression: Any, key: Any, value: Any) -> None:
    run = compiled_at_random(expression)
    meant = outcome(lambda: evaluated(node_of(expression), key, value))
    assert outcome(lambda: run(key, value)) == meant


@settings(max_examples=400)
@given(mappers, plain, documents)
def test_so_it_does_where_values_are_known_to_be_dictionaries(expression: Any, key: Any, value: Any) -> None:
    run = compiled_at_random(expression, DICTIONARIES)
    meant = outcome(lambda: evaluated(node_of(expression), key, value))
    assert outcome(lambda: run(key, value)) == meant


@settings(max_examples=200)
@given(expressions, documents)
def test_fields_of_objects_are_attributes(expression: Any, value: dict[str, Any]) -> None:
    made = SimpleNamespace(**value)
    run = compiled_at_random(expression)
    meant = outcome(lambda: evaluated(node_of(expression), "k", made))
    assert outcome(lambda: run("k", made)) == meant


@settings(max_examples=200)
@given(mappers, plain, documents, st.text("ab_", min_size=1, max_size=3))
def test_what_stands_in_a_loop_is_what_the_function_does(
    expression: Any, key: Any, value: Any, prefix: str
) -> None:
    written = inlinable(compiled_at_random(expression))
    assert written is not None
    source, names = written.write(f"{prefix}_")
    assert all(name.startswith(f"{prefix}_") for name in names)
    meant = outcome(lambda: evaluated(node_of(expression), key, value))
    # Within a function, as in a loop: what it assigns are variables there.
    made: dict[str, Any] = dict(names)
    exec(f"def run(key, value):\n    return {source}", made)
    assert outcome(lambda: made["run"](key, value)) == meant


@settings(max_examples=200)
@given(mappers)
def test_equal_expressions_have_equal_texts_and_sources(expression: Any) -> None:
    again: Expression[Any] = Expression(node_of(expression))
    assert repr(again) == repr(expression)
    one, other = inlinable(compiled_at_random(expression)), inlinable(compiled_at_random(again))
    assert one is not None
    assert other is not None
    assert (one.told, one.write("p")[0]) == (other.told, other.write("p")[0])


def test_fields_of_known_types_are_found_without_a_look_at_the_value() -> None:
    def source(expression: Any, annotation: Any) -> str:
        written = inlinable(compiled(expression, Types(value=annotation)))
        assert written is not None
        return written.write("p")[0]

    class Row(TypedDict):
        a: int

    assert source(hr.col("a"), Order) == "value.a"
    assert source(hr.col("b")["x"], Order) == "value.b['x']"
    assert source(hr.col("a"), Order | None) == "value.a"
    assert source(hr.col("a"), Row) == "value['a']"
    assert source(hr.col("a"), dict) == "value['a']"
    assert source(hr.col("a"), Any) == "(value['a'] if value.__class__ is dict else pfield_of(value, 'a'))"
    assert source(hr.value() + 1.5, float) == "(value + 1.5)"
    assert source((hr.value() > 1) & (hr.value() < 5) & ~hr.key(), int) == (
        "((value > 1) and (value < 5) and (not key))"
    )


@pytest.mark.parametrize(
    ("expression", "annotation"),
    [
        (hr.col("a"), int),
        (hr.col("b"), dict[str, int]),
        (hr.col("b")["x"], int),
        (hr.col("a") + 1, int),
        (hr.col("a") * 1.5, float),
        (hr.col("a") / 2, float),
        (-hr.col("a"), int),
        (hr.col("a") > 1, bool),
        (~hr.col("a"), bool),
        (hr.col("a").is_in([1]), bool),
        (hr.key().upper(), str),
        (hr.key() + "!", str),
        (hr.key().length(), int),
        (hr.key() * 3, None),
        ((hr.col("a") > 1) | hr.key(), None),
    ],
    ids=repr,
)
def test_a_result_has_the_type_that_its_fields_declare(expression: Any, annotation: object) -> None:
    fn = compiled(expression, Types(str, Order))
    assert fn.__annotations__.get("return") == annotation


def test_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        TopologyError, match=r"test_compiled.py:3: .*col\('aa'\): Order has no field 'aa'; did you"
    ):
        compiled(hr.col("aa"), Types(value=Order))
    with pytest.raises(TopologyError, match=r"Order has no field 'amount'; it has 'a', 'b'$"):
        compiled(hr.col("amount") > 1, Types(value=Order))
    with pytest.raises(TopologyError, match="str has no field 'a'"):
        compiled(hr.col("a"), Types(value=str))


def test_a_part_that_the_function_is_not_given_is_refused() -> None:
    with pytest.raises(TopologyError, match="the function of sum is not given the record's key"):
        function_of(hr.key() + 1, "function of sum", HERE, Types(), "value")


def test_a_function_is_told_of_by_what_the_user_wrote() -> None:
    fn = compiled(hr.col("a") > 100)
    assert named(fn) == "col('a') > 100 at test_compiled.py:3"
    assert short_name(fn) == outline(fn) == "col('a') > 100"
    long = compiled(hr.col("a").is_in([*range(100)]))
    assert len(short_name(long)) < 90 < len(outline(long))


def test_a_traceback_shows_the_users_own_line() -> None:
    with pytest.raises(KeyError) as raised:
        compiled(hr.col("a"))("k", {})
    frame = raised.traceback[-1]
    assert (str(frame.path), frame.lineno + 1) == (__file__, 3)


def test_a_long_chain_is_no_deep_one() -> None:
    either = hr.col("a") == 0
    for number in range(1, 300):
        either = either | (hr.col("a") == number)
    assert compiled(either)("k", {"a": 299}) is True
    assert compiled(either)("k", {"a": 300}) is False
