"""The stores of a task: rows that it has borrowed, and what lies over them once it runs."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack

from headrace.base.ids import TopicPartition
from headrace.state.task_rows import TaskRows
from headrace.state.task_state import TaskState

__all__ = ["BorrowedStores"]


class BorrowedStores:
    """Belongs to a task's thread.

    Attributes:
        positions: of stores that are restored, the next changelog offset as of the last commit.
        inputs: the next offset of each input, as of the last commit that the stores have.
        committing_since: when the commit began (of the monotonic clock, in seconds) that the log may have already, and
            the rows not, or by half; None where there is none. Read from any thread.
    """

    def __init__(
        self,
        lend: Callable[[], TaskRows],
        put_state: Callable[[TaskRows], TaskState],
        give_back: Callable[[TaskRows], None],
    ) -> None:
        """`lend` opens the rows, `put_state` puts over them what a task needs that runs."""
        self._lend = lend
        self._put_state = put_state
        self._give_back = give_back
        self.positions: dict[str, int] = {}
        self.inputs: Mapping[TopicPartition, int] = {}
        self.committing_since: float | None = None
        self._rows: TaskRows | None = None
        self._state: TaskState | None = None

    def open(self) -> None:
        """Borrow the rows, until `close` gives them back. A database takes about 10 ms to open. Twice is fine."""
        if self._rows is not None:
            return
        self._rows = self._lend()
        if any(spec.kind == "custom" for spec in self._rows.specs):
            self.promote()  # these are restored by their objects, which are there from now on

    @property
    def rows(self) -> TaskRows:
        """What is restored, and what a commit writes to; there from `open` on."""
        assert self._rows is not None
        return self._rows

    @property
    def state(self) -> TaskState:
        """What lies over the rows; there from the first `promote` on."""
        assert self._state is not None
        return self._state

    def promote(self) -> TaskState:
        """Put buffers, caches and changelog columns over the rows as they are now, and return them."""
        if self._state is None:
            self._state = self._put_state(self.rows)
        else:
            self._state.take_over()
        return self._state

    def discard(self) -> None:
        """Forget everything since the last commit, and what was restored and not written."""
        if self._state is not None:
            self._state.discard()
        if self._rows is not None:
            self._rows.put_away()
        self.committing_since = None

    def close(self) -> None:
        """Forget what was not committed, and give the rows back. Twice is fine."""
        with ExitStack() as closing:  # the last one first
            if self._rows is not None:
                closing.callback(self._give_back, self._rows)
            if self._state is not None:
                closing.callback(self._state.close)
