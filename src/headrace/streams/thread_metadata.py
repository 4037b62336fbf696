"""What the threads of an application say of themselves, as values for whoever asks."""

from dataclasses import dataclass

from headrace.base.ids import TaskId
from headrace.engine.status import WorkerStatus

__all__ = ["ThreadMetadata"]


@dataclass(frozen=True, slots=True)
class ThreadMetadata:
    """One stream thread. Source: `org.apache.kafka.streams.ThreadMetadata`.

    Attributes:
        thread_state: "starting", "restoring", "running", or "stopped" between two workers.
        active_tasks: those that it runs or restores.
        standby_tasks: those that it follows.
    """

    thread_name: str
    thread_state: str
    active_tasks: tuple[TaskId, ...]
    standby_tasks: tuple[TaskId, ...]

    @staticmethod
    def of(name: str, status: WorkerStatus | None) -> "ThreadMetadata":
        """Make it of a thread's last figures, of which there are none before it has a worker."""
        if status is None:
            return ThreadMetadata(name, "starting", (), ())
        return ThreadMetadata(
            name,
            status.state,
            tuple(sorted(task.id for task in status.tasks)),
            tuple(sorted(task.id for task in status.standbys)),
        )
