#!/usr/bin/env python3
"""Measures the engine on a log that costs nothing: processor time of the worker's thread, told beside a fixed piece.

Tasks, stores and the codec of batches are the real ones; what a fetch would bring lies in memory, and what is written
is encoded and thrown away. Each turn of the worker stands beside a piece of Python that is always the same, and is told
as if that took its best time: so a machine that does other things besides changes little. See `--help`.
"""

import argparse
import statistics
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

# Run as a script, this file's folder is on the path and the project is not.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.input import fill
from benchmarks.workloads import BY_EXPRESSIONS, WORKLOADS, Topics, Workload, order
from headrace.base.columns import Chunk, Columns, Part
from headrace.engine.clock import SystemClock
from headrace.engine.options import EngineOptions
from headrace.engine.worker import Worker
from headrace.engine.worker_building import build_worker
from headrace.kafka.batch import codec
from headrace.log.memory.contents import Contents
from headrace.log.memory.log import MemoryLog
from headrace.log.memory.reader import MemoryReader
from headrace.log.memory.writer import MemoryWriter

#: 100 ms at 480,000 records a second.
RECORDS_A_COMMIT = 48_000

_BATCH_BYTES = 1_000_000

#: Keys of the fixed piece.
_KEYS = [order(number)[0].encode() for number in range(3_000)]


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """Processor time (us) for each input record, in all and within commits, and what was written for each."""

    cpu_us: float
    commit_us: float
    written: float


class _Counts:
    """What the writers of one run were given."""

    def __init__(self) -> None:
        self.records = 0


class _Reader(MemoryReader):
    """Hands over what it decodes from batches, as a fetch would."""

    def __init__(self, contents: Contents, batches: dict[tuple[str, int, int], bytes]) -> None:
        super().__init__(contents)
        self._batches = batches

    def poll(self, timeout_ms: int) -> list[Chunk]:
        return [self._decoded(chunk) for chunk in super().poll(timeout_ms)]

    def _decoded(self, chunk: Chunk) -> Chunk:
        name = chunk.topic, chunk.partition, chunk.offsets[0]
        if name not in self._batches:
            # Of the input all are made before the clock runs; of a repartition topic, in its time, as by a broker.
            self._batches[name] = encoded(chunk)
        data = bytearray(self._batches[name])
        found = codec.decode(memoryview(data), 0)
        return Chunk(
            chunk.topic,
            chunk.partition,
            chunk.offsets,
            found.timestamps,
            found.keys,
            found.values,
            found.headers,
            found.size_bytes,
        )


class _Writer(MemoryWriter):
    """Encodes what it is given; keeps it only where tasks read it again."""

    takes_text = codec.chosen.name == "native"

    def __init__(self, contents: Contents, group: str, counts: _Counts) -> None:
        super().__init__(contents, group)
        self._counts = counts

    def append(self, topic: str, partition: int, columns: Columns) -> None:
        at, headers = 0, columns.headers if any(columns.headers) else None
        self._counts.records += len(columns)
        while at < len(columns):
            _, at = codec.encode_batch(
                columns.keys, columns.values, columns.timestamps, headers, at, _BATCH_BYTES
            )
        if topic.endswith("-repartition"):
            kept = Columns()
            keys, values = (list(map(_raw, column)) for column in (columns.keys, columns.values))
            kept.extend(keys, values, columns.timestamps, columns.headers)
            super().append(topic, partition, kept)


def _raw(part: Part) -> bytes | None:
    return part.encode() if isinstance(part, str) else part


