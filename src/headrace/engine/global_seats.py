"""The global stores of an instance, as its workers share them: one of them fills them, all read them.

That is the one that has been there longest, between stretches of its tasks, so that none of its joins finds rows of two
moments. The others read what it has got so far, as queries do. When it goes, the next one goes on from the last commit.

# Invariant: the stores change in the thread of the first seat alone. Where they are opened anew no worker has tasks any
# more that hold on to those of before, when it runs again: `are_others` tells it to make them anew.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from headrace.base.errors import StateCorruptionError
from headrace.engine.global_stores import GlobalStores
from headrace.engine.status import TaskStatus
from headrace.engine.store_read import StoreRead
from headrace.engine.task import Task

__all__ = ["GlobalSeat", "GlobalSeats"]


class GlobalSeats:
    """The workers of an instance in the order of their coming."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.taken: list[GlobalSeat] = []
        self.stores: GlobalStores | None = None
        self.damage: StateCorruptionError | None = None  # that another worker than the first one has found
        self.is_outdated = False  # whether a worker knows of other topics than they were opened with


class GlobalSeat:
    """What one worker has of the global stores, from `open` on. Belongs to its thread, but for `query`.

    The stores that the first one makes are those of all.
    """

    def __init__(self, seats: GlobalSeats, make_stores: Callable[[], GlobalStores]) -> None:
        self._seats = seats
        self._make_stores = make_stores
        self._stores: GlobalStores | None = None
        self._leads = False
        self._version = 0  # of the stores that the tasks of this worker hold on to

    def open(self) -> None:
        """Take a seat. The first one opens the stores, and begins to read what they lack."""
        seats = self._seats
        with seats.lock:
            if not seats.taken:
                seats.stores, seats.damage, seats.is_outdated = self._make_stores(), None, False
            stores = self._stores = seats.stores
            assert stores is not None
            seats.taken.append(self)
            self._leads = seats.taken[0] is self
            # Others wait for this: no task is made before there are stores that it can hold on to.
            if self._leads:
                stores.open()
            elif stores.is_outdated():
                seats.is_outdated = True
            self._version = stores.version

    def close(self) -> None:
        """Leave it to the others, and release everything with the last one. Twice is fine.

        What was not committed is read again.
        """
        seats = self._seats
        with seats.lock:
            if self not in seats.taken:
                return
            seats.taken.remove(self)
            stores, self._stores = seats.stores, None
            assert stores is not None
            leads, self._leads = self._leads, False
            if leads and seats.taken:
                stores.let_go()
            elif not seats.taken:
                stores.close()

    @property
    def leads(self) -> bool:
        """Whether this worker is the one that fills them."""
        return self._leads

    @property
    def states(self) -> Mapping[str, Any]:
        """By name, for tasks that are made now to read."""
        if self._stores is None:
            return {}
        self._version = self._stores.version
        return self._stores.states if self._leads else self._stores.readers()

    @property
    def are_others(self) -> bool:
        """Whether the stores were opened anew, so that tasks that hold on to those of before must go."""
        return self._stores is not None and self._stores.version != self._version

    @property
    def task(self) -> Task | None:
        """What fills them, where this worker does; None where there are none, too."""
        return self._stores.task if self._leads and self._stores is not None else None

    @property
    def is_caught_up(self) -> bool:
        """See `GlobalStores.is_caught_up`."""
        if self._stores is None or self._stores.version != self._version:
            return False
        return self._stores.is_caught_up and self._seats.damage is None and not self._seats.is_outdated

    def follow(self) -> bool:
        """Where this worker fills them, do so for a moment: see `GlobalStores.follow`."""
        stores, seats = self._stores, self._seats
        if stores is None:
            return False
        if not self._leads:
            with seats.lock:
                self._leads = seats.taken[0] is self
            if not self._leads:
                return False
            stores.take_over()
        if seats.damage is not None:
            raise seats.damage
        if seats.is_outdated:
            stores.open_anew()
            seats.is_outdated = False
            return True
        return stores.follow()

    def delete(self, error: StateCorruptionError) -> None:
        """Delete damaged stores, and read their topics anew into new ones: here, or where they are filled."""
        assert self._stores is not None
        if not self._leads:
            self._seats.damage = error
            return
        self._stores.delete(error.path)
        self._seats.damage = None

    def partition_counts(self) -> Mapping[str, int]:
        """Of the topics that they are filled from, as they were when they were opened."""
        return {} if self._stores is None else self._stores.partition_counts

    @property
    def buffered_bytes(self) -> int:
        """Roughly what waits here for a commit."""
        return self._stores.buffered_bytes if self._leads and self._stores is not None else 0

    def commit(self) -> None:
        """See `GlobalStores.commit`."""
        if self._leads and self._stores is not None:
            self._stores.commit()

    def read(self, store: str, *, committed: bool) -> StoreRead:
        """See `GlobalStores.read`. From any thread."""
        assert self._stores is not None
        return self._stores.read(store, committed=committed)

    def has(self, store: str) -> bool:
        """Whether a store is one of them. From any thread."""
        return self._stores is not None and store in self._stores.states

    def status(self) -> TaskStatus | None:
        """Return how far they are; None where there are none, or another worker tells of them."""
        return self._stores.status() if self._leads and self._stores is not None else None
