"""What a log checks before it takes anything in: topic specifications, and columns on their way to a partition."""

from headrace.base.columns import Columns
from headrace.base.errors import LogError, SerializationError, UnknownTopicError
from headrace.base.topic_names import topic_name_problem
from headrace.log.limits import RecordLimits
from headrace.log.policy import TopicPolicy
from headrace.log.port import TopicSpec

__all__ = ["check_columns", "check_existing", "check_spec", "check_types", "unknown_topic"]

_STORABLE = frozenset({bytes, type(None)})


def check_spec(spec: TopicSpec) -> TopicPolicy:
    """Return the policy of a topic that may be created.

    Raises:
        LogError: the name is none that Kafka takes, there is no partition, or a property has an impossible value.
    """
    problem = topic_name_problem(spec.name)
    if problem is not None:
        raise LogError(f"cannot create a topic: the name {spec.name!r} {problem}; choose another one")
    if spec.partitions < 1:
        raise LogError(
            f"cannot create topic {spec.name!r} with {spec.partitions} partitions; give it at least 1"
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


def unknown_topic(attempt: str, topic: str, partition: int | None = None) -> UnknownTopicError:
    """Make the error for a topic, or a partition of it, that does not exist. `attempt` reads like 'append to'."""
    where = f"topic {topic!r}" if partition is None else f"partition {partition} of topic {topic!r}"
    return UnknownTopicError(f"cannot {attempt} {where}: it does not exist; create the topic first")


def check_columns(
    topic: str, policy: TopicPolicy, columns: Columns, *, is_to_be_encoded: bool = False
) -> None:
    """Accept columns for a topic.

    A wrong type would otherwise be found by whoever reads the record, for ever. Looking for one costs about 0.05 us a
    record: who encodes every record anyway, finds it then and calls `check_types`.

    Raises:
        SerializationError: columns of unequal length, or a key or value that is neither bytes nor None.
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


def check_types(topic: str, columns: Columns) -> None:
    """Accept keys and values that are bytes or None.

    Raises:
        SerializationError: another type is among them.
    """
    types = {*map(type, columns.keys), *map(type, columns.values)}
    if not types <= _STORABLE:
        found = ", ".join(sorted(kind.__name__ for kind in types - _STORABLE))
        raise SerializationError(
            f"cannot append to topic {topic!r}: a key or value is of type {found}; give bytes or None"
        )
