"""An application to be killed: copies, counts behind a repartition, counts windows and sessions, holds back, pairs,
looks back in versions, sums up by ready-made aggregations, keeps by hand, in a store of its own too, and keeps what it
has written in global stores, with one of which it joins.

Run as a process: `application.py FOLDER [--bootstrap-servers HOSTS] [--drain] [--stop-at STEP:N]`. It works until
SIGTERM, or with `--drain` until nothing is left to process; with `--stop-at` it kills itself when a commit reaches that
step for the Nth time. What it restores goes to FOLDER/restored.log, one line a store.
"""

import argparse
import faulthandler
import functools
import logging
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import headrace as hr
from headrace import agg, stores
from headrace.base.ids import TopicPartition
from headrace.engine.clock import SystemClock
from headrace.engine.instance import Instance
from headrace.engine.options import WINDOW_EMIT_INTERVAL, EngineOptions
from headrace.engine.worker import STOP_SECONDS, Worker
from headrace.engine.worker_building import build_worker
from headrace.log.membership import JoinOptions
from headrace.log.port import Log
from headrace.processor.api import processor
from headrace.stores import KeyValueStore
from tests.faults.killing import killer
from tests.faults.orphans import end_with_parent
from tests.faults.site import Site
from tests.state.own_stores import FileShelf


@dataclass(frozen=True)
class Summary:
    """What ready-made aggregations tell of numbers."""

    n: int
    total: int
    mean: float | None
    least: int | None
    most: int | None
    highest: list[int]
    digits: int


#: How many of the highest numbers a summary has.
HIGHEST = 2

APPLICATION_ID = "faults"
GAP_MS = 500
OPTIONS = {
    WINDOW_EMIT_INTERVAL: 0,
    # The records are of 1970: a log would delete what joins and windows have logged of them, sooner or later.
    "windowstore.changelog.additional.retention.ms": 100 * 365 * 86_400_000,
}
INPUT = hr.Topic("numbers", key=str, value=int, partitions=2)
COPY = hr.Topic("copy", key=str, value=int, partitions=2)
COUNTED = hr.Topic("counted", key=str, value=int, partitions=2)
FINAL = hr.Topic("final", key=str, value=int, partitions=2)
CLOSED = hr.Topic("closed", key=str, value=int, partitions=2)
#: Size and grace of the windows whose final counts go to `FINAL`, and those of each fourth number to `CLOSED`.
FINAL_SIZE_MS, FINAL_GRACE_MS = 1000, 1000
JOINED = hr.Topic("joined", key=str, value=int, partitions=2)
PAIRED = hr.Topic("paired", key=str, value=str, partitions=2)
#: How far an even and an odd number of a key may lie apart to be a pair.
PAIR_MS = 300
DATED = hr.Topic("dated", key=str, value=str, partitions=2)
#: How long a number waits for late versions, and how far back these go: some numbers are later, some older than that.
WAIT_MS, HISTORY_MS = 300, 400
BY_LAST_DIGIT = stores.key_value("by-last-digit", key=str, value=int)
SUMS = stores.key_value("sums", key=str, value=int, caching=False)
PER_WINDOW = stores.window("per-window", key=str, value=int)
PER_SESSION = stores.session("per-session", key=str, value=int)
NEARBY = stores.window("nearby", key=str, value=int)
LAST = stores.key_value("last", key=str, value=int)
COPIED = stores.key_value("copied", key=str, value=int)
WRITTEN = stores.key_value("written", key=str, value=int)
VERSIONS = stores.versioned("versions", key=str, value=int, history=f"{HISTORY_MS}ms")
OF_LATEST = stores.key_value("of-latest", key=str, value=int)
FRIENDS = stores.key_value("friends", key=str, value=int)
OF_STREAM = stores.key_value("summary-of-stream", key=str, value=Summary)
OF_TABLE = stores.key_value("summary-of-table", key=str, value=Summary)
OF_SESSIONS = stores.session("summary-of-sessions", key=str, value=Summary)
SHELF = stores.custom("shelf", FileShelf, persistent=True)
#: How many keys there are; each number has one for its friend.
USERS = 200
NEARBY_WITHIN = timedelta(seconds=1)
#: Sliding windows are many, one or two for each record, and a foreign key makes several: of each fourth number.
EACH_OF_FEW = 4


@processor(LAST)
def remember(record: hr.Record[str, int], last: KeyValueStore[str, int]) -> Iterator[hr.Record[str, int]]:
    """Put the latest value by hand, and pass every record on."""
    last.put(record.key, record.value)
    yield record


