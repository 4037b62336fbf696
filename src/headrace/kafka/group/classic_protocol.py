"""A member of a classic group: its machine, with the messages that it speaks in, and the assignor where it leads."""

from collections.abc import Mapping, Sequence
from typing import assert_never

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication
from headrace.group.classic_member import (
    ClassicMember,
    ClassicRefusal,
    ClassicState,
    Heartbeat,
    Join,
    Lead,
    Leave,
    Request,
    Sync,
)
from headrace.group.leader import decide
from headrace.group.members import Roles
from headrace.group.membership import (
    Effect,
    EndpointsChanged,
    EndpointTasks,
    GroupStatus,
    StatusChanged,
)
from headrace.group.user_data import (
    Endpoint,
    LeaderWord,
    MemberWord,
    TaskProgress,
    UserDataError,
    read_leader_word,
    read_member_word,
    write_leader_word,
    write_member_word,
)
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.group.classic_wire import (
    ClassicIdentity,
    assignment,
    heartbeat_request,
    join_request,
    leave_request,
    read_assigned,
    read_joined,
    subscription,
    sync_request,
)
from headrace.kafka.group.errors import (
    COORDINATOR_MOVED,
    GroupRequest,
    classic_refusal,
    is_name_given,
    refused,
)
from headrace.kafka.group.protocol import BrokerFacts, Heard, Question
from headrace.kafka.net.errors import NetworkError
from headrace.kafka.net.messages import ApiMessage
from headrace.log.membership import JoinOptions

__all__ = ["ClassicProtocol"]

# Left for the answer itself. Source: AbstractCoordinator.JOIN_GROUP_TIMEOUT_LAPSE.
_LAPSE_MS = 5_000

_NEVER = float("inf")


