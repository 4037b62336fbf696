"""Where the tasks of an application run and are followed: by host and port of its instances, as its group tells."""

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.group.membership import EndpointTasks
from headrace.group.user_data import Endpoint
from headrace.topology.topology import Topology

__all__ = ["PlannedTasks", "TaskPlaces"]


@dataclass(frozen=True, slots=True)
class PlannedTasks:
    """What there is to run.

    Attributes:
        topology: with the topics that its patterns match.
        partitions: of each topic that is read or written, by its full name.
    """

    topology: Topology
    partitions: Mapping[str, int]


class TaskPlaces:
    """What the workers of an instance have heard. Any thread reads, since each value is replaced as a whole.

    All workers hear the same, each in its own time: after a change, one that is late may say the old for a moment.

    Attributes:
        planned: by the last worker that was made; None before the first.
        endpoints: of instances that have one; of an application whose log is one process's own, that instance.
    """

    def __init__(self) -> None:
        self.planned: PlannedTasks | None = None
        self.endpoints: Mapping[Endpoint, EndpointTasks] = {}

    def have_moved(self, endpoints: Mapping[Endpoint, EndpointTasks]) -> None:
        """Take what the group says, in place of all that it said before."""
        self.endpoints = endpoints
