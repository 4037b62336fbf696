#!/usr/bin/env python3
"""Verifies `headrace demo`: compares every row of its results with what DuckDB makes of the CSV files.

Usage: verify.py [--kill N] [--seed N] [--path DIR] [--bootstrap-servers HOST:PORT | --local-kafka]

It imports nothing of headrace and reads the results through its commands, so that it cannot share a mistake. With
`--kill` the demonstration is killed (kill -9) at that many random moments before it may end; nothing else changes: the
same rows are expected.
"""

import argparse
import csv
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

# Run as a script, its folder is on the path and the one above it is not.
sys.path.insert(0, str(Path(__file__).parents[1]))

from demo.expected import EXPECTED, FIGURES, LATE, LATE_SQL, TOPICS, read_files

APPLICATION = "headrace.demo.flights:build"
COMMAND = [sys.executable, "-m", "headrace.cli"]


@dataclass(frozen=True)
class Place:
    """Where the demonstration runs: its folder, and the brokers where it is not on an embedded log there."""

    path: Path
    servers: str | None

    def log_options(self) -> list[str]:
        """Return the options that tell a command which log is meant."""
        if self.servers is not None:
            return ["--bootstrap-servers", self.servers]
        return ["--embedded", str(self.path / "flights.db")]

    def environment(self) -> dict[str, str]:
        """Return the environment of a program that takes no options."""
        return {
            **os.environ,
            **({} if self.servers is None else {"HEADRACE_BOOTSTRAP_SERVERS": self.servers}),
        }