@processor(SHELF)
def count_on_shelf(record: hr.Record[str, int], shelf: FileShelf) -> list[hr.Record[str, int]]:
    """Count the records of each key in a file."""
    shelf.put(record.key, str(int(shelf.rows.get(record.key, "0")) + 1))
    return []


@processor(WRITTEN)
def count_written(record: hr.Record[str, int], written: KeyValueStore[str, int]) -> list[hr.Record[str, int]]:
    """Count the records of each key, which tells whether one was taken twice."""
    written.put(record.key, (written.get(record.key) or 0) + 1)
    return []


def with_friend(value: int, of_friend: int) -> int:
    """Tell a number and its friend's as one."""
    return value * 1_000_000 + of_friend


def number(value: int) -> int:
    """Tell what is summed up."""
    return value


def summary() -> agg.Aggregation[int, Summary]:
    """Sum numbers up by whatever a table's rows can be taken out of again."""
    return agg.into(
        Summary,
        n=agg.count(),
        total=agg.sum(number),
        mean=agg.mean(number),
        least=agg.min(number),
        most=agg.max(number),
        highest=agg.top(HIGHEST, by=number),
        digits=agg.distinct(lambda value: value % 10, limit=10),
    )


def build() -> hr.Topology:
    """Every kind of state and every kind of output at once."""
    builder = hr.StreamsBuilder()
    numbers = builder.stream(INPUT)
    numbers.process(remember).to(COPY)
    digits = numbers.group_by(lambda key, value: str(value % 10), key=str)
    digits.count(store=BY_LAST_DIGIT).to_stream().to(COUNTED)
    numbers.group_by_key().reduce(lambda total, value: total + value, store=SUMS)
    numbers.group_by_key().windowed_by(hr.TimeWindows("1s", grace="1d")).count(store=PER_WINDOW)
    numbers.group_by_key().windowed_by(hr.SessionWindows(f"{GAP_MS}ms", grace="1d")).count(store=PER_SESSION)
    windows = hr.TimeWindows(f"{FINAL_SIZE_MS}ms", grace=f"{FINAL_GRACE_MS}ms")
    final = numbers.group_by_key().windowed_by(windows).count().suppress(hr.until_window_closes())
    final.to_stream(lambda each, count: f"{each.key}@{each.window.start}", key=str).to(FINAL)
    even, odd = numbers.split_by(lambda key, value: value % 2 == 0)
    within = hr.JoinWindows(f"{PAIR_MS}ms", grace="1s")
    pairs = even.left_join(odd, lambda one, two: f"{one}+{two}", within=within, store="pairs", value=str)
    pairs.to(PAIRED)
    # A number is in the table when its transaction is committed, and then it is not joined again.
    copied = builder.global_table(COPY, store=COPIED)
    joined = numbers.left_join(
        copied, lambda value, last: value if last is None or last < value else -1, on=lambda key, value: key
    )
    joined.to(JOINED)
    builder.add_global_store(WRITTEN, JOINED, count_written)
    few = numbers.filter(lambda key, value: value % EACH_OF_FEW == 0)
    latest = few.to_table()
    latest.join(latest, with_friend, on=lambda value: f"user{value % USERS}", store=FRIENDS)
    versions = few.to_table(store=VERSIONS)
    versions.group_by(lambda key, value: (str(value % 10), value), key=str, value=int).count(store=OF_LATEST)
    dated = numbers.left_join(
        versions, lambda value, version: f"{value}@{version}", grace=f"{WAIT_MS}ms", name="dated", value=str
    )
    dated.to(DATED)
    closed = few.group_by_key().windowed_by(windows, emit="close").count()
    closed.to_stream(lambda each, count: f"{each.key}@{each.window.start}", key=str).to(CLOSED)
    few.group_by_key().windowed_by(hr.SlidingWindows(NEARBY_WITHIN, grace="1d")).count(store=NEARBY)
    add_summaries(few, latest)
    few.process(count_on_shelf)
    return builder.build()


def add_summaries(few: hr.KStream[str, int], latest: hr.KTable[str, int]) -> None:
    """Sum up a stream, its sessions, and a table, whose rows move between groups."""
    few.group_by_key().aggregate(summary(), store=OF_STREAM)
    sessions = few.group_by_key().windowed_by(hr.SessionWindows(f"{GAP_MS}ms", grace="1d"))
    sessions.aggregate(summary(), store=OF_SESSIONS)
    latest.group_by(lambda key, value: (str(value % 10), value), key=str, value=int).aggregate(
        summary(), store=OF_TABLE
    )


