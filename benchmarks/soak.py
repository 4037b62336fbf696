#!/usr/bin/env python3
"""Runs an application for long, and says whether its memory stays where it is: see `--help`."""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

# Run as a script, this file's folder is on the path and the project is not.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import headrace as hr
from benchmarks.workloads import order
from headrace import stores
from headrace.base.columns import Columns
from headrace.base.murmur2 import partition_for
from headrace.base.records import NO_HEADERS
from headrace.log.port import TopicSpec
from headrace.streams.logs import open_log

APPLICATION_ID = "soak"
INPUT, COUNTED, LATEST = "soak-orders", "soak-counts", "soak-latest"
PARTITIONS = 2

#: What the first order is stamped with (2026-01-01); the others follow, 1 ms apart.
START_MS = 1_767_225_600_000

#: What was read is deleted, or a file of gigabytes would be what is measured; on a cluster, segments go as a whole.
KEPT = {"retention.bytes": "200000000", "retention.ms": "-1", "segment.bytes": "20000000"}

#: Records are written so many times a second.
BATCHES_A_SECOND = 10

#: Memory is flat if it gets no higher than this above what it was after the first fifth of the run.
GROWTH_MAX = 0.10

_PAGE_BYTES = 4096


def build() -> hr.Topology:
    """Build the topology: windows that expire, behind a cache, and a row for each user that every order replaces."""
    counts = stores.window("counts", key=str, value=int, retention="1m")
    latest = stores.key_value("latest", key=str, value=str, caching=False)
    builder = hr.StreamsBuilder()
    orders = builder.stream(hr.Topic(INPUT, value=str, partitions=PARTITIONS)).group_by_key()
    windowed = orders.windowed_by(hr.TimeWindows("10s", grace="5s")).count(store=counts)
    windowed.to_stream(lambda window, count: window.key, key=str).to(hr.Topic(COUNTED, value=int))
    orders.reduce(lambda old, new: new, store=latest).to_stream().to(hr.Topic(LATEST, value=str))
    return builder.build()


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


def make_topics(properties: Mapping[str, object]) -> None:
    """Make the topics, unless they are there."""
    log = open_log(hr.Config(properties=properties))
    try:
        log.create_topics([TopicSpec(name, PARTITIONS, KEPT) for name in (INPUT, COUNTED, LATEST)])
    finally:
        log.close()


def feed(properties: Mapping[str, object], records: int, seconds: float) -> None:
    """Write orders evenly over the time; as fast as they can be written, where that is not fast enough."""
    log = open_log(hr.Config(properties=properties))
    writer = log.writer("soak-feed")
    began, written = time.monotonic(), 0
    while written < records:
        passed = time.monotonic() - began
        wanted = min(records, round(records * (passed + 1 / BATCHES_A_SECOND) / seconds))
        columns = [Columns() for _ in range(PARTITIONS)]
        for number in range(written, min(wanted, written + 100_000)):
            text, value = order(number)
            key = text.encode()
            partition = partition_for(key, PARTITIONS)
            columns[partition].append(key, value.encode(), START_MS + number, NO_HEADERS)
        for partition, batch in enumerate(columns):
            if len(batch):
                writer.append(INPUT, partition, batch)
        writer.commit({})
        written = min(wanted, written + 100_000)
        time.sleep(max(0.0, seconds * written / records - (time.monotonic() - began)))
    writer.close()
    log.close()


def soak(
    properties: Mapping[str, object], state_dir: Path, *, is_fed: Callable[[], bool], every: float
) -> list[Sample]:
    """Run the application until all is fed and processed; print and return a sample each `every` seconds.

    Raises:
        HeadraceError: what the application died of.
    """
    streams = hr.Streams(
        build(), application_id=APPLICATION_ID, state_dir=str(state_dir), properties=properties
    )
    samples: list[Sample] = []
    with streams:
        streams.wait_running("60s")
        began = time.monotonic()
        while streams.state == "running":
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
            if is_fed() and not status.lag_records:
                break
    return samples


def resident_mb() -> float:
    """Return the memory of this process."""
    return round(int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES / 1e6, 1)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Runs windows that expire for long, prints resident memory, and fails unless it is flat within "
        "10 % after the first fifth of the run."
    )
    parser.add_argument("--records", type=int, default=50_000_000, help="orders to process (50,000,000)")
    parser.add_argument("--seconds", type=float, default=1800, help="over which they are written (1800)")
    parser.add_argument("--every", type=float, default=10, help="seconds between samples (10)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--bootstrap-servers", help="a cluster, in place of the embedded log")
    where.add_argument("--local-kafka", action="store_true", help="a broker that is started for it")
    parser.add_argument("--set", dest="properties", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--feed", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Feed from another process, whose memory is not the application's; return the exit code."""
    given = _parsed()
    properties: dict[str, object] = dict(each.split("=", 1) for each in given.properties)
    if given.feed:
        feed(properties, given.records, given.seconds)
        return 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-soak-")))
        servers = given.bootstrap_servers
        if given.local_kafka:
            from headrace.testing import LocalKafka

            servers = stack.enter_context(LocalKafka()).bootstrap_servers
        name, value = ("bootstrap.servers", servers) if servers else ("embedded.path", str(folder / "log.db"))
        properties[name] = value
        make_topics(properties)
        command = [sys.executable, __file__, "--feed", "--set", f"{name}={value}"]
        command += ["--records", str(given.records), "--seconds", str(given.seconds)]
        with subprocess.Popen(command) as feeder:
            try:
                samples = soak(
                    properties,
                    folder / "state",
                    is_fed=lambda: feeder.poll() is not None,
                    every=given.every,
                )
            except BaseException:
                feeder.kill()
                raise
            if feeder.returncode:
                print("the orders could not be written to their end", file=sys.stderr)
                return 1
    growth = growth_of(samples, given.seconds)
    print(
        f"memory grew by {growth:.1%} after the first fifth: {'flat' if growth <= GROWTH_MAX else 'NOT FLAT'}"
    )
    return 0 if growth <= GROWTH_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
