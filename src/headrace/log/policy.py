"""What a topic's properties say about keeping its records; read by every log that keeps records itself."""

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.base.errors import LogError

__all__ = ["TopicPolicy", "whole_number"]

_LONG_MAX = 2**63 - 1
_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class TopicPolicy:
    """How long records stay.

    Attributes:
        compacts, deletes: the two halves of `cleanup.policy`.
        retention_ms, retention_bytes: None keeps for ever.
        delete_retention_ms: how long a tombstone stays in a compacted topic.
        min_compaction_lag_ms: how long every record stays before compaction may touch it.

    A topic without `retention.ms` keeps its records for ever. A Kafka broker would drop them after 7 days, judged by
    the records' own timestamps: whoever loads a file of last year's flights into a fresh topic would lose it within
    minutes. On a broker an operator chose that default; here nobody did.
    """

    compacts: bool = False
    deletes: bool = True
    retention_ms: int | None = None
    retention_bytes: int | None = None
    delete_retention_ms: int = _DAY_MS
    min_compaction_lag_ms: int = 0

    @classmethod
    def parse(cls, topic: str, config: Mapping[str, str]) -> "TopicPolicy":
        """Read the properties of `topic` that matter; others are kept with the topic and mean nothing here.

        Raises:
            LogError: a property has an impossible value.
        """
        cleanup = {word.strip() for word in config.get("cleanup.policy", "delete").split(",")}
        if not cleanup or not cleanup <= {"compact", "delete"}:
            found = config.get("cleanup.policy")
            raise LogError(
                f"cannot create topic {topic!r}: cleanup.policy is {found!r}; use delete, compact or compact,delete"
            )
        return cls(
            compacts="compact" in cleanup,
            deletes="delete" in cleanup,
            retention_ms=_limit(topic, config, "retention.ms"),
            retention_bytes=_limit(topic, config, "retention.bytes"),
            delete_retention_ms=_span(topic, config, "delete.retention.ms", default=_DAY_MS),
            min_compaction_lag_ms=_span(topic, config, "min.compaction.lag.ms", default=0),
        )


def whole_number(topic: str, config: Mapping[str, str], name: str, *, least: int) -> int | None:
    """Return the number that a property of a topic to be created has, or None where it is not given.

    Raises:
        LogError: it is no whole number, or less than `least`.
    """
    text = config.get(name)
    if text is None:
        return None
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= _LONG_MAX:
        raise LogError(
            f"cannot create topic {topic!r}: {name} is {text!r}; use a whole number from {least} to {_LONG_MAX}"
        )
    return number


def _limit(topic: str, config: Mapping[str, str], name: str) -> int | None:
    number = whole_number(topic, config, name, least=-1)
    return None if number == -1 else number


def _span(topic: str, config: Mapping[str, str], name: str, *, default: int) -> int:
    number = whole_number(topic, config, name, least=0)
    return default if number is None else number
