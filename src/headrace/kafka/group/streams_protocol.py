"""A member of a streams group (KIP-1071): its machine, with the messages that it speaks in."""

import uuid
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication
from headrace.group.membership import Effect
from headrace.group.streams_member import Ask, Heartbeat, MemberState, Refusal, StreamsMember
from headrace.group.user_data import TaskProgress
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.group.errors import COORDINATOR_MOVED, GroupRequest, refused, streams_refusal
from headrace.kafka.group.protocol import BrokerFacts, Heard, Question
from headrace.kafka.group.streams_wire import (
    StreamsIdentity,
    describe_request,
    heartbeat_request,
    leave_request,
    read_described,
    read_heartbeat,
)
from headrace.kafka.net.errors import NetworkError
from headrace.kafka.net.messages import ApiMessage
from headrace.log.membership import JoinOptions

__all__ = ["StreamsProtocol"]

# Static members, and offsets of tasks: a 4.3 broker refuses both (tried), and has version 0 alone.
_STATIC_SINCE = _OFFSETS_SINCE = 1

_RELEASE_BACKOFF_S = 0.5

# Source: group.streams.task.offset.interval.ms of 4.4; used until a broker has said.
_OFFSETS_EVERY_S = 60.0


class _Release(NamedTuple):
    """What a static member says in the name of its former life, which has not said it: that its place is free.

    A broker (4.4.0) lets nobody in, not even the same member, while the session of the former life goes on.
    """


