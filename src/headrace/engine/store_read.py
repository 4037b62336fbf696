"""One partition of a store as it can be read in this process: what there is, how far it is, and how old it may be.

# Invariant: `as_of` is asked after the read. What it says holds for what was read before, whatever held up who reads:
a task that was taken away, and a process that slept while others took over, are found out then.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headrace.base.ids import TopicPartition
from headrace.state.port import StoreReads
from headrace.topology.topology import Topology

__all__ = ["GONE", "StoreRead", "changelog_of"]

#: As of no moment: it is not here any more.
GONE = float("-inf")


@dataclass(frozen=True, slots=True)
class StoreRead:
    """From any thread.

    Attributes:
        reads: what can be read.
        position: next offsets as of the last commit: of the changelog, and of the task's inputs where it runs.
        as_of: a moment (of the monotonic clock, in seconds) before which all that was committed is seen; `GONE` where
            the task is not here any more.
    """

    reads: StoreReads
    position: Callable[[], Mapping[TopicPartition, int]]
    as_of: Callable[[], float]


def changelog_of(
    topology: Topology, application_id: str, store: str, partition: int
) -> TopicPartition | None:
    """Return the partition that a store is restored from; None where there is none."""
    spec = topology.stores[store]
    if spec.source_topic is not None:
        return TopicPartition(topology.decorate(spec.source_topic, application_id), partition)
    return TopicPartition(f"{application_id}-{spec.changelog_topic}", partition) if spec.logging else None
