"""What a topic may be called, on any log: Kafka's own rule, so that what runs on a file runs on a cluster."""

import re

__all__ = ["metric_name", "topic_name_problem"]

#: Source: `Topic.validate` of Kafka, `Named.validate` of Kafka Streams.
_LENGTH_MAX = 249
_LEGAL = re.compile(r"[a-zA-Z0-9._-]+")


def topic_name_problem(name: object) -> str | None:
    """Say what is wrong with a name of a topic, or what topics are named after; None where nothing is.

    >>> topic_name_problem("orders")
    >>> topic_name_problem("new orders")
    "may only have letters, digits, '.', '_' and '-'"
    """
    if not isinstance(name, str):
        return f"must be text, and is of type {type(name).__name__}"
    if not name:
        return "is empty"
    if name in {".", ".."}:
        return "cannot be a dot or two"
    if len(name) > _LENGTH_MAX:
        return f"has {len(name)} characters, and at most {_LENGTH_MAX} are possible"
    if not _LEGAL.fullmatch(name):
        return "may only have letters, digits, '.', '_' and '-'"
    return None


def metric_name(name: str) -> str:
    """Return what stands for a topic in Kafka's metrics. Brokers make no topic whose own is another's already.

    >>> metric_name("orders.new")
    'orders_new'

    Source: `Topic.unifyCollisionChars` and `ReplicationControlManager.validateNewTopicNames` of Kafka.
    """
    return name.replace(".", "_")
