"""How to query: what `Streams.query` is told beside the store."""

from collections.abc import Sequence
from typing import Literal, TypedDict

from headrace.base.durations import Duration, milliseconds
from headrace.base.errors import TopologyError
from headrace.query.position import Position
from headrace.query.routing import Asking
from headrace.topology.partitioners import Partitioner

__all__ = ["QueryOptions", "asking_of"]

_TIMEOUT = "5s"


class QueryOptions(TypedDict, total=False):
    """How to query.

    Keys:
        where: "all" (the default) asks whoever has a partition, "local" what runs here, at once, and no more than that.
        partitions: leaves others out.
        committed: as of the last commit, without what waits for the next one.
        stale: how old an answer may be where the instance that runs the task does not answer: then a standby may, if it
            has seen all that was committed longer ago than that. A standby writes what it follows once a second.
        at_least: waits until this position is reached: `Streams.position` tells one, a producer's offset makes one. It
            is a TopologyError where the store's own task reads none of its topics.
        timeout: for all of a question, however many instances are asked (5 s): then it is StoreUnavailableError.
        partitioner: of whoever has placed the keys, where it is another than the topology's.
    """

    where: Literal["all", "local"]
    partitions: Sequence[int]
    committed: bool
    stale: Duration
    at_least: Position
    timeout: Duration
    partitioner: Partitioner


def asking_of(how: QueryOptions) -> Asking:
    """Return what is wanted of each question.

    Raises:
        TopologyError: "local" is asked for together with what is about other instances.
        TypeError, ValueError: a duration is none.
    """
    if how.get("where", "all") not in ("all", "local"):
        raise TopologyError(f'where={how["where"]!r} is neither "all" nor "local"')
    if how.get("where") == "local":
        others = [name for name in ("stale", "at_least", "timeout", "partitioner") if name in how]
        if others:
            raise TopologyError(
                f'{others[0]}= is about who answers, and when: leave it out with where="local", which asks what runs '
                "here, at once"
            )
    return Asking(
        how.get("committed", False),
        milliseconds(how.get("stale", "0s"), name="stale") / 1000,
        how.get("at_least"),
        milliseconds(how.get("timeout", _TIMEOUT), name="timeout") / 1000,
    )
