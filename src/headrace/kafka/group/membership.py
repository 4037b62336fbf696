"""A member of a group on a cluster: the face of its control thread."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication
from headrace.group.membership import Effect, Ended, EpochChanged, Lost
from headrace.group.user_data import TaskProgress
from headrace.kafka.group.classic_protocol import ClassicProtocol
from headrace.kafka.group.control_loop import LEAVE_S, ControlLoop
from headrace.kafka.group.protocol import GroupProtocol
from headrace.kafka.group.streams_protocol import StreamsProtocol
from headrace.kafka.net.network import Network
from headrace.kafka.net.waiting import Waiting
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.log.membership import JoinOptions, MemberIdentity, taken_from

__all__ = ["KafkaMembership", "session_s"]

#: `group.streams.session.timeout.ms` where it was not set, and the least that may be set for one group.
_BROKERS_SESSION_S = 45.0


class KafkaMembership:
    """See `Membership`. Made, it begins to join."""

    def __init__(
        self,
        group: str,
        application: GroupApplication,
        options: JoinOptions,
        settings: ConnectionSettings,
        kafka_options: KafkaOptions,
        waiting: Waiting,
        *,
        networks: Callable[[], Network] | None = None,
        seconds: Callable[[], float] = time.monotonic,
        thread: Callable[..., threading.Thread] = threading.Thread,
    ) -> None:
        """Raise a ConfigError where the connections' properties do not fit together.

        What makes `networks`, tells the `seconds` and makes a `thread` is for who drives it by another clock.
        """
        self._group = group
        self._instance_id = options.instance_id
        self._protocol = _protocol(group, application, options, settings, kafka_options, seconds())
        self._effects: SimpleQueue[Effect] = SimpleQueue()
        self._member: MemberIdentity | None = None
        self._is_gone = False  # which the worker has not heard yet
        self._is_left = False
        self._loop = ControlLoop(
            group,
            self._protocol,
            networks or (lambda: Network(settings, purpose="member", waiting=waiting)),
            waiting,
            self._publish,
            max_poll_interval_s=options.max_poll_interval_ms / 1000,
            session_s=session_s(options, kafka_options),
            seconds=seconds,
        )
        self._thread = thread(target=self._loop.run, name=f"{group}-member", daemon=True)
        self._thread.start()

    def _publish(self, effect: Effect) -> None:
        self._is_gone = self._is_gone or isinstance(effect, Lost | Ended)
        self._effects.put(effect)

    # ── the worker ───────────────────────────────────────────────────────────────────────────────────────────────

    def effects(self, timeout_s: float = 0.0) -> Sequence[Effect]:
        """See `Membership.effects`."""
        self._loop.polled()
        found = taken_from(self._effects, timeout_s)
        for effect in found:
            if isinstance(effect, EpochChanged):
                self._member = MemberIdentity(self._group, effect.member_id, effect.epoch, self._instance_id)
            elif isinstance(effect, Lost | Ended):
                self._member, self._is_gone = None, False
        self._loop.polled()
        return found

    @property
    def member(self) -> MemberIdentity | None:
        """See `Membership.member`. Nobody as soon as it is lost: what the worker has may be others' from then on."""
        return None if self._is_gone else self._member

    def acknowledge(self, number: int) -> None:
        """See `Membership.acknowledge`."""
        self._loop.post(lambda now: self._protocol.acknowledge(number, now))

    def dropped(self) -> None:
        """See `Membership.dropped`."""
        self._loop.post(self._loop.dropped)

    def polled(self) -> None:
        """See `Membership.polled`."""
        self._loop.polled()

    def report(self, progress: Mapping[TaskId, TaskProgress]) -> None:
        """See `Membership.report`."""
        told = dict(progress)
        self._loop.post(lambda now: self._protocol.report(told))

    def rejoin(self, application: GroupApplication | None = None) -> None:
        """See `Membership.rejoin`."""
        self._loop.post(lambda now: self._protocol.rejoin(application, now))

    def stop_application(self) -> None:
        """See `Membership.stop_application`."""
        self._loop.post(self._protocol.stop_application)

    def ask_for_endpoints(self) -> None:
        """See `Membership.ask_for_endpoints`."""
        self._loop.post(lambda now: self._protocol.ask_for_endpoints())

    @property
    def vouched_until(self) -> float:
        """See `Membership.vouched_until`."""
        return self._loop.vouched_until

    @property
    def trouble(self) -> str | None:
        """See `Membership.trouble`."""
        return self._protocol.waits_for

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────

    def leave(self, *, for_good: bool = False) -> None:
        """See `Membership.leave`."""
        self._is_left = True
        self._loop.post(lambda now: self._loop.leave(now, for_good=for_good))

    def close(self, *, remain: bool = False) -> None:
        """See `Membership.close`."""
        if remain:
            self._loop.stop()
        elif not self._is_left:
            self.leave()
        self._thread.join(LEAVE_S + 1.0)
        self._loop.stop()


def session_s(options: JoinOptions, kafka_options: KafkaOptions) -> float:
    """Return how long after its last word (in seconds) a member still has what it was given, at the least.

    The brokers of a streams group go by a property of theirs: 45 s, if nobody has set it. The member's own counts where
    it is lower.
    """
    own = kafka_options.session_timeout_ms / 1000
    return min(own, _BROKERS_SESSION_S) if options.protocol == "streams" else own


def _protocol(
    group: str,
    application: GroupApplication,
    options: JoinOptions,
    settings: ConnectionSettings,
    kafka_options: KafkaOptions,
    now: float,
) -> GroupProtocol:
    if options.protocol == "classic":
        return ClassicProtocol(
            group,
            application,
            options,
            session_timeout_ms=kafka_options.session_timeout_ms,
            heartbeat_interval_ms=kafka_options.heartbeat_interval_ms,
            now=now,
        )
    return StreamsProtocol(
        group,
        application,
        options,
        session_timeout_s=kafka_options.session_timeout_ms / 1000,
        rack=settings.client_rack or None,
        now=now,
    )
