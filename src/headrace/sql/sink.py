"""`Sink`: writes a topic into a table of a database, once. Wires configuration, lock, log, group and database."""

import copy
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic

from sqlalchemy import Engine, Table
from typing_extensions import TypeVar, Unpack

from headrace.base.callables import misfit
from headrace.base.durations import Duration, timeout_seconds
from headrace.base.errors import ApplicationStoppedError, ConfigError, StateError, TopologyError
from headrace.base.ids import TaskId
from headrace.base.version import headrace_version
from headrace.engine.status import TaskStatus, WorkerStatus
from headrace.log.port import Log
from headrace.metrics.declaration import Level
from headrace.metrics.metric import Metrics, MetricsOf
from headrace.metrics.rates import Rates
from headrace.processor.handlers import Handler
from headrace.serde.serde import kind_of
from headrace.sql.batch import BatchWriting, moments
from headrace.sql.claims import Claims
from headrace.sql.database import Mode, ensure_supported, find, made_engine
from headrace.sql.log_side import LogSide
from headrace.sql.loop import SinkLoop
from headrace.sql.measuring import SinkMeters
from headrace.sql.positions import Positions
from headrace.sql.rows import ReadRecord, Row, RowMaking
from headrace.sql.statements import Statements
from headrace.sql.verdicts import Stage, Verdicts
from headrace.streams.config import Config, ConfigFields
from headrace.streams.figures import measure_client
from headrace.streams.joining import joiner
from headrace.streams.lock import application_lock
from headrace.streams.logs import address_of, open_log_under
from headrace.streams.options import APPLICATION_ID, STATE_DIR
from headrace.streams.process_id import ProcessIds
from headrace.streams.remembered_log import RememberedLog
from headrace.streams.runnable import Runnable
from headrace.streams.states import FINAL, Lifecycle, State
from headrace.topology.topics import Topic

__all__ = ["Sink"]

K = TypeVar("K")
V = TypeVar("V")

#: How long a log that does not answer may hold up the end.
_STOP_SECONDS = 10.0

_HANDLERS: dict[Stage, str] = {
    "deserialize": "deserialization.exception.handler",
    "process": "processing.exception.handler",
    "produce": "production.exception.handler",
}


