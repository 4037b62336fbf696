"""Topic properties of internal topics, by Kafka's names and as text.

Source: `UnwindowedUnversionedChangelogTopicConfig`, `WindowedChangelogTopicConfig`, `RepartitionTopicConfig`.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from headrace.base.errors import LogError
from headrace.log.port import TopicSpec
from headrace.state.spec import StoreSpec
from headrace.topology.nodes import RepartitionTopic

__all__ = ["WINDOW_ADDITIONAL_RETENTION_MS", "changelog_config", "check_counts", "repartition_config"]

#: The default of `windowstore.changelog.additional.retention.ms`.
WINDOW_ADDITIONAL_RETENTION_MS = 86_400_000

#: Kafka keeps durations in 64 bits: what is kept for ever is kept so long.
_RETENTION_MS_MAX = 2**63 - 1

#: Source: `VersionedChangelogTopicConfig`.
_ADDITIONAL_COMPACTION_LAG_MS = 86_400_000

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

    Windows and sessions are kept for longer than the store keeps them, since brokers go by their clock, and records by
    theirs.
    """
    config = {"cleanup.policy": "compact", "message.timestamp.type": "CreateTime"}
    if spec.retention_ms is not None:
        # A store that retains duplicates has no latest value of a key, so compaction would lose records.
        config["cleanup.policy"] = "delete" if spec.retain_duplicates else "compact,delete"
        config["retention.ms"] = str(
            min(spec.retention_ms + window_additional_retention_ms, _RETENTION_MS_MAX)
        )
    if spec.history_ms is not None:
        # A version that is compacted away too early is missing from the history of whoever restores it.
        config["min.compaction.lag.ms"] = str(spec.history_ms + _ADDITIONAL_COMPACTION_LAG_MS)
    return {**config, **spec.changelog_config}


def repartition_config(topic: RepartitionTopic) -> Mapping[str, str]:
    """Return the properties of a repartition topic; it is purged by the application, not by age."""
    return {**_REPARTITION, **topic.config}


def check_counts(wanted: Sequence[TopicSpec], existing: Mapping[str, int]) -> None:
    """Accept the partition counts of internal topics that exist already.

    Raises:
        LogError: one has another count than its inputs call for by now. A record's partition follows from the count, so
            what an internal topic holds would be looked for in the wrong partition.

    Source: InternalTopicManager.validateTopics ("invalid partitions").
    """
    for topic in wanted:
        found = existing.get(topic.name, topic.partitions)
        if found == topic.partitions:
            continue
        if topic.name.endswith("-repartition"):
            raise LogError(
                f"cannot run with {topic.partitions} partitions in repartition topic '{topic.name}', which its inputs "
                f"have by now: it exists with {found}, and keys would change their partitions. To keep its count, and "
                f"all state behind it, write repartition(partitions={found}) there. Else {_ANEW}. Do not delete the "
                f"topic alone: its records that were not processed yet would be lost, and the state behind it would "
                f"be in the wrong tasks"
            )
        if not topic.name.endswith("-changelog"):
            raise LogError(
                f"cannot run with {topic.partitions} partitions in '{topic.name}', which the tables that a foreign-key "
                f"join leads between have by now: it exists with {found}. {_ANEW.capitalize()}"
            )
        raise LogError(
            f"cannot run with {topic.partitions} tasks, as many as the inputs have partitions by now: changelog "
            f"'{topic.name}' has {found}, and holds state that is partitioned by that count. {_ANEW.capitalize()}; "
            f"or read the input through repartition(partitions={found}) from the start. Do not delete the changelog "
            f"alone: the state in it would be lost, since what was read before is not read again"
        )


_ANEW = "choose another application.id, under which all inputs are read again and the state is built anew"
