"""An application to be killed whose state forgets, waits and closes by itself: rows expire, records are put in order,
and in a silence windows close, cogrouped ones too, waits end, and what has no match leaves a join. Run as a process:
`forgetful.py FOLDER`; it works until SIGTERM, and prints `running` once.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import headrace as hr
from headrace import stores
from headrace.stores import KeyValueStore
from tests.faults.orphans import end_with_parent

APPLICATION_ID = "forgetful"
INPUT = hr.Topic("numbers", value=int)
FIRST = hr.Topic("first", value=int)
COUNTED = hr.Topic("counted", value=int)
ORDERED = hr.Topic("ordered", value=int)
REPEATED = hr.Topic("repeated", value=int)
CLOSED = hr.Topic("closed", value=int)
TOO_LATE = hr.Topic("too-late", value=int)
#: Those that a silence lets go: in the order of time, alone or in pairs, and counted together.
SORTED, UNSORTED = hr.Topic("sorted", value=int), hr.Topic("unsorted", value=int)
PAIRED = hr.Topic("paired", value=str)
TOGETHER, NOT_TOGETHER = hr.Topic("together", value=int), hr.Topic("not-together", value=int)
SILENCE = "250ms"
SEEN_MS, COUNTED_MS, WITHIN_MS = 2_000, 400, 300
SEEN = stores.key_value("seen", key=str, value=int, ttl=f"{SEEN_MS}ms")
#: Kept for long: what has expired when the application looks for closed windows, once a second, would not leave.
PER_SECOND = stores.window("per-second", key=str, value=int, retention="1d")
COUNTS = stores.key_value("counts", key=str, value=int, ttl=f"{COUNTED_MS}ms", caching=False)


@hr.processor(SEEN)
def first_only(record: hr.Record[str, int], seen: KeyValueStore[str, int]) -> Iterator[hr.Record[str, int]]:
    """Pass on what was not seen for a while."""
    if seen.put_if_absent(record.key, record.value) is None:
        yield record


def build() -> hr.Topology:
    """All of it in one task."""
    builder = hr.StreamsBuilder()
    numbers = builder.stream(INPUT)
    numbers.process(first_only).to(FIRST)
    numbers.group_by_key().count(store=COUNTS).to_stream().to(COUNTED)
    numbers.resequence(lambda number: number, within=f"{WITHIN_MS}ms", late_to=REPEATED).to(ORDERED)
    windows = hr.TimeWindows("1s", grace="100ms")
    grouped = numbers.group_by_key().windowed_by(windows, emit="close", idle=SILENCE, late_to=TOO_LATE)
    closed = grouped.count(store=PER_SECOND)
    closed.to_stream(lambda each, count: f"{each.key}@{each.window.start}", key=str).to(CLOSED)
    numbers.resequence("timestamp", within="300ms", idle=SILENCE, late_to=UNSORTED).to(SORTED)
    add_two_sides(numbers)
    return builder.build()


def add_two_sides(numbers: hr.KStream[str, int]) -> None:
    """Join even numbers with odd ones, and count both together; both windows have room for what is out of order."""
    even, odd = numbers.split_by(lambda key, number: number % 2 == 0)
    within = hr.JoinWindows("1s", grace="1s")
    even.left_join(odd, lambda one, two: f"{one}+{two}", within=within, idle=SILENCE, value=str).to(PAIRED)
    together = even.group_by_key().cogroup(one_more, value=int).cogroup(odd.group_by_key(), one_more)
    windows = hr.TimeWindows("1s", grace="1s")
    counted = together.windowed_by(windows, idle=SILENCE, late_to=NOT_TOGETHER).aggregate(int)
    final = counted.suppress(hr.until_window_closes())
    final.to_stream(lambda each, count: f"{each.key}@{each.window.start}", key=str).to(TOGETHER)


def one_more(key: str, number: int, count: int) -> int:
    """Count."""
    return count + 1


def main() -> None:
    """Run until told to stop."""
    end_with_parent()
    folder = Path(sys.argv[1])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with hr.Streams(
        build(),
        application_id=APPLICATION_ID,
        embedded_path=str(folder / "log.db"),
        state_dir=str(folder / "state"),
        commit_interval_ms=20,
    ) as streams:
        streams.wait_running()
        print("running", flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
