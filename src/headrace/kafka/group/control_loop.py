"""Drives one member of a group by the clock: finds the coordinator, asks and hears, and watches that its worker polls.

Runs on a thread of its own, with connections of its own: slow user code costs no membership until
`max.poll.interval.ms`, and a JoinGroup that waits for others holds up nobody.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

from kafka.protocol.metadata import FindCoordinatorRequest

from headrace.group.membership import Effect, Ended, Lost
from headrace.kafka.control.errors import ControlRemedy, ControlRequest, advice, remedy
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.group.protocol import BrokerFacts, GroupProtocol, Question
from headrace.kafka.group.streams_messages import StreamsGroupHeartbeatRequest
from headrace.kafka.metadata import Address
from headrace.kafka.net.network import ApiMessage, Bounded, Network, NetworkError
from headrace.kafka.net.waiting import ANY_NODE, Waiting

__all__ = ["LEAVE_S", "Command", "ControlLoop"]

_log = logging.getLogger("headrace.group")

#: What the worker says, done on the control thread with the time.
Command = Callable[[float], Iterable[Effect] | None]

#: How long a coordinator has to hear that a member leaves.
LEAVE_S = 3.0

_GROUP = 0
# Version 4 asks for several at once, in other fields.
_FIND_COORDINATOR_NEWEST = 3
_FIND_BACKOFF_S = (0.05, 0.5)
_STAYING = "staying in the group"
_LONGEST_PUMP_S = 5.0
_NEVER = float("inf")


class ControlLoop:
    """Turns until the member has ended. What may be called from any thread says so; all else is of the one thread."""

    def __init__(
        self,
        group: str,
        protocol: GroupProtocol,
        networks: Callable[[], Network],
        waiting: Waiting,
        publish: Callable[[Effect], None],
        *,
        max_poll_interval_s: float,
        session_s: float,
        seconds: Callable[[], float],
    ) -> None:
        """`networks` makes new connections, without connecting; `publish` takes effects, in order.

        `seconds` is a clock that never goes back.
        """
        self._group = group
        self._protocol = protocol
        self._networks = networks
        self._network = networks()
        self._waiting = waiting
        self._publish = publish
        self._max_poll_interval_s = max_poll_interval_s
        self._session_s = session_s
        self._seconds = seconds
        self._polled_at = seconds()
        self._commands: deque[Command] = deque()
        self._is_stopped = False
        self._coordinator: int | None = None
        # Who knows only the broker that is gone would ask that one for ever.
        self._knows_brokers = False
        self._is_finding = False
        self._find_at = 0.0
        self._find_backoff_s = _FIND_BACKOFF_S[0]
        self._under_way: Question | None = None
        self._leave_by = _NEVER
        self._is_silent = False
        self._is_dropped = False
        self._is_over = False
        self._asked_at = 0.0
        self._has_lost = False  # and the worker has not dropped it yet
        #: See `Membership.vouched_until`. Read from any thread.
        self.vouched_until = float("-inf")

    # ── from any thread ──────────────────────────────────────────────────────────────────────────────────────────

    def post(self, command: Command) -> None:
        """Have something done on the control thread, soon."""
        self._commands.append(command)
        self.wake()

    def polled(self) -> None:
        """Note that the worker is alive."""
        self._polled_at = self._seconds()

    def stop(self) -> None:
        """End without a word to the coordinator."""
        self._is_stopped = True
        self.wake()

    def wake(self) -> None:
        """Look again, now."""
        self._network.wakeup()

    # ── the control thread ───────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        """Turn until it is over."""
        try:
            while not self._is_done():
                self._turn()
        except Exception as error:
            # A worker whose member nobody drives any more would go on beside others.
            _log.exception("the control thread of group %r has failed", self._group)
            reason = f"the control thread of group {self._group!r} has failed: {error!r}"
            self._tell([Lost(reason), Ended(reason)])
        finally:
            self._network.close()

    def _turn(self) -> None:
        now = self._seconds()
        while self._commands:
            self._tell(self._commands.popleft()(now) or ())
        self._watch(now)
        if not self._is_done():
            self._speak(now)
        if self._is_done():
            return
        wake_at = min(self._next_time(), now + _LONGEST_PUMP_S)
        wait_s = max(0.0, wake_at - self._seconds())
        # Rounded up: a pause that is cut off by less than a ms would be a busy loop.
        self._network.pump(int(1000 * wait_s) + 1 if wait_s else 0, ends_when_woken=True)

    def _is_done(self) -> bool:
        return self._is_over or self._is_stopped

    def _next_time(self) -> float:
        times = [self._leave_by]
        if not self._is_silent:
            times.append(self._polled_at + self._max_poll_interval_s)
        if self._under_way is None and not self._is_finding:
            wanted = self._protocol.next_time()
            times.append(max(wanted, self._find_at) if self._coordinator is None else wanted)
        return min(times)

    # ── the worker ───────────────────────────────────────────────────────────────────────────────────────────────

    def leave(self, now: float, *, for_good: bool) -> Iterable[Effect]:
        """Leave: what waits for others is given up, since nothing else is answered on its connection meanwhile."""
        self._leave_by = min(self._leave_by, now + LEAVE_S)
        if self._is_silent:
            return self._protocol.leave(now, for_good=for_good) if not self._protocol.has_ended else [Ended()]
        effects = list(self._protocol.leave(now, for_good=for_good))
        if self._under_way is not None and self._under_way.is_slow and not self._protocol.has_ended:
            self._abandon(now)
        return effects

    def _abandon(self, now: float) -> None:
        self._under_way = None
        self._network.close()
        self._network = self._networks()
        self._coordinator, self._knows_brokers, self._is_finding, self._find_at = None, False, False, now
        self._tell(self._protocol.unanswered(NetworkError("it was given up", was_sent=True), now))

    def _vouch(self, at: float) -> None:
        """Note that the coordinator has heard of this member at a moment, or later: an answer shows it, nothing else.

        Who waits in a join may do so on a connection that is dead, and be out of the group meanwhile.
        """
        if not (self._has_lost or self._is_silent):
            self.vouched_until = max(self.vouched_until, at + self._session_s)

    def _forfeit(self) -> None:
        """Note that what the worker has may be others' from now on, until it has dropped it."""
        self._has_lost = True
        self.vouched_until = min(self.vouched_until, self._seconds())

    def dropped(self, now: float) -> None:
        """Hear that the worker has dropped all: it may join anew, also after it was silent."""
        self._has_lost = False
        self._polled_at = now
        if self._is_silent:
            self._is_dropped = True
        else:
            self._protocol.released(now)

    def _watch(self, now: float) -> None:
        """Leave for a worker that is silent, and join anew when it is back. Source: KIP-62."""
        if now >= self._leave_by:
            self._tell([Ended()])
        if self._is_silent:
            if self._is_dropped and self._protocol.has_ended:
                self._is_silent = self._is_dropped = False
                self._protocol.begin_anew(now)
            return
        if now - self._polled_at < self._max_poll_interval_s or self._leave_by < _NEVER or self._is_over:
            return
        self._is_silent = True
        reason = (
            f"the worker was silent for {now - self._polled_at:.1f} s, longer than max.poll.interval.ms: a record, or "
            f"a function of the application, takes longer. Its tasks are left to others; raise max.poll.interval.ms "
            f"if it has to take so long"
        )
        _log.warning("leaving group %r: %s", self._group, reason)
        self._tell([Lost(reason)])
        self._tell(self._protocol.leave(now, for_good=False))

    def _tell(self, effects: Iterable[Effect]) -> None:
        """Publish effects; what follows from a leave for a silent worker is no end."""
        for effect in effects:
            if self._is_silent and self._leave_by == _NEVER:
                if isinstance(effect, Ended) and effect.reason is None:
                    continue
                if isinstance(effect, Lost) and self._protocol.has_ended:
                    continue
            if self._is_over:
                return
            if isinstance(effect, Lost | Ended):
                self._forfeit()
            self._publish(effect)
            if isinstance(effect, Ended):
                self._is_over = True

    # ── the coordinator ──────────────────────────────────────────────────────────────────────────────────────────

    def _speak(self, now: float) -> None:
        if self._under_way is not None or self._is_finding or now < self._protocol.next_time():
            return
        if self._coordinator is None:
            if now >= self._find_at:
                self._find()
            return
        question = self._protocol.ask(self._facts(), now)
        if question is None:
            return
        self._under_way = question
        self._asked_at = now
        self._network.send(
            self._coordinator,
            question.message,
            partial(self._answered, question),
            partial(self._failed, question),
            timeout_ms=question.timeout_ms,
        )

    def _facts(self) -> BrokerFacts:
        return BrokerFacts(
            self._network.version(StreamsGroupHeartbeatRequest),
            self._network.features().get("streams.version", 0),
        )

    def _answered(self, question: Question, answer: ApiMessage) -> None:
        if self._under_way is not question:
            return
        self._under_way = None
        heard = self._protocol.answered(answer, self._seconds())
        if heard.is_member and not any(isinstance(effect, Lost | Ended) for effect in heard.effects):
            self._vouch(self._asked_at)
        if heard.has_moved:
            self._forget_coordinator()
        elif self._coordinator is not None:
            self._waiting.is_over(_STAYING, self._coordinator)
            self._waiting.is_over(_STAYING, ANY_NODE)
        self._tell(heard.effects)

    def _failed(self, question: Question, error: NetworkError) -> None:
        if self._under_way is not question:
            return
        self._under_way = None
        now = self._seconds()
        if error.is_fatal:
            self._tell(self._protocol.give_up(f"cannot stay in group {self._group!r}: {error}", now))
            return
        self._waiting.goes_on(
            _STAYING, ANY_NODE if self._coordinator is None else self._coordinator, str(error)
        )
        self._forget_coordinator()
        self._tell(self._protocol.unanswered(error, now))

    def _forget_coordinator(self) -> None:
        self._coordinator = None

    def _find(self) -> None:
        self._is_finding = True
        if not self._knows_brokers:
            self._network.request_metadata((), self._brokers_found, self._not_found)
            return
        request = Bounded(FindCoordinatorRequest(key=self._group, key_type=_GROUP), _FIND_COORDINATOR_NEWEST)
        self._network.send_to_any(request, self._found, self._not_found)

    def _brokers_found(self, topics: object) -> None:
        self._knows_brokers = True
        self._is_finding = False

    def _found(self, answer: ApiMessage) -> None:
        code = ErrorCode(answer.error_code)
        todo = remedy(ControlRequest.FIND_COORDINATOR, code)
        if todo is ControlRemedy.TAKE:
            self._is_finding = False
            self._find_backoff_s = _FIND_BACKOFF_S[0]
            self._network.learn_one(answer.node_id, Address(answer.host, answer.port))
            self._coordinator = answer.node_id
            obstacle = self._protocol.obstacle(self._facts())
            if obstacle is not None:
                self._tell(self._protocol.give_up(obstacle, self._seconds()))
            return
        reason = advice(ControlRequest.FIND_COORDINATOR, code, answer.error_message)
        self._not_found(NetworkError(reason, was_sent=True, is_fatal=todo is ControlRemedy.FAIL))

    def _not_found(self, error: NetworkError) -> None:
        now = self._seconds()
        self._is_finding = False
        if error.is_fatal:
            reason = f"cannot find the coordinator of group {self._group!r}: {error}"
            self._tell(self._protocol.give_up(reason, now))
            return
        self._waiting.goes_on(_STAYING, ANY_NODE, str(error))
        self._knows_brokers = False
        self._find_at = now + self._find_backoff_s
        self._find_backoff_s = min(2 * self._find_backoff_s, _FIND_BACKOFF_S[1])
