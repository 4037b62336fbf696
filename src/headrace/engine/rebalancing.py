"""What a worker does at the word of its group: takes up and gives up tasks, and commits as the member that it is.

| the group says | the worker |
| --- | --- |
| these are your tasks, to run or to follow | commits and gives up those that are not among them, takes up the new ones, and says so; the others go on |
| you are no member any more | gives up all tasks without a commit: others may run them already. Then it joins again |
| where all tasks are | lets whoever asks know it |
| there is another epoch | commits as a member of that one from then on |
| the application is to stop | ends, as all instances do |
| you cannot be a member | ends, with the reason |

# Invariant: tasks are given up before the group hears that they are, and what they had done is committed before that, or
# given up too. So two instances never work on one task, and whoever gets it begins where the last commit is.
"""  # noqa: E501 - a table cannot be wrapped

import logging
from collections.abc import Callable, Iterable, Mapping, Set

from headrace.base.errors import ApplicationStoppedError, LogError, StateCorruptionError
from headrace.base.ids import TaskId
from headrace.engine.assignment import DONE_AGAIN, Assignment
from headrace.engine.standbys import Standbys
from headrace.engine.task_places import TaskPlaces
from headrace.engine.thread_figures import ThreadFigures
from headrace.group.membership import (
    Assigned,
    Effect,
    Ended,
    EndpointsChanged,
    EpochChanged,
    GroupStatus,
    Lost,
    StatusChanged,
)
from headrace.group.user_data import TaskProgress
from headrace.log.membership import Membership

__all__ = ["Rebalancing"]

_log = logging.getLogger("headrace.group")

#: Time between two reports of how far the state is.
_REPORT_SECONDS = 1.0

#: How long a group may take to let all its members stop: others have to be heard first (`heartbeat.interval.ms`).
_STOP_SECONDS = 10.0
_STOP_WAIT_SECONDS = 0.5

#: What a group cannot work with, and nobody but its operators can change.
_UNWORKABLE = (GroupStatus.MISSING_SOURCE_TOPICS, GroupStatus.INCORRECTLY_PARTITIONED_TOPICS)
_UNWORKABLE_SECONDS = 15.0


