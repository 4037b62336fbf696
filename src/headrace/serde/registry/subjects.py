"""Subjects: under which name a registry keeps the schemas of a topic's keys, or values."""

from collections.abc import Callable
from typing import Final, TypeAlias

from headrace.base.errors import ConfigError

__all__ = ["STRATEGIES", "SubjectStrategy", "record_name", "topic_name", "topic_record_name"]

#: (topic, is it a key, full name of the record) -> subject. The name is empty where the schema has none.
SubjectStrategy: TypeAlias = Callable[[str, bool, str], str]


def topic_name(topic: str, is_key: bool, record: str) -> str:
    """Name a subject after the topic, which has one type of keys and one of values.

    >>> topic_name("orders", False, "shop.Order")
    'orders-value'
    """
    return f"{topic}-{'key' if is_key else 'value'}"


def record_name(topic: str, is_key: bool, record: str) -> str:
    """Name a subject after the record, which is of one schema in all topics.

    >>> record_name("orders", False, "shop.Order")
    'shop.Order'

    Raises:
        ConfigError: the schema has no name.
    """
    return _named(topic, record)


def topic_record_name(topic: str, is_key: bool, record: str) -> str:
    """Name a subject after topic and record: several types in one topic.

    >>> topic_record_name("orders", False, "shop.Order")
    'orders-shop.Order'

    Raises:
        ConfigError: the schema has no name.
    """
    return f"{topic}-{_named(topic, record)}"


def _named(topic: str, record: str) -> str:
    if not record:
        raise ConfigError(
            f"the subject of topic {topic!r} is to be named after its record, but the schema has no name: use "
            "TopicNameStrategy, or a schema of a record (of JSON: with a title)"
        )
    return record


#: By the names of Confluent's classes.
STRATEGIES: Final[dict[str, SubjectStrategy]] = {
    "TopicNameStrategy": topic_name,
    "RecordNameStrategy": record_name,
    "TopicRecordNameStrategy": topic_record_name,
}
