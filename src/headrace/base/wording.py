"""What an exception says, for a line that people read: also of one that says nothing, or fails when it is asked."""

__all__ = ["wording"]


def wording(error: BaseException) -> str:
    """Return the kind of an exception and its text.

    >>> wording(ValueError("5 is odd"))
    'ValueError: 5 is odd'
    >>> wording(KeyboardInterrupt())
    'KeyboardInterrupt'
    """
    kind = type(error).__name__
    try:
        text = str(error)
    except Exception as failure:
        text = f"its text cannot be told, __str__ raises {type(failure).__name__}"
    return f"{kind}: {text}" if text else kind
