"""A store of the user's own, as a task holds it: one object at a time, which an abort replaces."""

import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from headrace.base.columns import Chunk, Columns
from headrace.base.errors import StateCorruptionError, StateError
from headrace.base.records import NO_HEADERS, Record
from headrace.processor.context import TaskContext
from headrace.state.custom_store import CustomStore, StoreContext, failed
from headrace.state.port import ChangelogAdmission, Database, Rows
from headrace.state.spec import StoreSpec

__all__ = ["CustomBuffer", "CustomRows"]

_log = logging.getLogger("headrace.state")


class CustomBuffer:
    """Holds the object. Rows there are none: the database has the store's position alone.

    # Invariant: what processors may have changed since the last commit goes with the object (`forget`). One that keeps
    no files takes its position with it, so that all of the changelog is restored. No position stays where the files
    are gone that it vouches for: the directory is there before any is written, also of a changelog without records.
    """

    __slots__ = (
        "_admission",
        "_changelog",
        "_context",
        "_database",
        "_directory",
        "_is_handed_out",
        "_store",
        "_task",
        "spec",
    )

    caching = False
    #: Nothing waits here: changes are in the changelog's columns, and in the object.
    buffered_bytes = 0
    observed_stream_time = -1
    sequence = 0

    def __init__(
        self,
        spec: StoreSpec,
        database: Database,
        changelog: Columns | None,
        task: TaskContext,
        directory: Callable[[str], Path] | None,
        admission: ChangelogAdmission | None,
    ) -> None:
        if spec.make is None:
            raise StateError(f"nothing makes store {spec.name!r}")
        self.spec = spec
        self._database = database
        self._changelog = changelog
        self._task = task
        self._directory = None if directory is None or not spec.persistent else directory(spec.name)
        self._admission = admission
        self._store: CustomStore | None = None
        self._context: StoreContext | None = None
        self._is_handed_out = False
        if self._has_lost_its_files():
            _log.warning(
                "store '%s' is restored from its changelog: its directory %s is gone",
                spec.name,
                self._directory,
            )
            database.clear(spec.name)
        self._make_directory()

    def _make_directory(self) -> None:
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)

    def _has_lost_its_files(self) -> bool:
        if self._directory is None or self._directory.is_dir():
            return False
        return self._store is not None or self._database.position(self.spec.name) is not None

    def _ensure_files_are_there(self) -> None:
        """Refuse to go on with a directory that was deleted under the store: what it had flushed is gone."""
        if self._has_lost_its_files():
            raise StateCorruptionError(
                f"store {self.spec.name!r} has lost its files: {self._directory} was deleted while it was in use",
                path=self._database.path,
            )

    def hand_out(self) -> Any:
        """Return the object, for processors: from now on, an abort replaces it."""
        self._is_handed_out = True
        return self._opened()

    def _opened(self) -> CustomStore:
        if self._store is None:
            make = self.spec.make
            assert make is not None
            self._ensure_files_are_there()
            made: CustomStore = make()
            context = StoreContext(
                self.spec.name, self._task, self._directory, self._changelog, self._admission
            )
            try:
                made.init(context)
            except Exception as error:
                raise failed(self.spec.name, "init", error) from error
            self._store, self._context = made, context
        return self._store

    def restore(self, records: Sequence[Record[bytes, bytes | None]]) -> None:
        """Hand over what was logged."""
        store = self._opened()
        try:
            store.restore(records)
        except Exception as error:
            raise failed(self.spec.name, "restore", error) from error

    def flush(self) -> None:
        """Let the store make durable what it has: before its position is written.

        Raises:
            StateCorruptionError: its directory is gone.
        """
        if self._store is not None:
            self._ensure_files_are_there()
            try:
                self._store.flush()
            except Exception as error:
                raise failed(self.spec.name, "flush", error) from error

    def changes(self) -> Rows:
        """Flush: the log has committed. There are no rows."""
        self.flush()
        return {}

    def committed(self) -> None:
        """There is nothing to drop."""

    def forget(self) -> None:
        """Let go of an object that may have changed since the last commit."""
        if not self._is_handed_out:
            return
        self.close()
        if not self.spec.persistent:
            self._database.clear(self.spec.name)

    def close(self) -> None:
        """Let go of the object. Twice is fine."""
        store, self._store = self._store, None
        context, self._context = self._context, None
        self._is_handed_out = False
        if context is not None:
            context.end()
        if store is not None:
            try:
                store.close()
            except Exception as error:
                raise failed(self.spec.name, "close", error) from error

    def clear(self) -> None:
        """Let go of the object and of its files: a new one begins empty."""
        self.close()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            if self._directory.exists():
                raise StateError(
                    f"cannot delete {self._directory}, which store {self.spec.name!r} has to begin without"
                )
            self._make_directory()

    def restored(self, stream_time: int, sequence: int) -> None:
        """There is nothing to take over."""

    def expired(self) -> tuple[bytes, bytes] | None:
        """No row expires: None."""
        return None


class CustomRows:
    """Restores a store of the user's own: changes go straight to it. Records without a key are skipped."""

    __slots__ = ("_buffer", "sequence", "stream_time")

    def __init__(self, buffer: CustomBuffer) -> None:
        self.stream_time = -1
        self.sequence = 0
        self._buffer = buffer

    def apply(self, chunk: Chunk) -> None:
        """Hand over a chunk's records."""
        all_headers = [NO_HEADERS] * len(chunk) if chunk.headers is None else chunk.headers
        self._buffer.restore(
            [
                Record(key, value, timestamp, headers)
                for key, value, timestamp, headers in zip(
                    chunk.keys, chunk.values, chunk.timestamps, all_headers
                )
                if key is not None
            ]
        )

    def take(self) -> Rows:
        """Flush, since a position may be written next. There are no rows."""
        self._buffer.flush()
        return {}

    def __len__(self) -> int:
        """Nothing is gathered."""
        return 0
