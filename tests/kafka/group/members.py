"""Members without an engine: threads that do at once what they are told, and a ledger of who has what."""

import threading
import time
from collections.abc import Callable, Mapping

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication
from headrace.group.members import Roles
from headrace.group.membership import (
    Assigned,
    Effect,
    Ended,
    EndpointsChanged,
    EndpointTasks,
    EpochChanged,
    GroupStatus,
    Lost,
    StatusChanged,
)
from headrace.kafka.group.membership import KafkaMembership
from headrace.log.membership import MemberIdentity

WAIT_S = 90.0


class Ledger:
    """Who runs which task. Two who do so at once are a mistake of the group, unless one of them is given up as dead."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owners: dict[TaskId, str] = {}
        self._zombies: set[str] = set()
        self.mistakes: list[str] = []

    def take(self, name: str, tasks: frozenset[TaskId]) -> None:
        with self._lock:
            for task in sorted(tasks) if name not in self._zombies else ():
                other = self._owners.setdefault(task, name)
                if other != name:
                    self.mistakes.append(f"{task} is run by {other}, and given to {name}")

    def count_no_more(self, name: str) -> None:
        """Ignore what a member does from here on: it is a zombie, whose commits are refused."""
        with self._lock:
            self._zombies.add(name)
        self.drop(name)

    def drop(self, name: str, tasks: frozenset[TaskId] | None = None) -> None:
        """Let go of tasks, or of all."""
        with self._lock:
            for task, owner in list(self._owners.items()):
                if owner == name and (tasks is None or task in tasks):
                    del self._owners[task]

    def owners(self) -> Mapping[TaskId, str]:
        with self._lock:
            return dict(self._owners)


class Worker:
    """Takes effects and acknowledges them, on a thread. It may be asleep, as if user code took its time."""

    def __init__(self, name: str, membership: KafkaMembership, ledger: Ledger) -> None:
        self.name = name
        self.membership = membership
        self.ledger = ledger
        self.heard: list[Effect] = []
        self.roles = Roles()
        self.endpoints: Mapping[tuple[str, int], EndpointTasks] = {}
        self.statuses: Mapping[GroupStatus, str] = {}
        self.assigned_after_s: float | None = None
        self._began = time.monotonic()
        self._stopping = threading.Event()
        self._awake = threading.Event()
        self._awake.set()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self._awake.wait(0.05):
                continue
            for effect in self.membership.effects(0.05):
                self._do(effect)

    def _do(self, effect: Effect) -> None:
        self.heard.append(effect)
        match effect:
            case Assigned(number, roles):
                self.ledger.drop(self.name, self.roles.active - roles.active)
                self.ledger.take(self.name, roles.active)
                self.roles = roles
                if roles.active and self.assigned_after_s is None:
                    self.assigned_after_s = time.monotonic() - self._began
                self.membership.acknowledge(number)
            case Lost():
                self.ledger.drop(self.name)
                self.roles = Roles()
                self.membership.dropped()
            case Ended():
                self.ledger.drop(self.name)
                self.roles = Roles()
            case StatusChanged(statuses):
                self.statuses = statuses
            case EndpointsChanged(endpoints):
                self.endpoints = endpoints
            case EpochChanged():
                pass

    @property
    def ended(self) -> Ended | None:
        return next((effect for effect in self.heard if isinstance(effect, Ended)), None)

    @property
    def was_lost(self) -> bool:
        return any(isinstance(effect, Lost) for effect in self.heard)

    def sleep(self) -> None:
        """Take no more effects: user code takes its time, and the member goes on."""
        self._awake.clear()

    def wake(self) -> None:
        self._awake.set()

    def kill(self) -> MemberIdentity | None:
        """Fall silent, as a process that was killed."""
        who = self.membership.member
        self._stop()
        self.membership.close(remain=True)
        self.ledger.drop(self.name)
        return who

    def leave(self, *, for_good: bool = False) -> None:
        """Drop all, and leave."""
        self._stop()
        self.ledger.drop(self.name)
        self.membership.leave(for_good=for_good)
        self.membership.close()

    def _stop(self) -> None:
        self._stopping.set()
        self._thread.join()


def until(is_so: Callable[[], bool], seconds: float = WAIT_S) -> float:
    """Wait until something is so; return how long that took."""
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < seconds, f"it is not so in time: {is_so}"
        time.sleep(0.01)
    return time.monotonic() - began


class Shared:
    """Whether each task is run by one of these workers, and they have as many each, one more or less."""

    def __init__(self, application: GroupApplication, workers: tuple[Worker, ...]) -> None:
        self._application, self._workers = application, workers

    def __call__(self) -> bool:
        for worker in self._workers:
            assert worker.ended is None, f"{worker.name} has ended: {worker.ended}"
        active = [worker.roles.active for worker in self._workers]
        counts = [len(tasks) for tasks in active]
        every = frozenset[TaskId]().union(*active)
        return (
            every == frozenset(self._application.tasks)
            and sum(counts) == len(every)
            and max(counts) - min(counts) <= 1
        )

    def __str__(self) -> str:
        return "\n".join(f"{worker.name} heard {worker.heard}" for worker in self._workers)


def shared(application: GroupApplication, *workers: Worker) -> Shared:
    """See `Shared`."""
    return Shared(application, workers)
