"""Rows that the last commits have written, in memory beside the database: what was just written is read soonest.

A look-up takes 0.05 µs here and 1 µs in RocksDB. Rows are let go of as a whole, when there are too many of them.
"""

from collections.abc import Mapping

from headrace.state.buffer.live_cells import LiveBudget
from headrace.state.buffer.row import Row

__all__ = ["RecentRows"]

#: What one store keeps at most: some twenty thousand rows. Many stores are not to crowd out the live cells of joins.
_BYTES_MAX = 8 << 20


class RecentRows:
    """Committed rows of one store by key; None is a deletion. Within the worker's budget.

    # Invariant: a row that is here is the database's, or a newer one waits in the buffer.

    Attributes:
        rows: to be read by anybody; the object stays the same.
        used_bytes: roughly what they weigh; a row that was written several times counts as often.
    """

    __slots__ = ("_budget", "rows", "used_bytes")

    def __init__(self, budget: LiveBudget) -> None:
        self._budget = budget
        self.rows: dict[bytes, Row | None] = {}
        self.used_bytes = 0
        budget.share(self)

    def add(self, rows: Mapping[bytes, Row | None], weight: int) -> None:
        """Add what the database has from now on."""
        if self.used_bytes + weight > _BYTES_MAX:
            self.drop_oldest()
        if weight > _BYTES_MAX:
            return
        self.rows.update(rows)
        self.used_bytes += weight
        self._budget.used_bytes += weight
        self._budget.shrink()

    def drop_oldest(self) -> None:
        """Let go of all of them."""
        self._budget.used_bytes -= self.used_bytes
        self.used_bytes = 0
        self.rows.clear()

    def close(self) -> None:
        """Let go of all of them, for good."""
        self.rows.clear()
        self._budget.leave(self)
