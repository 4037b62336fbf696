"""The functions that a case may name, as `name` or `name:argument`: the twins of those in `oracle/Oracle.java`.

Values are what Java's are there: text, 64 bit integers, doubles, bytes, or None. Where Java joins null to a text it
writes `null`, and where it calls a method of null it fails; so do these.
"""

import math
import re
from decimal import Decimal
from typing import Any

import headrace as hr

__all__ = [
    "aggregate",
    "argument",
    "flat",
    "initial",
    "join",
    "mapped",
    "mapped_type",
    "name",
    "test",
    "text",
]

_LONG = 1 << 64
_LONG_MAX = (1 << 63) - 1
_DIGITS = re.compile(r"[+-]?\d+")


def name(function: str) -> str:
    """Return what stands before the colon."""
    return function.partition(":")[0]


def argument(function: str) -> str:
    """Return what stands after the first colon, or an empty text."""
    return function.partition(":")[2]


def text(value: object) -> str:
    """Return a value as Java's `String.valueOf` writes it."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case float():
            return _double_text(value)
        case hr.Windowed():
            return f"[{text(value.key)}@{value.window.start}/{value.window.end}]"
    return str(value)


def _double_text(value: float) -> str:
    """Write a double as Java does: with an exponent below 10^-3 and from 10^7 on, and with a digit after the point.

    Before Java 19 a few numbers, most of them beyond 10^17, have a digit more there.
    """
    if math.isnan(value):
        return "NaN"
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    if math.isinf(value) or value == 0:
        return sign + ("Infinity" if value else "0.0")
    # The fewest digits that mean this number are Python's own.
    _, digits, exponent = Decimal(repr(abs(value))).as_tuple()
    assert isinstance(exponent, int)
    written = "".join(map(str, digits)).rstrip("0")
    # Where the point stands, counted from the first digit.
    point = len(digits) + exponent
    if not -3 < point <= 7:
        return f"{sign}{written[0]}.{written[1:] or '0'}E{point - 1}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{written}"
    return f"{sign}{written[:point].ljust(point, '0')}.{written[point:] or '0'}"


def _present(value: Any) -> Any:
    if value is None:
        raise TypeError("a method of null was called")
    return value


def _long(value: int) -> int:
    """Wrap around as 64 bits do."""
    return (value + (_LONG >> 1)) % _LONG - (_LONG >> 1)


def _number(value: object) -> int:
    """Return a number as `longValue()` does, which cuts a double off; what is none fails, as the cast does."""
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    if isinstance(value, int):
        return value
    if math.isnan(value):
        return 0
    return int(max(-_LONG_MAX - 1, min(_LONG_MAX, value)))


def _parsed(digits: str) -> int:
    """Read digits as `Long.parseLong` does: with nothing around or between them, and no more than 64 bits."""
    if not _DIGITS.fullmatch(digits) or not -_LONG_MAX - 1 <= int(digits) <= _LONG_MAX:
        raise ValueError(f"{digits!r} is no long")
    return int(digits)


def _utf16(value: object) -> bytes:
    """Java counts and compares texts in UTF-16 units."""
    return text(value).encode("utf-16-be", "surrogatepass")


def test(function: str, key: Any, value: Any) -> bool:
    """Answer a predicate."""
    wanted = argument(function)
    match name(function):
        case "all":
            return True
        case "none":
            return False
        case "value_null":
            return value is None
        case "value_contains":
            return value is not None and wanted in text(value)
        case "value_len_gt":
            return value is not None and len(_utf16(value)) // 2 > int(wanted)
        case "value_gt":
            return value is not None and _number(value) > int(wanted)
        case "value_even":
            return value is not None and _number(value) % 2 == 0
        case "key_eq":
            return key is not None and text(key) == wanted
        case "key_lt":
            return key is not None and _utf16(key) < _utf16(wanted)
    raise ValueError(f"predicate {function}")


# Pytest would collect it as a test wherever it is imported.
test.__test__ = False  # type: ignore[attr-defined]


def mapped(function: str, key: Any, value: Any) -> Any:
    """Return a mapper's result; all but `identity`, `key`, `to_null` and `prepend_key` keep a null."""
    match name(function):
        case "identity":
            return value
        case "key":
            return key
        case "to_null":
            return None
        case "prepend_key":
            return f"{text(key)}={text(value)}"
    return None if value is None else _mapped_value(function, value)


def _mapped_value(function: str, value: Any) -> Any:
    given = argument(function)
    match name(function):
        case "null_if":
            return None if text(value) == given else value
        case "upper":
            return text(value).upper()
        case "reverse":
            return text(value)[::-1]
        case "append":
            return text(value) + given
        case "length":
            return len(_utf16(value)) // 2
        case "to_string":
            return text(value)
        case "to_long":
            return _parsed(text(value))
        case "add":
            return _long(_number(value) + int(given))
        case "mul":
            return _long(_number(value) * int(given))
        case "prefix":
            return _utf16(value)[: 2 * int(given)].decode("utf-16-be", "surrogatepass")
        case "after":
            start = text(value).find(given)
            return None if start < 0 else text(value)[start + len(given) :]
        case "mod":
            return f"m{_number(value) % int(given)}"
        case "fail_on":
            if text(value) == given:
                raise RuntimeError(f"failed on {given}")
            return value
    raise ValueError(f"mapper {function}")


def mapped_type(function: str, key_type: str, value_type: str) -> str:
    """Return the type of a mapper's result, given those of its arguments (`string`, `long`, …)."""
    match name(function):
        case "length" | "to_long" | "add" | "mul":
            return "long"
        case "identity" | "to_null" | "null_if" | "fail_on":
            return value_type
        case "key":
            return key_type
    return "string"


def flat(function: str, value: Any) -> list[Any]:
    """Return what a flat mapper makes of a value."""
    match name(function):
        case "words":
            return [] if value is None else [word for word in text(value).split(" ") if word]
        case "repeat":
            return [value] * int(argument(function))
        case "nothing":
            return []
    raise ValueError(f"flat mapper {function}")


def aggregate(function: str, value: Any, aggregated: Any) -> Any:
    """Add a value to an aggregate."""
    match name(function):
        case "sum":
            return _long(_number(aggregated) + _number(value))
        case "minus":
            return _long(_number(aggregated) - _number(value))
        case "max":
            return max(_number(aggregated), _number(value))
        case "concat":
            return text(_present(aggregated)) + text(value)
        case "concat_comma":
            return f"{text(_present(aggregated))},{text(value)}"
        case "remove_last":
            whole, part = text(_present(aggregated)), text(_present(value))
            start = whole.rfind(part)
            return whole if start < 0 else whole[:start] + whole[start + len(part) :]
        case "null_on":
            if text(_present(value)) == argument(function):
                return None
            return value if aggregated is None else text(aggregated) + text(value)
    raise ValueError(f"aggregator {function}")


def initial(function: str) -> Any:
    """Return an aggregate's first value: `null`, `long:<n>`, or `s:<text>`."""
    if function == "null":
        return None
    return int(argument(function)) if name(function) == "long" else argument(function)


def join(left: Any, right: Any) -> str:
    """Join two values, with `null` for a missing side."""
    return f"{text(left)}+{text(right)}"
