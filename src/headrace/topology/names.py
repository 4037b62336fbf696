"""Which names nodes and stores may have, since they become names of topics."""

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.base.topic_names import topic_name_problem

__all__ = ["check_name"]


def check_name(name: str, kind: str, where: Location) -> str:
    """Return the name if it is legal.

    Raises:
        TopologyError: it is none that a topic may have.

    Source: Kafka Streams' `Named.validate`.
    """
    problem = topic_name_problem(name)
    if problem is None:
        return name
    raise TopologyError(
        f"{where}: the name {name!r} of a {kind} {problem}, because topics are named after it; choose another one"
    )
