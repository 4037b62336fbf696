"""What a topic takes of one record: how large it may be, and how far its timestamp from the clock."""

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.log.policy import whole_number

__all__ = ["NO_LIMITS", "RecordLimits"]

_LONG_MAX = 2**63 - 1
_DIFFERENCE = "message.timestamp.difference.max.ms"


@dataclass(frozen=True, slots=True)
class RecordLimits:
    """Kafka's limits of a topic, by its properties; None is no limit.

    Attributes:
        bytes_max: of a record with key, value and headers, or of the batch that it makes (`max.message.bytes`).
        before_max_ms, after_max_ms: how far a timestamp may lie before and after the log's clock
            (`message.timestamp.before.max.ms`, `.after.max.ms`).

    A property that a log of ours has not been given limits nothing there. A broker tells its defaults.
    """

    bytes_max: int | None = None
    before_max_ms: int | None = None
    after_max_ms: int | None = None

    @classmethod
    def parse(cls, topic: str, config: Mapping[str, str]) -> "RecordLimits":
        """Read the properties of `topic` that matter.

        Raises:
            LogError: one has an impossible value.
        """
        bytes_max = whole_number(topic, config, "max.message.bytes", least=0)
        before_max_ms = _distance(topic, config, "message.timestamp.before.max.ms")
        after_max_ms = _distance(topic, config, "message.timestamp.after.max.ms")
        if config.get("message.timestamp.type") == "LogAppendTime":
            return cls(bytes_max)  # the log sets its own time
        return cls(bytes_max, before_max_ms, after_max_ms)


NO_LIMITS = RecordLimits()


def _distance(topic: str, config: Mapping[str, str], name: str) -> int | None:
    # Brokers before 4.0 have one property for both sides, which counts where the newer one says nothing.
    for each in (name, _DIFFERENCE):
        found = whole_number(topic, config, each, least=0)
        if found is not None and found < _LONG_MAX:
            return found
    return None
