"""What a source is told of its topics: their serdes, and where to begin in them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal, TypeAlias

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.serde.primitives import raw, string
from headrace.serde.serde import Serde
from headrace.topology.arguments import given
from headrace.topology.topics import Topic

__all__ = ["Reset", "check_reset", "handles_of"]

#: Where to begin in a topic without committed offset; a timedelta is that far back (KIP-1106).
Reset: TypeAlias = Literal["earliest", "latest", "none"] | timedelta | None

_RESETS = frozenset({"earliest", "latest", "none"})


def check_reset(reset: object, where: Location) -> None:
    """Refuse what is no reset policy: the start would fail, or begin somewhere else than was meant."""
    if reset is None or (isinstance(reset, str) and reset in _RESETS):
        return
    if isinstance(reset, timedelta) and reset >= timedelta(0):
        return
    raise TopologyError(
        f"{where}: offset_reset={reset!r} does not exist: write 'earliest', 'latest', 'none', or how far back to "
        "begin, as a timedelta of 0 or more"
    )


def handles_of(topic: object, key: object, value: object, where: Location) -> list[Topic[Any, Any]]:
    """Return handles for what a source names."""
    topics = (
        [topic] if isinstance(topic, str | Topic) else list(topic) if isinstance(topic, Sequence) else None
    )
    if not topics:
        raise TopologyError(f"{where}: expected a topic, several, or a Pattern, found {topic!r}")
    key_serde: Serde[Any] = given(key, "key", where) or string
    value_serde: Serde[Any] = given(value, "value", where) or raw
    handles = []
    for each in topics:
        if isinstance(each, Topic):
            if key is not None or value is not None:
                raise TopologyError(f"{where}: {each!r} has serdes already: leave key= and value= out")
            handles.append(each)
        elif isinstance(each, str):
            handles.append(Topic(each, key=key_serde, value=value_serde))
        else:
            raise TopologyError(f"{where}: expected the name of a topic, or a Topic, found {each!r}")
    first = handles[0]
    for other in handles[1:]:
        if (other.key, other.value) != (first.key, first.value):
            raise TopologyError(
                f"{where}: {first!r} and {other!r} have different serdes; read each on its own and merge() the streams"
            )
    return handles
