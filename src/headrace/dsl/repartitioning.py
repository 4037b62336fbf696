"""Makes the way through a repartition topic, with the names that Kafka Streams gives. Source: `KStreamImpl`."""

import re

from headrace.base.ids import Location
from headrace.dsl.graph import Repartition
from headrace.dsl.naming import Names
from headrace.dsl.serdes import Typed
from headrace.topology.partitioners import Partitioner

__all__ = ["new_repartition", "repartition_topic"]

_SUFFIX = "-repartition"

#: Generated names of streams; stores' names end like that too, but begin otherwise only where a user chose them.
_GENERATED = re.compile(r"KSTREAM.*-[0-9]{10}")


def repartition_topic(names: Names, base: str, *, is_named: bool) -> str:
    """Return a topic's name; one that no user chose is noted."""
    topic = base + _SUFFIX
    if not is_named:
        names.generated_topics.append(topic)
    return topic


def new_repartition(
    names: Names,
    base: str,
    *,
    key: Typed,
    value: Typed,
    where: Location,
    is_named: bool,
    optimizable: bool = True,
    partitioner: Partitioner | None = None,
    partitions: int | None = None,
) -> Repartition:
    """Make a repartition. Three indices are used up, even if the names come from `base`."""
    topic = repartition_topic(names, base.removesuffix(_SUFFIX), is_named=is_named)
    sink, filter, source = (
        names.generate("KSTREAM-SINK-"),
        names.generate("KSTREAM-FILTER-"),
        names.generate("KSTREAM-SOURCE-"),
    )
    if not _GENERATED.fullmatch(base):
        sink, filter, source = f"{topic}-sink", f"{topic}-filter", f"{topic}-source"
    return Repartition(
        where,
        source=source,
        sink=sink,
        filter=filter,
        topic=topic,
        key=key,
        value=value,
        optimizable=optimizable,
        partitioner=partitioner,
        partitions=partitions,
    )
