"""Rows in memory, for stores that say so and for tests. Their changelog is what survives the process."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping

from headrace.base.errors import StateError, StoreUnavailableError
from headrace.state.order import KeyOrder
from headrace.state.port import Rows, StorePosition

__all__ = ["MemoryDatabase", "MemoryFamily"]


class MemoryFamily:
    """One store's rows: a dictionary, and its keys in order for those who ask for ranges."""

    __slots__ = ("_lock", "_order", "_rows", "get")

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}
        self._order: KeyOrder | None = None
        # Queries scan from threads of their own.
        self._lock = threading.Lock()
        #: Value of one row.
        self.get = self._rows.get

    def scan(
        self, start: bytes | None, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key < end, copied when asked for: later writes are not seen."""
        with self._lock:
            if self._order is None:
                self._order = KeyOrder()
                for key in self._rows:
                    self._order.add(key)
            keys = self._order.between(start, end)
            rows = self._rows
            found = [(key, rows[key]) for key in keys]
        if reverse:
            found.reverse()
        return iter(found)

    def update(self, changes: Rows) -> None:
        """Apply what one commit does."""
        with self._lock:
            rows, order = self._rows, self._order
            for key, value in changes.items():
                if value is None:
                    if rows.pop(key, None) is not None:
                        order = self._order = None
                else:
                    if order is not None and key not in rows:
                        order.add(key)
                    rows[key] = value

    def delete_range(self, start: bytes, end: bytes) -> None:
        """Delete rows with start <= key < end."""
        with self._lock:
            for key in [key for key in self._rows if start <= key < end]:
                del self._rows[key]
            self._order = None

    def clear(self) -> None:
        """Delete all rows."""
        with self._lock:
            self._rows.clear()
            self._order = None

    def __len__(self) -> int:
        return len(self._rows)


class MemoryDatabase:
    """All stores of one task, gone when it is closed."""

    path = ""

    def __init__(self) -> None:
        self._families: dict[str, MemoryFamily] = {}
        self._positions: dict[str, StorePosition] = {}
        self._closed = False

    def family(self, store: str) -> MemoryFamily:
        """The rows of a store; created if new."""
        if self._closed:
            raise StoreUnavailableError(f"store {store!r} is closed")
        return self._families.setdefault(store, MemoryFamily())

    def position(self, store: str) -> StorePosition | None:
        """The store's position; None for a new or cleared store."""
        return self._positions.get(store)

    def write(
        self,
        rows: Iterable[tuple[str, Rows]],
        positions: Mapping[str, StorePosition],
        *,
        at_once: bool = False,
    ) -> None:
        """Write rows, then positions."""
        for store, changes in rows:
            self.family(store).update(changes)
        self._positions.update(positions)

    @property
    def takes_files(self) -> bool:
        """False: there is no format of files here."""
        return False

    def take_in(self, store: str, write: Callable[[str], None]) -> None:
        """Refuse: see `takes_files`."""
        raise StateError(f"store {store!r} is in memory, and takes no files")

    def delete_range(self, store: str, start: bytes, end: bytes) -> None:
        """Delete rows with start <= key < end."""
        self.family(store).delete_range(start, end)

    def clear(self, store: str) -> None:
        """Delete all rows of a store and its position."""
        self._positions.pop(store, None)
        self.family(store).clear()

    def approximate_count(self, store: str) -> int:
        """How many rows a store has."""
        return len(self.family(store))

    def properties(self, store: str) -> Mapping[str, int]:
        """How many rows a store has."""
        family = self._families.get(store)
        return {} if family is None else {"num-keys": len(family)}

    def close(self) -> None:
        """Forget everything. Twice is fine."""
        self._closed = True
        self._families.clear()
        self._positions.clear()
