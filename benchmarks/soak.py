#!/usr/bin/env python3
"""Runs an application for long, and says whether its memory stays where it is: see `--help`."""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

# Run as a script, this file's folder is on the path and the project is not.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import headrace as hr
from benchmarks.soak_scenarios import JOINS, PARTITIONS, WINDOWS, Scenario
from headrace.base.columns import Columns
from headrace.base.murmur2 import partition_for
from headrace.base.records import NO_HEADERS
from headrace.log.port import TopicSpec
from headrace.streams.logs import open_log

APPLICATION_ID = "soak"

#: What was read is deleted, or a file of gigabytes would be what is measured; on a cluster, segments go as a whole.
KEPT = {"retention.bytes": "200000000", "retention.ms": "-1", "segment.bytes": "20000000"}

#: Of the default, RocksDB's memory fills up over half of the run: what is to be seen is what has no bound.
BUDGETS = {"rocksdb.memory.max.bytes": str(24 * 1024 * 1024)}

#: Records are written so many times a second.
BATCHES_A_SECOND = 10

#: Memory is flat if it gets no higher than this above what it was after the first fifth of the run.
GROWTH_MAX = 0.10

#: So many samples in a row without a lag, after all was written, are the end.
SEEN_DONE = 3

_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen at a moment: seconds since the start, records processed, resident memory."""

    seconds: float
    records: int
    resident_mb: float


def growth_of(samples: list[Sample], seconds: float) -> float:
    """By how much memory was at its highest above what it was after the first fifth of `seconds`, as a share of that.

    Raises:
        ValueError: the run was too short for its samples.
    """
    early = [sample.resident_mb for sample in samples if sample.seconds <= seconds / 5]
    late = [sample.resident_mb for sample in samples if sample.seconds > seconds / 5]
    if not early or not late:
        raise ValueError(
            "there are too few samples: take them more often (--every), or run for longer (--seconds)"
        )
    return max(late) / early[-1] - 1


def make_topics(properties: Mapping[str, object], scenario: Scenario) -> None:
    """Make the topics, unless they are there."""
    log = open_log(hr.Config(properties=properties))
    try:
        log.create_topics([TopicSpec(name, PARTITIONS, KEPT) for name in scenario.topics])
    finally:
        log.close()


def feed(properties: Mapping[str, object], scenario: Scenario, records: int, seconds: float) -> None:
    """Write records evenly over the time; as fast as they can be written, where that is not fast enough."""
    log = open_log(hr.Config(properties=properties))
    writer = log.writer("soak-feed")
    began, written = time.monotonic(), 0
    while written < records:
        passed = time.monotonic() - began
        wanted = min(records, round(records * (passed + 1 / BATCHES_A_SECOND) / seconds))
        batches: defaultdict[tuple[str, int], Columns] = defaultdict(Columns)
        for number in range(written, min(wanted, written + 100_000)):
            topic, text, value, timestamp = scenario.record(number)
            key = text.encode()
            columns = batches[topic, partition_for(key, PARTITIONS)]
            columns.append(key, value.encode(), timestamp, NO_HEADERS)
        for (topic, partition), columns in batches.items():
            writer.append(topic, partition, columns)
        writer.commit({})
        written = min(wanted, written + 100_000)
        time.sleep(max(0.0, seconds * written / records - (time.monotonic() - began)))
    writer.close()
    log.close()


def soak(
    properties: Mapping[str, object],
    scenario: Scenario,
    state_dir: Path,
    *,
    is_fed: Callable[[], bool],
    every: float,
) -> list[Sample]:
    """Run the application until all is fed and processed; print and return a sample each `every` seconds.

    Raises:
        HeadraceError: what the application died of.
    """
    streams = hr.Streams(
        scenario.build(), application_id=APPLICATION_ID, state_dir=str(state_dir), properties=properties
    )
    samples: list[Sample] = []
    with streams:
        streams.wait_running("60s")
        began = time.monotonic()
        seen_done = 0
        while streams.state == "running":
            was_fed = is_fed()
            time.sleep(every)
            status = streams.status()
            assert status is not None
            sample = Sample(round(time.monotonic() - began, 1), status.records, resident_mb())
            samples.append(sample)
            print(
                f"{sample.seconds:7.1f} s  {sample.records:11,} records  {sample.resident_mb:7.1f} MB  "
                f"lag {status.lag_records:,}",
                flush=True,
            )
            # What the status tells is a moment old: it may be from before the last records were written.
            seen_done = seen_done + 1 if was_fed and not status.lag_records else 0
            if seen_done == SEEN_DONE:
                break
    return samples


def resident_mb() -> float:
    """Return the memory of this process."""
    return round(int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES / 1e6, 1)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Runs an application for long, prints resident memory, and fails unless it is flat within 10 % "
        "after the first fifth of the run. By default it has windows that expire, and a row for each user."
    )
    parser.add_argument("--records", type=int, default=50_000_000, help="records to write (50,000,000)")
    parser.add_argument("--seconds", type=float, default=1800, help="over which they are written (1800)")
    parser.add_argument("--every", type=float, default=10, help="seconds between samples (10)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--bootstrap-servers", help="a cluster, in place of the embedded log")
    where.add_argument("--local-kafka", action="store_true", help="a broker that is started for it")
    parser.add_argument("--set", dest="properties", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument(
        "--joins",
        action="store_true",
        help="joins of streams and by a foreign key, sessions and suppression; ten million records are a day of them",
    )
    parser.add_argument("--feed", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Feed from another process, whose memory is not the application's; return the exit code."""
    given = _parsed()
    # As Ctrl-C does: what feeds, and a broker, end with it.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    properties: dict[str, object] = {**BUDGETS, **dict(each.split("=", 1) for each in given.properties)}
    scenario = JOINS if given.joins else WINDOWS
    if given.feed:
        feed(properties, scenario, given.records, given.seconds)
        return 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-soak-")))
        servers = given.bootstrap_servers
        if given.local_kafka:
            from headrace.testing import LocalKafka

            servers = stack.enter_context(LocalKafka()).bootstrap_servers
        name, value = ("bootstrap.servers", servers) if servers else ("embedded.path", str(folder / "log.db"))
        properties[name] = value
        make_topics(properties, scenario)
        command = [sys.executable, __file__, "--feed", "--set", f"{name}={value}"]
        command += ["--joins"] if given.joins else []
        command += ["--records", str(given.records), "--seconds", str(given.seconds)]
        with subprocess.Popen(command) as feeder:
            try:
                samples = soak(
                    properties,
                    scenario,
                    folder / "state",
                    is_fed=lambda: feeder.poll() is not None,
                    every=given.every,
                )
            except BaseException:
                feeder.kill()
                raise
            if feeder.returncode:
                print("the records could not be written to their end", file=sys.stderr)
                return 1
    growth = growth_of(samples, given.seconds)
    print(
        f"memory grew by {growth:.1%} after the first fifth: {'flat' if growth <= GROWTH_MAX else 'NOT FLAT'}"
    )
    return 0 if growth <= GROWTH_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