class ClassicProtocol:
    """See `GroupProtocol`."""

    waits_for = None

    def __init__(
        self,
        group: str,
        application: GroupApplication,
        options: JoinOptions,
        *,
        session_timeout_ms: int,
        heartbeat_interval_ms: int,
        now: float,
    ) -> None:
        self._application = application
        self._options = options
        self._identity = ClassicIdentity(
            group=group,
            session_timeout_ms=session_timeout_ms,
            rebalance_timeout_ms=options.max_poll_interval_ms,
            instance_id=options.instance_id,
        )
        self._heartbeat_s = heartbeat_interval_ms / 1000
        self._asked: Request | None = None
        self._progress: Mapping[TaskId, TaskProgress] = options.progress
        self._number = 0
        self._stops_application = False
        self._word = LeaderWord()
        self._endpoints: Mapping[Endpoint, Roles] = {}
        self._assignments: Mapping[str, bytes] = {}
        self._probe_at = _NEVER
        # A static member is known by its instance: with an id of two lives ago, it would be refused.
        self._machine = self._new_machine(now, "" if self._is_static else options.member_id)
        self._is_back = self._is_static

    def _new_machine(self, now: float, member_id: str = "") -> ClassicMember:
        return ClassicMember(
            is_static=self._is_static, heartbeat_s=self._heartbeat_s, now=now, member_id=member_id
        )

    @property
    def _is_static(self) -> bool:
        return self._identity.instance_id is not None

    @property
    def has_ended(self) -> bool:
        """See `GroupProtocol`."""
        return self._machine.state is ClassicState.ENDED

    def obstacle(self, facts: BrokerFacts) -> str | None:
        """Say nothing: every broker has it."""
        return None

    # ── the coordinator ──────────────────────────────────────────────────────────────────────────────────────────

    def next_time(self) -> float:
        """See `GroupProtocol.next_time`."""
        if self._asked is not None:
            return _NEVER
        return min(self._machine.next_time(), self._probe_at)

    def ask(self, facts: BrokerFacts, now: float) -> Question | None:
        """See `GroupProtocol.ask`."""
        if now < self.next_time():
            return None
        identity = self._identity
        if now >= self._probe_at:
            self._probe_at = _NEVER
            self._machine.rejoin(now)
        self._asked = request = self._machine.due(now)
        slow_ms = identity.rebalance_timeout_ms + _LAPSE_MS
        match request:
            case None:
                return None
            case Join():
                self._probe_at = _NEVER
                return Question(
                    join_request(identity, request.member_id, self._metadata()), slow_ms, is_slow=True
                )
            case Sync():
                given = self._assignments if request.assignments else {}
                return Question(sync_request(identity, request, given), slow_ms, is_slow=True)
            case Heartbeat():
                return Question(heartbeat_request(identity, request))
            case Leave():
                return Question(leave_request(identity.group, request.member_id, identity.instance_id))
            case _:
                assert_never(request)

    def _metadata(self) -> bytes:
        self._number += 1
        word = MemberWord(
            self._options.process_id,
            self._machine.owned,
            self._progress,
            self._options.client_tags,
            self._options.endpoint,
            self._number,
            self._stops_application,
        )
        topics = frozenset[str]().union(*(each.topics_read for each in self._application.subtopologies))
        return subscription(topics, write_member_word(word))

    def answered(self, answer: ApiMessage, now: float) -> Heard:
        """See `GroupProtocol.answered`."""
        asked, self._asked = self._asked, None
        if asked is None or isinstance(asked, Leave):
            return Heard(self._machine.left())
        code = ErrorCode(answer.error_code)
        if code is ErrorCode.NONE:
            return Heard(self._heard(asked, answer, now), is_member=True)
        if isinstance(asked, Join) and is_name_given(code):
            self._machine.named(answer.member_id, now)
            return Heard()
        kind = _KINDS[type(asked)]
        words = refused(kind, self._identity.group, code)
        return Heard(
            self._machine.refused(classic_refusal(kind, code), words, now), code in COORDINATOR_MOVED
        )

    def _heard(self, asked: Join | Sync | Heartbeat, answer: ApiMessage, now: float) -> Sequence[Effect]:
        match asked:
            case Join():
                joined, told = read_joined(answer)
                effects: list[Effect] = []
                for effect in self._machine.joined(joined, now):
                    if isinstance(effect, Lead):
                        self._lead(effect, told, now)
                    else:
                        effects.append(effect)
                return effects
            case Sync():
                return self._synced(read_assigned(answer), now)
            case Heartbeat():
                self._machine.heard()
                return ()

    def _lead(self, lead: Lead, told: Mapping[str, bytes], now: float) -> None:
        words: dict[str, MemberWord | None] = {}
        for name, data in told.items():
            try:
                words[name] = read_member_word(data)
            except UserDataError:
                # It is told so, and ends with the reason; the others are none the worse for it.
                words[name] = None
        decision = decide(words, self._application, self._options.assignment)
        self._assignments = {
            name: assignment(
                (each for task in word.roles.active for each in self._application.inputs(task)),
                write_leader_word(word),
            )
            for name, word in decision.words.items()
        }
        if not decision.is_final:
            self._probe_at = now + self._options.probing_rebalance_interval_ms / 1000
        self._machine.lead(lead.generation, self._assignments, now)

    def _synced(self, data: bytes, now: float) -> Sequence[Effect]:
        try:
            word = read_leader_word(data)
        except UserDataError as error:
            return self.give_up(f"{self._cannot} cannot be read: {error}. Upgrade this instance", now)
        if word.is_refused:
            return self.give_up(
                f"{self._cannot} says that it cannot read what this one tells: it is an earlier headrace. Stop all "
                f"instances of that one first",
                now,
            )
        effects = self._machine.synced(word.roles, now, is_all=word.is_all)
        if not effects:
            return effects  # it leaves meanwhile
        before, self._word = self._word, word
        if word.stops_application != before.stops_application:
            stops = {GroupStatus.SHUTDOWN_APPLICATION: ""} if word.stops_application else {}
            effects.append(StatusChanged(stops))
        if word.endpoints != self._endpoints:
            effects.append(self._endpoints_changed(word.endpoints))
        return effects

    @property
    def _cannot(self) -> str:
        return f"cannot work in group {self._identity.group!r}: the word of its leader"

    def _endpoints_changed(self, endpoints: Mapping[Endpoint, Roles]) -> EndpointsChanged:
        self._endpoints = endpoints
        return EndpointsChanged(
            {
                endpoint: EndpointTasks(self._inputs(roles.active), self._inputs(roles.standby))
                for endpoint, roles in endpoints.items()
            }
        )

    def _inputs(self, tasks: frozenset[TaskId]) -> Mapping[str, Sequence[int]]:
        found: dict[str, list[int]] = {}
        for task in sorted(tasks):
            for topic, partition in self._application.inputs(task):
                found.setdefault(topic, []).append(partition)
        return found

    def unanswered(self, error: NetworkError, now: float) -> Sequence[Effect]:
        """See `GroupProtocol.unanswered`."""
        asked, self._asked = self._asked, None
        return () if asked is None else self._machine.unanswered(asked, now)

    def give_up(self, reason: str, now: float) -> Sequence[Effect]:
        """See `GroupProtocol.give_up`."""
        self._asked = None
        return self._machine.refused(ClassicRefusal.FINAL, reason, now)

    # ── the worker ───────────────────────────────────────────────────────────────────────────────────────────────

    def acknowledge(self, number: int, now: float) -> None:
        """See `Membership.acknowledge`."""
        if self._is_back or self._gives_up_for_others():
            # A static member that comes back gets its old tasks, and nobody is told where it lives now; so it says it.
            # Source: KIP-345; tried.
            self._machine.rejoin(now)
        self._is_back = False
        self._machine.acknowledge(number, now)

    def _gives_up_for_others(self) -> bool:
        """Whether it has dropped a task, in whatever role, that another member of its process may be waiting for."""
        had, has = self._machine.owned, self._word.roles
        return not self._word.is_all and not _all(had) <= _all(has)

    def released(self, now: float) -> None:
        """See `Membership.dropped`."""
        self._machine.released(now)

    def report(self, progress: Mapping[TaskId, TaskProgress]) -> None:
        """See `Membership.report`: told with the next join."""
        self._progress = dict(progress)

    def rejoin(self, application: GroupApplication | None, now: float) -> None:
        """See `Membership.rejoin`."""
        self._application = application or self._application
        self._machine.rejoin(now)

    def stop_application(self, now: float) -> None:
        """See `Membership.stop_application`."""
        self._stops_application = True
        self._machine.rejoin(now)

    def ask_for_endpoints(self) -> None:
        """Do nothing: all are told with each assignment, and none is kept."""

    def leave(self, now: float, *, for_good: bool) -> Sequence[Effect]:
        """See `Membership.leave`."""
        return self._machine.leave(now, for_good=for_good)

    def begin_anew(self, now: float) -> None:
        """See `GroupProtocol.begin_anew`."""
        self._asked, self._word, self._probe_at = None, LeaderWord(), _NEVER
        self._machine = self._new_machine(now)
        self._is_back = self._is_static


_KINDS: Mapping[type, GroupRequest] = {
    Join: GroupRequest.JOIN,
    Sync: GroupRequest.SYNC,
    Heartbeat: GroupRequest.HEARTBEAT,
}


def _all(roles: Roles) -> frozenset[TaskId]:
    return roles.active | roles.standby | roles.warmup
