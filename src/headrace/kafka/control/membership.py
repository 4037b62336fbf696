"""Being the only instance of an application: its group is the lock, and this instance the one member that works in it.

A member of the classic protocol, which all brokers have. The group's leader gives everything to itself, and to whoever
else joins nothing but its name. Static (KIP-345): the instance id is that of the state directory, which only one
process has locked, so that a process in its place takes its membership over.

| what happens | what holds |
| --- | --- |
| a second instance starts | its JoinGroup makes the coordinator ask the first to join again, which it does at its next heartbeat; it stays the leader and tells the second who it is. That one leaves, with an error |
| both start at once | one is the leader of the first generation, the other one leaves |
| the first is killed; another process starts in its state directory | it replaces the member at once: nobody waits |
| the first is killed; another one starts elsewhere | its JoinGroup is answered when the session of the first is over |
| the first is silent for longer than its session (asleep, cut off) | it is no member any more, and the coordinator takes no offsets from it. Awake again it joins anew: where nobody has taken over, it goes back to its last commit; else it is fenced |
| the coordinator moves or restarts | members and generation are in its log; everybody has a new session |
| the process stops | it leaves, and the next one may start at once; told to stay, it is as one that was killed |

# Invariant: offsets are committed only as the member that the positions were read as (`member`), and a generation does
# not change while a commit is under way: the coordinator changes it only in answer to our JoinGroup, which waits for the
# commit. So nobody else has been the leader between the two.
"""  # noqa: E501 - a table cannot be wrapped

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kafka.protocol.consumer import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    HeartbeatRequest,
    JoinGroupRequest,
    LeaveGroupRequest,
    SyncGroupRequest,
)

from headrace.base.errors import AlreadyRunningError, FencedError, LogError, LogUnavailableError
from headrace.kafka.control.admin import Admin, Attempts
from headrace.kafka.control.coordinators import Coordinators
from headrace.kafka.control.errors import ControlRemedy, ControlRequest
from headrace.kafka.control.groups import ControlGroups, live_members
from headrace.kafka.net.network import ApiMessage
from headrace.kafka.net.waiting import Waiting
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.kafka.transaction.messages import GroupMember

__all__ = ["PROTOCOL", "Membership"]

_log = logging.getLogger("headrace.group")

#: Consumers, so that Kafka's tools show the group and its offsets; of a protocol that no other client has, so that the
#: coordinator lets nobody but headrace in.
_PROTOCOL_TYPE, PROTOCOL = "consumer", "headrace"

#: Longer than a commit may take while a second instance waits for an answer (`delivery.timeout.ms`).
#: Source: max.poll.interval.ms, by which Kafka's consumer has the coordinator wait for members.
_REBALANCE_MS = 300_000

#: Left for the answer itself. Source: AbstractCoordinator.JOIN_GROUP_TIMEOUT_LAPSE.
_LAPSE_MS = 5_000

_LEAVE_SECONDS = 3.0


