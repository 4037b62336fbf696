"""What a log checks before it takes anything in: topic specifications, and columns on their way to a partition."""

from array import array
from collections.abc import Sequence
from typing import cast

from headrace.base.columns import Columns
from headrace.base.errors import InvalidTopicError, LogError, SerializationError, UnknownTopicError
from headrace.base.records import NO_HEADERS, Headers
from headrace.base.topic_names import topic_name_problem
from headrace.log.limits import RecordLimits
from headrace.log.policy import TopicPolicy
from headrace.log.port import TopicSpec

__all__ = [
    "check_columns",
    "check_distinct",
    "check_existing",
    "check_spec",
    "check_times",
    "check_types",
    "has_headers",
    "unknown_topic",
    "without_text",
]

_STORABLE = frozenset({bytes, type(None)})


def check_spec(spec: TopicSpec) -> TopicPolicy:
    """Return the policy of a topic that may be created.

    Raises:
        InvalidTopicError: the name is none that Kafka takes.
        LogError: there is no partition, or a property has an impossible value.
    """
    problem = topic_name_problem(spec.name)
    if problem is not None:
        raise InvalidTopicError(
            f"cannot create a topic: the name {spec.name!r} {problem}; choose another one"
        )
    if type(spec.partitions) is not int or spec.partitions < 1:
        raise LogError(
            f"cannot create topic {spec.name!r} with {spec.partitions!r} partitions; give it 1 or more"
        )
    RecordLimits.parse(spec.name, spec.config)
    return TopicPolicy.parse(spec.name, spec.config)


def check_existing(spec: TopicSpec, partitions: int) -> None:
    """Accept that a topic to be created exists already with `partitions` partitions.

    Raises:
        LogError: it was to have another number of them.
    """
    if spec.partitions != partitions:
        raise LogError(
            f"cannot create topic {spec.name!r} with {spec.partitions} partitions: it exists with {partitions}; "
            f"ask for {partitions}, or delete the topic first"
        )


def check_distinct(name: str, other: str | None) -> None:
    """Accept the name of a topic to be created; `other` is one with the same `metric_name`, if there is one.

    Raises:
        InvalidTopicError: there is.
    """
    if other not in (None, name):
        raise InvalidTopicError(
            f"cannot create topic {name!r}: there is {other!r}, which differs in '.' and '_' only. Kafka takes one of "
            f"them, since its metrics cannot tell them apart; choose another name"
        )


def unknown_topic(attempt: str, topic: str, partition: int | None = None) -> UnknownTopicError:
    """Make the error for a topic, or a partition of it, that does not exist. `attempt` reads like 'append to'."""
    where = f"topic {topic!r}" if partition is None else f"partition {partition} of topic {topic!r}"
    return UnknownTopicError(f"cannot {attempt} {where}: it does not exist; create the topic first")


def check_columns(
    topic: str, policy: TopicPolicy, columns: Columns, *, is_to_be_encoded: bool = False
) -> None:
    """Accept columns for a topic.

    A wrong type would otherwise be found by whoever reads the record, for ever. Looking for one costs about 0.05 us a
    record: who encodes every record anyway, finds it then and calls `check_types`. Timestamps are for `check_times`.

    Raises:
        SerializationError: columns of unequal length, or something that `check_types` refuses.
        LogError: a null key for a compacted topic. Kafka refuses it too: compaction could never replace the record.
    """
    keys, values = columns.keys, columns.values
    if not len(keys) == len(values) == len(columns.timestamps) == len(columns.headers):
        raise SerializationError(
            f"cannot append to topic {topic!r}: {len(keys)} keys, {len(values)} values, {len(columns.timestamps)} "
            f"timestamps and {len(columns.headers)} headers; every record needs one of each"
        )
    if not is_to_be_encoded:
        check_types(topic, columns)
    if policy.compacts and None in keys:
        raise LogError(
            f"cannot append to topic {topic!r}: a record has no key and the topic is compacted; "
            f"give it a key, or make the topic with cleanup.policy=delete"
        )


def without_text(columns: Columns) -> tuple[list[bytes | None], list[bytes | None]]:
    """Return keys and values of columns that `check_columns` has accepted for a log that takes no text."""
    # Looked at already: copies that a checker believes would cost as much as the look.
    return cast("list[bytes | None]", columns.keys), cast("list[bytes | None]", columns.values)


def check_types(topic: str, columns: Columns, *, takes_text: bool = False) -> None:
    """Accept keys and values that are bytes, None or, where it is taken, text; and headers of a name and bytes or None.

    Raises:
        SerializationError: something else is among them.
    """
    wrong = {*map(type, columns.keys), *map(type, columns.values)} - _STORABLE
    if takes_text:
        wrong.discard(str)
    if wrong:
        raise _wrong(topic, "a key or value", _named(wrong), "bytes or None")
    if has_headers(columns.headers):
        for headers in filter(None, columns.headers):
            if not all(map(_is_header, headers)):
                raise _wrong(topic, "a header", repr(headers)[:100], "pairs of a text and bytes or None")


def check_times(topic: str, timestamps: Sequence[int]) -> None:
    """Accept timestamps of 64 bits. Who packs them at once finds others anyway, and asks here what to say.

    Raises:
        SerializationError: one is larger, or no whole number.
    """
    try:
        array("q", timestamps)
    except TypeError:
        found = _named({*map(type, timestamps)} - {int})
        raise _wrong(topic, "a timestamp", found, "epoch milliseconds as an int") from None
    except OverflowError:
        raise _wrong(topic, "a timestamp", "of more than 64 bits", "epoch milliseconds") from None


def has_headers(headers: Sequence[Headers]) -> bool:
    """Whether any of these records has headers. Nearly always all are one and the same empty tuple, found fast."""
    return headers.count(NO_HEADERS) < len(headers) and any(headers)


def _is_header(header: object) -> bool:
    return (
        isinstance(header, tuple)
        and len(header) == 2
        and isinstance(header[0], str)
        and type(header[1]) in _STORABLE
    )


def _named(types: set[type]) -> str:
    return "of type " + ", ".join(sorted(kind.__name__ for kind in types))


def _wrong(topic: str, what: str, found: str, wanted: str) -> SerializationError:
    return SerializationError(f"cannot append to topic {topic!r}: {what} is {found}; give {wanted}")
