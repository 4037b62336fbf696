"""A member of a streams group (KIP-1071): what to say to the coordinator when, and what its answers mean. No IO.

| state | event | what follows |
| --- | --- | --- |
| JOINING | an answer | RECONCILING with what it assigns |
| STABLE | an answer with another assignment | RECONCILING |
| RECONCILING | the worker acknowledges the newest assignment | ACKNOWLEDGING: a heartbeat is due at once |
| ACKNOWLEDGING | the heartbeat goes out | STABLE |
| any of these | no answer | the same; what is owned is said again, and the assignment is asked for (`Ask`) |
| any of these | FENCED | FENCED: all is lost; when the worker has dropped it, JOINING |
| any | `leave` | LEAVING: one heartbeat, whatever becomes of it, then ENDED |
| any | a refusal that stays one | ENDED, with the reason |

A broker (4.4.0) tells tasks with a join and when a heartbeat has changed them, once: where that answer is lost, later
ones say nothing, and the member would go without, or keep what others wait for. So it asks, by StreamsGroupDescribe, as
soon as it is answered again, and once more later: a heartbeat that it has given up may still be under way, in a broker
that stood still, and change something.

Sources: StreamsMembershipManager and GroupMetadataManager of Kafka 4.4; what brokers of 4.3.1 and 4.4.0 do was tried
(`findings/kafka_streams_group_tells_tasks_once.sh`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

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

__all__ = ["Ask", "Heartbeat", "HeartbeatAnswer", "MemberState", "Refusal", "StreamsMember"]

_JOINING, _LEAVING, _LEAVING_FOR_A_WHILE = 0, -1, -2

# Asks the broker for the endpoints, whatever they are.
_NO_ENDPOINTS = -1

_NOTHING = Roles()

# The broker's own interval is 5 s by default: who tells it sooner that tasks were let go of ends a rebalance sooner.
_INTERVAL_S = 1.0
_REBALANCING_S = 0.25
_BACKOFF_S = (0.1, 1.0)

# Until then whatever was under way has arrived or is gone: twice the default of request.timeout.ms.
_ARRIVED_S = 60.0
_NEVER = float("inf")

# How long a static member waits for the session of who has its id, and how often it asks meanwhile.
_SESSIONS_WAITED = 1.2
_ASKED_IN_A_SESSION = 8


class MemberState(Enum):
    """Where a member stands."""

    JOINING = auto()
    RECONCILING = auto()
    ACKNOWLEDGING = auto()
    STABLE = auto()
    FENCED = auto()
    LEAVING = auto()
    ENDED = auto()


_IN_GROUP = (MemberState.RECONCILING, MemberState.ACKNOWLEDGING, MemberState.STABLE)


class Refusal(Enum):
    """What an error of the coordinator leads to; who hears it translates."""

    TRY_AGAIN = auto()
    """It is busy, or somewhere else."""
    FENCED = auto()
    """It does not know this member, or not at this epoch."""
    INSTANCE_IN_USE = auto()
    """Another member, perhaps a dead one, has this static id until its session ends."""
    FINAL = auto()
    """Trying again will not help."""


class Heartbeat(NamedTuple):
    """One request. `joins`: with topology, process id and all else that only a join carries.

    `owned` is left out (None) where it has not changed since the broker last heard it.
    """

    epoch: int
    joins: bool
    owned: Roles | None
    endpoint_epoch: int
    stops_application: bool


class Ask(NamedTuple):
    """The other request: what the group has assigned to this member."""


@dataclass(frozen=True, slots=True)
class HeartbeatAnswer:
    """A good answer. `roles` and `endpoints` are None where they have not changed."""

    epoch: int
    interval_ms: int
    roles: Roles | None = None
    statuses: Mapping[GroupStatus, str] = field(default_factory=dict)
    endpoint_epoch: int = 0
    endpoints: Mapping[tuple[str, int], EndpointTasks] | None = None


class StreamsMember:
    """One member from its first join to its end. Times are monotonic seconds. At most one request is under way.

    Attributes:
        state: where it stands.
        epoch: what commits carry, as of the last answer; 0 before the first.
    """

    def __init__(self, member_id: str, *, is_static: bool, session_timeout_s: float, now: float) -> None:
        """Begin to join. `is_static`: it has a `group.instance.id`, and comes back under it."""
        self._id = member_id
        self._is_static = is_static
        self._session_timeout_s = session_timeout_s
        self._refused_since: float | None = None
        self.state = MemberState.JOINING
        self.epoch = _JOINING
        self._next_at = now
        self._interval_s = _INTERVAL_S
        self._backoff_s = _BACKOFF_S[0]
        self._is_under_way = False
        self._target = self._owned = self._held = _NOTHING
        self._told: Roles | None = None
        self._may_have_missed = False
        self._asks_next = False
        self._asks_again_at = _NEVER
        self._number = 0
        self._endpoint_epoch = _NO_ENDPOINTS
        self._endpoints: Mapping[tuple[str, int], EndpointTasks] = {}
        self._statuses: Mapping[GroupStatus, str] = {}
        self._stops_application = False
        self._leaving_epoch = _LEAVING

    @property
    def owned(self) -> Roles:
        """What the worker has, as far as it has said."""
        return self._owned

    # ── the worker ───────────────────────────────────────────────────────────────────────────────────────────────

    def acknowledge(self, number: int, now: float) -> None:
        """Hear that the worker has dropped what it was to drop, and has the roles of an assignment."""
        if self.state is MemberState.RECONCILING and number == self._number:
            self._owned = self._held = self._target
            # Said also where it is what was said before: a task may have come and gone meanwhile, and is waited for.
            self._told = None
            self.state = MemberState.ACKNOWLEDGING
            self._next_at = now

    def released(self, now: float) -> None:
        """Hear that the worker has dropped all tasks after `Lost`: it may join again."""
        if self.state is MemberState.FENCED:
            self.state = MemberState.JOINING
            self._next_at = now

    def leave(self, now: float, *, for_good: bool) -> None:
        """Leave; the worker has dropped all tasks. The place of a static member is kept, unless it leaves for good."""
        if self.state is MemberState.ENDED:
            return
        self._leaving_epoch = _LEAVING_FOR_A_WHILE if self._is_static and not for_good else _LEAVING
        self.state = MemberState.LEAVING
        self._next_at = now

    def stop_application(self, now: float) -> None:
        """Let all members of the group stop: said with the next heartbeat, which is due."""
        self._stops_application = True
        self._next_at = now

    def ask_for_endpoints(self) -> None:
        """Ask for all endpoints with the next heartbeat: a broker may keep those of who is gone."""
        self._endpoint_epoch = _NO_ENDPOINTS

    # ── the coordinator ──────────────────────────────────────────────────────────────────────────────────────────

    def due(self, now: float) -> Heartbeat | Ask | None:
        """Return what is to be said now, if anything is; it is under way then."""
        if self._is_under_way or now < self.next_time():
            return None
        self._is_under_way = True
        self._next_at = now + self._interval_s
        if self._asks_next and self.state in _IN_GROUP:
            self._asks_next = False
            return Ask()
        if self.state is MemberState.LEAVING:
            return Heartbeat(self._leaving_epoch, False, None, self._endpoint_epoch, self._stops_application)
        joins = self.state is MemberState.JOINING
        # Invariant: what the worker may have taken up already, of an assignment that it has not acknowledged, is owned
        # too: a coordinator gives to others what a member leaves out, and takes its commits all the same.
        owned = self._held if joins or self._owned != self._told else None
        self._told = self._owned
        if self.state is MemberState.ACKNOWLEDGING:
            self.state = MemberState.STABLE
        return Heartbeat(self.epoch, joins, owned, self._endpoint_epoch, self._stops_application)

    def next_time(self) -> float:
        """When something is to be said, unless an event comes first."""
        is_silent = self.state in (MemberState.FENCED, MemberState.ENDED)
        return _NEVER if is_silent or self._is_under_way else self._next_at

    def answered(self, heartbeat: Heartbeat, answer: HeartbeatAnswer, now: float) -> list[Effect]:
        """Take an answer."""
        self._is_under_way = False
        if self._is_over(heartbeat):
            return self._end(None)
        if self.state not in (MemberState.JOINING, *_IN_GROUP):
            return []
        self._refused_since = None
        self._backoff_s = _BACKOFF_S[0]
        effects: list[Effect] = []
        if heartbeat.endpoint_epoch == self._endpoint_epoch:
            # Else somebody has asked for all of them meanwhile.
            self._endpoint_epoch = answer.endpoint_epoch
        if answer.epoch != self.epoch:
            self.epoch = answer.epoch
            effects.append(EpochChanged(self._id, answer.epoch))
            if heartbeat.endpoint_epoch != _NO_ENDPOINTS:
                # Somebody has come or gone, and a broker (4.4.0) keeps the endpoint of who has gone.
                self._endpoint_epoch = _NO_ENDPOINTS
        if answer.endpoints is not None and answer.endpoints != self._endpoints:
            self._endpoints = answer.endpoints
            effects.append(EndpointsChanged(answer.endpoints))
        if answer.statuses != self._statuses:
            self._statuses = answer.statuses
            effects.append(StatusChanged(answer.statuses))
        is_joining = self.state is MemberState.JOINING
        if answer.roles is not None or is_joining:
            self._may_have_missed = False
        moved = self._assigned(answer.roles or _NOTHING if is_joining else answer.roles)
        effects += moved
        self._interval_s = self._interval(answer, is_rebalancing=bool(effects))
        if self.state is not MemberState.ACKNOWLEDGING:
            self._next_at = min(self._next_at, now + self._interval_s)
        if now >= self._asks_again_at:
            self._asks_again_at, self._may_have_missed = _NEVER, True
        if self._may_have_missed:
            self._asks_next, self._next_at = True, now
        return effects

    def described(self, roles: Roles | None, now: float) -> list[Effect]:
        """Take what the group has assigned to this member; None where it does not know it, as a heartbeat will say."""
        self._is_under_way = False
        if self.state not in _IN_GROUP:
            return []
        self._may_have_missed = roles is None
        # What came and went again unheard is waited for until somebody says that it is not here.
        self._told, self._next_at = None, now
        return self._assigned(roles)

    def not_described(self, now: float) -> None:
        """Hear that the question got no answer, or an error: the next heartbeat leads to it again."""
        self._is_under_way = False
        if self.state in _IN_GROUP:
            self._back_off(now)

    def _assigned(self, roles: Roles | None) -> list[Effect]:
        if roles is None or (roles == self._target and self.state is not MemberState.JOINING):
            return []
        self._target = roles
        self._held = self._held.joined_with(roles)
        self._number += 1
        self.state = MemberState.RECONCILING
        return [Assigned(self._number, roles)]

    def _interval(self, answer: HeartbeatAnswer, *, is_rebalancing: bool) -> float:
        wished_s = _REBALANCING_S if is_rebalancing else _INTERVAL_S
        return min(wished_s, answer.interval_ms / 1000)

    def refused(self, heartbeat: Heartbeat, refusal: Refusal, said: str, now: float) -> list[Effect]:
        """Take an error."""
        self._is_under_way = False
        if self._is_over(heartbeat):
            return self._end(None)
        if self.state not in (MemberState.JOINING, *_IN_GROUP):
            return []
        self._told = None
        match refusal:
            case Refusal.TRY_AGAIN:
                self._back_off(now)
            case Refusal.FENCED:
                return self._lose(said, now)
            case Refusal.INSTANCE_IN_USE if heartbeat.joins and not self._has_waited_enough(now):
                # A live owner would lose tasks by being asked more often.
                self._next_at = now + self._session_timeout_s / _ASKED_IN_A_SESSION
            case _:
                return self._end(said)
        return []

    def unanswered(self, heartbeat: Heartbeat, now: float) -> list[Effect]:
        """Hear that a request got no answer; the broker may have heard it, and gone on."""
        self._is_under_way = False
        if self._is_over(heartbeat):
            return self._end(None)
        self._told = None
        self._may_have_missed = True
        self._asks_again_at = now + _ARRIVED_S
        if self.state is not MemberState.LEAVING:
            self._back_off(now)
        return []

    def _is_over(self, heartbeat: Heartbeat) -> bool:
        return heartbeat.epoch < 0

    def _back_off(self, now: float) -> None:
        self._next_at = now + self._backoff_s
        self._backoff_s = min(2 * self._backoff_s, _BACKOFF_S[1])

    def _has_waited_enough(self, now: float) -> bool:
        """Whether a dead owner's session must have ended: then the owner is alive."""
        if self._refused_since is None:
            self._refused_since = now
        return now - self._refused_since > _SESSIONS_WAITED * self._session_timeout_s

    def _lose(self, reason: str, now: float) -> list[Effect]:
        self.epoch = _JOINING
        self._target = self._owned = self._held = _NOTHING
        self._may_have_missed = self._asks_next = False
        self._asks_again_at = _NEVER
        had_tasks = self.state is not MemberState.JOINING
        self.state = MemberState.FENCED
        if had_tasks:
            return [Lost(reason)]
        # There is nothing to drop.
        self.state = MemberState.JOINING
        self._back_off(now)
        return []

    def _end(self, reason: str | None) -> list[Effect]:
        has_tasks = self.state not in (MemberState.JOINING, MemberState.LEAVING, MemberState.FENCED)
        self.state = MemberState.ENDED
        lost: list[Effect] = [Lost(reason)] if reason is not None and has_tasks else []
        return [*lost, Ended(reason)]