@contextmanager
def local_kafka() -> Iterator[str]:
    """Start a Kafka broker for as long as the block runs; give its address."""
    process = subprocess.Popen([*COMMAND, "kafka"], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            found = re.search(r"127\.0\.0\.1:\d+", line)
            if found:
                yield found[0]
                return
        sys.exit("no Kafka broker could be started")
    finally:
        process.terminate()
        process.wait()


def run_demo(place: Place, kills: int, chance: random.Random, lifetime: tuple[float, float]) -> bool:
    """Run the demonstration to its end, killing it at random moments first.

    Returns False where it ended by itself before all the kills.
    """
    command = [*COMMAND, "demo", "--path", str(place.path)]
    if place.servers is not None:
        command += place.log_options()
    for number in range(1, kills + 1):
        seconds = chance.uniform(*lifetime)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            print(f"killed after {seconds:.1f} s ({number} of {kills})", flush=True)
        else:
            print(f"it ended within {seconds:.1f} s, before kill {number} of {kills}", flush=True)
            return False
    started = time.monotonic()
    subprocess.run(command, check=True)
    print(f"the {'last ' if kills else ''}run took {time.monotonic() - started:.1f} s")
    return True


def rows_of(place: Place, result: str, *, from_stores: bool = False) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a result as the commands give them, in the order of its columns.

    A store's rows come from its changelog, or from the job's local stores.
    """
    if result in TOPICS:
        found = topic_lines(place, result)
    else:
        found = local_lines(place, result) if from_stores else store_lines(place, result)
    row = ROWS[result]
    return (row(line) for line in found)


def dead_letter(line: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a dead letter was, and the kind of error that made it one."""
    flight, headers = line["value"], dict(line["headers"])
    error = headers["__streams.errors.exception"].rpartition(".")[2]
    return line["timestamp"], *of(flight, "carrier", "flight", "origin", "dest"), error


def enriched(line: dict[str, Any]) -> tuple[Any, ...]:
    """Return a flight with its names."""
    flight, names = line["value"]["flight"], of(line["value"], "airline", "airport")
    fields = of(flight, "carrier", "flight", "origin", "dest", "distance", "dep_delay")
    return line["key"], line["timestamp"], *fields, *names


def windowed(*names: str) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """Return what takes a key, these parts of its window, and all of the value."""

    def row(line: dict[str, Any]) -> tuple[Any, ...]:
        window = line["key"] if isinstance(line["key"], dict) else line
        value = line["value"]
        return window["key"], *of(window, *names), *(value.values() if isinstance(value, dict) else (value,))

    return row


def of(value: dict[str, Any], *names: str) -> tuple[Any, ...]:
    """Return these fields of a value."""
    return tuple(value[name] for name in names)


#: By result: the row that a line of a command stands for.
ROWS: dict[str, Callable[[dict[str, Any]], tuple[Any, ...]]] = {
    "dead-letters": dead_letter,
    "seats": lambda line: (line["key"], line["value"], line["timestamp"]),
    "enriched": enriched,
    "windy": lambda line: (line["key"], line["timestamp"], *of(line["value"], "dep_delay", "wind_speed")),
    "tours": windowed("start", "end"),
    "never-left": lambda line: (
        line["key"],
        line["timestamp"],
        *of(line["value"], "tailnum", "origin", "dest", "dep_delay"),
    ),
    "departures-by-quarter": windowed("start"),
    "carrier-days": windowed("start"),
    "aircraft-tours": windowed("start", "end"),
    "routes": lambda line: (line["key"], line["value"]),
    "origins": lambda line: (line["key"], line["value"]),
    "fleet": lambda line: (line["key"], *of(line["value"], "airport", "name")),
}


def topic_lines(place: Place, topic: str) -> Iterator[dict[str, Any]]:
    """Yield the records of a topic."""
    yield from lines(
        [*COMMAND, "topics", "read", topic, "--app", APPLICATION, *place.log_options()], place.environment()
    )


def store_lines(place: Place, store: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a store."""
    yield from lines(
        [
            *COMMAND,
            "stores",
            "dump",
            store,
            "--app",
            APPLICATION,
            "--application-id",
            "flights",
            *place.log_options(),
        ],
        place.environment(),
    )


def local_lines(place: Place, store: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a store as the job itself has them."""
    yield from lines(
        [sys.executable, "-m", "headrace.demo.rows", store, str(place.path)], place.environment()
    )


def lines(command: list[str], environment: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Run a command and yield its JSON lines."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed")


def compare(
    database: duckdb.DuckDBPyConnection, scratch: Path, result: str, rows: Iterable[tuple[Any, ...]]
) -> int:
    """Put the rows of a result into a table, and return how many differ from what is expected, both ways."""
    columns, query = EXPECTED[result]
    file = scratch / f"{result}.csv"
    with file.open("w", newline="") as out:
        csv.writer(out).writerows(rows)
    table = table_of(result)
    database.execute(f"CREATE OR REPLACE TABLE {table} ({columns})")
    database.execute(
        f"INSERT INTO {table} SELECT * FROM read_csv('{file}', header = false, all_varchar = true)"
    )
    differing = 0
    for one, other in ((query, f"SELECT * FROM {table}"), (f"SELECT * FROM {table}", query)):
        found = database.execute(f"SELECT count(*) FROM (({one}) EXCEPT ALL ({other}))").fetchone()
        assert found is not None
        differing += found[0]
    return differing


def table_of(result: str) -> str:
    """Return the name of the table with the rows that were read."""
    return f'"found {result}"'


def late_records(grace_hours: int) -> tuple[int, ...]:
    """Count with a grace period in the test driver: records counted, records dropped, windows."""
    command = [sys.executable, "-m", "headrace.demo.late", f"{grace_hours}h"]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found["counted"], found["dropped"], found["windows"]


def verify(place: Place, scratch: Path, *, late: bool) -> bool:
    """Print the table of expected and found, and return whether all of it agrees."""
    database = read_files(scratch)
    table: list[tuple[str, str, str, str]] = []
    for result in EXPECTED:
        if result not in TOPICS:
            differing = compare(database, scratch, result, rows_of(place, result, from_stores=True))
            table.append((result, "rows that differ, local", "0", f"{differing:,}"))
        differing = compare(database, scratch, result, rows_of(place, result))
        table.append((result, "rows that differ", "0", f"{differing:,}"))
        for name, figure, value, query in FIGURES:
            if name == result:
                found = database.execute(query.format(table_of(result))).fetchone()
                table.append((result, figure, f"{value:,}", f"{(found and found[0]) or 0:,}"))
    for grace, *known in LATE if late else ():
        judged = database.execute(LATE_SQL.format(grace=grace)).fetchone()
        assert judged == tuple(known), f"DuckDB finds {judged}, the known figures are {known}"
        counted = late_records(grace)
        for figure, value, number in zip(
            ("counted", "dropped as late", "windows"), known, counted, strict=True
        ):
            table.append((f"hourly, grace {grace} h", figure, f"{value:,}", f"{number:,}"))
    print(f"\n{'result':24}{'figure':26}{'expected':>12}{'found':>12}")
    for result, figure, goal, got in table:
        print(f"{result:24}{figure:26}{goal:>12}{got:>12}{'' if goal == got else '   DIFFERS'}")
    return all(goal == got for _, _, goal, got in table)


def main() -> int:
    """Run, compare, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kill", type=int, default=0, metavar="N", help="kill it N times before it may end")
    parser.add_argument("--seed", type=int, default=13, help="decides the moments (13)")
    parser.add_argument(
        "--lifetime", type=float, nargs=2, default=(2.0, 6.0), metavar="SECONDS", help="of a killed run"
    )
    parser.add_argument(
        "--path", type=Path, help="where to run; kept, and used again (a new folder, deleted at the end)"
    )
    parser.add_argument(
        "--no-late", action="store_true", help="leave out the late records, which take longest"
    )
    cluster = parser.add_mutually_exclusive_group()
    cluster.add_argument(
        "--bootstrap-servers", help="a Kafka cluster that has not seen the demonstration yet"
    )
    cluster.add_argument("--local-kafka", action="store_true", help="a Kafka broker that is started for it")
    given = parser.parse_args()
    with ExitStack() as running:
        folder = running.enter_context(tempfile.TemporaryDirectory(prefix="headrace-verify-"))
        servers = running.enter_context(local_kafka()) if given.local_kafka else given.bootstrap_servers
        scratch = Path(folder, "files")
        scratch.mkdir()
        place = Place(given.path or Path(folder, "demo"), servers)
        chance, lifetime = random.Random(given.seed), tuple(given.lifetime)
        while not run_demo(place, given.kill, chance, lifetime):
            if given.path or servers:
                sys.exit("the demonstration is complete now: begin anew, with a shorter --lifetime")
            shutil.rmtree(place.path)
            lifetime = (lifetime[0] / 2, lifetime[1] / 2)  # a faster machine than it was written on
        agrees = verify(place, scratch, late=not given.no_late)
    print("\nevery row agrees" if agrees else "\nthe results DIFFER")
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
