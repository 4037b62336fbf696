"""What members may take up at once: not what another one still has. Cooperative rebalancing (KIP-429), decided here."""

from collections.abc import Mapping

from headrace.base.ids import TaskId
from headrace.group.members import GroupAssignment, Process, Roles

__all__ = ["handed_over"]


def handed_over(
    wanted: GroupAssignment, processes: Mapping[str, Process]
) -> tuple[Mapping[str, Roles], bool]:
    """Return what each member does until the others have let go of what they are to give up, and whether it is all.

    Where it is not, the members that have let go join again, and the same assignment gives them the rest.

    # Invariant: no task is given to a member to run while another one runs it, wherever that is; and none in any role
    # while another member of the same process, which has the same directory, has it in any role.
    """
    runs_at = {
        task: member
        for process in processes.values()
        for member, has in process.members.items()
        for task in has.active
    }
    roles: dict[str, Roles] = {}
    is_all = True
    for process in processes.values():
        held_at = {
            task: member for member, has in process.members.items() for task in has.active | has.standby
        }
        for member in process.members:
            to_be = wanted.roles[member]

            def is_free(task: TaskId, member: str = member, held_at: Mapping[TaskId, str] = held_at) -> bool:
                return held_at.get(task, member) == member

            active = frozenset(
                task for task in to_be.active if runs_at.get(task, member) == member and is_free(task)
            )
            standby = frozenset(task for task in to_be.standby if is_free(task))
            warmup = frozenset(task for task in to_be.warmup if is_free(task))
            roles[member] = Roles(active, standby, warmup)
            is_all = is_all and roles[member] == to_be
    return roles, is_all
