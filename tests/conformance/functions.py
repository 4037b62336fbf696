"""The functions that a case may name, as `name` or `name:argument`: the twins of those in `oracle/Oracle.java`.

Values are what Java's are there: text, 64 bit integers, doubles, bytes, or None. Where Java joins null to a text it
writes `null`, and where it calls a method of null it fails; so do these.
"""

from typing import Any

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


def name(function: str) -> str:
    """Return what stands before the colon."""
    return function.partition(":")[0]


def argument(function: str) -> str:
    """Return what stands after the first colon, or an empty text."""
    return function.partition(":")[2]


def text(value: object) -> str:
    """Return a value as Java's `String.valueOf` writes it."""
    return "null" if value is None else str(value)


def _present(value: Any) -> Any:
    if value is None:
        raise TypeError("a method of null was called")
    return value


def _long(value: int) -> int:
    """Wrap around as 64 bits do."""
    return (value + (_LONG >> 1)) % _LONG - (_LONG >> 1)


def _utf16(value: object) -> bytes:
    """Java counts and compares texts in UTF-16 units."""
    return str(value).encode("utf-16-be")


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
            return value is not None and wanted in str(value)
        case "value_len_gt":
            return value is not None and len(_utf16(value)) // 2 > int(wanted)
        case "value_gt":
            return value is not None and int(value) > int(wanted)
        case "value_even":
            return value is not None and int(value) % 2 == 0
        case "key_eq":
            return key is not None and str(key) == wanted
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
            return None if str(value) == given else value
        case "upper":
            return str(value).upper()
        case "reverse":
            return str(value)[::-1]
        case "append":
            return str(value) + given
        case "length":
            return len(_utf16(value)) // 2
        case "to_string":
            return str(value)
        case "to_long":
            return int(value)
        case "add":
            return _long(int(value) + int(given))
        case "mul":
            return _long(int(value) * int(given))
        case "prefix":
            return str(value)[: int(given)]
        case "after":
            start = str(value).find(given)
            return None if start < 0 else str(value)[start + len(given) :]
        case "mod":
            return f"m{int(value) % int(given)}"
        case "fail_on":
            if str(value) == given:
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
            return [] if value is None else [word for word in str(value).split(" ") if word]
        case "repeat":
            return [value] * int(argument(function))
        case "nothing":
            return []
    raise ValueError(f"flat mapper {function}")


def aggregate(function: str, value: Any, aggregated: Any) -> Any:
    """Add a value to an aggregate."""
    match name(function):
        case "sum":
            return _long(int(aggregated) + int(value))
        case "minus":
            return _long(int(aggregated) - int(value))
        case "max":
            return max(int(aggregated), int(value))
        case "concat":
            return str(_present(aggregated)) + text(value)
        case "concat_comma":
            return f"{_present(aggregated)},{text(value)}"
        case "remove_last":
            whole, part = str(_present(aggregated)), str(_present(value))
            start = whole.rfind(part)
            return whole if start < 0 else whole[:start] + whole[start + len(part) :]
        case "null_on":
            if str(_present(value)) == argument(function):
                return None
            return value if aggregated is None else str(aggregated) + text(value)
    raise ValueError(f"aggregator {function}")


def initial(function: str) -> Any:
    """Return an aggregate's first value: `null`, `long:<n>`, or `s:<text>`."""
    if function == "null":
        return None
    return int(argument(function)) if name(function) == "long" else argument(function)


def join(left: Any, right: Any) -> str:
    """Join two values, with `null` for a missing side."""
    return f"{text(left)}+{text(right)}"
