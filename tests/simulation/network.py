"""A member's connections to the model of brokers: what it sends arrives a little later, or never."""

from collections import deque
from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.group.streams_messages import StreamsGroupHeartbeatRequest
from headrace.kafka.metadata import Address
from headrace.kafka.net.errors import NetworkError
from headrace.kafka.net.messages import ApiMessage
from tests.simulation.brokers import Brokers
from tests.simulation.world import Strand, World

__all__ = ["SimulatedNetwork"]

#: When it is noticed that a connection is broken (s).
_BROKEN_AFTER_S = 0.5

#: As `request.timeout.ms`.
_TIMEOUT_MS = 3_000

#: What looking for answers takes at least (s): time never stands still.
_LOOK_S = 0.000_001


class SimulatedNetwork:
    """See `Network`: as much of it as a control loop uses."""

    def __init__(self, world: World, brokers: Brokers) -> None:
        self._world = world
        self._brokers = brokers
        self._outcomes: deque[Callable[[], None]] = deque()
        self._waits: Strand | None = None
        self._was_woken = False
        self._is_closed = False

    def version(self, request: type[ApiMessage]) -> int | None:
        """See `Network.version`."""
        return 1 if request is StreamsGroupHeartbeatRequest else None

    def features(self) -> Mapping[str, int]:
        """See `Network.features`."""
        return {"streams.version": 1}

    def learn_one(self, node_id: int, address: Address) -> None:
        """Do nothing: there is one broker."""

    def send(
        self,
        node_id: int,
        request: ApiMessage,
        answered: Callable[[Any], None],
        failed: Callable[[NetworkError], None],
        *,
        timeout_ms: int | None = None,
    ) -> None:
        """See `Network.send`."""
        world = self._world
        there_s, back_s = world.under_way_s(), world.under_way_s()
        is_heard, is_answered = not world.is_lost(), not world.is_lost()
        outcomes: list[Callable[[], None]] = []

        def end(outcome: Callable[[], None]) -> None:
            if not outcomes:
                outcomes.append(outcome)
                self._come_back(outcome)

        def reply(answer: ApiMessage) -> None:
            if is_answered:
                world.later(back_s, partial(end, partial(answered, answer)))

        if is_heard:
            # What nobody waits for any more may arrive late, after the same on the next connection.
            late = 1 if is_answered else world.dice.choice([1, 10])
            world.later(there_s * late, lambda: self._brokers.receive(request, reply))
        gone_s = (timeout_ms or _TIMEOUT_MS) / 1000 if is_heard and is_answered else _BROKEN_AFTER_S
        gone = NetworkError("the connection is gone", was_sent=True)
        world.later(gone_s, partial(end, partial(failed, gone)))

    def send_to_any(
        self, request: object, answered: Callable[[Any], None], failed: Callable[[NetworkError], None]
    ) -> None:
        """Answer who asks for the coordinator."""
        found = SimpleNamespace(
            error_code=int(ErrorCode.NONE), error_message=None, node_id=0, host="a", port=1
        )
        self._world.later(self._world.under_way_s(), partial(self._come_back, partial(answered, found)))

    def request_metadata(
        self, topics: Collection[str], answered: Callable[[Any], None], failed: Callable[[NetworkError], None]
    ) -> None:
        """See `Network.request_metadata`."""
        self.send_to_any(topics, answered, failed)

    def _come_back(self, outcome: Callable[[], None]) -> None:
        if not self._is_closed:
            self._outcomes.append(outcome)
            self._wake()

    def pump(self, timeout_ms: int, *, ends_when_woken: bool = False) -> None:
        """See `Network.pump`."""
        if not (self._outcomes or self._was_woken):
            self._waits = self._world.current
            self._world.wait(max(timeout_ms / 1000, _LOOK_S))
            self._waits = None
        self._was_woken = False
        for _ in range(len(self._outcomes)):
            self._outcomes.popleft()()

    def wakeup(self) -> None:
        """See `Network.wakeup`."""
        self._was_woken = True
        self._wake()

    def _wake(self) -> None:
        if self._waits is not None:
            self._world.wake(self._waits, 0.0)

    def close(self) -> None:
        """See `Network.close`."""
        self._is_closed = True
