"""What has become of the topics since a plan was made with them. Pure; the engine looks now and then and asks here."""

import re
from collections.abc import Mapping

from headrace.base.errors import UnknownTopicError
from headrace.topology.nodes import SourceNode
from headrace.topology.topology import Topology

__all__ = ["changes", "is_own_internal"]

#: Source: StreamsResetter.matchesInternalTopicFormat.
_INTERNAL = re.compile(
    r".*-(?:changelog|repartition|subscription-registration-topic|subscription-response-topic"
    r"|KTABLE-FK-JOIN-SUBSCRIPTION-(?:REGISTRATION|RESPONSE)-\d+-topic)"
)


def changes(
    topology: Topology,
    *,
    read: Mapping[str, int],
    written: Mapping[str, int],
    existing: Mapping[str, int],
    application_id: str,
) -> tuple[str, ...]:
    """Say what is other than it was; nothing, if tasks and sinks can go on as they are.

    `topology` still has its patterns. `read` and `written` are the partition counts that the tasks were made with;
    a topic that is written and gone is left to the writer, which knows whether anybody misses it.

    Raises:
        UnknownTopicError: a topic is gone that a source names. Going on without it would leave records unread.

    Source: ConsumerCoordinator (a new count, or a new topic of a pattern, is a rebalance), StreamsPartitionAssignor
    (INCOMPLETE_SOURCE_TOPIC_METADATA), and the producer's metadata, for sinks.
    """
    patterns = [
        (node, re.compile(node.pattern))
        for node in topology.nodes.values()
        if isinstance(node, SourceNode) and node.pattern is not None
    ]
    gone = sorted(topic for topic in read if topic not in existing)
    _check_none_is_named(topology, gone)
    found = [f"topic '{topic}' is gone, which a pattern matched" for topic in gone]
    known = {**written, **read}
    for topic, count in sorted(existing.items()):
        if topic in known and count != known[topic]:
            found.append(f"topic '{topic}' has {count} partitions, and had {known[topic]}")
        if topic in read or is_own_internal(topic, application_id):
            continue
        for node, pattern in patterns:
            if pattern.fullmatch(topic):
                found.append(f"topic '{topic}' is new, and matches the pattern of {node.name} ({node.where})")
    return tuple(found)


def is_own_internal(topic: str, application_id: str) -> bool:
    """Whether a topic is an internal one of this application, which no pattern is meant to match."""
    return topic.startswith(f"{application_id}-") and _INTERNAL.fullmatch(topic) is not None


def _check_none_is_named(topology: Topology, gone: list[str]) -> None:
    for node in topology.nodes.values():
        if not isinstance(node, SourceNode) or node.pattern is not None:
            continue
        for topic in node.topics:
            if topic in gone:
                raise UnknownTopicError(
                    f"topic '{topic}' (read by {node.name}, {node.where}) was deleted while the application ran; what "
                    f"was not read of it is lost. To go on, create it again with as many partitions, then start the "
                    f"application"
                )
