"""Rows in RocksDB: one database a task, one column family a store, positions in the default family.

The write-ahead log is on but not synced, and families flush together: after kill -9 all that was written is there, and
after a loss of power the rows are those of some earlier moment, with the positions of that moment. The changelog has
the rest. What damage leaves is refused unless it is such a moment too: see `rocksdb_marks`.
"""

import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from headrace.base.errors import (
    HeadraceError,
    StateCorruptionError,
    StateError,
    StoreUnavailableError,
)
from headrace.base.file_advice import file_advice
from headrace.state.port import Rows, StorePosition
from headrace.state.position_codec import decode_position, encode_position
from headrace.state.rocksdb_errors import is_held_by_this_process, is_stall, translated
from headrace.state.rocksdb_family import RocksFamily
from headrace.state.rocksdb_fork import ensure_threads_are_here
from headrace.state.rocksdb_marks import (
    DEFAULT_FAMILY,
    Ledger,
    Mark,
    cut_off,
    link_key,
    mark_key,
    position_key,
    why_untrusted,
)
from headrace.state.rocksdb_options import RocksMemory, database_options, store_options
from headrace.state.rocksdb_tables import remove_leftovers, take_in
from headrace.state.task_directory import destroy, holds_database

__all__ = ["RocksDatabase"]

_log = logging.getLogger("headrace.state")

#: A write holds the GIL, so it has to be short: 2,000 rows of 110 B take about 1 ms.
_SLICE_ROWS = 2_000

#: A stall ends when a memtable has been flushed.
_STALL_WAIT_SECONDS = 0.002
_STALL_SECONDS_MAX = 120.0

#: A query on another thread lets go of a database that was closed under it when its call returns.
_RELEASE_WAIT_SECONDS = 0.005
_RELEASE_SECONDS_MAX = 1.0

