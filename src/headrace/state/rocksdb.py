"""Rows in RocksDB: one database a task, one column family a store, positions in the default family.

The write-ahead log is on but not synced, and families flush together: after kill -9 all that was written is there, and
after a loss of power the rows are those of some earlier moment, with the positions of that moment. The changelog has
the rest.
"""

import logging
import os
import shutil
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

from headrace.base.errors import (
    HeadraceError,
    StateCorruptionError,
    StateError,
    StoreUnavailableError,
)
from headrace.state.port import Position, Rows
from headrace.state.position_codec import decode_position, encode_position
from headrace.state.rocksdb_errors import is_stall, translated
from headrace.state.rocksdb_fork import ensure_threads_are_here
from headrace.state.rocksdb_options import RocksMemory, database_options

__all__ = ["RocksDatabase", "RocksFamily"]

_log = logging.getLogger("headrace.state")

#: A write holds the GIL, so it has to be short: 2,000 rows of 110 B take about 1 ms.
_SLICE_ROWS = 2_000

#: A stall ends when a memtable has been flushed.
_STALL_WAIT_SECONDS = 0.002
_STALL_SECONDS_MAX = 120.0

_POSITION_PREFIX = b"position:"

#: Of one batch: a family's handle, keys in order, and the values of (at least) these keys.
_Part: TypeAlias = tuple[Any, list[bytes], Rows]

#: Makes the context in which errors are translated.
_Reported: TypeAlias = Callable[[], AbstractContextManager[None]]


class RocksFamily:
    """One store's rows."""

    __slots__ = ("__weakref__", "_handle", "_path", "_read_options", "_rows", "_scans", "store")

    def __init__(self, path: str, store: str, rows: Any, handle: Any, read_options: Any) -> None:
        self.store = store
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
        database_rows = self._rows
        if database_rows is None:
            raise StoreUnavailableError(f"store {self.store!r} is closed")
        options = self._read_options()
        if reverse:
            iterator = database_rows.iter(options)
            if end is None:
                iterator.seek_to_last()
            else:
                iterator.seek_for_prev(end)
                if iterator.valid() and iterator.key() == end:
                    iterator.prev()
            rows = _descending(iterator, start, self._reading)
        else:
            if end is not None:
                # The method for the lower bound sets this one too, so there is no lower bound.
                options.set_iterate_upper_bound(end)
            iterator = database_rows.iter(options)
            iterator.seek(b"" if start is None else start)
            rows = _ascending(iterator, options, self._reading)
        scan = _Scan(self.store, rows)
        self._scans.add(scan)
        return scan

    @property
    def handle(self) -> Any:
        """What names the family in a batch."""
        return self._handle

    def count(self) -> int:
        """RocksDB's own estimate of the number of rows."""
        return int(self._rows.property_int_value("rocksdb.estimate-num-keys") or 0)

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
        pair = next(rows, None)
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
    while valid():
        yield key(), value()
        step()
    with reported():
        iterator.status()
    del options


def _descending(iterator: Any, start: bytes | None, reported: _Reported) -> Iterator[tuple[bytes, bytes]]:
    """Rows from where the iterator stands down to `start`: there is no lower bound to set."""
    valid, key, value, step = iterator.valid, iterator.key, iterator.value, iterator.prev
    low = b"" if start is None else start
    while valid():
        found = key()
        if found < low:
            return
        yield found, value()
        step()
    with reported():
        iterator.status()


