"""What the leader of a classic group makes of what its members tell: who is to run and follow what. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication
from headrace.group.assignor import assign
from headrace.group.handover import handed_over
from headrace.group.members import AssignmentOptions, Member, Process, Roles
from headrace.group.user_data import Endpoint, LeaderWord, MemberWord

__all__ = ["Decision", "decide"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What each member is told, by its id; and whether nothing is left to move, when all have done so."""

    words: Mapping[str, LeaderWord]
    is_final: bool


def decide(
    members: Mapping[str, MemberWord | None], application: GroupApplication, options: AssignmentOptions
) -> Decision:
    """Assign the tasks of an application. None stands for a member whose word cannot be read: it gets nothing.

    The same input gives the same answer.
    """
    heard = {name: word for name, word in sorted(members.items()) if word is not None}
    unheard = LeaderWord(is_refused=True)
    if not heard:
        return Decision(dict.fromkeys(sorted(members), unheard), is_final=True)
    processes = _processes(heard, application)
    wanted = assign(application.facts(), processes, options)
    roles, is_all = handed_over(wanted, processes)
    endpoints = _endpoints(heard, roles)
    stops = any(word.stops_application for word in heard.values())
    words = {
        name: LeaderWord(roles[name], is_all, endpoints, stops) if name in heard else unheard
        for name in members
    }
    return Decision(words, wanted.is_final and is_all)


def _processes(heard: Mapping[str, MemberWord], application: GroupApplication) -> dict[str, Process]:
    tasks = frozenset(application.tasks)
    # Nobody is behind the end of a changelog that anybody knows of. Who runs a task knows it best; where nobody does,
    # the differences are what counts.
    ends: dict[TaskId, int] = {}
    for word in heard.values():
        for task, progress in word.progress.items():
            ends[task] = max(ends.get(task, 0), progress.end, progress.offset)
    processes: dict[str, Process] = {}
    for name, word in heard.items():
        of_it = processes.get(word.process_id, Process({}, tags=word.tags))
        member = Member(word.owned.active & tasks, (word.owned.standby | word.owned.warmup) & tasks)
        lags = dict(of_it.lags)
        for task in sorted(word.progress.keys() & tasks):
            lag = ends[task] - word.progress[task].offset
            lags[task] = min(lag, lags.get(task, lag))
        processes[word.process_id] = Process({**of_it.members, name: member}, lags, of_it.tags)
    return processes


def _endpoints(heard: Mapping[str, MemberWord], roles: Mapping[str, Roles]) -> Mapping[Endpoint, Roles]:
    found: dict[Endpoint, Roles] = {}
    for name, word in heard.items():
        if word.endpoint is not None:
            has, more = found.get(word.endpoint, Roles()), roles[name]
            followed = has.standby | more.standby | more.warmup
            found[word.endpoint] = Roles(has.active | more.active, followed)
    return found
