"""Starts of an application's stores on damaged files, each in a process of its own that may be killed at any step.

`python -m tests.state.damage` reads a request a line, forks, and answers with a line. It never opens a database itself:
threads do not survive a fork.
"""

import json
import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from headrace.base.errors import StateCorruptionError
from headrace.state.rocksdb import RocksDatabase
from tests.state.stores import Stores, store_spec

__all__ = ["Outcome", "Starter"]

SPECS = (
    store_spec("s", engine="rocksdb"),
    store_spec("w", "window", engine="rocksdb", retention_ms=200_000),
)
#: Comes to the topology when the others have rows already.
LATE = store_spec("late", engine="rocksdb")

#: Modules that touch files: each call in one of them is a step at which a start may be killed.
STEPPED = ("headrace.state.rocksdb", "headrace.state.task_directory", "shutil")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a start: rows of each store, or the kill; steps it made; what was logged; records restored."""

    rows: dict[str, list[list[Any]]] | None
    steps: int
    warnings: list[str]
    restored: int


class Starter:
    """The process that makes starts."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.state.damage"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.communicate()

    def write_history(self, folder: Path) -> None:
        """Write `images/0`, `images/1`, ... of one database over time, each as a kill leaves it, and its `log`."""
        self._ask("write", folder, -1)

    def start(self, folder: Path, *, kill_at: int = -1) -> Outcome:
        """Start on `folder/task` and `folder/log`, restore, and commit once; or be killed at a step before that."""
        return self._ask("start", folder, kill_at)

    def _ask(self, what: str, folder: Path, kill_at: int) -> Outcome:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([what, str(folder), kill_at]) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))


def _dump(stores: Stores) -> dict[str, list[list[Any]]]:
    dumped = {}
    for spec in stores.specs:
        rows = stores[spec.name].range(*([None] * (2 if spec.kind == "key_value" else 3)))
        dumped[spec.name] = [[row[0].decode(), *row[1:]] for row in rows]
    return dumped


class _Logged(Stores):
    """Stores whose log outlives the process: it is durable before the stores are written."""

    def __init__(self, folder: Path, *, late: bool) -> None:
        self._file = folder / "log"
        self.restored_records = 0
        super().__init__(*SPECS, *([LATE] if late else []), path=folder / "task")
        if self._file.exists():
            self.log.update(pickle.loads(self._file.read_bytes()))

    def family(self, name: str) -> Any:
        """What rocksdict calls a column family."""
        database: Any = self.state._stores["s"].rows.database
        return database._database.get_column_family(name)

    def commit_log(self) -> None:
        super().commit_log()
        written = self._file.with_suffix(".new")
        written.write_bytes(pickle.dumps(self.log))
        os.replace(written, self._file)

    def restore(self, name: str, records: Any, start: int = 0) -> None:
        self.restored_records += len(records)
        super().restore(name, records, start)


def _write_history(folder: Path) -> Outcome:
    """Four times: commits, which stay in the log; an image; more commits; an image; a flush into tables."""
    stores = _Logged(folder, late=False)
    number = 0
    for part in range(4):
        if part == 2:
            stores.close()
            stores = _Logged(folder, late=True)
            stores.catch_up()
        for spec in stores.specs:
            # An image is taken file by file, and none may go meanwhile.
            stores.family(spec.name).set_options({"disable_auto_compactions": "true"})
        stores.family("default").set_options({"disable_auto_compactions": "true"})
        for half in range(2):
            for _ in range(3):
                number += 1
                stores["s"].put(b"each", number, number, ())
                stores["s"].put(b"%d" % number, number, number, ())
                stores["s"].put(b"%d" % (number - 5), None, number, ())
                for key in (b"a", b"b"):
                    stores["w"].put(key, number * 20_000, number, number, ())
                if part >= 2:
                    stores["late"].put(b"%d" % number, number, number, ())
                stores.commit()
            _image(folder, 3 * part + half)
        # One family alone, as a `close` that is killed leaves it, or all of them, after which logs are deleted.
        for family in ["default"] if part == 0 else [*(spec.name for spec in stores.specs), "default"]:
            stores.family(family).flush()
        _image(folder, 3 * part + 2)
    (folder / "rows").write_text(json.dumps(_dump(stores)))
    stores.close()
    _image(folder, 12)
    return Outcome(None, 0, [], 0)


def _image(folder: Path, number: int) -> None:
    (folder / "images").mkdir(exist_ok=True)
    shutil.copytree(
        folder / "task", folder / "images" / str(number), ignore=lambda _, names: {"LOG"} & set(names)
    )


class _Warnings(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _start(folder: Path, kill_at: int) -> Outcome:
    warnings = _Warnings()
    logging.getLogger("headrace").addHandler(warnings)
    steps = 0

    def step(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal steps
        if event == "c_call" and frame.f_globals["__name__"] in STEPPED:
            steps += 1
            if steps == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(step)
    try:
        rows, stores = _run(folder)
    except StateCorruptionError as damage:
        # What a worker does of damage that a read finds, or a write.
        logging.getLogger("headrace").warning("%s", damage)
        RocksDatabase.destroy(damage.path)
        rows, stores = _run(folder)
    sys.setprofile(None)
    return Outcome(rows, steps, [*warnings.lines, *stores.rebuilt], stores.restored_records)


def _run(folder: Path) -> tuple[dict[str, list[list[Any]]], _Logged]:
    """Restore, look at all rows, and commit once."""
    stores = _Logged(folder, late=True)
    try:
        stores.catch_up()
        rows = _dump(stores)
        stores["s"].put(b"each", rows["s"][-1][1], rows["s"][-1][2], ())
        stores.commit()
    except BaseException:
        stores.close()
        raise
    return rows, stores


def _serve() -> None:
    for line in sys.stdin:
        what, folder, kill_at = json.loads(line)
        reads, writes = os.pipe()
        if os.fork() == 0:
            outcome = _write_history(Path(folder)) if what == "write" else _start(Path(folder), kill_at)
            os.write(writes, json.dumps(asdict(outcome)).encode())
            os.kill(os.getpid(), signal.SIGKILL)
        os.close(writes)
        with open(reads, "rb") as answer:
            told = answer.read()
        _, status = os.wait()
        if not os.WIFSIGNALED(status):
            sys.exit("a start has failed")
        print(told.decode() or json.dumps(asdict(Outcome(None, kill_at, [], 0))), flush=True)


if __name__ == "__main__":
    _serve()
