"""Topic properties of internal topics, by Kafka's names and as text.

Source: `UnwindowedUnversionedChangelogTopicConfig`, `WindowedChangelogTopicConfig`, `RepartitionTopicConfig`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from headrace.state.spec import StoreSpec
from headrace.topology.nodes import RepartitionTopic

__all__ = ["WINDOW_ADDITIONAL_RETENTION_MS", "changelog_config", "repartition_config"]

#: The default of `windowstore.changelog.additional.retention.ms`.
WINDOW_ADDITIONAL_RETENTION_MS = 86_400_000

_REPARTITION = MappingProxyType(
    {
        "cleanup.policy": "delete",
        "segment.bytes": "52428800",
        "retention.ms": "-1",
        "message.timestamp.type": "CreateTime",
    }
)


def changelog_config(
    spec: StoreSpec, window_additional_retention_ms: int = WINDOW_ADDITIONAL_RETENTION_MS
) -> Mapping[str, str]:
    """Return the properties of a store's changelog; what the user gave wins.

    Windows are kept for longer than the store keeps them, since brokers go by their clock, and records by theirs.
    """
    config = {"cleanup.policy": "compact", "message.timestamp.type": "CreateTime"}
    if spec.kind == "window":
        # A store that retains duplicates has no latest value of a key, so compaction would lose records.
        config["cleanup.policy"] = "delete" if spec.retain_duplicates else "compact,delete"
        config["retention.ms"] = str((spec.retention_ms or 0) + window_additional_retention_ms)
    return {**config, **spec.changelog_config}


def repartition_config(topic: RepartitionTopic) -> Mapping[str, str]:
    """Return the properties of a repartition topic; it is purged by the application, not by age."""
    return {**_REPARTITION, **topic.config}
