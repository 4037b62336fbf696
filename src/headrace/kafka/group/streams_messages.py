"""The messages of streams groups (KIP-1071): kafka-python makes them from our schemas, since it has none of its own."""

from kafka.protocol.api_message import ApiMessage

from headrace.kafka.group import schemas

__all__ = [
    "StreamsGroupDescribeRequest",
    "StreamsGroupDescribeResponse",
    "StreamsGroupHeartbeatRequest",
    "StreamsGroupHeartbeatResponse",
]


class StreamsGroupHeartbeatRequest(ApiMessage, load_json=schemas):  # type: ignore[call-arg, misc]  # kafka-python has no types
    """A member's sign of life; also its join and its leave."""


class StreamsGroupHeartbeatResponse(ApiMessage, load_json=schemas):  # type: ignore[call-arg, misc]  # as above
    """What the coordinator assigns, when that has changed."""


# Version 1 is for descriptions of topologies (KIP-1331), which only brokers with a plugin have.
class StreamsGroupDescribeRequest(ApiMessage, load_json=schemas):  # type: ignore[call-arg, misc]  # as above
    """Asks for all that a coordinator knows of groups."""


class StreamsGroupDescribeResponse(ApiMessage, load_json=schemas):  # type: ignore[call-arg, misc]  # as above
    """All that it knows."""
