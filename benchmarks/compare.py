#!/usr/bin/env python3
"""Runs headrace and Kafka Streams in turn on one broker, and prints one JSON line for each pair: see `--help`."""

import argparse
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

# Run as a script, this file's folder is on the path and the project is not.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.cluster import Cluster
from benchmarks.comparison import HEADRACE, KAFKA_STREAMS, Result, line_of, table_of
from benchmarks.workloads import NATURAL_BYTES, WORKLOADS, Topics
from headrace.testing import LocalKafka

_HERE = Path(__file__).resolve().parent
_GUARANTEES = ("at_least_once", "exactly_once_v2")
_RUN_SECONDS = 900.0

#: A broker is compiled and has memory as one in production: the rest of `LocalKafka` is for tests, which are short.
_JVM_OPTIONS = ("-Xmx2g", "-XX:TieredStopAtLevel=4")

#: Workloads that read no more of an order than that it is text, whose orders may therefore be cut.
_ANY_TEXT = ("forward", "count", "count_uncached", "window")

_SWEEP_PARTITIONS = (1, 16, 64)
#: 11 and not 10: `forward` drops values of up to ten characters.
_SWEEP_BYTES = (11, 110, 1_000, 100_000)
_SWEEP_TOPIC_BYTES = 300_000_000
#: Key, length, timestamp and offset of a record in a batch.
_RECORD_OVERHEAD = 16


