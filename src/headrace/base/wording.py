"""What an exception says, and a value, for a line that people read: also where it says nothing, or far too much."""

import reprlib

__all__ = ["message", "shortened", "wording"]

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 80


def wording(error: BaseException) -> str:
    """Return the kind of an exception and its text.

    >>> wording(ValueError("5 is odd"))
    'ValueError: 5 is odd'
    >>> wording(KeyboardInterrupt())
    'KeyboardInterrupt'
    """
    kind, text = type(error).__name__, message(error)
    return f"{kind}: {text}" if text else kind


def message(error: BaseException) -> str:
    """Return the text of an exception alone.

    >>> message(ValueError("5 is odd"))
    '5 is odd'
    """
    try:
        return str(error)
    except Exception as failure:
        return f"its text cannot be told, __str__ raises {type(failure).__name__}"


def shortened(value: object) -> str:
    """Return a value as Python writes it, of a long one its beginning and its end.

    >>> shortened("x" * 1000)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'"
    """
    return _short.repr(value)
