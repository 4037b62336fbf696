"""An application to be killed whose state forgets, waits and closes by itself: rows expire, records are put in order,
windows close in a silence. Run as a process: `forgetful.py FOLDER`; it works until SIGTERM, and prints `running` once.
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
    grouped = numbers.group_by_key().windowed_by(windows, emit="close", idle="250ms", late_to=TOO_LATE)
    closed = grouped.count(store=PER_SECOND)
    closed.to_stream(lambda each, count: f"{each.key}@{each.window.start}", key=str).to(CLOSED)
    return builder.build()


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