class Membership:
    """One instance in its group. `join` first, then a thread keeps it in until `leave` or `close`."""

    def __init__(
        self,
        settings: ConnectionSettings,
        options: KafkaOptions,
        group: str,
        instance_id: str,
        waiting: Waiting,
    ) -> None:
        self._group = group
        self._instance_id = instance_id
        self._session_timeout_ms = options.session_timeout_ms
        self._heartbeat_s = options.heartbeat_interval_ms / 1000
        self._rebalance_ms = max(_REBALANCE_MS, 2 * options.delivery_timeout_ms)
        # Connections of its own: a broker answers nothing else on one that has a JoinGroup under way.
        self._admin = Admin(settings, waiting, purpose="member")
        self._coordinators = Coordinators(self._admin)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        # Held by a commit, and while the membership moves.
        self._moving = threading.Lock()
        self._member = GroupMember(instance_id=instance_id)
        self._failure: LogError | None = None
        self._waits_for: str | None = None
        self._has_asked = False

    @property
    def waits_for(self) -> str | None:
        """What `join` waits for, for people to read; None where it waits for nobody."""
        return self._waits_for

    @property
    def failure(self) -> LogError | None:
        """Why this instance may not work any more; None while it may."""
        return self._failure

    @property
    def is_kept(self) -> bool:
        """Whether it has joined, and a thread keeps it in."""
        return self._thread is not None and self._failure is None

    @property
    def group(self) -> str:
        """The group's name."""
        return self._group

    @contextmanager
    def member(self) -> Iterator[GroupMember]:
        """Lend the member to commit as; it stays the same until it is given back. Waits while it moves.

        A member with another id than before has joined anew: others may have worked, and committed, in between.

        Raises:
            FencedError: another instance has taken over.
            LogUnavailableError: it is no member now, since the coordinator does not answer.
            LogError: the group cannot be joined any more.
        """
        with self._moving:
            if self._failure is not None:
                raise self._failure
            if not self._member.member_id:
                raise LogUnavailableError(
                    f"cannot work as group {self._group!r}: its coordinator has dropped this instance, which was "
                    f"silent for longer than session.timeout.ms={self._session_timeout_ms}, and does not answer now"
                )
            yield self._member

    def join(self) -> None:
        """Become the one instance. Blocks until the coordinator answers: for the session of one that was killed.

        Raises:
            AlreadyRunningError: another one lives.
            LogError: the group cannot be joined, or the cluster cannot be reached.
        """
        self._look()
        try:
            self._join()
        except FencedError as error:
            raise AlreadyRunningError(str(error)) from None
        finally:
            self._waits_for = None
        self._thread = threading.Thread(target=self._stay, name=f"{self._group}-heartbeat", daemon=True)
        self._thread.start()

    def _look(self) -> None:
        """Say at once what is waited for, and refuse what will not go away."""
        # A cluster that cannot be reached, or a group that may not be joined: that is said here, and only once.
        self._coordinators.find(self._begin("find the coordinator of"), self._group)
        try:
            state = ControlGroups(self._admin).state(self._group)
        except LogUnavailableError:
            raise
        except LogError:
            return  # a principal that may not look is told so when it joins, if it may not do that either
        if state.is_empty or set(state.instances) == {self._instance_id}:
            return
        if state.kind != "classic" or state.protocol not in ("", PROTOCOL):
            raise LogError(live_members(self._group, state))
        others = ", ".join(state.where)
        self._waits_for = (
            f"group {self._group!r} has a member already ({others}): one that lives answers within its "
            f"heartbeat.interval.ms, and this instance stops; for one that was killed it waits until its session is "
            f"over, {self._session_timeout_ms / 1000:g} s at most (session.timeout.ms)"
        )
        _log.warning("%s", self._waits_for)
        if self._instance_id in state.instances:
            # Left behind by a process that died while it was told of the owner. Who takes such a place over is answered
            # with what the owner said then, dead or alive; who comes anew makes the owner answer, or lose its session.
            self._leave()

    def _stay(self) -> None:
        while not self._stopping.wait(self._heartbeat_s):
            try:
                self._beat()
            except LogUnavailableError:
                pass  # brokers are away, which those who need them tell; the session goes on, or begins anew
            except LogError as error:
                if not self._stopping.is_set():
                    self._failure = error
                return

    def _beat(self) -> None:
        todo = self._heartbeat() if self._member.member_id else ControlRemedy.EXPELLED
        if todo is ControlRemedy.TAKE:
            return
        # While a commit is under way the next heartbeat asks again: the coordinator waits, others with it.
        if not self._moving.acquire(timeout=self._heartbeat_s):
            return
        try:
            if todo is ControlRemedy.EXPELLED:
                self._member = GroupMember(instance_id=self._instance_id)
            self._join()
        finally:
            self._moving.release()

    def leave(self) -> None:
        """Let another instance start at once, as far as the coordinator answers in a few seconds. Twice is fine."""
        self._stop()
        if self._has_asked and self._failure is None:
            with suppress(LogError):
                self._leave()
        self._admin.close()

    def close(self) -> None:
        """Say nothing more, and stay a member until the session is over, as if the process were killed."""
        self._stop()
        self._admin.close()

    def _stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_LEAVE_SECONDS)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _join(self) -> None:
        """Join, or join again, until the leader has said who works: this instance, or it raises FencedError."""
        while True:
            attempts = self._begin("join", (self._rebalance_ms + _LAPSE_MS) / 1000)
            joined = self._joined(attempts)
            given = self._given(attempts, joined)
            if given is None:
                continue
            owner, _, name = ConsumerProtocolAssignment.decode(given).user_data.decode().partition(" ")
            if owner == self._instance_id:
                return
            with suppress(LogError):
                self._leave()
            raise FencedError(
                f"cannot run as group {self._group!r}: another instance of the application is alive, {name}. It has "
                f"all partitions. Stop it first, or choose another application.id"
            )

    def _joined(self, attempts: Attempts) -> Any:
        protocol = JoinGroupRequest.JoinGroupRequestProtocol(
            name=PROTOCOL,
            # Without topics, which patterns would change: the worker commits every offset again now and then, so that
            # none expires.
            metadata=ConsumerProtocolSubscription(version=0, topics=[], user_data=None).encode(),
        )
        self._has_asked = True
        while True:
            request = JoinGroupRequest(
                group_id=self._group,
                session_timeout_ms=self._session_timeout_ms,
                rebalance_timeout_ms=self._rebalance_ms,
                member_id=self._member.member_id,
                group_instance_id=self._instance_id,
                protocol_type=_PROTOCOL_TYPE,
                protocols=[protocol],
            )
            answer, todo = self._ask(
                attempts, ControlRequest.JOIN_GROUP, request, timeout_ms=attempts.left_ms
            )
            if todo is ControlRemedy.TAKE:
                self._member = GroupMember(answer.member_id, answer.generation_id, self._instance_id)
                return answer
            if todo is ControlRemedy.EXPELLED:
                self._member = GroupMember(instance_id=self._instance_id)

    def _given(self, attempts: Attempts, joined: Any) -> bytes | None:
        """What the leader says, this instance itself where it leads; None where the group has moved on meanwhile."""
        one = SyncGroupRequest.SyncGroupRequestAssignment
        words = f"{self._instance_id} process {os.getpid()} on {socket.gethostname()}".encode()
        given = ConsumerProtocolAssignment(version=0, assigned_partitions=[], user_data=words).encode()
        request = SyncGroupRequest(
            group_id=self._group,
            generation_id=self._member.generation,
            member_id=self._member.member_id,
            group_instance_id=self._instance_id,
            protocol_type=_PROTOCOL_TYPE,
            protocol_name=PROTOCOL,
            assignments=[one(member_id=each.member_id, assignment=given) for each in joined.members],
        )
        answer, todo = self._ask(attempts, ControlRequest.SYNC_GROUP, request, timeout_ms=attempts.left_ms)
        if todo is ControlRemedy.TAKE:
            said: bytes = answer.assignment
            return said
        if todo is ControlRemedy.EXPELLED:
            self._member = GroupMember(instance_id=self._instance_id)
        return None

    def _heartbeat(self) -> ControlRemedy:
        request = HeartbeatRequest(
            group_id=self._group,
            generation_id=self._member.generation,
            member_id=self._member.member_id,
            group_instance_id=self._instance_id,
        )
        return self._ask(self._begin("stay in"), ControlRequest.HEARTBEAT, request)[1]

    def _leave(self) -> None:
        who = LeaveGroupRequest.MemberIdentity(
            member_id=self._member.member_id, group_instance_id=self._instance_id
        )
        request = LeaveGroupRequest(group_id=self._group, member_id=self._member.member_id, members=[who])
        self._ask(self._begin("leave", _LEAVE_SECONDS), ControlRequest.LEAVE_GROUP, request)
        self._member = GroupMember(instance_id=self._instance_id)

    def _begin(self, verb: str, seconds: float | None = None) -> Attempts:
        return self._admin.begin(f"{verb} group {self._group!r}", seconds)

    def _ask(
        self,
        attempts: Attempts,
        kind: ControlRequest,
        request: ApiMessage,
        *,
        timeout_ms: int | None = None,
    ) -> tuple[Any, ControlRemedy]:
        """Ask the coordinator until it gives an answer to act upon."""
        while True:
            node_id = self._coordinators.find(attempts, self._group)
            answer = self._admin.ask(attempts, request, node_id=node_id, timeout_ms=timeout_ms)
            if answer is None:
                self._coordinators.forget(self._group)
                continue
            todo = attempts.judge(kind, answer.error_code)
            if todo is ControlRemedy.FENCED:
                raise FencedError(
                    f"cannot {attempts.attempt}: another process with the same instance id has taken over, so it has "
                    f"a copy of this one's state directory. Delete the file 'instance' in the copy"
                )
            if todo is ControlRemedy.REFRESH:
                self._coordinators.forget(self._group)
            elif todo is not ControlRemedy.RETRY:
                return answer, todo
            attempts.again(attempts.reason(kind, answer.error_code))
