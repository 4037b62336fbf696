"""Late records: what is dropped because its window has closed goes to a topic, if the user names one with `late_to=`.

It goes as it reached the node, with its own timestamp and headers, and with headers that say why, in the style of those
of dead letters. It is part of the record's own transaction. What counts and warns of dropped records does so as well.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from headrace.base.records import Headers
from headrace.topology.wiring import Wiring

__all__ = ["SendLate", "late_sender"]

#: Sends a late record: key, value, timestamp, headers, stream time, and the time at which its last window closed. That
#: is the stream time from which on it was late (epoch ms).
SendLate: TypeAlias = Callable[[Any, Any, int, Headers, int, int], None]


def late_sender(wiring: Wiring, bound: str = "closed.at") -> SendLate:
    """Make what sends late records to the topic of `late_to=`; without one, it does nothing.

    `bound` is how the header is called that has what the record came behind.
    """
    send = wiring.late
    if send is None:
        return _nowhere
    context, node = wiring.context, f"{wiring.name} ({wiring.where})".encode()

    def late(
        key: Any, value: Any, timestamp: int, headers: Headers, stream_time: int, closed_at: int
    ) -> None:
        topic = context.topic
        why: Headers = (
            *headers,
            ("__headrace.late.node", node),
            ("__headrace.late.stream.time", str(stream_time).encode()),
            (f"__headrace.late.{bound}", str(closed_at).encode()),
            ("__headrace.late.topic", None if topic is None else topic.encode()),
            ("__headrace.late.partition", str(context.partition).encode()),
            ("__headrace.late.offset", str(context.offset).encode()),
        )
        send(key, value, timestamp, why)

    return late


def _nowhere(
    key: Any, value: Any, timestamp: int, headers: Headers, stream_time: int, closed_at: int
) -> None:
    """Let the record go."""