#: The files of a deleted topic stay for a minute otherwise, and a comparison deletes gigabytes.
_BROKER = {"log.segment.delete.delay.ms": "1000"}


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the comparison."""

    workload: str
    guarantee: str
    records: int
    partitions: int
    record_bytes: int


def _arguments() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(
        description="Runs headrace and Kafka Streams (JDK 17, Maven) in turn on one broker, each in a new process with "
        "new topics. One JSON line for each workload and guarantee on stdout, medians; the table on stderr."
    )
    add = parser.add_argument
    add("workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)}; all by default")
    add("--records", type=int, help="orders to process (1,000,000; of session and stream_join, 300,000)")
    add("--guarantee", action="append", choices=_GUARANTEES, help="may be given twice; both by default")
    add("--runs", type=int, default=3, help="runs of each, of which the medians are told (3)")
    add("--partitions", type=int, default=1, help="partitions of input and output (1)")
    add("--record-bytes", type=int, default=NATURAL_BYTES, help=f"size of a value ({NATURAL_BYTES})")
    add("--sweep", action="store_true", help="count and forward by partitions, forward by size of record")
    add("--only", choices=(HEADRACE, KAFKA_STREAMS), help="run one of the two")
    add(
        "--set", dest="ours", action="append", default=[], metavar="NAME=VALUE", help="a property of headrace"
    )
    add(
        "--set-theirs",
        dest="theirs",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of Kafka Streams",
    )
    add("--codec", choices=("native", "python"), help="of headrace; the compiled one, where it is installed")
    add("--bootstrap-servers", metavar="HOST:PORT", help="a broker that runs already (no TLS, no login)")
    add("--keep", action="store_true", help="leave output and internal topics on the broker")
    add("--where-possible", action="store_true", help="where no broker can be started, say so and succeed")
    return parser, parser.parse_args()


def main() -> int:
    """Compare; return the exit code."""
    parser, given = _arguments()
    for name in given.workloads:
        if name not in WORKLOADS:
            parser.error(f"there is no workload {name!r}; there are {', '.join(WORKLOADS)}")
        if given.record_bytes < NATURAL_BYTES and name not in _ANY_TEXT:
            parser.error(f"{name} reads whole orders, of {NATURAL_BYTES} bytes or more: leave --record-bytes")
    if given.bootstrap_servers is None and (reason := LocalKafka.unavailable()):
        print(f"nothing to compare on: {reason}", file=sys.stderr)
        return 0 if given.where_possible else 1
    cases = list(_sweep(given) if given.sweep else _cases(given))
    lines = []
    with _cluster(given.bootstrap_servers) as cluster:
        comparison = _Comparison(given, cluster)
        for case in cases:
            if (line := comparison.line(case)) is not None:
                lines.append(line)
                print(json.dumps(line), flush=True)
    if lines:
        table_of(lines)
    return 0 if len(lines) == len(cases) else 1


def _cases(given: argparse.Namespace) -> Iterator[Case]:
    for workload in given.workloads or WORKLOADS:
        for guarantee in given.guarantee or _GUARANTEES:
            records = given.records or WORKLOADS[workload].records
            yield Case(workload, guarantee, records, given.partitions, given.record_bytes)


def _sweep(given: argparse.Namespace) -> Iterator[Case]:
    records = given.records or WORKLOADS["forward"].records
    partitions = [
        Case(workload, "", records, count, NATURAL_BYTES)
        for workload in ("count", "forward")
        for count in _SWEEP_PARTITIONS
    ]
    sizes = [
        Case("forward", "", min(records, _SWEEP_TOPIC_BYTES // (size + _RECORD_OVERHEAD)), 1, size)
        for size in _SWEEP_BYTES
    ]
    # Once is enough for what is in both.
    for case in dict.fromkeys(partitions + sizes):
        for guarantee in given.guarantee or _GUARANTEES:
            yield replace(case, guarantee=guarantee)


@contextmanager
def _cluster(servers: str | None) -> Iterator[Cluster]:
    if servers is not None:
        yield Cluster({"bootstrap.servers": servers})
        return
    with LocalKafka(jvm_options=_JVM_OPTIONS, config=_BROKER) as kafka:
        yield Cluster(kafka.client_properties)


class _Comparison:
    """Runs the cases on one broker."""

    def __init__(self, given: argparse.Namespace, cluster: Cluster) -> None:
        self._given = given
        self._cluster = cluster
        self._systems = (given.only,) if given.only else (HEADRACE, KAFKA_STREAMS)
        # Several comparisons may use one broker, one after another or at once.
        self._names = (f"{os.getpid()}-{number}" for number in itertools.count(1))

    def line(self, case: Case) -> dict[str, object] | None:
        """Run all of a case, the two systems in turn; None if one failed."""
        source = f"benchmark-{case.records}-{case.partitions}-{case.record_bytes}"
        topics, workload = Topics(source, partitions=case.partitions), WORKLOADS[case.workload]
        self._cluster.fill(topics, workload, case.records, case.record_bytes)
        results: dict[str, list[Result]] = {system: [] for system in self._systems}
        for _ in range(self._given.runs):
            for system in self._systems:
                result = self._run(system, case, source)
                if result is None:
                    return None
                results[system].append(result)
        said = {
            "workload": case.workload,
            "guarantee": case.guarantee,
            "partitions": case.partitions,
            "record_bytes": case.record_bytes,
            "runs": self._given.runs,
        }
        return line_of(said, results)

    def _run(self, system: str, case: Case, source: str) -> Result | None:
        application = f"benchmark-{system}-{case.workload}-{next(self._names)}"
        topics = Topics(source, f"{application}.results", case.partitions)
        self._cluster.make_output(topics)
        try:
            done = subprocess.run(
                self._command(system, case, application, topics),
                env=os.environ | ({"HEADRACE_CODEC": self._given.codec} if self._given.codec else {}),
                stdout=subprocess.PIPE,
                text=True,
                timeout=_RUN_SECONDS,
                check=True,
            )
            result: Result = json.loads(done.stdout.splitlines()[-1])
        except (subprocess.SubprocessError, IndexError, ValueError) as error:
            why = str(error) if isinstance(error, subprocess.TimeoutExpired) else "see above"
            print(f"*** {system} failed on {case.workload}, {case.guarantee}: {why}", file=sys.stderr)
            return None
        finally:
            if not self._given.keep:
                self._cluster.delete_run(application, topics)
        print(
            f"  {system} {case.workload} {case.guarantee}: {result['records_per_second']:,.0f}/s",
            file=sys.stderr,
        )
        return result

    def _command(self, system: str, case: Case, application: str, topics: Topics) -> list[str]:
        servers = self._cluster.properties["bootstrap.servers"]
        common = [case.workload, str(case.records), case.guarantee, servers, topics.input, topics.output]
        name = f"application.id={application}"
        if system == KAFKA_STREAMS:
            return [str(_HERE / "baseline" / "run"), *common, name, *self._given.theirs]
        script = str(_HERE / "one.py")
        return [sys.executable, script, *common, str(case.partitions), name, *self._given.ours]


if __name__ == "__main__":
    sys.exit(main())
