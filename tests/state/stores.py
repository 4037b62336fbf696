"""A task's stores with a log around them: what the engine does, in a few lines, for the tests of stores."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from headrace.base.columns import Chunk, Columns
from headrace.base.compiled import is_compiled_wanted
from headrace.base.ids import Location, TaskId
from headrace.base.records import Headers
from headrace.log.admission import without_text
from headrace.processor.context import TaskContext
from headrace.serde.primitives import int64, string
from headrace.serde.serde import Serde
from headrace.serde.structured import json
from headrace.state.buffer.live_cells import LiveBudget
from headrace.state.cache import CacheBudget
from headrace.state.port import StorePosition
from headrace.state.rebuilding import must_rebuild
from headrace.state.rocksdb import RocksDatabase
from headrace.state.rocksdb_options import RocksMemory
from headrace.state.spec import Engine, StoreKind, StoreSpec
from headrace.state.task_rows import TaskRows
from headrace.state.task_state import TaskState

#: The caches of numbers: the twin, and the compiled one where it is installed.
CACHES = [
    pytest.param(False, id="twin"),
    pytest.param(
        True,
        id="compiled",
        marks=pytest.mark.skipif(not is_compiled_wanted(), reason="headrace-native is not installed"),
    ),
]

NUMBERS: Serde[int] = int64
LISTS: Serde[list[int]] = json(list[int])

DAY_MS = 24 * 60 * 60 * 1000


def store_spec(
    name: str = "store",
    kind: StoreKind = "key_value",
    *,
    engine: Engine = "memory",
    caching: bool = False,
    timestamped: bool = True,
    key: Serde[Any] = string,
    value: Serde[Any] = NUMBERS,
    retention_ms: int | None = None,
    size_ms: int | None = None,
    retain_duplicates: bool = False,
    history_ms: int | None = None,
    time_ordered: bool = False,
    ttl_ms: int | None = None,
    logging: bool = True,
    logged_headers: Literal["none", "deletions", "all"] = "none",
    stamped: bool = False,
    rows_max: int | None = None,
    make: Callable[[], Any] | None = None,
    persistent: bool = False,
) -> StoreSpec:
    return StoreSpec(
        name,
        kind,
        timestamped,
        key,
        value,
        engine,
        caching,
        logging,
        Location("app.py", 1),
        retention_ms=retention_ms,
        size_ms=size_ms,
        retain_duplicates=retain_duplicates,
        history_ms=history_ms,
        time_ordered=time_ordered,
        ttl_ms=ttl_ms,
        logged_headers="deletions" if stamped else logged_headers,
        stamped=stamped,
        rows_max=rows_max,
        make=make,
        persistent=persistent,
    )


class Stores:
    """The stores of one task. `log` is what is durable of each changelog: (key, value, timestamp, headers)."""

    def __init__(
        self,
        *specs: StoreSpec,
        path: Path | None = None,
        cache_bytes: int = 1 << 20,
        live_bytes: int = 1 << 20,
        is_compiled: bool | None = None,
    ) -> None:
        self.specs = specs
        self.path = path
        self.cache = CacheBudget(cache_bytes, is_compiled=is_compiled)
        self.live = LiveBudget(live_bytes)
        self.memory = RocksMemory(3 << 20)
        self.log: dict[str, list[tuple[bytes, bytes | None, int, Headers]]] = {
            spec.name: [] for spec in specs
        }
        self.columns: dict[str, Columns] = {}
        self.dropped: list[tuple[str, str]] = []
        self.rebuilt: list[str] = []
        self.forwarded: list[tuple[Any, ...]] = []
        self.now_ms = 1_000
        #: What is committed with the offsets.
        self.metadata: dict[str, int] = {}
        self.open()

    def open(self) -> None:
        self.context = TaskContext("app", TaskId(0, 0), lambda: self.now_ms)
        self.context.enter()
        self.context.processor_metadata = dict(self.metadata)
        self.columns = {spec.name: Columns() for spec in self.specs if spec.logging}
        self.rows = TaskRows(self.specs, self._database, application_id="app", now_ms=lambda: self.now_ms)
        self.state = TaskState(
            self.rows,
            self.columns,
            self.context,
            self.cache,
            live=self.live,
            dropped=lambda store, reason: self.dropped.append((store, reason)),
            now_ms=lambda: self.now_ms,
            directory=self._directory,
        )
        for spec in self.specs:
            store: Any = self.state.state(spec.name)
            if store.caching or spec.ttl_ms is not None:
                store.on_flush(lambda *update: self.forwarded.append(update), send_old=True)

    def _directory(self, store: str) -> Path:
        assert self.path is not None
        return self.path.with_name("own") / store

    def _database(self) -> RocksDatabase:
        assert self.path is not None
        return RocksDatabase.open(self.path, self.memory)

    def __getitem__(self, name: str) -> Any:
        return self.state.state(name)

    @property
    def only(self) -> Any:
        """The state of the only store there is."""
        (spec,) = self.specs
        return self.state.state(spec.name)

    def logged(self, name: str = "store") -> list[tuple[bytes | None, bytes | None, int]]:
        """What waits for the log."""
        columns = self.columns[name]
        return list(zip(*without_text(columns), columns.timestamps))

    def commit(self) -> None:
        self.commit_log()
        self.commit_stores()

    def commit_log(self) -> None:
        """The first half of a commit: flush, and make the changelogs durable."""
        self.state.flush()
        for name, columns in self.columns.items():
            rows = zip(*without_text(columns), columns.timestamps, columns.headers)
            self.log[name] += [
                (key or b"", value, timestamp, headers) for key, value, timestamp, headers in rows
            ]
            columns.clear()
        self.metadata = dict(self.context.processor_metadata)

    def commit_stores(self) -> None:
        """The second half of a commit: rows and positions."""
        self.state.commit({name: StorePosition(len(self.log[name]), f"id of {name}") for name in self.log})

    def abort(self) -> None:
        for columns in self.columns.values():
            columns.clear()
        self.state.discard()
        self.context.processor_metadata = dict(self.metadata)

    def crash(self) -> None:
        """Lose everything that is not on disk, and start again."""
        self.close()
        self.open()
        self.catch_up()

    def close(self) -> None:
        self.state.close()
        self.rows.close()

    def positions(self) -> Mapping[str, StorePosition | None]:
        return self.rows.positions()

    def restored(self, name: str, position: StorePosition) -> None:
        """Say that a restore is done, and run on."""
        self.rows.restored(name, position)
        self.state.take_over()

    def catch_up(self) -> None:
        positions = self.positions()
        for name, log in self.log.items():
            position = positions[name]
            reason = must_rebuild(
                position,
                topic_id=f"id of {name}",
                mark=self.rows.stores[name].spec.mark,
                begin=0,
                end=len(log),
                now_ms=self.now_ms,
                delete_retention_ms=DAY_MS,
            )
            if reason is not None:
                self.rebuilt.append(reason)
                self.state.clear(name)
            start = 0 if reason is not None or position is None else position.offset
            if start < len(log):
                self.restore(name, log[start:], start)
                self.restored(name, StorePosition(len(log), f"id of {name}"))

    def restore(
        self, name: str, records: Iterable[tuple[bytes, bytes | None, int, Headers]], start: int = 0
    ) -> None:
        rows = list(records)
        chunk = Chunk(
            f"app-{name}-changelog",
            0,
            range(start, start + len(rows)),
            [row[2] for row in rows],
            [row[0] for row in rows],
            [row[1] for row in rows],
            [row[3] for row in rows],
            1,
        )
        self.rows.restore(name, chunk)

    def at(self, offset: int, timestamp: int, headers: tuple[tuple[str, bytes], ...] = ()) -> None:
        """Let a record be what is processed now."""
        self.context.chunk = Chunk(
            "input", 0, range(100, 200), [0] * 100, [None] * 100, [None] * 100, None, 1
        )
        self.context.topic, self.context.offset = "input", offset
        self.context.timestamp = timestamp
        self.context.headers = headers