class RocksDatabase:
    """All stores of one task in one directory.

    Opening takes about 10 ms and no longer with more rows. Needs nothing to be closed in order: `close` invalidates
    families and iterators itself, since any of them alive would keep the lock.
    """

    def __init__(self, path: str | os.PathLike[str], memory: RocksMemory) -> None:
        """Open the directory, or make it.

        Raises:
            AlreadyRunningError: another process or task has it open.
            StateCorruptionError: its files cannot be trusted; `destroy` it, and restore.
            StateError: it cannot be used (disk full, no permission, forked from a process that has used RocksDB).
        """
        import rocksdict

        ensure_threads_are_here()
        self._path = os.fspath(path)
        self._rocksdict = rocksdict
        self._memory = memory
        self._families: dict[str, RocksFamily] = {}
        self._write_options = rocksdict.WriteOptions()
        self._write_options.no_slowdown = True
        with translated(self._path, "open the stores"):
            try:
                os.makedirs(self._path, exist_ok=True)
            except OSError as error:
                raise StateError(f"cannot make the state directory {self._path}: {error}") from error
            options = database_options(rocksdict, memory)
            # All families there are have to be named, or RocksDB refuses to open.
            exists = os.path.exists(os.path.join(self._path, "CURRENT"))
            names = rocksdict.Rdict.list_cf(self._path, options) if exists else ["default"]
            self._database: Any = rocksdict.Rdict(
                self._path,
                options=options,
                column_families={name: database_options(rocksdict, memory) for name in names},
            )
            self._names = set(names)
            self._default: Any = self._database.get_column_family_handle("default")

    @staticmethod
    def destroy(path: str | os.PathLike[str]) -> None:
        """Delete a database that nobody has open, whatever state it is in. Nothing there is fine.

        Raises:
            StateError: it cannot be deleted.
        """
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StateError(f"cannot delete the state directory {os.fspath(path)}: {error}") from error

    def family(self, store: str) -> RocksFamily:
        """The rows of a store; created if new."""
        known = self._families.get(store)
        if known is not None:
            return known
        database = self._open()
        with translated(self._path, f"open store {store!r}"):
            if store not in self._names:
                database.create_column_family(store, database_options(self._rocksdict, self._memory))
                self._names.add(store)
            rows = database.get_column_family(store)
            handle = database.get_column_family_handle(store)
        family = self._families[store] = RocksFamily(
            self._path, store, rows, handle, self._rocksdict.ReadOptions
        )
        return family

    def position(self, store: str) -> Position | None:
        """The store's position; None for a new or cleared store.

        Raises:
            StateCorruptionError: it cannot be read.
        """
        with translated(self._path, "read a position"):
            data = self._open().get(_position_key(store))
        try:
            return None if data is None else decode_position(data)
        except StateCorruptionError as error:
            raise StateCorruptionError(f"{error}; it stands at {self._path}", path=self._path) from error

    def write(self, rows: Iterable[tuple[str, Rows]], positions: Mapping[str, Position]) -> None:
        """Write rows, then positions.

        # Invariant: positions are in the last batch, so that no position is ahead of its rows, whatever is lost.

        Raises:
            StateError: the disk is full, or a stall does not end.
        """
        self._open()
        batch: list[_Part] = []
        count = 0
        for store, changes in rows:
            handle = self.family(store).handle
            # Sorted rows take half the time: each finds its place in the memtable beside the last one.
            keys = sorted(changes)
            at = 0
            while at < len(keys):
                part = keys[at : at + _SLICE_ROWS - count]
                batch.append((handle, part, changes))
                at += len(part)
                count += len(part)
                if count >= _SLICE_ROWS:
                    self._write(batch)
                    batch, count = [], 0
        if positions:
            stored = {
                _position_key(store): encode_position(position) for store, position in positions.items()
            }
            batch.append((self._default, list(stored), stored))
        if batch:
            self._write(batch)

    def _write(self, parts: Sequence[_Part]) -> None:
        """Write one batch; if RocksDB would have to wait, wait without holding the GIL and try again."""
        waited = 0.0
        with translated(self._path, "write"):
            while True:
                # A batch is used up even by a failed write, so it is made anew.
                batch = self._rocksdict.WriteBatch(raw_mode=True)
                put = batch.put
                for handle, keys, changes in parts:
                    batch.set_default_column_family(handle)
                    for key in keys:
                        value = changes[key]
                        if value is None:
                            batch.delete(key)
                        else:
                            put(key, value)
                try:
                    self._database.write(batch, self._write_options)
                    return
                except Exception as error:
                    if not is_stall(error):
                        raise
                    if waited > _STALL_SECONDS_MAX:
                        raise StateError(
                            f"cannot write at {self._path}: RocksDB has made no room for {waited:.0f} s; "
                            "is the disk slow?"
                        ) from error
                time.sleep(_STALL_WAIT_SECONDS)
                waited += _STALL_WAIT_SECONDS

    def delete_range(self, store: str, start: bytes, end: bytes) -> None:
        """Delete rows with start <= key < end."""
        handle = self.family(store).handle
        batch = self._rocksdict.WriteBatch(raw_mode=True)
        batch.delete_range(start, end, handle)
        with translated(self._path, "delete expired rows"):
            self._open().write(batch)

    def clear(self, store: str) -> None:
        """Delete all rows of a store and its position.

        In one batch: a position never outlives its rows.
        """
        family = self.family(store)
        last = next(family.scan(None, None, reverse=True), None)
        batch = self._rocksdict.WriteBatch(raw_mode=True)
        batch.delete(_position_key(store), self._default)
        if last is not None:
            batch.delete_range(b"", last[0] + b"\x00", family.handle)
        with translated(self._path, f"clear store {store!r}"):
            self._open().write(batch)

    def approximate_count(self, store: str) -> int:
        """Roughly how many rows a store has, by RocksDB's own estimate."""
        return self.family(store).count()

    def close(self) -> None:
        """Release everything, open iterators first. Twice is fine.

        A failure is only logged: closing flushes rows to files, and the changelog has whatever those do not get.
        """
        if self._database is None:
            return
        for family in self._families.values():
            family.close()
        self._families.clear()
        self._default = None
        database, self._database = self._database, None
        try:
            with translated(self._path, "close the stores"):
                database.close()
        except HeadraceError as error:
            _log.warning("%s; what is missing is restored from the changelogs", error)

    def _open(self) -> Any:
        if self._database is None:
            raise StoreUnavailableError(f"the stores at {self._path} are closed")
        return self._database


def _position_key(store: str) -> bytes:
    return _POSITION_PREFIX + store.encode()
