#!/usr/bin/env python3
"""Runs the benchmarks and prints one JSON line for each: see `--help`."""

import argparse
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

# Run as a script, this file's folder is on the path and the project is not.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import measure
from benchmarks.workloads import WORKLOADS


def main() -> int:
    """Measure the workloads one after another, each in a new process; return the exit code."""
    parser = argparse.ArgumentParser(
        description="Measures workloads on the embedded log; one JSON line each."
    )
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)}; all by default"
    )
    parser.add_argument("--records", type=int, default=1_000_000, help="orders to process (1,000,000)")
    parser.add_argument(
        "--set",
        dest="properties",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a property, by Kafka's name",
    )
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    unknown = [name for name in given.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"there is no workload {unknown[0]!r}; there are {', '.join(WORKLOADS)}")
    if given.here:
        properties = dict(each.split("=", 1) for each in given.properties)
        figures = measure(given.workloads[0], given.records, properties=properties)
        print(json.dumps(dataclasses.asdict(figures)), flush=True)
        return 0
    # A process each: the memory of one workload is not the other's, and no interpreter is warmer than another.
    failed = 0
    for name in given.workloads or WORKLOADS:
        command = [sys.executable, __file__, "--here", name, "--records", str(given.records)]
        for each in given.properties:
            command += ["--set", each]
        failed += subprocess.run(command, check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
