"""What an exception says, for a line that people read: also of one that says nothing, or fails when it is asked."""

__all__ = ["message", "wording"]


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
