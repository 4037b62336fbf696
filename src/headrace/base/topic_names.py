"""What a topic may be called, on any log: Kafka's own rule, so that what runs on a file runs on a cluster."""

import re

__all__ = ["topic_name_problem"]

#: Source: `Topic.validate` of Kafka.
_ALLOWED = re.compile(r"[a-zA-Z0-9._-]+")
_LENGTH_MAX = 249


def topic_name_problem(name: object) -> str | None:
    """Say what is wrong with the name of a topic; None where nothing is.

    >>> topic_name_problem("orders")
    >>> topic_name_problem("new orders")
    "'new orders' is no topic's name: letters, digits, '.', '_' and '-' are wanted"
    """
    if not isinstance(name, str):
        return f"{name!r} is no topic's name, but {_article(type(name).__name__)}: a text is wanted"
    if name in {"", ".", ".."}:
        return f"{name!r} is no topic's name: Kafka refuses it"
    if len(name) > _LENGTH_MAX:
        return f"'{name[:20]}…' is no topic's name: it has {len(name)} characters, and {_LENGTH_MAX} are the most"
    if _ALLOWED.fullmatch(name) is None:
        return f"{name!r} is no topic's name: letters, digits, '.', '_' and '-' are wanted"
    return None


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
