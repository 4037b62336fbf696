"""Measures one workload in this process and returns the figures."""

import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import headrace as hr
from benchmarks.input import fill
from benchmarks.workloads import WORKLOADS, Workload
from headrace.base.ids import TopicPartition
from headrace.log.embedded import EmbeddedLog

__all__ = ["Figures", "measure"]

_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of one run. Time runs from the first record processed until everything is committed.

    `resident_mb` is the memory at the end, `resident_growth_mb` what was added since the first record.
    """

    workload: str
    records: int
    records_per_second: int
    cpu_us_per_record: float
    resident_mb: float
    resident_growth_mb: float
    startup_seconds: float


class _Start:
    """Notes the clocks when the first record comes, and counts the others."""

    def __init__(self, records: int) -> None:
        self.all_seen = threading.Event()
        self.seconds = self.cpu_seconds = self.resident_mb = 0.0
        self._left = records

    def note(self) -> None:
        self.seconds, self.cpu_seconds, self.resident_mb = (
            time.perf_counter(),
            time.process_time(),
            _resident_mb(),
        )

    def see(self, key: str, value: str) -> None:
        if not self.seconds:
            self.note()
        self._left -= 1
        if not self._left:
            self.all_seen.set()


def measure(
    name: str, records: int, *, directory: Path | None = None, properties: dict[str, str] | None = None
) -> Figures:
    """Run a workload over `records` orders; its log and state stay in `directory`, if one is given."""
    workload = WORKLOADS[name]
    with tempfile.TemporaryDirectory(prefix="headrace-benchmark-") as temporary:
        place = directory or Path(temporary)
        fill(str(place / "log.db"), workload, records)
        start = _Start(records)
        launched = time.perf_counter()
        streams = _streams(name, workload, start.see, place, properties or {})
        count = records
        if workload.is_restore:
            _run_to_end(streams, start, place / "log.db")
            streams.clean_up()
            start.note()
            launched = start.seconds
            streams = _streams(name, workload, lambda key, value: None, place, properties or {})
            with streams:
                streams.wait_running("600s")
                status = streams.status()
                assert status is not None
                count = status.restored
        else:
            _run_to_end(streams, start, place / "log.db")
        seconds = time.perf_counter() - start.seconds
        return Figures(
            workload=name,
            records=count,
            records_per_second=round(count / seconds),
            cpu_us_per_record=round((time.process_time() - start.cpu_seconds) / count * 1e6, 2),
            resident_mb=round(_resident_mb(), 1),
            resident_growth_mb=round(_resident_mb() - start.resident_mb, 1),
            startup_seconds=round(start.seconds - launched, 3),
        )


def _streams(
    name: str, workload: Workload, see: Callable[[str, str], None], place: Path, properties: dict[str, str]
) -> hr.Streams:
    return hr.Streams(
        workload.build(see),
        application_id=f"benchmark-{name}",
        embedded_path=str(place / "log.db"),
        state_dir=str(place / "state"),
        properties=properties,
    )


def _run_to_end(streams: hr.Streams, start: _Start, log_file: Path) -> None:
    """Run until every record of every input, repartition topics included, is processed and committed."""
    log = EmbeddedLog.open(log_file)
    try:
        with streams:
            while not start.all_seen.wait(0.2):
                if streams.state == "error":
                    return  # leaving the block raises what it died of
            while not _is_committed(log, streams.application_id) and streams.state == "running":
                time.sleep(0.01)
    finally:
        log.close()


def _is_committed(log: EmbeddedLog, application_id: str) -> bool:
    """Say whether the application has committed the ends of all it reads.

    What is committed is asked for before the ends: outputs and offsets are committed in one transaction, so if the two
    are equal nothing was left to do at the first moment.
    """
    places = [
        TopicPartition(topic.name, number)
        for topic in log.topics().values()
        if not topic.name.endswith("-changelog") and topic.name != "results"
        for number in range(topic.partitions)
    ]
    committed = log.committed(application_id, places)
    ends = log.end_offsets(places)
    return all(place in committed and committed[place].offset >= end for place, end in ends.items() if end)


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES / 1e6
