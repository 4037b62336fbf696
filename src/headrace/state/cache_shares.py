"""Divides the record cache of an instance among its workers, as they come and go."""

import threading

from headrace.state.cache import CacheBudget

__all__ = ["CacheShares"]


class CacheShares:
    """`statestore.cache.max.bytes` in equal parts. From any thread. Source: KafkaStreams.resizeThreadCache."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._taken: list[CacheBudget] = []

    def take(self) -> CacheBudget:
        """Return a worker's part; those of the others become smaller, which they notice with their next puts."""
        budget = CacheBudget(0)
        with self._lock:
            self._taken.append(budget)
            self._share()
        return budget

    def give_back(self, budget: CacheBudget) -> None:
        """Divide a part among the others. Twice is fine."""
        with self._lock:
            self._taken = [each for each in self._taken if each is not budget]
            self._share()

    def _share(self) -> None:
        for budget in self._taken:
            budget.max_bytes = self._max_bytes // len(self._taken)
