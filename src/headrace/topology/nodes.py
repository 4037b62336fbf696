"""The nodes of a topology: plain values that say what is connected to what, and who declared it where."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from headrace.base.ids import Location
from headrace.serde.resolve import serde_of_keys
from headrace.serde.serde import Serde
from headrace.topology.partitioners import Partitioner
from headrace.topology.wiring import Operator

__all__ = ["Node", "ProcessorNode", "RepartitionTopic", "SinkNode", "SourceNode"]


@dataclass(frozen=True, slots=True, eq=False)
class SourceNode:
    """Reads topics. `topics` are names without the application id for internal topics (see `Topology.internal`).

    `timestamp` is `(record, partition time) -> epoch ms`, or None for the record's own, which must not be negative.
    With a `pattern`, `topics` is empty until `Topology.with_topics` has filled it in.
    """

    name: str
    topics: tuple[str, ...]
    key: Serde[Any]
    value: Serde[Any]
    where: Location
    timestamp: Callable[[Any, int], int] | None = None
    offset_reset: Any = None
    pattern: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self.key.reading_keys())


@dataclass(frozen=True, slots=True, eq=False)
class ProcessorNode:
    """Does something to each record.

    Attributes:
        stores: names of the stores that it is connected to.
        calls: name of the user's function, for pictures; empty where there is none.
        late: name of the sink below that gets nothing but late records; empty where there is none.
        outline: what tells the user's function from another one in its place (`base.callables.outline`).
    """

    name: str
    operator: Operator
    where: Location
    stores: tuple[str, ...] = ()
    calls: str = ""
    late: str = ""
    outline: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SinkNode:
    """Writes to a topic: a name, or a function `(key, value, RecordMetadata) -> name` asked for each record."""

    name: str
    topic: str | Callable[[Any, Any, Any], str]
    key: Serde[Any]
    value: Serde[Any]
    where: Location
    partitioner: Partitioner | None = None
    #: Declared partition count of the topic (`Topic(partitions=)`), for logs that create topics themselves.
    partitions: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", serde_of_keys(self.key, self.name, self.where))


Node: TypeAlias = SourceNode | ProcessorNode | SinkNode


@dataclass(frozen=True, slots=True)
class RepartitionTopic:
    """An internal topic between two sub-topologies; its full name is `<application id>-<name>`."""

    name: str
    partitions: int | None = None  # enforced if given
    config: Mapping[str, str] = field(default_factory=dict)