def main() -> None:
    """Run until told to stop."""
    end_with_parent()
    # One that takes too long is asked where it is.
    faulthandler.register(signal.SIGUSR1)
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bootstrap-servers")
    parser.add_argument("--at-least-once", action="store_true")
    parser.add_argument("--set", dest="properties", action="append", default=[])
    parser.add_argument("--protocol", default="classic")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--worker", type=int)
    parser.add_argument("--drain", action="store_true")
    parser.add_argument("--stop-at")
    parser.add_argument("--file-size-max", type=int)
    arguments = parser.parse_args()
    if arguments.file_size_max is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (arguments.file_size_max, arguments.file_size_max))
    handler = logging.FileHandler(arguments.folder / "restored.log")
    logger = logging.getLogger("headrace.restore")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    site = Site.of(
        arguments.folder,
        arguments.bootstrap_servers,
        arguments.properties,
        at_least_once=arguments.at_least_once,
        protocol=arguments.protocol,
        threads=arguments.threads,
        worker=arguments.worker,
    )
    log = site.open_log()
    options = EngineOptions.of({"commit.interval.ms": 20, **OPTIONS})
    instance = Instance(
        log,
        options,
        application_id=APPLICATION_ID,
        state_dir=arguments.folder / "state",
        clock=SystemClock(),
        worker=site.worker,
    )
    reached = killer(arguments.stop_at)
    threads = [
        WorkerThread(site, log, options, instance, reached, stop, number) for number in range(site.threads)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_starting for thread in threads):  # they have not heard of their tasks yet
        time.sleep(0.005)
    print("running", flush=True)
    while all(thread.is_alive() for thread in threads) and not stop.wait(0.02):
        if arguments.drain and is_drained(log):
            break
    stop.set()
    log.hurry(STOP_SECONDS)
    for thread in threads:
        thread.join()
    instance.close()
    log.close()
    if any(thread.has_failed for thread in threads):
        sys.exit(1)


class WorkerThread(threading.Thread):
    """Runs workers until it is to stop, or one fails."""

    def __init__(
        self,
        site: Site,
        log: Log,
        options: EngineOptions,
        instance: Instance,
        reached: Callable[[str], None],
        stop: threading.Event,
        number: int,
    ) -> None:
        super().__init__(daemon=True)
        self._log = log
        self._stop_all = stop
        self._worker: Worker | None = None
        self.has_failed = False
        name = site.name_of(number + 1)
        joining = JoinOptions(
            process_id=site.ids.process_id(),
            member_id=site.ids.member_id(name),
            protocol=site.protocol,
            progress=instance.progress.known(),
        )
        self._make = functools.partial(
            build_worker,
            build(),
            log,
            options,
            application_id=APPLICATION_ID,
            instance=instance,
            clock=SystemClock(),
            reached=reached,
            transactional_id=site.transactional_id_of(name),
            stop=stop,
            join=lambda described: log.join(APPLICATION_ID, described, joining),
            known_as=functools.partial(site.ids.keep_member_id, name),
        )

    @property
    def is_starting(self) -> bool:
        """Whether it has no role in its group yet."""
        worker = self._worker
        return self.is_alive() and (worker is None or worker.status().state == "starting")

    def run(self) -> None:
        """Do all of it; what goes wrong is told on the error stream."""
        try:
            while not self._stop_all.is_set():
                self._worker = self._make(follows=self._worker)
                self._worker.run()
        except BaseException:
            self.has_failed = True
            traceback.print_exc()


@functools.cache  # asked in each turn of the loop, and building takes as long as many records
def inputs() -> tuple[str, ...]:
    """Full names of the topics that tasks read, internal ones too."""
    topology = build()
    return tuple(
        topology.decorate(topic, APPLICATION_ID)
        for each in topology.subtopologies
        if not each.is_global
        for topic in each.source_topics
    )


def is_drained(log: Log) -> bool:
    """Whether all inputs, internal ones too, are committed to their ends."""
    return not behind(log)


def behind(log: Log) -> dict[TopicPartition, tuple[int, int]]:
    """Inputs that are not committed to their ends: how far, and where the end is."""
    places = [
        TopicPartition(name, number)
        for name, info in log.topics(inputs()).items()
        for number in range(info.partitions)
    ]
    # Asked in this order: a commit moves both.
    committed = log.committed(APPLICATION_ID, places)
    ends = log.end_offsets(places, committed=False)
    offsets = {place: committed[place].offset if place in committed else -1 for place in places}
    return {place: (offsets[place], end) for place, end in ends.items() if end and offsets[place] < end}


if __name__ == "__main__":
    main()