#: Of one batch: a family, keys in order, and the values of (at least) these keys.
_Part: TypeAlias = tuple[RocksFamily, list[bytes], Rows]


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
            StateError: it cannot be used (disk full, no permission, no more open files, forked from a process that has
                used RocksDB).
        """
        import rocksdict

        ensure_threads_are_here()
        self._path = os.fspath(path)
        self._rocksdict = rocksdict
        self._memory = memory
        self._families: dict[str, RocksFamily] = {}
        self._write_options = rocksdict.WriteOptions()
        self._write_options.no_slowdown = True
        try:
            os.makedirs(self._path, exist_ok=True)
        except OSError as error:
            raise StateError(
                f"cannot make the state directory {self._path}: {error.strerror or error}; "
                f"{file_advice(error, 'name another directory')}"
            ) from error
        exists = holds_database(Path(self._path))
        with translated(self._path, "open the stores"):
            self._database: Any = self._opened(exists)
            self._default = self._family(DEFAULT_FAMILY)
        try:
            ledger = self._vouched()
            self._marks = ledger.marks
            for store in cut_off(ledger, self._marking):
                self.clear(store)
            remove_leftovers(self._path)
        except BaseException:
            self.close()
            raise

    @property
    def path(self) -> str:
        """The directory that it is in."""
        return self._path

    def _opened(self, exists: bool) -> Any:
        """RocksDB's own object. All families there are have to be named, or RocksDB refuses to open."""
        rocksdict, memory = self._rocksdict, self._memory
        options = database_options(rocksdict, memory)
        waited = 0.0
        while True:
            try:
                names = rocksdict.Rdict.list_cf(self._path, options) if exists else [DEFAULT_FAMILY]
                self._names = set(names)
                return rocksdict.Rdict(
                    self._path,
                    options=options,
                    column_families={name: self._options_of(name) for name in names},
                )
            except Exception as error:
                if not is_held_by_this_process(error) or waited > _RELEASE_SECONDS_MAX:
                    raise
            time.sleep(_RELEASE_WAIT_SECONDS)
            waited += _RELEASE_WAIT_SECONDS

    def _options_of(self, family: str) -> Any:
        if family == DEFAULT_FAMILY:
            return database_options(self._rocksdict, self._memory)
        return store_options(self._rocksdict, self._memory, family)

    def _vouched(self) -> Ledger:
        """What the default family says of the others, if all of it is so."""
        ledger = Ledger.of(self._default.scan(None, None))
        stores = {name: self._family(name) for name in self._names - {DEFAULT_FAMILY}}
        reason = why_untrusted(
            ledger,
            stores.keys(),
            marking=self._marking,
            is_empty=lambda store: next(stores[store].scan(None, None), None) is None,
        )
        if reason is not None:
            raise StateCorruptionError(f"cannot open the stores at {self._path}: {reason}", path=self._path)
        return ledger

    def _marking(self, store: str, mark: Mark) -> list[bytes]:
        """All keys of a store that belong to its mark."""
        return [key for key, _ in self._family(store).scan(mark.key, mark.end)]

    @classmethod
    def open(cls, path: str | os.PathLike[str], memory: RocksMemory) -> "RocksDatabase":
        """Open a directory as the constructor does; one that cannot be trusted is deleted first, and made anew."""
        try:
            return cls(path, memory)
        except StateCorruptionError as error:
            _log.warning("%s. They are deleted, and restored from their changelogs", error)
            cls.destroy(path)
            return cls(path, memory)

    @staticmethod
    def destroy(path: str | os.PathLike[str]) -> None:
        """Delete a database that nobody has open, whatever state it is in. Nothing there is fine.

        Raises:
            StateError: it cannot be deleted.
        """
        destroy(Path(path))

    def family(self, store: str) -> RocksFamily:
        """The rows of a store; created if new."""
        family = self._families.get(store)
        if family is not None and family.mark is not None:
            return family
        database = self._open()
        with translated(self._path, f"open store {store!r}"):
            if store not in self._names:
                database.create_column_family(store, self._options_of(store))
                self._names.add(store)
            family = self._family(store)
        if store not in self._marks:
            self._marks[store] = self._mark(family)
        family.mark = self._marks[store]
        return family

    def _family(self, name: str) -> RocksFamily:
        if name not in self._families:
            database = self._open()
            self._families[name] = RocksFamily(
                self._path,
                name,
                database.get_column_family(name),
                database.get_column_family_handle(name),
                self._rocksdict.ReadOptions,
            )
        return self._families[name]

    def _mark(self, family: RocksFamily) -> Mark:
        mark = Mark.new()

        def fill(batch: Any) -> None:
            batch.put(mark.key, b"", family.handle)
            batch.put(mark_key(family.store), mark.key, self._default.handle)
            self._link(batch, family, mark)

        self._write_batch(f"make store {family.store!r}", [], fill)
        mark.link += 1
        return mark

    def position(self, store: str) -> StorePosition | None:
        """The store's position; None for a new or cleared store.

        Raises:
            StateCorruptionError: it cannot be read.
        """
        self._open()
        data = self._default.get(position_key(store))
        try:
            return None if data is None else decode_position(data)
        except StateCorruptionError as error:
            raise StateCorruptionError(f"{error}; it stands at {self._path}", path=self._path) from error

    def write(
        self,
        rows: Iterable[tuple[str, Rows]],
        positions: Mapping[str, StorePosition],
        *,
        at_once: bool = False,
    ) -> None:
        """Write rows, then positions.

        # Invariant: positions are in the last batch, so that no position is ahead of its rows, whatever is lost. With
        # `at_once` that is the only one, and no rows are ahead of their position either.

        Raises:
            StateError: the disk is full, or a stall does not end.
            StateCorruptionError: damage was found, by this write or by a flush or compaction before it.
        """
        self._open()
        parts: list[_Part] = []
        count = 0
        for store, changes in rows:
            family = self.family(store)
            # Sorted rows take half the time: each finds its place in the memtable beside the last one.
            keys = sorted(changes)
            at = 0
            while at < len(keys):
                part = keys if at_once else keys[at : at + _SLICE_ROWS - count]
                parts.append((family, part, changes))
                at += len(part)
                count += len(part)
                if count >= _SLICE_ROWS and not at_once:
                    self._write(parts)
                    parts, count = [], 0
        positioned = [self.family(store) for store in positions]
        if positions:
            stored = {position_key(store): encode_position(position) for store, position in positions.items()}
            parts.append((self._default, list(stored), stored))
        if parts:
            self._write(parts, positioned)

    def _write(self, parts: Sequence[_Part], positioned: Iterable[RocksFamily] = ()) -> None:
        def fill(batch: Any) -> None:
            put = batch.put
            for family, keys, changes in parts:
                batch.set_default_column_family(family.handle)
                for key in keys:
                    value = changes[key]
                    if value is None:
                        batch.delete(key)
                    else:
                        put(key, value)

        touched = {family.store: family for family, _, _ in parts if family is not self._default}
        self._write_batch("write", {**touched, **{each.store: each for each in positioned}}.values(), fill)

    def _write_batch(
        self, attempt: str, touched: Collection[RocksFamily], fill: Callable[[Any], None]
    ) -> None:
        """Write one batch with its links; if RocksDB would have to wait, wait without holding the GIL and try again.

        `touched` are the families whose rows or positions `fill` writes. It is called each time: a batch is used up
        even by a failed write.
        """
        waited = 0.0
        with translated(self._path, attempt):
            while True:
                batch = self._rocksdict.WriteBatch(raw_mode=True)
                try:
                    fill(batch)
                    for family in touched:
                        self._link(batch, family, family.guard)
                    self._open().write(batch, self._write_options)
                    for family in touched:
                        family.guard.link += 1
                    return
                except Exception as error:
                    if not is_stall(error):
                        raise
                    if waited > _STALL_SECONDS_MAX:
                        raise StateError(
                            f"cannot {attempt} at {self._path}: RocksDB has made no room for {waited:.0f} s; "
                            "is the disk slow?"
                        ) from error
                finally:
                    # A batch that a traceback keeps must not keep the database's lock.
                    batch.set_default_column_family(None)
                time.sleep(_STALL_WAIT_SECONDS)
                waited += _STALL_WAIT_SECONDS

    def _link(self, batch: Any, family: RocksFamily, mark: Mark) -> None:
        batch.put(mark.linked(mark.link + 1), b"", family.handle)
        batch.put(link_key(family.store), (mark.link + 1).to_bytes(8, "big"), self._default.handle)
        if mark.link:
            batch.delete(mark.linked(mark.link), family.handle)

    @property
    def takes_files(self) -> bool:
        """True: of RocksDB's own format."""
        return True

    def take_in(self, store: str, write: Callable[[str], None]) -> None:
        """Let `write` write a file of sorted rows, whose path it is given, and take it in; the link as of a batch.

        # Invariant: only for a store without a position. A kill behind it leaves a link that the default family does
        # not know of, by which a store with a position could not be trusted any more.

        Raises:
            StateError: the disk is full, for example.
        """
        family = self.family(store)
        with translated(self._path, f"restore store {store!r}"):
            take_in(self._rocksdict, self._path, family, self._memory, write)

    def delete_range(self, store: str, start: bytes, end: bytes) -> None:
        """Delete rows with start <= key < end, which is below all marks."""
        family = self.family(store)
        self._write_batch(
            "delete expired rows", [family], lambda batch: batch.delete_range(start, end, family.handle)
        )

    def clear(self, store: str) -> None:
        """Delete all rows of a store and its position.

        In one batch: a position never outlives its rows. The mark stays.
        """
        family = self.family(store)
        mark = family.guard
        last = next(family.scan(None, None, reverse=True), (b"",))[0]

        def fill(batch: Any) -> None:
            batch.delete(position_key(store), self._default.handle)
            batch.delete_range(b"", mark.key, family.handle)
            batch.delete_range(
                mark.linked(0), mark.end, family.handle
            )  # a restore that was cut off leaves many
            if last > mark.key:
                batch.delete_range(mark.end, last + b"\x00", family.handle)

        self._write_batch(f"clear store {store!r}", [family], fill)

    def approximate_count(self, store: str) -> int:
        """Roughly how many rows a store has, by RocksDB's own estimate."""
        return self.family(store).count()

    def properties(self, store: str) -> Mapping[str, int]:
        """What RocksDB says of a store, by its own names; nothing where it is closed. From any thread."""
        family = self._families.get(store)
        return {} if family is None else family.properties()

    def close(self) -> None:
        """Release everything, open iterators first. Twice is fine.

        A failure is only logged: closing flushes rows to files, and the changelog has whatever those do not get.
        """
        if self._database is None:
            return
        for family in self._families.values():
            family.close()
        self._families.clear()
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
