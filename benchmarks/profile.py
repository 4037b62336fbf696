#!/usr/bin/env python3
"""Shows where the time of one workload goes, function by function: see `--help`."""

import argparse
import sys
from pathlib import Path

# Run as a script, this file's folder is on the path, where it would stand for the `profile` that cProfile imports.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cProfile
import pstats

from benchmarks.measure import measure
from benchmarks.workloads import WORKLOADS
from headrace.engine.worker import Worker


def main() -> None:
    """Run the workload with a profiler on the worker's thread, and print the functions that took most."""
    parser = argparse.ArgumentParser(
        description="Profiles the worker's thread. The profiler slows small functions most."
    )
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--records", type=int, default=200_000, help="orders to process (200,000)")
    parser.add_argument("--lines", type=int, default=40, help="functions to show (40)")
    parser.add_argument("--sort", choices=["tottime", "cumtime", "ncalls"], default="tottime")
    given = parser.parse_args()
    profiler = cProfile.Profile()
    run = Worker.run

    def profiled(worker: Worker) -> None:
        profiler.runcall(run, worker)

    Worker.run = profiled  # type: ignore[method-assign,assignment] # a profiler sees only the thread that it was started in
    figures = measure(given.workload, given.records)
    pstats.Stats(profiler).sort_stats(given.sort).print_stats(given.lines)
    print(f"{figures.records_per_second:,} records a second under the profiler")


if __name__ == "__main__":
    main()
