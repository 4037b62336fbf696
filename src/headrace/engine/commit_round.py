"""One commit of a worker with all that goes with it: when it is due, what it takes along, who is told of it."""

import logging
from collections.abc import Collection

from headrace.base.errors import StaleMemberEpochError, TransactionAbortedError
from headrace.base.ids import TaskId
from headrace.engine.clock import Clock
from headrace.engine.commit import Committer
from headrace.engine.commit_schedule import CommitSchedule
from headrace.engine.fetch import Fetcher
from headrace.engine.global_seats import GlobalSeat
from headrace.engine.owned_tasks import OwnedTasks
from headrace.engine.retry_wait import RetryWait
from headrace.engine.thread_figures import ThreadFigures
from headrace.engine.uncommitted import Uncommitted
from headrace.engine.upkeep import Upkeep
from headrace.log.membership import MemberIdentity, Membership
from headrace.log.port import Writer

__all__ = ["CommitRound"]

_log = logging.getLogger("headrace.commit")

#: How long a group may refuse a member's epoch before its tasks go back to their last commit: the default of
#: `transaction.timeout.ms`. The next epoch is told within milliseconds, where nothing is wrong.
_STALE_SECONDS = 10.0


class CommitRound:
    """Commits the tasks of a worker, then the global stores.

    `membership` is the worker's in its group, as which it commits.
    `after_each_stretch` is for the test driver.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        owned: OwnedTasks,
        committer: Committer,
        writer: Writer,
        global_stores: GlobalSeat,
        fetcher: Fetcher,
        uncommitted: Uncommitted,
        schedule: CommitSchedule,
        figures: ThreadFigures,
        upkeep: Upkeep,
        retry_wait: RetryWait,
        membership: Membership,
        after_each_stretch: bool,
    ) -> None:
        self._clock = clock
        self._owned = owned
        self._committer = committer
        self._writer = writer
        self._global_stores = global_stores
        self._fetcher = fetcher
        self._uncommitted = uncommitted
        self._schedule = schedule
        self._figures = figures
        self._upkeep = upkeep
        self._retry_wait = retry_wait
        self._membership = membership
        self._after_each_stretch = after_each_stretch
        self._stale_since: float | None = None

    def begin(self, now: float) -> None:
        """Count from now (seconds of the monotonic clock)."""
        for each in (self._schedule, self._committer, self._upkeep):
            each.begin(now)

    def is_due(self, now: float, *, worked: bool) -> bool:
        """Whether it is time for a commit, or enough waits for one; `worked` tells whether this turn did anything."""
        if self._after_each_stretch:
            return worked
        if self._schedule.is_due(now, is_busy=worked):
            return True
        pending_bytes = self._writer.pending_bytes + self._global_stores.buffered_bytes
        return worked and self._uncommitted.is_commit_due(pending_bytes)

    def commit(self, leaving: Collection[TaskId] = ()) -> bool:
        """Commit all tasks that have something to commit, and those that are `leaving`; then the global stores.

        Says whether it has: the group may have gone on to an epoch that the worker has not heard of. Then nothing has
        changed, and it is tried again soon, with what has come to it until then.

        Raises:
            TransactionAbortedError: it has been tried for long; or as `Committer.commit`.
        """
        member = self._membership.member
        is_committed = False
        try:
            if member is not None:
                self._commit(leaving, member)
                is_committed = True
            self._stale_since = None
        except StaleMemberEpochError as error:
            self._note_stale(error)
        if not is_committed:
            self._schedule.put_off(self._clock.seconds())
        return is_committed

    def _note_stale(self, error: StaleMemberEpochError) -> None:
        now = self._clock.seconds()
        self._stale_since = now if self._stale_since is None else self._stale_since
        if now - self._stale_since >= _STALE_SECONDS:
            self._stale_since = None
            raise TransactionAbortedError(f"{error}, for {_STALE_SECONDS:.0f} s") from error
        _log.debug("the commit is put off: %s", error)

    def _commit(self, leaving: Collection[TaskId], member: MemberIdentity) -> None:
        began = self._clock.seconds()
        tasks = self._owned.tasks.values()
        if self._committer.commit_due(tasks, began, leaving=leaving, member=member):
            now = self._clock.seconds()
            self._figures.commits.record((now - began) * 1000, now)
            self._retry_wait.reset()
            self._fetcher.expect_more()  # what went to repartition topics can be read now
        self._global_stores.commit()
        self._uncommitted.clear()
        now = self._clock.seconds()
        self._schedule.committed(began, now)
        self._upkeep.purge(now, tasks, self._committer.committed)
