"""What a worker records of its own work: how often it does what, and how long that takes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headrace.metrics.meter import Meter

__all__ = ["ThreadFigures"]


class ThreadFigures:
    """Written by the worker's thread, read by any. Workers of a thread go on with those of the one before.

    Amounts are ms, unless they say otherwise. Each is recorded once a turn of the loop at most.

    Attributes:
        seconds: the clock that meters go by.
        commits: of all tasks together.
        polls, polled_records: of inputs; records by polls that brought some.
        turns, turn_records: of processing. A turn counts as many as it has records.
        punctuations: rounds by the wall clock.
        assigned, revoked, lost: what the group says of tasks.
        restores, followings: turns that applied changelogs, for tasks that are to run and for standbys.
        tasks_created, tasks_closed: how many there were.
    """

    __slots__ = (
        "assigned",
        "commits",
        "followings",
        "lost",
        "polled_records",
        "polls",
        "punctuations",
        "restores",
        "revoked",
        "seconds",
        "tasks_closed",
        "tasks_created",
        "turn_records",
        "turns",
    )

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.seconds = seconds
        now = seconds()
        self.commits = Meter(now)
        self.polls = Meter(now)
        self.polled_records = Meter(now)
        self.turns = Meter(now)
        self.turn_records = Meter(now)
        self.punctuations = Meter(now)
        self.assigned = Meter(now)
        self.revoked = Meter(now)
        self.lost = Meter(now)
        self.restores = Meter(now)
        self.followings = Meter(now)
        self.tasks_created = 0
        self.tasks_closed = 0

    @contextmanager
    def timing(self, meter: Meter, *, counts: bool = True) -> Iterator[None]:
        """Record how long the block takes, also where it fails; nothing where it does not count."""
        began = self.seconds()
        try:
            yield
        finally:
            if counts:
                now = self.seconds()
                meter.record((now - began) * 1000, now)