class StreamsProtocol:
    """See `GroupProtocol`."""

    def __init__(
        self,
        group: str,
        application: GroupApplication,
        options: JoinOptions,
        *,
        session_timeout_s: float,
        rack: str | None,
        now: float,
    ) -> None:
        self._application = application
        self._identity = StreamsIdentity(
            group=group,
            member_id=options.member_id or str(uuid.uuid4()),
            process_id=options.process_id,
            rebalance_timeout_ms=options.max_poll_interval_ms,
            instance_id=options.instance_id,
            rack=rack,
            endpoint=options.endpoint,
            tags=options.client_tags,
        )
        self._session_timeout_s = session_timeout_s
        self._must_release = self._is_static and bool(options.member_id)
        self._release_at = now
        self._asked: Heartbeat | Ask | _Release | None = None
        self._progress: Mapping[TaskId, TaskProgress] = options.progress
        self._told: tuple[Mapping[TaskId, int], Mapping[TaskId, int]] | None = None
        self._offsets_every_s = _OFFSETS_EVERY_S
        self._offsets_at = now
        self._acceptable_lag = -1
        self.waits_for: str | None = None
        self._machine = self._new_machine(now)

    def _new_machine(self, now: float) -> StreamsMember:
        return StreamsMember(
            self._identity.member_id,
            is_static=self._is_static,
            session_timeout_s=self._session_timeout_s,
            now=now,
        )

    @property
    def _is_static(self) -> bool:
        return self._identity.instance_id is not None

    @property
    def has_ended(self) -> bool:
        """See `GroupProtocol`."""
        return self._machine.state is MemberState.ENDED

    def obstacle(self, facts: BrokerFacts) -> str | None:
        """See `GroupProtocol.obstacle`."""
        group = self._identity.group
        if facts.streams_heartbeat is None or facts.streams_version < 1:
            return (
                f"cannot join group {group!r} with group.protocol=streams: the brokers are too old, or have the "
                f"feature streams.version off; it needs Kafka 4.2.1 or later. Set group.protocol=classic"
            )
        if self._is_static and facts.streams_heartbeat < _STATIC_SINCE:
            return (
                f"cannot join group {group!r} with group.protocol=streams and group.instance.id: brokers before 4.4 "
                f"have no static members in such groups. Leave group.instance.id out, or set group.protocol=classic"
            )
        return None

    # ── the coordinator ──────────────────────────────────────────────────────────────────────────────────────────

    def next_time(self) -> float:
        """See `GroupProtocol.next_time`."""
        if self._asked is not None:
            return float("inf")
        wanted = self._machine.next_time()
        return max(wanted, self._release_at) if self._releases else wanted

    @property
    def _releases(self) -> bool:
        return self._must_release and self._machine.state is MemberState.JOINING

    def ask(self, facts: BrokerFacts, now: float) -> Question | None:
        """See `GroupProtocol.ask`."""
        if now < self.next_time():
            return None
        identity, version = self._identity, facts.streams_heartbeat or 0
        if self._releases:
            self._asked = _Release()
            member_id, instance_id = identity.member_id, identity.instance_id
            free = leave_request(identity.group, member_id, instance_id, is_back_soon=True)
            return _versioned(free, version)
        self._asked = said = self._machine.due(now)
        match said:
            case None:
                return None
            case Ask():
                return Question(describe_request(identity.group))
            case Heartbeat():
                offsets, ends = self._offsets(said, version, now)
                return _versioned(
                    heartbeat_request(said, identity, self._application, offsets, ends), version
                )

    def _offsets(
        self, said: Heartbeat, version: int, now: float
    ) -> tuple[Mapping[TaskId, int] | None, Mapping[TaskId, int] | None]:
        """Return how far the state is of tasks that are not run here: what the broker's assignor goes by (4.4.0).

        None where that has not changed, as with everything in a heartbeat.
        """
        is_due = said.joins or said.owned is not None or now >= self._offsets_at or self._is_warm()
        if version < _OFFSETS_SINCE or not is_due or said.epoch < 0:
            return None, None
        self._offsets_at = now + self._offsets_every_s
        idle = {task: at for task, at in self._progress.items() if task not in self._machine.owned.active}
        told = {task: at.offset for task, at in idle.items()}, {task: at.end for task, at in idle.items()}
        before, self._told = self._told, told
        if before is None:
            return told
        return tuple(new if new != old else None for new, old in zip(told, before))  # type: ignore[return-value]  # two

    def _is_warm(self) -> bool:
        """Whether a task is ready to be run here: a broker that warms tasks up wants to know it at once."""
        nothing = TaskProgress(0, self._acceptable_lag + 1)
        warm = (self._progress.get(task, nothing) for task in self._machine.owned.warmup)
        return any(at.end - at.offset <= self._acceptable_lag for at in warm)

    def answered(self, answer: ApiMessage, now: float) -> Heard:
        """See `GroupProtocol.answered`."""
        asked, self._asked = self._asked, None
        match asked:
            case Heartbeat():
                return self._heartbeat_answered(asked, answer, now)
            case Ask():
                return self._described(answer, now)
            case _:
                # Whatever it says: where the place is still taken, the join is told so.
                self._must_release = False
                return Heard(has_moved=ErrorCode(answer.error_code) in COORDINATOR_MOVED)

    def _heartbeat_answered(self, asked: Heartbeat, answer: ApiMessage, now: float) -> Heard:
        self.waits_for = None
        code = ErrorCode(answer.error_code)
        if code is ErrorCode.NONE:
            # Brokers before 4.4 do not say it, and warm nothing up.
            self._acceptable_lag = answer.acceptable_recovery_lag
            if answer.task_offset_interval_ms > 0:
                self._offsets_every_s = answer.task_offset_interval_ms / 1000
            return Heard(self._machine.answered(asked, read_heartbeat(answer), now), is_member=True)
        self._told = None
        request = GroupRequest.STREAMS_JOIN if asked.joins else GroupRequest.STREAMS_HEARTBEAT
        refusal = streams_refusal(request, code)
        words = refused(request, self._identity.group, code, answer.error_message)
        effects = self._machine.refused(asked, refusal, words, now)
        if refusal is Refusal.INSTANCE_IN_USE and not self.has_ended:
            self.waits_for = words
        return Heard(effects, code in COORDINATOR_MOVED)

    def _described(self, answer: ApiMessage, now: float) -> Heard:
        (group,) = answer.groups
        code = ErrorCode(group.error_code)
        if code is ErrorCode.NONE:
            return Heard(self._machine.described(read_described(group, self._identity.member_id), now))
        self._machine.not_described(now)
        return Heard(has_moved=code in COORDINATOR_MOVED)

    def unanswered(self, error: NetworkError, now: float) -> Sequence[Effect]:
        """See `GroupProtocol.unanswered`."""
        asked, self._asked = self._asked, None
        self._told = None
        match asked:
            case Heartbeat():
                # A static member's second join is refused, where the first one was heard.
                self._must_release = self._must_release or (asked.joins and self._is_static)
                return self._machine.unanswered(asked, now)
            case Ask():
                self._machine.not_described(now)
            case _:
                self._release_at = now + _RELEASE_BACKOFF_S
        return ()

    def give_up(self, reason: str, now: float) -> Sequence[Effect]:
        """See `GroupProtocol.give_up`."""
        asked = self._asked if isinstance(self._asked, Heartbeat) else Heartbeat(0, True, None, 0, False)
        self._asked = None
        return self._machine.refused(asked, Refusal.FINAL, reason, now)

    # ── the worker ───────────────────────────────────────────────────────────────────────────────────────────────

    def acknowledge(self, number: int, now: float) -> None:
        """See `Membership.acknowledge`."""
        self._machine.acknowledge(number, now)

    def released(self, now: float) -> None:
        """See `Membership.dropped`."""
        self._machine.released(now)

    def report(self, progress: Mapping[TaskId, TaskProgress]) -> None:
        """See `Membership.report`: told with the next join or assignment, and at the broker's interval."""
        self._progress = dict(progress)

    def rejoin(self, application: GroupApplication | None, now: float) -> None:
        """Do nothing but remember what to say in the next join: the broker sees topics and offsets itself."""
        self._application = application or self._application

    def stop_application(self, now: float) -> None:
        """See `Membership.stop_application`."""
        self._machine.stop_application(now)

    def ask_for_endpoints(self) -> None:
        """See `Membership.ask_for_endpoints`."""
        self._machine.ask_for_endpoints()

    def leave(self, now: float, *, for_good: bool) -> Sequence[Effect]:
        """See `Membership.leave`."""
        self._machine.leave(now, for_good=for_good)
        return ()

    def begin_anew(self, now: float) -> None:
        """See `GroupProtocol.begin_anew`. Under the same id, which nobody else has."""
        self._asked = self._told = None
        self._machine = self._new_machine(now)


def _versioned(message: ApiMessage, version: int) -> Question:
    message.API_VERSION = version
    return Question(message)