class Sink(Runnable, Generic[K, V]):
    """Writes a topic into a table: each record once, whatever is killed, paused or restarted in between.

    Rows and the position behind them are one transaction of the database, which alone decides where to go on. With
    `mode="upsert"` there is one row for each key: `key_columns` (the primary key, unless they are named) come from
    the record's key, the others from the fields of its value, and a tombstone deletes the row. With `mode="append"`
    each record is a row. `row=` and `key=` are functions where names differ.

    It is an application of its own, with an `application_id` and Streams' properties, and it runs as Streams does: as
    a context, with `run()`, or by `headrace run MODULE:NAME`. Several instances on Kafka share the partitions. What an
    application computes is written to a topic first, exactly once, and from there into the database.

    What it does not promise: rows that other clients, triggers or `row=` functions with effects of their own make are
    theirs. Of changes of a key that come in one batch only the last one is made. Dead letters are written before the
    position is, so that a crash may write one twice. Whoever changes the positions' table by hand changes what is
    written. The database must keep what it has committed.

    `database` is an address, or an Engine of SQLAlchemy, which stays yours. Safe to use from several threads; it
    belongs to the process that starts it, and once stopped it does not start again.

    Raises:
        ConfigError: a property or an argument is impossible.
        TopologyError: `topic` is none.
    """

    def __init__(
        self,
        topic: Topic[K, V],
        table: str | Table,
        *,
        database: str | Engine,
        mode: Mode = "upsert",
        key_columns: Sequence[str] | None = None,
        row: Callable[[ReadRecord[K, V]], Row | None] | None = None,
        key: Callable[[K], Row] | None = None,
        batch_records: int = 1000,
        positions_table: str = "headrace_positions",
        config: Config | None = None,
        **fields: Unpack[ConfigFields],
    ) -> None:
        if not isinstance(topic, Topic):
            raise TopologyError(
                f"a sink reads a Topic, found {kind_of(topic)}: write hr.Topic('name', value=…)"
            )
        if mode not in ("upsert", "append"):
            raise ConfigError(
                f"mode={mode!r}: 'upsert' (a row for each key) or 'append' (for each record) is wanted"
            )
        if isinstance(key_columns, str) or (mode == "append" and (key_columns or key)):
            raise ConfigError(
                "key_columns= is a list of columns, and it and key= are for mode='upsert': appended rows have no key"
            )
        if batch_records < 1:
            raise ConfigError(f"batch_records={batch_records}: one or more")
        for name, function, argument in (("row", row, "record"), ("key", key, "key")):
            problem = None if function is None else misfit(function, (argument,))
            if problem is not None:
                raise TypeError(f"{name}=: the function {problem}")
        self._engine = made_engine(database) if isinstance(database, str) else database
        self._is_own_engine = isinstance(database, str)
        ensure_supported(self._engine)
        self._topic, self._table, self._mode = topic, table, mode
        self._key_columns, self._row, self._key = key_columns, row, key
        self._batch_records, self._positions_table = batch_records, positions_table
        self._begin((config or Config()).with_fields(**fields))

    def with_config(self, config: Config) -> "Sink[K, V]":
        """Return the same sink, not started, with more of a configuration: what code says loses against the rest.

        `headrace run` does so with its flags, a file and the environment.
        """
        made = copy.copy(self)
        made._begin(self._config.merged(config))
        return made

    def _begin(self, config: Config) -> None:
        self._config = config
        self._life = Lifecycle()
        self._rates = Rates(time.monotonic())
        self._meters = SinkMeters()
        self._starting = threading.Lock()
        self._stop = threading.Event()
        self._loop: SinkLoop[K, V] | None = None
        self._thread: threading.Thread | None = None
        self._log: Log | None = None
        self._killed_by: BaseException | None = None

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Open the log, and begin in a thread of its own; returns at once, also where the database does not answer.

        Raises:
            StateError: it was started before.
            ConfigError: no log is named, there is no application.id, or a serde needs a property that is not set.
            AlreadyRunningError: another process runs the application on this state directory, or this log's file.
            LogError: the log cannot be opened.
        """
        with self._starting:
            if self.state != "created":
                raise StateError(
                    f"cannot start {self.application_id!r}: it is {self.state}; make another Sink"
                )
            for serde in (self._topic.key, self._topic.value):
                serde.configure(self._config.values())
            directory, path = self._state_directory, address_of(self._config).path
            lock = application_lock(self.application_id, directory, path)
            self._log = log = open_log_under(lock, self._config, RememberedLog(directory))

            def work() -> None:
                try:
                    self._loop = self._made_loop(log)
                    self._loop.run()
                except BaseException as error:
                    self._killed_by = error
                finally:
                    self._end(log, lock.release)

            self._thread = threading.Thread(target=work, name=f"{self.application_id}-sink", daemon=True)
            self._life.change("rebalancing")
            self._thread.start()
        self._life.tell()

    def _end(self, log: Log, release: Callable[[], None]) -> None:
        self._life.move("pending_shutdown" if self._killed_by is None else "pending_error")
        try:
            log.close()
            if self._is_own_engine:
                self._engine.dispose()
        except Exception as error:
            self._killed_by = self._killed_by or error
        finally:
            release()
            self._life.move("error" if self.state == "pending_error" else "not_running")

    def close(self, timeout: Duration | None = "60s") -> None:
        """Finish the batch at hand and stop. Twice is fine.

        Raises:
            TimeoutError: the database, or a function of yours, held it for longer; it still stops when that returns.
        """
        with self._starting:
            self._stop.set()
            thread, log = self._thread, self._log
            moved = self._life.change("pending_shutdown")
        if moved:
            self._life.tell()
        if thread is None or log is None:
            if moved:
                self._life.move("not_running")
            return
        if thread is threading.current_thread():
            return  # one of its own functions asks
        if self.state not in FINAL:
            log.hurry(_STOP_SECONDS)
        thread.join(timeout_seconds(timeout))
        if thread.is_alive():
            raise TimeoutError(f"sink {self.application_id!r} did not stop within {timeout}")

    def _ensure_can_wait(self) -> None:
        if self._thread is threading.current_thread():
            raise StateError(
                f"cannot wait for {self.application_id!r} in its own thread, which would never end: wait elsewhere"
            )

    # ── how it is ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def application_id(self) -> str:
        """The application's id."""
        return self._config.get(APPLICATION_ID)

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._config

    @property
    def state(self) -> State:
        """Where it is: as of `Streams`; "rebalancing" while it waits for the database, or for its group, at first."""
        return self._life.state

    @property
    def trouble(self) -> str | None:
        """What it waits for, for people to read; None where all is well."""
        loop, log = self._loop, self._log
        return (loop and loop.trouble) or (log and log.trouble) or None

    @property
    def killed_by(self) -> BaseException | None:
        """What ended it; None where it runs, or was stopped."""
        return self._killed_by

    @property
    def shuts_down_application(self) -> bool:
        """Whether it has ended since an instance told all of them to stop."""
        return isinstance(self._killed_by, ApplicationStoppedError)

    @property
    def log(self) -> Log | None:
        """The log that it reads, for who looks at it beside; None before the start, and when it has stopped."""
        return None if self.state in FINAL else self._log

    def status(self) -> WorkerStatus | None:
        """Return its figures: a task is a partition that it writes. None before the start."""
        if self._thread is None:
            return None
        meters = self._meters
        rate = self._rates.rate("status", meters.records, time.monotonic())
        tasks = tuple(TaskStatus(TaskId(0, number), "running") for number in meters.partitions)
        return WorkerStatus(
            "running" if self.state == "running" else "starting",
            meters.records,
            rate,
            meters.lag,
            tasks=tasks,
        )

    def metrics(self) -> Metrics:
        """Return all metrics as they are now; docs/metrics.md lists those of sinks under `stream-sink-metrics`."""
        level = Level[self._config["metrics.recording.level"]]
        into = MetricsOf(level, self._rates, time.monotonic())
        tags = {
            "client-id": self._config["client.id"] or self.application_id,
            "process-id": "",
            "application-id": self.application_id,
        }
        measure_client(into, tags, state=self.state, version=headrace_version(), topology=None, level=level)
        self._meters.measure(into, str(self._table), is_waiting=self.trouble is not None)
        return Metrics(into.found)

    @property
    def _state_directory(self) -> Path:
        return Path(self._config.get(STATE_DIR), self.application_id)

    # ── what it is made of ───────────────────────────────────────────────────────────────────────────────────────

    def _made_loop(self, log: Log) -> SinkLoop[K, V]:
        ids = ProcessIds(self._state_directory)
        thread = f"{self.application_id}-sink"
        log_side = LogSide(log, self.application_id)
        return SinkLoop(
            log,
            self._topic.name,
            self._topic.partitions,
            open_database=partial(self._opened_database, log, log_side),
            join=joiner(log, self._config, ids.process_id(), ids.member_id(thread), thread, {}),
            known_as=partial(ids.keep_member_id, thread),
            log_side=log_side,
            batch_records=self._batch_records,
            look_seconds=self._config["metadata.max.age.ms"] / 1000,
            stop=self._stop,
            meters=self._meters,
            moved=self._life.move,
        )

    def _opened_database(self, log: Log, log_side: LogSide) -> tuple[BatchWriting[K, V], Claims]:
        """Look at the table, and make that of the positions where it is not there. Blocks; Later where it must wait."""
        engine = self._engine
        with moments("look at the database"):
            found = find(engine, self._table, self._mode, self._key_columns)
            positions = Positions(
                self.application_id,
                f"{socket.gethostname()}:{os.getpid()}",
                found.table.schema,
                self._positions_table,
            )
            positions.create(engine)
        writing = BatchWriting(
            engine,
            self._topic,
            RowMaking(found.table, found.key_columns, self._row, self._key),
            Statements(engine, found.table, found.key_columns),
            positions,
            Verdicts(
                f"sink into {found.table.fullname}",
                self._handler_of,
                self._config["errors.dead.letter.queue.topic.name"],
                log_side,
            ),
            replaces=self._mode == "upsert",
            meters=self._meters,
        )
        return writing, Claims(engine, positions, log)

    def _handler_of(self, stage: Stage) -> Handler:
        handler: Any = self._config[_HANDLERS[stage]]
        return handler  # type: ignore[no-any-return]  # a property's type is not known to a look-up by name
