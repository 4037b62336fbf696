"""The declared handle of a topic: its name and its serdes, said once."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias

from typing_extensions import TypeVar

from headrace.base.errors import TopologyError
from headrace.base.foreign_arguments import advising, read_arguments
from headrace.base.topic_names import topic_name_problem
from headrace.serde.primitives import raw, string
from headrace.serde.resolve import serde_of
from headrace.serde.serde import Serde, SerdeOf

__all__ = ["ChangesTopic", "Pattern", "Topic", "Truncates", "Writable"]

K_contra = TypeVar("K_contra", contravariant=True)
V_contra = TypeVar("V_contra", contravariant=True)
KD = TypeVar("KD", default=str)
VD = TypeVar("VD", default=bytes)

#: What a TRUNCATE does to a table: all rows of the partition go, nothing, or it fails.
Truncates: TypeAlias = Literal["delete", "ignore", "fail"]

#: Instead of arguments that others give to a topic.
_INSTEAD: Mapping[str, str] = {
    **read_arguments("builder.stream(topic, …) with "),
    "num_partitions": "partitions=",
}


class Writable(Generic[K_contra, V_contra]):
    """What `to` needs of a topic. Contravariant: a stream of one variant may enter a topic of several."""


class Topic(Writable[KD, VD], Generic[KD, VD]):
    """A topic's name and serdes, written once: for the builder, the sinks, the tests and the CLI. Does no IO.

    An omitted key is text, an omitted value raw bytes. `partitions` is what a log that makes topics itself (the
    embedded one, the test driver) gives it; Kafka's own topics keep the count they have. `partitioned_by="other"` says
    that its producers mean to place keys otherwise than Kafka's default partitioner (murmur2), so that nobody is warned
    of it. Equal topics have equal fields.
    """

    __slots__ = ("key", "name", "partitioned_by", "partitions", "value")

    def __init__(
        self,
        name: str,
        *,
        key: SerdeOf[KD] = None,
        value: SerdeOf[VD] = None,
        partitions: int | None = None,
        partitioned_by: Literal["murmur2", "other"] = "murmur2",
    ) -> None:
        problem = topic_name_problem(name)
        if problem is not None:
            raise TopologyError(f"the name {name!r} of a topic {problem}; choose another one")
        if partitions is not None and partitions < 1:
            raise TopologyError(f"topic '{name}' cannot have {partitions} partitions: one or more")
        if partitioned_by not in ("murmur2", "other"):
            raise TopologyError(
                f"topic '{name}': partitioned_by={partitioned_by!r}: 'murmur2' or 'other' is wanted"
            )
        self.name = name
        self.key: Serde[KD] = string if key is None else serde_of(key)  # type: ignore[assignment]  # KD is str then
        self.value: Serde[VD] = raw if value is None else serde_of(value)  # type: ignore[assignment]  # VD is bytes
        self.partitions = partitions
        self.partitioned_by = partitioned_by

    if not TYPE_CHECKING:  # which says so itself
        __init__ = advising(_INSTEAD)(__init__)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Topic):
            return NotImplemented
        return all(getattr(self, field) == getattr(other, field) for field in Topic.__slots__)

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"Topic({self.name!r}, key={self.key!r}, value={self.value!r})"


class ChangesTopic(Topic[KD, VD], Generic[KD, VD]):
    """A topic of changes of rows, which `builder.table` makes rows of. Made by `hr.cdc.table`.

    Attributes:
        value: reads a `RowChange`, and so is no serde of the table's values, as which it is typed.
        row: the serde of the table's values.
        truncates: what a TRUNCATE does.
    """

    __slots__ = ("row", "truncates")

    def __init__(
        self,
        name: str,
        *,
        key: Serde[KD],
        changes: Serde[Any],
        row: Serde[VD],
        truncates: Truncates,
        partitions: int | None,
    ) -> None:
        super().__init__(name, key=key, value=changes, partitions=partitions)
        self.row = row
        self.truncates = truncates

    def __eq__(self, other: object) -> bool:
        is_equal = super().__eq__(other)
        if is_equal is not True or not isinstance(other, ChangesTopic):
            return is_equal
        return (self.row, self.truncates) == (other.row, other.truncates)

    __hash__ = Topic.__hash__


class Pattern:
    """All topics whose whole name matches a regular expression."""

    __slots__ = ("regex",)

    def __init__(self, regex: str) -> None:
        try:
            re.compile(regex)
        except re.error as error:
            raise TopologyError(f"Pattern({regex!r}) is no regular expression: {error}") from error
        self.regex = regex

    def __eq__(self, other: object) -> bool:
        return self.regex == other.regex if isinstance(other, Pattern) else NotImplemented

    def __hash__(self) -> int:
        return hash((Pattern, self.regex))

    def __repr__(self) -> str:
        return f"Pattern({self.regex!r})"
