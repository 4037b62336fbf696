"""A member of a classic group (JoinGroup, SyncGroup, Heartbeat): what to ask when, and what answers mean. No IO.

| state | event | what follows |
| --- | --- | --- |
| JOINING | an answer, as a follower | SYNCING: ask for the assignment |
| JOINING | an answer, as the leader | LEADING: the worker is to assign (`Lead`) |
| LEADING | the assignments | SYNCING, with them |
| SYNCING | an answer | RECONCILING with what it assigns |
| RECONCILING | the worker acknowledges | STABLE; JOINING where something was given up, for others (KIP-429) |
| STABLE | a heartbeat is told of a rebalance, or somebody wants one | JOINING, with all tasks, which go on |
| any of these | no answer | the same request again |
| any of these | FENCED | FENCED: all is lost; when the worker has dropped it, JOINING |
| any | `leave` | LEAVING: one request, whatever becomes of it, then ENDED; a static member only falls silent |
| any | a refusal that stays one | ENDED, with the reason |

What members say of themselves, and what the leader assigns, is opaque here. Sources: AbstractCoordinator and
ConsumerCoordinator of Kafka 4.4; KIP-345 (static members), KIP-394 (member ids), KIP-429 (cooperation).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple, TypeAlias

from headrace.group.members import Roles
from headrace.group.membership import Assigned, Effect, Ended, EpochChanged, Lost

__all__ = [
    "ClassicMember",
    "ClassicRefusal",
    "ClassicState",
    "Heartbeat",
    "Join",
    "Joined",
    "Lead",
    "Leave",
    "Request",
    "Sync",
]

_NO_GENERATION = -1

# Who lets go of a task joins at once, and the others hear of it with their next heartbeat: that is how long nobody runs
# it. So heartbeats are no further apart than this, whatever `heartbeat.interval.ms` allows; and where the leader has
# said that more is to come, they are closer, for as long as that should take.
_HEARTBEAT_S = 0.5
_EXPECTANT_HEARTBEAT_S = 0.1
_EXPECTANT_S = 10.0
_BACKOFF_S = (0.1, 1.0)


class ClassicState(Enum):
    """Where a member stands."""

    JOINING = auto()
    LEADING = auto()
    SYNCING = auto()
    RECONCILING = auto()
    STABLE = auto()
    FENCED = auto()
    LEAVING = auto()
    ENDED = auto()


class ClassicRefusal(Enum):
    """What an error of the coordinator leads to; who hears it translates."""

    TRY_AGAIN = auto()
    """It is busy, or somewhere else."""
    REBALANCE = auto()
    """The group rebalances: everybody is to join."""
    FENCED = auto()
    """It does not know this member, or not in this generation."""
    FINAL = auto()
    """Trying again will not help; another one has the static id, say."""


class Join(NamedTuple):
    """JoinGroup. `member_id` is empty the first time; the answer may take as long as a rebalance does."""

    member_id: str


class Sync(NamedTuple):
    """SyncGroup; `assignments` by member id, of the leader alone."""

    member_id: str
    generation: int
    assignments: Mapping[str, object]


class Heartbeat(NamedTuple):
    """Heartbeat."""

    member_id: str
    generation: int


class Leave(NamedTuple):
    """LeaveGroup."""

    member_id: str


Request: TypeAlias = Join | Sync | Heartbeat | Leave


@dataclass(frozen=True, slots=True)
class Joined:
    """A good answer to `Join`. `members` says what each has told of itself: for the leader, None for others.

    `skips_assignment`: a static leader has come back; what was assigned stays (KIP-814).
    """

    member_id: str
    generation: int
    members: Mapping[str, object] | None = None
    skips_assignment: bool = False


@dataclass(frozen=True, slots=True)
class Lead:
    """The worker is to assign the tasks of the group, and to hand that in under the same generation."""

    generation: int
    members: Mapping[str, object]


class ClassicMember:
    """One member from its first join to its end. Times are monotonic seconds. At most one request is under way.

    Attributes:
        state: where it stands.
        member_id: what the coordinator calls it; empty before it has said so.
        generation: what commits carry; -1 before the first.
    """

    def __init__(self, *, is_static: bool, heartbeat_s: float, now: float, member_id: str = "") -> None:
        """Begin to join. `is_static`: it has a `group.instance.id`. `member_id` is that of a former life, if known.

        Heartbeats are `heartbeat_s` apart at the most.
        """
        self._is_static = is_static
        self._heartbeat_s = min(heartbeat_s, _HEARTBEAT_S)
        self._expects_until = now
        self.member_id = member_id
        self.generation = _NO_GENERATION
        self.state = ClassicState.JOINING
        self._next_at = now
        self._backoff_s = _BACKOFF_S[0]
        self._is_under_way = False
        self._number = 0
        self._owned = Roles()
        self._target = Roles()
        self._assignments: Mapping[str, object] = {}
        self._wants_join = False

    @property
    def owned(self) -> Roles:
        """What the worker has, as far as it has said: what a join is to tell the leader."""
        return self._owned

    # ── the worker ───────────────────────────────────────────────────────────────────────────────────────────────

    def lead(self, generation: int, assignments: Mapping[str, object], now: float) -> None:
        """Take what the worker has assigned; that of an earlier generation counts for nothing."""
        if self.state is ClassicState.LEADING and generation == self.generation:
            self._assignments = assignments
            self._go_to(ClassicState.SYNCING, now)

    def acknowledge(self, number: int, now: float) -> None:
        """Hear that the worker has dropped what it was to drop, and has the roles of an assignment."""
        if self.state is not ClassicState.RECONCILING or number != self._number:
            return
        given_up = self._owned.active - self._target.active
        self._owned = self._target
        if given_up or self._wants_join:
            self._go_to(ClassicState.JOINING, now)
        else:
            self.state = ClassicState.STABLE

    def rejoin(self, now: float) -> None:
        """Let the group assign anew: topics have changed, warm-ups are ready, or something else is to be told."""
        if self.state is ClassicState.STABLE:
            self._go_to(ClassicState.JOINING, now)
        else:
            # Whoever is joining says it anyway; one that is told its tasks says it when it has them.
            self._wants_join = self.state in (ClassicState.SYNCING, ClassicState.RECONCILING)

    def released(self, now: float) -> None:
        """Hear that the worker has dropped all tasks after `Lost`: it may join again."""
        if self.state is ClassicState.FENCED:
            self._go_to(ClassicState.JOINING, now)

    def leave(self, now: float, *, for_good: bool) -> list[Effect]:
        """Leave; the worker has dropped all tasks. A static member keeps its place, saying nothing, unless for good."""
        if self.state is ClassicState.ENDED:
            return []
        if not self.member_id or (self._is_static and not for_good):
            return self._end(None)
        self._go_to(ClassicState.LEAVING, now)
        return []

    # ── the coordinator ──────────────────────────────────────────────────────────────────────────────────────────

    def due(self, now: float) -> Request | None:
        """Return what is to be asked now, if anything is; it is under way then."""
        if self._is_under_way or now < self.next_time():
            return None
        self._is_under_way = True
        self._next_at = self._next_heartbeat(now)
        match self.state:
            case ClassicState.JOINING:
                self._wants_join = False
                return Join(self.member_id)
            case ClassicState.SYNCING:
                return Sync(self.member_id, self.generation, self._assignments)
            case ClassicState.LEAVING:
                return Leave(self.member_id)
            case _:
                return Heartbeat(self.member_id, self.generation)

    def next_time(self) -> float:
        """When something is to be asked, unless an event comes first."""
        is_silent = self.state in (ClassicState.FENCED, ClassicState.ENDED)
        return float("inf") if is_silent or self._is_under_way else self._next_at

    def joined(self, answer: Joined, now: float) -> list[Effect | Lead]:
        """Take the answer to `Join`."""
        self._is_under_way = False
        if self.state is not ClassicState.JOINING:
            return []
        self._backoff_s = _BACKOFF_S[0]
        self.member_id, self.generation = answer.member_id, answer.generation
        self._assignments = {}
        effects: list[Effect | Lead] = [EpochChanged(self.member_id, self.generation)]
        if answer.members is None or answer.skips_assignment:
            self._go_to(ClassicState.SYNCING, now)
        else:
            # Heartbeats go on while it assigns.
            self.state, self._next_at = ClassicState.LEADING, self._next_heartbeat(now)
            effects.append(Lead(self.generation, answer.members))
        return effects

    def named(self, member_id: str, now: float) -> None:
        """Take the id with which to join again (MEMBER_ID_REQUIRED)."""
        self._is_under_way = False
        if self.state is ClassicState.JOINING:
            self.member_id, self._next_at = member_id, now

    def synced(self, roles: Roles, now: float, *, is_all: bool = True) -> list[Effect]:
        """Take the answer to `Sync`. `is_all`: no other assignment follows as soon as members have let go of tasks."""
        self._is_under_way = False
        if self.state is not ClassicState.SYNCING:
            return []
        self._backoff_s = _BACKOFF_S[0]
        self._target = roles
        self._number += 1
        self._expects_until = now if is_all else now + _EXPECTANT_S
        self.state, self._next_at = ClassicState.RECONCILING, self._next_heartbeat(now)
        return [Assigned(self._number, roles)]

    def heard(self) -> None:
        """Take a good answer to `Heartbeat`."""
        self._is_under_way = False
        self._backoff_s = _BACKOFF_S[0]

    def left(self) -> list[Effect]:
        """Take whatever became of `Leave`."""
        self._is_under_way = False
        return self._end(None) if self.state is ClassicState.LEAVING else []

    def refused(self, refusal: ClassicRefusal, said: str, now: float) -> list[Effect]:
        """Take an error in answer to anything but `Leave`."""
        self._is_under_way = False
        if self.state in (ClassicState.FENCED, ClassicState.LEAVING, ClassicState.ENDED):
            return []
        match refusal:
            case ClassicRefusal.TRY_AGAIN:
                self._back_off(now)
            case ClassicRefusal.REBALANCE if self.state is ClassicState.RECONCILING:
                # First it has what it was told: what it gives up is said when it joins.
                self._wants_join = True
                self._next_at = self._next_heartbeat(now)
            case ClassicRefusal.REBALANCE:
                self._go_to(ClassicState.JOINING, now)
            case ClassicRefusal.FENCED:
                return self._lose(said, now)
            case ClassicRefusal.FINAL:
                return self._end(said)
        return []

    def unanswered(self, request: Request, now: float) -> list[Effect]:
        """Hear that a request got no answer. Each may be sent again: the coordinator answers as it would have."""
        self._is_under_way = False
        if isinstance(request, Leave):
            return self.left()
        if self.state is not ClassicState.LEAVING:
            self._back_off(now)
        return []

    def _next_heartbeat(self, now: float) -> float:
        pause_s = _EXPECTANT_HEARTBEAT_S if now < self._expects_until else self._heartbeat_s
        return now + min(pause_s, self._heartbeat_s)

    def _go_to(self, state: ClassicState, now: float) -> None:
        self.state, self._next_at = state, now

    def _back_off(self, now: float) -> None:
        self._next_at = now + self._backoff_s
        self._backoff_s = min(2 * self._backoff_s, _BACKOFF_S[1])

    def _lose(self, reason: str, now: float) -> list[Effect]:
        # A static member is known by its instance; for others, the coordinator gives a new id.
        self.member_id, self.generation = "", _NO_GENERATION
        had_tasks = self._owned != Roles() or self._target != Roles()
        self._owned = self._target = Roles()
        if had_tasks:
            self.state = ClassicState.FENCED
            return [Lost(reason)]
        self.state = ClassicState.JOINING
        self._back_off(now)
        return []

    def _end(self, reason: str | None) -> list[Effect]:
        has_tasks = self.state is not ClassicState.FENCED and (
            self._owned != Roles() or self._target != Roles()
        )
        self.state = ClassicState.ENDED
        lost: list[Effect] = [Lost(reason)] if reason is not None and has_tasks else []
        return [*lost, Ended(reason)]