class _FreeLog(MemoryLog):
    """A memory log whose readers and writers do the codec's work."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: dict[tuple[str, int, int], bytes] = {}
        self.counts = _Counts()
        self.is_measured = False

    def reader(self) -> MemoryReader:
        return _Reader(self._contents, self.batches)

    def writer(self, group: str, transactional_id: str | None = None) -> MemoryWriter:
        if not self.is_measured:
            return super().writer(group, transactional_id)
        return _Writer(self._contents, group, self.counts)

    def encode_all(self) -> None:
        """Make the batches of all that is there."""
        for topic in self._contents.topics.values():
            for partition in topic.partitions:
                for chunk in partition.chunks:
                    self.batches[chunk.topic, chunk.partition, chunk.offsets[0]] = encoded(chunk)


def encoded(chunk: Chunk) -> bytes:
    """Return a chunk as one batch."""
    data, end = codec.encode_batch(
        list(chunk.keys), list(chunk.values), chunk.timestamps, chunk.headers, 0, sys.maxsize >> 33
    )
    assert end == len(chunk), "a chunk is one batch"
    return data


def fixed_piece() -> None:
    """Do what is always the same: a count of 3,000 texts."""
    counts: dict[str, int] = {}
    for key in _KEYS:
        text = key.decode()
        counts[text] = counts.get(text, 0) + 1


def measure(
    workload: Workload,
    records: int,
    properties: Mapping[str, object],
    *,
    with_peek: bool = True,
    clock: Callable[[], float] = time.thread_time,
) -> tuple[EngineFigures, float]:
    """Run a workload once; return its figures in units of the fixed piece, and the best time of that (s)."""
    log = _FreeLog()
    fill(log, workload, Topics(), records)
    log.encode_all()
    log.is_measured = True
    seen = 0

    def see(key: str, value: str) -> None:
        nonlocal seen
        seen += 1

    topology = workload.build(see if with_peek else None, Topics())
    with tempfile.TemporaryDirectory(prefix="headrace-benchmark-") as folder:
        worker = build_worker(
            topology,
            log,
            EngineOptions.of({"commit.interval.ms": 3_600_000, **properties}),
            application_id="benchmark",
            state_dir=Path(folder),
            clock=SystemClock(),
        )
        try:
            worker.open()
            return _run(worker, log, records, clock)
        finally:
            worker.close()


def _run(
    worker: Worker, log: _FreeLog, records: int, clock: Callable[[], float]
) -> tuple[EngineFigures, float]:
    used = committing = 0.0
    best = float("inf")
    done = committed = 0
    while True:
        began = clock()
        fixed_piece()
        stepping = clock()
        is_working = worker.step(0)
        ended = clock()
        piece = stepping - began
        best = min(best, piece)
        used += (ended - stepping) / piece
        before, done = done, sum(task.processed for task in worker.tasks)
        if done - committed >= RECORDS_A_COMMIT or not is_working:
            began = clock()
            worker.commit()
            committing += (clock() - began) / piece
            committed = done
        if not is_working and done == before:
            break
    figures = EngineFigures(
        (used + committing) / records, committing / records, round(log.counts.records / records, 2)
    )
    return figures, best


def build_of_python() -> str:
    """Say which interpreter this is, and whether it was built with its optimisations."""
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    is_optimised = "--enable-optimizations" in arguments
    is_linked = "--with-lto" in arguments
    said = "PGO" if is_optimised else "no PGO"
    return f"CPython {sys.version.split()[0]}, {said}, {'LTO' if is_linked else 'no LTO'}"


def main() -> int:
    """Print a line for each workload."""
    known = [name for name, each in WORKLOADS.items() if not each.is_restore]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(known)}; all by default"
    )
    parser.add_argument("--records", type=int, default=200_000, help="orders to process (200,000)")
    parser.add_argument("--runs", type=int, default=3, help="of each, of which the median is told (3)")
    parser.add_argument(
        "--no-peek", action="store_true", help="without the function that is called with each order"
    )
    parser.add_argument(
        "--set", dest="properties", action="append", default=[], metavar="NAME=VALUE", help="a property"
    )
    parser.add_argument(
        "--expressions",
        action="store_true",
        help=f"described by expressions, of {', '.join(BY_EXPRESSIONS)}; best without peek",
    )
    given = parser.parse_args()
    workloads: Mapping[str, Workload] = BY_EXPRESSIONS if given.expressions else WORKLOADS
    known = [name for name in known if name in workloads]
    unknown = [name for name in given.workloads if name not in known]
    if unknown:
        parser.error(f"there is no workload {unknown[0]!r}; there are {', '.join(known)}")
    properties = dict(each.split("=", 1) for each in given.properties)
    print(f"{build_of_python()}; codec {codec.chosen.name}; us of processor time a record")
    print(f"{'workload':<16}{'all':>8}{'commits':>9}{'written':>9}   runs")
    for name in given.workloads or known:
        runs = [
            measure(workloads[name], given.records, properties, with_peek=not given.no_peek)
            for _ in range(given.runs)
        ]
        unit = min(best for _, best in runs) * 1e6
        figures = [each for each, _ in runs]
        cpu = statistics.median(each.cpu_us for each in figures) * unit
        commit = statistics.median(each.commit_us for each in figures) * unit
        each_run = " ".join(f"{each.cpu_us * unit:.2f}" for each in figures)
        print(f"{name:<16}{cpu:8.2f}{commit:9.2f}{figures[0].written:9.2f}   {each_run}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
