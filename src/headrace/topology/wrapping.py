"""Processors with something of the user's around each: tracing, timing, a guard. Source: `ProcessorWrapper`."""

from collections.abc import Callable
from typing import Any, TypeAlias

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.base.records import Headers, Record
from headrace.topology.arguments import accepted
from headrace.topology.wiring import Failed, Forward

__all__ = ["Process", "ProcessorWrapper", "checked_wrapper", "wrapped"]

#: Processes a record, with all that follows from it below.
Process: TypeAlias = Callable[[Record[Any, Any]], object]

#: (name of a processor, what it does with a record) -> what is done in its place. Called once for each processor of
#: each task when that starts.
ProcessorWrapper: TypeAlias = Callable[[str, Process], Process]


def checked_wrapper(wrapper: ProcessorWrapper | None, where: Location) -> ProcessorWrapper | None:
    """Return the wrapper, if it is one or None.

    Raises:
        TopologyError: it cannot be called with a name and a function, or returns nothing.
    """
    if wrapper is None:
        return None
    return accepted(wrapper, "wrapper, wrap_processors=,", where, "name", "process")


def wrapped(
    wrapper: ProcessorWrapper, forward: Forward, failed: Failed, name: str, where: Location
) -> Forward:
    """Make a node's closure that goes through the wrapper. What that raises is a failure of the node.

    Raises:
        TopologyError: the wrapper gives something that cannot be called with a record.
    """

    def process(record: Record[Any, Any]) -> None:
        forward(record.key, record.value, record.timestamp, tuple(record.headers))

    around = wrapper(name, process)
    if not callable(around):
        raise TopologyError(
            f"{name} ({where}): the wrapper gave {around!r}; let it return a function of a record, which calls what it "
            "was given"
        )

    def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        try:
            around(Record(key, value, timestamp, headers))
        except (
            BaseException
        ) as error:  # what a node could not handle passes through: `failed` raises it again
            failed(error, key, value, timestamp, headers)

    return run