class Rebalancing:
    """Belongs to the worker's thread. `tasks` are those that the worker's plan knows. `let_go` lets other processes
    have the state of what was given up.

    `known_as` is told of the member id with each epoch, and `places` of where all tasks are. A task that is warmed up
    here is ready to run when it is no more than `acceptable_lag` records behind.

    Attributes:
        is_outdated: whether it has said something that the plan does not know, so that a new one is needed.
    """

    def __init__(
        self,
        membership: Membership,
        assignment: Assignment,
        let_go: Callable[[], None],
        standbys: Standbys,
        tasks: Iterable[TaskId],
        known_as: Callable[[str], None],
        places: TaskPlaces,
        acceptable_lag: int,
        figures: ThreadFigures,
    ) -> None:
        self._figures = figures
        self._membership = membership
        self._assignment = assignment
        self._let_go = let_go
        self._standbys = standbys
        self._tasks = frozenset(tasks)
        self._known_as = known_as
        self._places = places
        self._acceptable_lag = acceptable_lag
        self._told: Mapping[GroupStatus, str] = {}
        self._newest: Assigned | None = None  # what is still to be done
        self._warmups: frozenset[TaskId] = frozenset()
        self._warm: Set[TaskId] = frozenset()  # of these, those that the group has heard of
        self._next_report = 0.0
        self._unworkable_at: float | None = None  # when that is the end
        self._has_roles = False
        self.is_outdated = False

    # ── what the group says ──────────────────────────────────────────────────────────────────────────────────────

    def heed(self, wait_s: float = 0.0) -> bool:
        """Do what the group has said since; wait so long for a word of it. Says whether it has said anything.

        Raises:
            ApplicationStoppedError: an instance has told all of them to stop.
            LogError: the group does not let this instance be a member.
            FencedError: another process has taken over this instance's transactions.
        """
        effects = self._membership.effects(wait_s)
        # Nothing of before counts any more for who is no member: nobody would take its commit.
        lost = max((place for place, each in enumerate(effects) if isinstance(each, Lost)), default=0)
        for place, effect in enumerate(effects):
            if place >= lost or isinstance(effect, EndpointsChanged):  # which is said once, to members or not
                self._do(effect)
        if self._newest is not None:
            self._take_over(self._newest)
        elif self._assignment.is_waiting:
            self._take_up(self._assignment.take_up_waiting)
        return bool(effects)

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, Assigned):
            self._newest = effect  # what the one before it said is of no interest any more
        elif isinstance(effect, Lost):
            _log.warning(
                "%s; all tasks are given up without a commit, and the instance joins its group again",
                effect.reason,
            )
            self._has_roles, self._newest = False, None
            self._standbys.drop(set(self._standbys.wanted))
            self._warmups = self._warm = frozenset()
            with self._figures.timing(self._figures.lost):
                self._assignment.lost(self._assignment.assigned)
            self._let_go()
            self._membership.dropped()
        elif isinstance(effect, EpochChanged):
            self._known_as(effect.member_id)
        elif isinstance(effect, EndpointsChanged):
            self._places.have_moved(effect.endpoints)
        elif isinstance(effect, StatusChanged):
            self._heed_statuses(effect.statuses)
        elif isinstance(effect, Ended) and effect.reason is not None:
            raise LogError(effect.reason)

    def _take_over(self, assigned: Assigned) -> None:
        roles = assigned.roles
        active, followed = roles.active, roles.standby | roles.warmup
        if not active | followed <= self._tasks:
            self.is_outdated = True  # the worker with the next plan takes them up
            return
        owned = set(self._assignment.assigned)
        new, gone = active - owned, owned - active
        with self._figures.timing(self._figures.revoked, counts=bool(gone)):
            if not self._assignment.revoke(gone):
                return  # not before the group takes a commit: it has more to say, or this is tried again
        self._tell(new, gone)
        self._standbys.drop(self._standbys.wanted - followed - active)  # these go over to the tasks below
        self._standbys.follow(followed - self._standbys.wanted)
        self._warmups = roles.warmup
        self._warm &= roles.warmup
        with self._figures.timing(self._figures.assigned, counts=bool(new)):
            self.assign(new)
        self._newest = None
        self._let_go()
        self._membership.acknowledge(assigned.number)
        self._has_roles = True

    def _tell(self, new: Set[TaskId], gone: Set[TaskId]) -> None:
        if self._has_roles and (new or gone):
            _log.info("the group gives this instance tasks %s, and takes away %s", _named(new), _named(gone))

    def _heed_statuses(self, statuses: Mapping[GroupStatus, str]) -> None:
        told, self._told = self._told, statuses
        if GroupStatus.SHUTDOWN_APPLICATION in statuses:
            raise ApplicationStoppedError(
                "an instance of the application has told all of them to stop: look for what it died of in its own log"
            )
        for status, words in statuses.items():
            if status not in told:
                _log.warning("the group says: %s", _worded(status, words))

    def _ensure_workable(self, now: float) -> None:
        """A coordinator hears of topics a little later than whoever has made them, so that it is given some time."""
        found = [_worded(status, words) for status, words in self._told.items() if status in _UNWORKABLE]
        if not found:
            self._unworkable_at = None
        elif self._unworkable_at is None:
            self._unworkable_at = now + _UNWORKABLE_SECONDS
        elif now >= self._unworkable_at:
            raise LogError(
                f"the group cannot assign tasks: {'; '.join(found)}; mend the topics, and start again"
            )

    @property
    def trouble(self) -> str | None:
        """What the group waits for, for people to read; None where all is well. From any thread."""
        return self._membership.trouble

    @property
    def vouched_until(self) -> float:
        """See `Membership.vouched_until`. From any thread."""
        return self._membership.vouched_until

    # ── what the group is told ───────────────────────────────────────────────────────────────────────────────────

    def report(self, now: float, progress: Callable[[], Mapping[TaskId, TaskProgress]]) -> None:
        """Tell the group now and then how far the state is that lies here, and at once when a task is warm.

        Raises:
            LogError: the group has not been able to work with the topics there are for long.
        """
        self._ensure_workable(now)
        if now < self._next_report:
            return
        self._next_report = now + _REPORT_SECONDS
        found = {task: at for task, at in progress().items() if task in self._tasks}
        self._membership.report(found)
        warm = {
            task_id
            for task_id in self._warmups & found.keys()
            if found[task_id].end - found[task_id].offset <= self._acceptable_lag
        }
        if not warm <= self._warm:
            self._warm |= warm
            self._membership.rejoin()

    def stop_application(self, seconds: Callable[[], float]) -> None:
        """Let all instances stop; wait until this one hears of it too, since the group knows of it then.

        `seconds` is a clock. A worker that calls this is about to end: what else it hears is of no interest.
        """
        deadline = seconds() + _STOP_SECONDS
        self._membership.stop_application()
        while (rest := deadline - seconds()) > 0:
            for effect in self._membership.effects(min(rest, _STOP_WAIT_SECONDS)):
                if isinstance(effect, Ended) or (
                    isinstance(effect, StatusChanged) and GroupStatus.SHUTDOWN_APPLICATION in effect.statuses
                ):
                    return
        _log.warning("the group has not said yet that the other instances are to stop: look after them")

    @property
    def has_roles(self) -> bool:
        """Whether the group has said what there is to do, nothing being a role too, and all of it is taken up."""
        return self._has_roles and not self._assignment.is_waiting

    # ── what is done ─────────────────────────────────────────────────────────────────────────────────────────────

    def assign(self, task_ids: Iterable[TaskId]) -> None:
        """Take up tasks beside those that are there, which go on meanwhile; ones that are there already stay."""
        self._take_up(lambda: self._assignment.assign(task_ids))

    def _take_up(self, take_up: Callable[[], None]) -> None:
        try:
            take_up()
        except (StateCorruptionError, *DONE_AGAIN) as reason:
            self._assignment.start_over(reason)

    def close(self, *, remain: bool, for_good: bool) -> None:
        """Leave the group, a static member's place only if it is for good; with `remain`, be as one that was killed."""
        if for_good and not remain:
            self._membership.leave(for_good=True)
        self._membership.close(remain=remain)
        if not remain:
            self._known_as("")


def _worded(status: GroupStatus, words: str) -> str:
    return words or status.name.lower().replace("_", " ")


def _named(task_ids: Iterable[TaskId]) -> str:
    return ", ".join(map(str, sorted(task_ids))) or "none"
