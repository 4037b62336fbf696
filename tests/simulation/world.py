"""Virtual time for many processes in one thread. Who goes on next is decided by the seed alone.

What would be a thread is a *strand*: it runs until it waits. A call that would block waits for as long as it takes, and
meanwhile the others go on, so that whatever may happen between two steps does happen in some schedule.
"""

import heapq
import itertools
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from greenlet import getcurrent, greenlet

__all__ = ["Flag", "Killed", "NoAnswer", "Process", "Strand", "StrandThread", "World"]

T = TypeVar("T")

#: How long a request or its answer is under way (s).
_UNDER_WAY = (0.001, 0.001, 0.01, 0.1)

#: After so long (s) without an answer, there is none.
_REQUEST_TIMEOUT = 0.5


class Killed(BaseException):
    """The process is gone, in the midst of what this strand did."""


class NoAnswer(Exception):  # noqa: N818 - no error of anybody's
    """A request, or its answer, is lost: nobody knows whether it was heard."""


class Process:
    """Its strands go on until it is killed, and none of them while it is stopped."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_alive = True
        self.stopped_until = 0.0
        self.strands: list[Strand] = []


class Strand:
    """Something that a process does, from its start to its end."""

    def __init__(self, process: Process, do: Callable[[], None]) -> None:
        self.process = process
        self.stopped_until = 0.0
        self.turn = 0  # the wake-up that counts
        self.greenlet: greenlet = greenlet(do)
        process.strands.append(self)

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        return self.greenlet.dead


class World:
    """Strands of all processes, and what is under way between them. Its methods belong to strands, or to who runs it.

    Attributes:
        now: seconds since the beginning.
        trouble: how likely it is that a request is lost, and its answer.
        after_each: called after every step of anybody.
    """

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.now = 0.0
        self.trouble = 0.0
        self.after_each: Callable[[], None] = lambda: None
        self._hub = getcurrent()
        self._current: Strand | None = None
        self._order = itertools.count()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []

    # ── who runs it ──────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, seconds: float) -> None:
        """Let that much time pass. What a strand raises comes out of here."""
        until = self.now + seconds
        while self._queue and self._queue[0][0] <= until:
            self.now, _, action = heapq.heappop(self._queue)
            action()
            self.after_each()
        self.now = until

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something then, whoever is still alive: what is on the wire arrives."""
        heapq.heappush(self._queue, (self.now + seconds, next(self._order), action))

    def start(self, process: Process, do: Callable[[], None]) -> Strand:
        """Begin a strand, now."""
        strand = Strand(process, do)
        self.wake(strand, 0.0)
        return strand

    def kill(self, process: Process) -> None:
        """End a process where it stands; it cleans up without a word to anybody."""
        process.is_alive = False
        for strand in process.strands:
            if strand.greenlet and not strand.has_ended:
                with suppress(Killed):
                    self._switch(strand, partial(strand.greenlet.throw, Killed))

    # ── strands ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def current(self) -> Strand:
        """The strand that runs now."""
        assert self._current is not None, "only strands wait"
        return self._current

    def wait(self, seconds: float) -> None:
        """Let the others go on for so long. In a process that was killed nothing takes time any more."""
        strand = self.current
        if strand.process.is_alive:
            self.wake(strand, seconds)
            self._hub.switch()

    def wake(self, strand: Strand, seconds: float) -> None:
        """Let a strand that waits go on then, and not when it was to."""
        strand.turn += 1
        self.later(seconds, partial(self._go_on, strand, strand.turn))

    def _go_on(self, strand: Strand, turn: int) -> None:
        if turn != strand.turn or not strand.process.is_alive or strand.has_ended:
            return
        stopped_s = max(strand.process.stopped_until, strand.stopped_until) - self.now
        if stopped_s > 0:
            self.later(stopped_s, partial(self._go_on, strand, turn))
        else:
            self._switch(strand, strand.greenlet.switch)

    def _switch(self, strand: Strand, switch: Callable[[], object]) -> None:
        before, self._current = self._current, strand
        try:
            switch()
        finally:
            self._current = before

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def spend(self) -> None:
        """Take as long as a request and its answer do."""
        self.wait(self.under_way_s() + self.under_way_s())

    def under_way_s(self) -> float:
        """How long one message is under way."""
        return self.dice.choice(_UNDER_WAY)

    def is_lost(self) -> bool:
        """Whether one message is lost."""
        return self.dice.random() < self.trouble

    def ask(self, request: Callable[[], T]) -> T:
        """Have something done elsewhere. It is done also if who asked has been killed meanwhile.

        Raises:
            NoAnswer: it was done, or not.
        """
        if not self.current.process.is_alive:
            raise NoAnswer
        answers: list[T | Exception] = []

        def arrive() -> None:
            try:
                answers.append(request())
            except Exception as error:  # what the other side answers
                answers.append(error)

        there_s, is_heard, is_answered = self.under_way_s(), not self.is_lost(), not self.is_lost()
        if is_heard:
            # What nobody waits for any more may arrive late.
            self.later(there_s if is_answered else there_s * self.dice.choice([1, 20]), arrive)
        self.wait(there_s + self.under_way_s() if is_heard and is_answered else _REQUEST_TIMEOUT)
        if not (answers and is_answered):
            raise NoAnswer
        (answer,) = answers
        if isinstance(answer, Exception):
            raise answer
        return answer


class Flag(threading.Event):
    """An event whose wait takes virtual time."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def wait(self, timeout: float | None = None) -> bool:
        """See `threading.Event.wait`."""
        if not self.is_set() and timeout is not None:
            self._world.wait(timeout)
        return self.is_set()


class StrandThread:
    """As much of `threading.Thread` as a member needs."""

    def __init__(self, world: World, *, target: Callable[[], None], name: str, daemon: bool) -> None:
        self._world = world
        self._process = world.current.process
        self._target = target

    def start(self) -> None:
        """See `threading.Thread.start`."""
        self._strand = self._world.start(self._process, self._target)

    def join(self, timeout: float) -> None:
        """See `threading.Thread.join`."""
        until = self._world.now + timeout
        while self._process.is_alive and not self._strand.has_ended and self._world.now < until:
            self._world.wait(0.05)
