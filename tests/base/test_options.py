"""Declaring and reading configuration properties."""

from datetime import timedelta

import pytest

from headrace.base.errors import ConfigError
from headrace.base.options import (
    REQUIRED,
    Option,
    OptionKind,
    boolean,
    by_name,
    choice,
    double,
    duration_ms,
    function,
    integer,
    long,
    names,
    text,
)
from headrace.processor.handlers import log_and_continue


def read(kind: OptionKind[object], raw: object) -> object:
    return Option("a.property", kind, REQUIRED, "Does something.").parse(raw)


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        (text, "shop", "shop"),
        (boolean, True, True),
        (boolean, "FALSE", False),
        (boolean, " on ", True),
        (boolean, "0", False),
        (integer(), "12", 12),
        (integer(), -1, -1),
        (long(), "10_485_760", 10_485_760),
        (long(), str(2**62), 2**62),
        (double(), "0.5", 0.5),
        (double(minimum=0, maximum=1), 1, 1.0),
        (duration_ms(), 100, 100),
        (duration_ms(), "100", 100),
        (duration_ms(), "5s", 5_000),
        (duration_ms(minimum=-1), "-1", -1),
        (duration_ms(), timedelta(minutes=1), 60_000),
        (choice("all", "none"), "all", "all"),
        (choice("classic", "streams", ignore_case=True), "STREAMS", "streams"),
        (names(), "a, b,,c", ("a", "b", "c")),
        (names(), ["a", "b"], ("a", "b")),
        (names(), "", ()),
        (function("values"), len, len),
    ],
)
def test_value_is_read_from_code_and_from_text(
    kind: OptionKind[object], raw: object, expected: object
) -> None:
    found = read(kind, raw)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("kind", "raw", "allowed"),
    [
        (text, 5, "text"),
        (boolean, "maybe", "true or false"),
        (boolean, 1, "true or false"),
        (integer(), "1.5", "a whole number of 32 bits"),
        (integer(), True, "a whole number of 32 bits"),
        (integer(), 2**31, "a whole number of 32 bits"),
        (integer(minimum=1), 0, "a whole number of at least 1"),
        (integer(minimum=1, maximum=3), 4, "a whole number from 1 to 3"),
        (long(), 2**63, "a whole number of 64 bits"),
        (double(minimum=0, maximum=1), "nan", "a number from 0 to 1"),
        (duration_ms(), "soon", "milliseconds of at least 0, or a duration such as '5s'"),
        (duration_ms(), -1, "milliseconds of at least 0, or a duration such as '5s'"),
        (choice("all", "none"), "some", "one of all, none"),
        (names(), [1], "a list of words"),
        (names(), b"a", "a list of words"),
        (function(), "len", "a function, or text that names one as MODULE:NAME"),
        (text, None, "text"),
    ],
)
def test_error_names_property_finding_and_what_is_allowed(
    kind: OptionKind[object], raw: object, allowed: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        read(kind, raw)
    assert str(refused.value).startswith(f"a.property is {raw!r}, but must be {allowed}")


def test_validator_adds_its_own_sentence() -> None:
    even = Option("a.b", integer(), 0, "Even.", validate=lambda n: "must be even" if n % 2 else None)
    assert even.parse("4") == 4
    with pytest.raises(ConfigError, match=r"a\.b is 3, but must be even"):
        even.parse(3)


def test_field_is_the_name_with_underscores() -> None:
    option = Option("commit.interval.ms", duration_ms(), 30_000, "Time between commits.")
    assert option.field == "commit_interval_ms"
    assert not option.is_required
    assert Option("application.id", text, REQUIRED, "The name.").is_required


def test_none_means_not_set_where_that_is_the_default() -> None:
    option: Option[str | None] = Option("a.b", text, None, "Perhaps.")
    assert option.parse(None) is None


def test_property_declared_twice_is_an_error() -> None:
    option = Option("a.b", integer(), 0, "Once.")
    assert by_name([option]) == {"a.b": option}
    with pytest.raises(ValueError, match=r"property a\.b is declared twice"):
        by_name([option, option])


def test_function_may_be_named_by_module_and_name() -> None:
    option = Option("x.handler", function("failure"), None, "A function.")
    assert option.parse("headrace.processor.handlers:log_and_continue") is log_and_continue


@pytest.mark.parametrize(
    "text", ["log_and_continue", "no.such.module:f", "headrace.processor.handlers:nothing", ":"]
)
def test_function_that_cannot_be_found_is_refused_by_the_propertys_name(text: str) -> None:
    with pytest.raises(ConfigError, match=r"x\.handler is "):
        Option("x.handler", function(), None, "A function.").parse(text)
