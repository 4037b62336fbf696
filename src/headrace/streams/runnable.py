"""What is started and closed as an application of its own, whatever it does: a topology's, or a sink."""

import asyncio
from abc import ABCMeta, abstractmethod
from types import TracebackType
from typing import Self

from headrace.base.durations import Duration, timeout_seconds
from headrace.engine.status import WorkerStatus
from headrace.log.port import Log
from headrace.metrics.metric import Metrics
from headrace.streams.config import Config
from headrace.streams.signals import StopSignals
from headrace.streams.states import FINAL, Lifecycle, State, StateListener

__all__ = ["Runnable"]


class Runnable(metaclass=ABCMeta):
    """Lives from `start` to `close`, as a context or by `run`; what these do is for whoever inherits it to say."""

    _life: Lifecycle

    @property
    @abstractmethod
    def application_id(self) -> str:
        """The application's id."""

    @property
    @abstractmethod
    def config(self) -> Config:
        """The configuration in force."""

    @property
    @abstractmethod
    def state(self) -> State:
        """Where it is: created, rebalancing, running, pending_shutdown, not_running, or on to error."""

    @property
    @abstractmethod
    def trouble(self) -> str | None:
        """What it waits for, for people to read; None where all is well."""

    @property
    @abstractmethod
    def killed_by(self) -> BaseException | None:
        """What ended it; None where it runs, or was stopped."""

    @property
    @abstractmethod
    def shuts_down_application(self) -> bool:
        """Whether it has ended, or is about to, since all instances of the application are to."""

    @property
    @abstractmethod
    def log(self) -> Log | None:
        """The log that it runs on, for who looks at it beside; None before the start, and when it has stopped."""

    @abstractmethod
    def status(self) -> WorkerStatus | None:
        """Return its figures; None before the start."""

    @abstractmethod
    def metrics(self) -> Metrics:
        """Return all metrics as they are now."""

    @abstractmethod
    def start(self) -> None:
        """Begin, and return at once."""

    @abstractmethod
    def close(self, *, timeout: Duration | None = ...) -> None:
        """Stop, and release everything. Twice is fine."""

    def on_state_change(self, listener: StateListener) -> None:
        """Call `listener(new, old)` at every change of state, in order, in the thread that makes it.

        Where several threads make changes at once, one of them tells of all.

        Raises:
            TypeError: it cannot be called so, or is async.
        """
        self._life.listen(listener)

    def wait(self, timeout: Duration | None = None) -> None:
        """Block until the application has stopped; raise what killed it.

        Raises:
            TimeoutError: it still runs after `timeout`.
            StateError: called in the application's own thread, by a listener or a function of yours.
        """
        self._ensure_can_wait()
        if not self._life.wait_for(FINAL, timeout_seconds(timeout)):
            raise TimeoutError(f"application {self.application_id!r} still runs after {timeout}")
        self._raise_killer()

    def run(self) -> None:
        """Start, wait for the end, and raise what killed it. Only for the main thread.

        The first SIGTERM or SIGINT lets it finish what it is about, commit and leave; the second abandons it.

        Raises:
            StateError: called outside of the main thread.
        """
        with StopSignals() as signals:
            self.on_state_change(lambda new, old: signals.wake() if new in FINAL else None)
            self.start()
            while self.state not in FINAL and not signals.wait():
                pass
            # No limit: whoever sent the signal has one, and can send another.
            self.close(timeout=None)
        self._raise_killer()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        if error is None:
            self._raise_killer()
        elif (killed_by := self.killed_by) is not None and killed_by is not error:
            error.add_note(f"application {self.application_id!r} had died of: {killed_by}")

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, traceback)

    @abstractmethod
    def _ensure_can_wait(self) -> None:
        """Refuse to wait where that would never end."""

    def _raise_killer(self) -> None:
        if self.killed_by is not None:
            raise self.killed_by
