"""What a record costs where several instances share the work: processor time, with one, two and four of them.

`python -m benchmarks.sharing [--protocol classic|streams] [--records 1000000] [--partitions 8] [--runs 3]` gives each
number of instances the same backlog in turn, once all of them have their tasks, and prints a JSON line for each with
the medians: the processor time of all of them (µs a record), and the same beside that of one.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from benchmarks.instances import Members
from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.log.port import Log, TopicSpec
from headrace.streams.config import Config
from headrace.streams.logs import open_log
from headrace.testing import LocalKafka

INSTANCES = (1, 2, 4)
KEYS = 10_000

#: All instances have one core together: where two cores share caches, each pays for what the other does.
CORE = max(os.sched_getaffinity(0))
BATCH = 10_000
PATIENCE_SECONDS = 300.0


def cost(kafka: LocalKafka, options: argparse.Namespace, instances: int, run: int, folder: Path) -> float:
    """Return the processor time that a record takes (µs)."""
    application = f"sharing-{instances}-{run}"
    source, target = f"{application}-in", f"{application}-out"
    log = open_log(Config(properties={"bootstrap.servers": kafka.bootstrap_servers}))
    log.create_topics([TopicSpec(name, options.partitions) for name in (source, target)])
    properties = {
        "application.id": application,
        "bootstrap.servers": kafka.bootstrap_servers,
        "processing.guarantee": options.guarantee,
        "group.protocol": options.protocol,
        "commit.interval.ms": "100",
    }
    members = Members("headrace", folder, source, target, properties)
    try:
        for number in range(instances):
            members.start(str(number))
            os.sched_setaffinity(members.processes[str(number)].pid, {CORE})
        # Each partition gets a record now and then until each member has results of its own.
        wait_for(lambda: len(_owners(log, source, target, options.partitions)) == instances)
        before = sum(_cpu_seconds(process.pid) for process in members.processes.values())
        _fill(log, source, options.partitions, options.records)
        wait_for(lambda: _is_done(log, application, source, options.partitions))
        after = sum(_cpu_seconds(process.pid) for process in members.processes.values())
    finally:
        members.close()
        log.close()
    return 1e6 * (after - before) / float(options.records)


def wait_for(holds: Callable[[], bool]) -> None:
    """Wait until it does.

    Raises:
        SystemExit: it does not within minutes.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {PATIENCE_SECONDS:.0f} s in vain")
        time.sleep(0.05)


def _owners(log: Log, source: str, target: str, partitions: int) -> set[bytes | None]:
    """Who has counted the records that are written now."""
    places = [TopicPartition(target, each) for each in range(partitions)]
    reader = log.reader()
    reader.assign(log.end_offsets(places))
    _fill(log, source, partitions, 10 * partitions)
    found: set[bytes | None] = set()
    until = time.monotonic() + 2
    while time.monotonic() < until:
        for chunk in reader.poll(50):
            found |= set(chunk.values)
    reader.close()
    return found


def _fill(log: Log, source: str, partitions: int, records: int) -> None:
    writer = log.writer("fill")
    now = time.time_ns() // 1_000_000
    for first in range(0, records, BATCH):
        columns: dict[int, Columns] = defaultdict(Columns)
        for number in range(first, min(first + BATCH, records)):
            # Keys that stay in their partition, which is not where their hash would put them: nothing is joined.
            key = number % KEYS
            columns[key % partitions].append(b"key%d" % key, b"x" * 100, now, ())
        for partition, each in columns.items():
            writer.append(source, partition, each)
        writer.commit({})
    writer.close()


def _is_done(log: Log, application: str, source: str, partitions: int) -> bool:
    places = [TopicPartition(source, each) for each in range(partitions)]
    committed = log.committed(application, places)
    ends = log.end_offsets(places)
    return all(place in committed and committed[place].offset >= end for place, end in ends.items())


def _cpu_seconds(pid: int) -> float:
    """What a process has used, of user and system time. Linux."""
    fields: list[str] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks: int = os.sysconf("SC_CLK_TCK")
    return (int(fields[11]) + int(fields[12])) / ticks


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--protocol", choices=["classic", "streams"], default="streams")
    parser.add_argument(
        "--guarantee", choices=["at_least_once", "exactly_once_v2"], default="exactly_once_v2"
    )
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    costs: dict[int, list[float]] = defaultdict(list)
    with LocalKafka(jvm_options=["-Xmx1g"]) as kafka, tempfile.TemporaryDirectory() as folder:
        for run in range(options.runs):
            for instances in INSTANCES:
                place = Path(folder, f"{instances}-{run}")
                place.mkdir()
                costs[instances].append(cost(kafka, options, instances, run, place))
    alone = statistics.median(costs[1])
    for instances, each in costs.items():
        line = {
            "instances": instances,
            "protocol": options.protocol,
            "guarantee": options.guarantee,
            "records": options.records,
            "cpu_us_per_record": round(statistics.median(each), 2),
            "beside_one": round(statistics.median(each) / alone, 3),
            "all": [round(value, 2) for value in each],
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
