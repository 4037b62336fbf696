"""Measures one workload in this process, on an embedded log or on a cluster, and returns the figures."""

import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import headrace as hr
from benchmarks.input import fill
from benchmarks.workloads import ORDERS_PER_PROFILE, USERS_COUNT, WORKLOADS, Topics, Workload
from headrace.log.embedded import EmbeddedLog

__all__ = ["Figures", "Run", "measure", "measure_on"]

_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of one run. Time runs from the first record processed until `close` has committed everything.

    `resident_mb` is the memory before the close, `resident_growth_mb` what was added since the first record. The times
    of commits are those before the close.
    """

    workload: str
    records: int
    records_per_second: int
    cpu_us_per_record: float
    resident_mb: float
    resident_growth_mb: float
    startup_seconds: float
    commit_ms_average: float
    commit_ms_max: float


@dataclass(frozen=True, slots=True)
class Run:
    """What to run, and where: `properties` name the log, whose input is there already."""

    workload: str
    records: int
    application_id: str
    state_dir: Path
    topics: Topics = field(default_factory=Topics)
    properties: Mapping[str, object] = field(default_factory=dict)

    def streams(self, see: Callable[[str, str], None]) -> hr.Streams:
        """Make the application."""
        return hr.Streams(
            WORKLOADS[self.workload].build(see, self.topics),
            application_id=self.application_id,
            state_dir=str(self.state_dir),
            properties=self.properties,
        )


class _Watch:
    """Notes the clocks when the first record comes and when all is done; counts the orders between."""

    def __init__(self, workload: Workload, records: int) -> None:
        self.all_seen = threading.Event()
        self.began = self.seconds = self.cpu_seconds = 0.0
        self.resident_began = self.resident = 0.0
        self.commits_ms = (0.0, 0.0)
        self.processed = records
        self._workload = workload
        self._records = records

    def begin(self) -> None:
        self.resident_began = _resident_mb()
        self.cpu_seconds = time.process_time()
        self.began = time.perf_counter()

    def end(self) -> None:
        self.seconds = time.perf_counter() - self.began
        self.cpu_seconds = time.process_time() - self.cpu_seconds

    def seeing(self) -> Callable[[str, str], None]:
        """Make what is called with every order: a closure, which costs half of a method that counts in an attribute."""
        first = left = self._records

        def see(key: str, value: str) -> None:
            nonlocal left
            if left == first:
                self.begin()
                self.processed += self.processed * self._workload.repartitioned(value)
                self.processed += USERS_COUNT if self._workload.users else 0
                self.processed += self._records // ORDERS_PER_PROFILE if self._workload.profiles else 0
            left -= 1
            if not left:
                self.all_seen.set()

        return see


def measure(
    name: str, records: int, *, directory: Path | None = None, properties: Mapping[str, object] | None = None
) -> Figures:
    """Run a workload on an embedded log; its log and state stay in `directory`, if one is given."""
    with tempfile.TemporaryDirectory(prefix="headrace-benchmark-") as temporary:
        place = directory or Path(temporary)
        file = str(place / "log.db")
        log = EmbeddedLog.open(file)
        try:
            fill(log, WORKLOADS[name], Topics(), records)
        finally:
            log.close()
        where = {"embedded.path": file, **(properties or {})}
        return measure_on(Run(name, records, f"benchmark-{name}", place / "state", properties=where))


def measure_on(run: Run) -> Figures:
    """Run a workload on the log that its properties name.

    Raises:
        HeadraceError: what the application died of.
    """
    workload = WORKLOADS[run.workload]
    watch = _Watch(workload, run.records)
    launched = time.perf_counter()
    streams = run.streams(watch.seeing())
    _run_to_end(streams, watch)
    startup = watch.began - launched
    count = run.records
    if workload.is_restore:
        streams.clean_up()
        count = _restore(run, watch)
    return Figures(
        workload=run.workload,
        records=count,
        records_per_second=round(count / watch.seconds),
        cpu_us_per_record=round(watch.cpu_seconds / count * 1e6, 2),
        resident_mb=round(watch.resident, 1),
        resident_growth_mb=round(watch.resident - watch.resident_began, 1),
        startup_seconds=round(startup, 3),
        commit_ms_average=round(watch.commits_ms[0], 2),
        commit_ms_max=round(watch.commits_ms[1], 2),
    )


def _run_to_end(streams: hr.Streams, watch: _Watch) -> None:
    """Run until every record is processed, those of repartition topics included, and `close` has committed it."""
    streams.start()
    try:
        while not watch.all_seen.wait(0.2) and streams.state != "error":
            pass
        while _processed(streams) < watch.processed and streams.state == "running":
            time.sleep(0.005)
        status = streams.status()
        if status is not None:
            watch.commits_ms = status.commit_ms_average, status.commit_ms_max
        watch.resident = _resident_mb()
    finally:
        streams.close(timeout="600s")
    watch.end()
    streams.wait()


def _processed(streams: hr.Streams) -> int:
    # The status has it too, but is made four times a second only: too rough for a run of some seconds.
    threads = streams._threads
    workers = () if threads is None else threads.workers
    return sum(task.processed for worker in workers for task in list(worker._tasks.values()))


def _restore(run: Run, watch: _Watch) -> int:
    """Start again without local state; time runs from there until it is running. Return how many records that took."""
    watch.begin()
    streams = run.streams(lambda key, value: None)
    streams.start()
    try:
        streams.wait_running("600s")
        watch.end()
        watch.resident = _resident_mb()
        status = streams.status()
        assert status is not None
        return status.restored
    finally:
        streams.close(timeout="600s")


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES / 1e6
