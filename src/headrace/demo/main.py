"""The program: loads the year into an embedded log, runs the job to its end, and prints what it found."""

import logging
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import headrace as hr
from headrace.base.ids import TopicPartition
from headrace.demo.data import data_directory
from headrace.demo.declarations import DEAD_LETTERS
from headrace.demo.flights import build, set_aside
from headrace.demo.loading import Stage, is_begun, is_loaded, load, make_topics
from headrace.demo.report import print_report, print_topics
from headrace.log.port import Log
from headrace.streams.logs import address_of, open_log

__all__ = ["APPLICATION_ID", "application", "configured", "run"]

APPLICATION_ID = "flights"

#: A join looks once a second for what has had no match.
_PAUSE_SECONDS = 1.1


def configured(path: Path, config: hr.Config | None = None) -> hr.Config:
    """Return the configuration of a run below `path`: on its own embedded log, unless `config` names brokers."""
    found = config or hr.Config()
    if not found["bootstrap.servers"]:
        found = found.with_fields(embedded_path=str(path / "flights.db"))
    return found.with_fields(
        application_id=APPLICATION_ID,
        # A cluster would delete the windows of 2013 from the changelogs within minutes.
        properties={"windowstore.changelog.additional.retention.ms": f"{50 * 365}d"},
        state_dir=str(path / "state"),
        processing_exception_handler=set_aside,
        errors_dead_letter_queue_topic_name=DEAD_LETTERS,
    )


def application(path: Path, config: hr.Config | None = None) -> hr.Streams:
    """Make the application, with its state below `path`. It does not run yet."""
    return hr.Streams(build(), configured(path, config))


def run(
    path: Path,
    config: hr.Config | None = None,
    *,
    flights_max: int | None = None,
    console: Console | None = None,
) -> None:
    """Load, run and report. State is kept below `path`, and so is the log where `config` names no brokers.

    A second run loads nothing and processes nothing.

    Raises:
        MissingDataError: the data is not installed.
        AlreadyRunningError: another process runs the demonstration below `path`.
        LogError: the brokers cannot be reached.
    """
    # Each flight that is set aside is worth a warning, but not the 2,512 of them that the report counts.
    logging.getLogger("headrace.failures").setLevel(logging.ERROR)
    console = console or Console()
    config = configured(path, config)
    directory = data_directory()
    log = open_log(config)
    try:
        make_topics(log)
        with _progress(console) as progress:
            _load(log, Stage.REFERENCE, directory, progress, flights_max)
            if not is_begun(log, Stage.YEAR):
                with application(path, config) as streams:
                    _process(streams, log, progress)
            _load(log, Stage.YEAR, directory, progress, flights_max)
            with application(path, config) as streams:
                began = time.monotonic()
                streams.wait_running("600s")
                restored, restored_seconds = _restored(streams), time.monotonic() - began
                _process(streams, log, progress)
                if not is_loaded(log, Stage.END, flights_max):
                    time.sleep(_PAUSE_SECONDS)
                    load(log, Stage.END, directory, flights_max=flights_max)
                    _process(streams, log, progress)
                seconds = time.monotonic() - began
                progress.stop()
                print_report(streams, console)
        print_topics(log, console)
    finally:
        log.close()
    if restored:
        console.print(
            f"First, {restored:,} changelog records brought the stores up to date, in {restored_seconds:.1f} s.",
            highlight=False,
        )
    status = streams.status()
    _print_speed(console, 0 if status is None else status.records, seconds)
    console.print(f"The log is {address_of(config)}, the stores are below {path / 'state'}.", highlight=False)


def _load(log: Log, stage: Stage, directory: Path, progress: Progress, flights_max: int | None) -> None:
    task = progress.add_task(f"loading the {stage.value}", total=None)

    def show(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total)

    load(log, stage, directory, flights_max=flights_max, on_progress=show)
    progress.update(task, visible=bool(progress.tasks[task].total))


def _process(streams: hr.Streams, log: Log, progress: Progress) -> None:
    """Wait until the application has processed all that there is."""
    task = progress.add_task("processing", total=None)
    topology = build()
    while True:
        status = streams.status()
        done, lag = (0, 0) if status is None else (status.records, status.lag_records)
        progress.update(task, completed=done, total=done + lag)
        if streams.state == "error":
            streams.wait()  # raises what it died of
        # A lag costs nothing to look at; the log is asked when there seems to be none.
        if not lag and _is_caught_up(log, topology):
            break
        time.sleep(0.1)
    status = streams.status()
    done = 0 if status is None else status.records
    progress.update(task, completed=done, total=done, visible=done > 0)


def _restored(streams: hr.Streams) -> int:
    """Return how many changelog records the stores had missed: those of a run that was killed."""
    status = streams.status()
    return 0 if status is None else status.restored


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, refresh_per_second=4)


def _is_caught_up(log: Log, topology: hr.Topology) -> bool:
    """Say whether the job has processed and committed all that it reads, repartition topics included.

    Offsets and outputs are committed together. So if all that was committed at one moment reaches the ends that are
    asked for after it, nothing was left to do.
    """
    topics = log.topics()
    names = {
        topology.decorate(topic, APPLICATION_ID)
        for each in topology.subtopologies
        if not each.is_global  # its topics are read whole at each start, and nothing is committed of them
        for topic in each.source_topics
    }
    if not names <= topics.keys():
        return False  # the job is about to make its repartition topics
    partitions = [
        TopicPartition(name, number) for name in sorted(names) for number in range(topics[name].partitions)
    ]
    committed = log.committed(APPLICATION_ID, partitions)
    ends = log.end_offsets(partitions)
    return all(
        not end or (partition in committed and committed[partition].offset >= end)
        for partition, end in ends.items()
    )


def _print_speed(console: Console, records: int, seconds: float) -> None:
    if records:
        console.print(
            f"{records:,} records, those of internal topics included, in {seconds:.1f} s: "
            f"{records / seconds:,.0f} a second.",
            highlight=False,
        )
    else:
        console.print("Nothing was new: the year had been processed before.", highlight=False)
