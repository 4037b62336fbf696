"""How messages show what people gave: in full where it is short."""

import reprlib

__all__ = ["shortened"]

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 80


def shortened(value: object) -> str:
    """Return a value as Python writes it, of a long one its beginning and its end.

    >>> shortened("x" * 1000)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'"
    """
    return _short.repr(value)
