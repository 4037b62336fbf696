"""Durations in text and as timedelta."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.base.durations import milliseconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", 0),
        ("250ms", 250),
        ("5s", 5_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("2d", 172_800_000),
        ("1d2h3m4s5ms", 93_784_005),
        ("30m1h", 5_400_000),
    ],
)
def test_text_is_counted_in_milliseconds(text: str, expected: int) -> None:
    assert milliseconds(text, name="size") == expected


def test_timedelta_is_counted_in_milliseconds() -> None:
    assert milliseconds(timedelta(minutes=1, milliseconds=3), name="size") == 60_003


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (5, 'grace=5 has no unit: write "5ms", "5s" or timedelta(seconds=5)'),
        (0, 'grace=0 has no unit: write "0ms", "0s" or timedelta(seconds=0)'),
        (0.5, 'grace=0.5 has no unit: write "500ms", "5s" or timedelta(seconds=0.5)'),
        (True, 'grace=True is not a duration: write "5ms", "5s" or timedelta(seconds=5)'),
        (None, 'grace=None is not a duration: write "5ms", "5s" or timedelta(seconds=5)'),
    ],
)
def test_bare_number_is_refused_with_what_to_write(number: object, message: str) -> None:
    with pytest.raises(TypeError) as refused:
        milliseconds(number, name="grace")  # type: ignore[arg-type]  # the mistake under test
    assert str(refused.value) == message


def test_number_in_text_is_refused_with_what_to_write() -> None:
    with pytest.raises(ValueError, match='grace=5 has no unit: write "5ms", "5s"'):
        milliseconds("5", name="grace")


@pytest.mark.parametrize(
    "text", ["", "m", "5 m", "5min", "1.5h", "5m5m", "m5", "+5s", "٥s", "5s\n", "5M", "--5s"]
)
def test_text_that_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="size="):
        milliseconds(text, name="size")


@pytest.mark.parametrize("duration", ["-5s", timedelta(seconds=-5)])
def test_negative_is_refused_unless_allowed(duration: str | timedelta) -> None:
    with pytest.raises(ValueError, match="is negative"):
        milliseconds(duration, name="size")
    assert milliseconds(duration, name="size", negative_allowed=True) == -5_000


def test_part_of_a_millisecond_is_refused() -> None:
    with pytest.raises(ValueError, match="not a whole number of milliseconds"):
        milliseconds(timedelta(microseconds=1), name="size")


def test_more_than_64_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="64 bits"):
        milliseconds("106751991168d", name="size")


@given(st.integers(0, 10**15))
def test_every_whole_timedelta_comes_back(count: int) -> None:
    assert milliseconds(timedelta(milliseconds=count), name="size") == count
    assert milliseconds(f"{count}ms", name="size") == count
