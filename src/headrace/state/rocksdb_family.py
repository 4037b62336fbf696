"""One store's rows in RocksDB: point reads, and scans that let go of the database when it is closed.

Whatever of rocksdict is alive keeps the database open and locked: an iterator, a family, its handle. A traceback keeps
the variables of its frames, and somebody may keep the traceback. So none of them stays in a variable when a call fails.
"""

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any, TypeAlias

from headrace.base.errors import StoreUnavailableError
from headrace.metrics.of_stores import PROPERTIES
from headrace.state.rocksdb_errors import translated
from headrace.state.rocksdb_marks import Mark

__all__ = ["RocksFamily"]

#: Makes the context in which errors are translated.
_Reported: TypeAlias = Callable[[], AbstractContextManager[None]]


class RocksFamily:
    """One store's rows. `mark` vouches for them, and lies among them unseen: see `rocksdb_marks`."""

    __slots__ = ("__weakref__", "_handle", "_path", "_read_options", "_rows", "_scans", "mark", "store")

    def __init__(self, path: str, store: str, rows: Any, handle: Any, read_options: Any) -> None:
        self.store = store
        self.mark: Mark | None = None
        self._path = path
        self._rows = rows
        self._handle = handle
        self._read_options = read_options
        self._scans: weakref.WeakSet[_Scan] = weakref.WeakSet()

    def get(self, key: bytes) -> bytes | None:
        """Value of one row.

        Raises:
            StoreUnavailableError: the database is closed.
            StateCorruptionError: the row cannot be read.
        """
        try:
            value: bytes | None = self._rows.get(key)
        except Exception as error:
            with translated(self._path, f"read a row of store {self.store!r}"):
                raise self._closed_or(error) from error
        return value

    def scan(
        self, start: bytes | None, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key < end, as they are now. An iterator of RocksDB is itself a consistent view.

        Raises, while it is read:
            StateCorruptionError: a row cannot be read.
            StoreUnavailableError: the database has been closed meanwhile.
        """
        ranges = self._ranges(start, end)
        opened = self._descending if reverse else self._ascending
        try:
            rows = chain.from_iterable([opened(*part) for part in (reversed(ranges) if reverse else ranges)])
        except Exception as error:
            with self._reading():
                raise self._closed_or(error) from error
        scan = _Scan(self.store, rows)
        self._scans.add(scan)
        if self._rows is None:
            scan.cut_off()  # closed meanwhile by the thread that owns it, which may not have seen this scan
        return scan

    def _ranges(self, start: bytes | None, end: bytes | None) -> list[tuple[bytes | None, bytes | None]]:
        """The parts of a range that hold rows of the store. Between them is the mark, among links deleted long ago."""
        mark = self.mark
        if mark is None or (end is not None and end <= mark.key) or (start is not None and start >= mark.end):
            return [(start, end)]
        return [(start, mark.key), (mark.end, end)]

    def _ascending(self, start: bytes | None, end: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        options = self._read_options()
        if end is not None:
            # The method for the lower bound sets this one too, so there is no lower bound.
            options.set_iterate_upper_bound(end)
        iterator = self._rows.iter(options)
        iterator.seek(b"" if start is None else start)
        return _ascending(iterator, options, self._reading)

    def _descending(self, start: bytes | None, end: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        iterator = self._rows.iter(self._read_options())
        if end is None:
            iterator.seek_to_last()
        else:
            iterator.seek_for_prev(end)
            if iterator.valid() and iterator.key() == end:
                iterator.prev()
        return _descending(iterator, start, self._reading)

    @property
    def handle(self) -> Any:
        """What names the family in a batch.

        Raises:
            StoreUnavailableError: the database is closed.
        """
        if self._handle is None:
            raise StoreUnavailableError(f"store {self.store!r} is closed")
        return self._handle

    @property
    def guard(self) -> Mark:
        """The mark of a store's family, which each has before it is written to."""
        assert self.mark is not None
        return self.mark

    def count(self) -> int:
        """RocksDB's own estimate of the number of rows.

        Raises:
            StoreUnavailableError: the database is closed.
        """
        try:
            keys = int(self._rows.property_int_value("rocksdb.estimate-num-keys") or 0)
        except Exception as error:
            with translated(self._path, f"count the rows of store {self.store!r}"):
                raise self._closed_or(error) from error
        return max(0, keys - (0 if self.mark is None else 2))  # the mark and its link

    def properties(self) -> Mapping[str, int]:
        """What RocksDB says of the family, and how many iterators are open; nothing where it is closed."""
        rows = self._rows
        if rows is None:
            return {}
        try:
            found = {name: rows.property_int_value(f"rocksdb.{name}") for name in PROPERTIES}
        except Exception as error:
            if self._rows is None:
                return {}
            with translated(self._path, f"measure store {self.store!r}"):
                raise self._closed_or(error) from error
        finally:
            del rows
        return {name: value for name, value in found.items() if value is not None} | {
            "num-open-iterators": len(self._scans)
        }

    def unsorted_files(self) -> int:
        """Return how many files wait to be merged into the others, of which each is looked into by reads."""
        return int(self._rows.property_value("rocksdb.num-files-at-level0") or 0)

    def ingest(self, files: list[str], options: Any) -> None:
        """Take in files of sorted rows, all of them or none, in front of what is there."""
        self._rows.ingest_external_file(files, options)

    def close(self) -> None:
        """Release all that keeps the database's lock."""
        for scan in list(self._scans):
            scan.cut_off()
        self._rows = self._handle = None

    def _reading(self) -> AbstractContextManager[None]:
        return translated(self._path, f"read rows of store {self.store!r}")

    def _closed_or(self, error: Exception) -> Exception:
        return StoreUnavailableError(f"store {self.store!r} is closed") if self._rows is None else error


class _Scan:
    """An open iterator, released when exhausted, closed, collected, or when the database is closed."""

    __slots__ = ("__weakref__", "_is_cut_off", "_rows", "_store")

    def __init__(self, store: str, rows: Iterator[tuple[bytes, bytes]]) -> None:
        self._store = store
        self._is_cut_off = False
        self._rows: Iterator[tuple[bytes, bytes]] | None = rows

    def __iter__(self) -> "_Scan":
        return self

    def __next__(self) -> tuple[bytes, bytes]:
        rows = self._rows
        if rows is None:
            if self._is_cut_off:
                raise StoreUnavailableError(f"store {self._store!r} was closed while its rows were read")
            raise StopIteration
        try:
            pair = next(rows, None)
        except BaseException:
            self._rows = None
            raise
        finally:
            del rows
        if pair is None:
            self._rows = None
            raise StopIteration
        return pair

    def close(self) -> None:
        """Release the iterator."""
        self._rows = None

    def cut_off(self) -> None:
        """Release the iterator before whoever reads it is done."""
        if self._rows is not None:
            self._rows = None
            self._is_cut_off = True


def _ascending(iterator: Any, options: Any, reported: _Reported) -> Iterator[tuple[bytes, bytes]]:
    """Rows from where the iterator stands to its bound.

    `options` are held here: the iterator reads its bound out of them without owning them, and rows go missing if they
    are freed. rocksdict's quicker `items()` takes damage for the end of the rows, so it cannot be used.
    """
    valid, key, value, step = iterator.valid, iterator.key, iterator.value, iterator.next
    try:
        while valid():
            yield key(), value()
            step()
        with reported():
            iterator.status()
    finally:
        del iterator, valid, key, value, step, options


def _descending(iterator: Any, start: bytes | None, reported: _Reported) -> Iterator[tuple[bytes, bytes]]:
    """Rows from where the iterator stands down to `start`: there is no lower bound to set."""
    valid, key, value, step = iterator.valid, iterator.key, iterator.value, iterator.prev
    low = b"" if start is None else start
    try:
        while valid():
            found = key()
            if found < low:
                return
            yield found, value()
            step()
        with reported():
            iterator.status()
    finally:
        del iterator, valid, key, value, step
