#!/usr/bin/env python3
"""Runs headrace on one workload and prints a JSON line, as `baseline/run` does for Kafka Streams: the same arguments.

one.py WORKLOAD RECORDS GUARANTEE BOOTSTRAP INPUT_TOPIC OUTPUT_TOPIC PARTITIONS [property=value...]
"""

import dataclasses
import json
import sys
import tempfile
from pathlib import Path

# Run as a script, this file's folder is on the path and the project is not.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import Run, measure_on
from benchmarks.workloads import Topics


def main() -> None:
    """Measure, and print the figures with the codec that was used."""
    workload, records, guarantee, servers, source, output, partitions, *rest = sys.argv[1:]
    properties = {"bootstrap.servers": servers, "processing.guarantee": guarantee}
    properties |= dict(each.split("=", 1) for each in rest)
    with tempfile.TemporaryDirectory(prefix="headrace-benchmark-") as state:
        figures = measure_on(
            Run(
                workload,
                int(records),
                properties.pop("application.id", f"headrace-{workload}"),
                Path(state),
                Topics(source, output, int(partitions)),
                properties,
            )
        )
    # After the run: an application that is measured imports what it needs when it needs it.
    from headrace.kafka.batch import codec

    said = {"system": "headrace", "guarantee": guarantee, "codec": codec.chosen.name}
    print(json.dumps(said | dataclasses.asdict(figures)), flush=True)


if __name__ == "__main__":
    main()
