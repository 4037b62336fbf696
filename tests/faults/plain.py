"""What the application's outputs and stores must be, evaluated plainly; and what they are, read from the log."""

import random
import subprocess
import sys
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from headrace.base.columns import Chunk, Columns
from headrace.base.ids import TopicPartition
from headrace.base.murmur2 import partition_for
from headrace.engine.clock import SystemClock
from headrace.engine.options import EngineOptions
from headrace.engine.worker import Worker
from headrace.log.port import TopicSpec
from headrace.state.typed_stores import typed
from tests.faults import application
from tests.faults.site import Site

Input = tuple[str, int, int]  # key, value, timestamp

#: What tells a row from others in its store (a key; with start, or with start and end), and its value.
Rows = dict[Any, int]


#: A record of a topic: key, value, timestamp.
Row = tuple[bytes | None, bytes | None, int]

#: The store of even numbers that wait for an odd one.
_WAITING = "pairs-left-shared-join-store"


class Feed:
    """Writes input as another process would, and remembers it."""

    def __init__(self, site: Site, seed: int) -> None:
        self.written: list[Input] = []
        self._random = random.Random(seed)
        self._log = site.open_log()
        topics = (
            application.INPUT,
            application.COPY,
            application.COUNTED,
            application.FINAL,
            application.CLOSED,
            application.JOINED,
            application.PAIRED,
        )
        self._log.create_topics([TopicSpec(topic.name, 2, {"retention.ms": "-1"}) for topic in topics])

    def write(self, count: int) -> None:
        """Append records, in one transaction."""
        columns = {0: Columns(), 1: Columns()}
        for _ in range(count):
            key = f"user{self._random.randrange(application.USERS)}"
            value, timestamp = len(self.written), len(self.written) * 3 + self._random.randrange(500)
            self.written.append((key, value, timestamp))
            partition = partition_for(key.encode(), 2)
            columns[partition].append(key.encode(), value.to_bytes(8, "big"), timestamp, ())
        writer = self._log.writer("feed")
        for partition, records in columns.items():
            if len(records):
                writer.append(application.INPUT.name, partition, records)
        writer.commit({})
        writer.close()

    def close(self) -> None:
        """Release the log."""
        self._log.close()


def start(site: Site, *options: str) -> subprocess.Popen[str]:
    """Start the application; what it says of errors goes to a file in its folder."""
    with (site.folder / "errors.log").open("a") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults.application", *site.options(), *options],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


def wait_until_running(process: subprocess.Popen[str]) -> None:
    """Read the line that the application prints when it has opened everything."""
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"


def drain(site: Site) -> None:
    """Run the application to the end of its input."""
    process = start(site, "--drain")
    process.communicate(timeout=120)
    assert process.returncode == 0, (site.folder / "errors.log").read_text()[-4_000:]


def wait_until_drained(site: Site, process: subprocess.Popen[str], seconds: float = 90.0) -> None:
    """Wait until a running application has committed the end of its input."""
    log = site.open_log()
    deadline = time.monotonic() + seconds
    while not application.is_drained(log):
        assert process.poll() is None, (site.folder / "errors.log").read_text()[-4_000:]
        assert time.monotonic() < deadline, (site.folder / "errors.log").read_text()[-4_000:]
        time.sleep(0.1)
    log.close()


def read_topic(site: Site, topic: str, partitions: int = 2) -> list[tuple[bytes | None, bytes | None, int]]:
    """Everything committed to a topic: (key, value, timestamp), partition by partition."""
    log = site.open_log()
    reader = log.reader()
    wanted = [TopicPartition(topic, partition) for partition in range(partitions)]
    reader.assign(log.beginning_offsets(wanted))
    ends = log.end_offsets(wanted)
    chunks: list[Chunk] = []
    while any(reader.position(each) < ends[each] for each in wanted):
        chunks += reader.poll(100)
    reader.close()
    log.close()
    return [row for chunk in chunks for row in zip(chunk.keys, chunk.values, chunk.timestamps)]


def check_nothing_lost(site: Site, written: Sequence[Input]) -> None:
    """Compare what at least once promises: every record is there, some perhaps more than once."""
    copied = Counter(read_topic(site, application.COPY.name))
    expected: Counter[tuple[bytes | None, bytes | None, int]] = Counter(
        (key.encode(), value.to_bytes(8, "big"), stamp) for key, value, stamp in written
    )
    assert not expected - copied, "records are lost"
    assert copied.keys() == expected.keys()
    closed = closed_windows(written)
    emitted = {key for key, _, _ in read_topic(site, application.FINAL.name)}
    assert {key.encode() for key in closed} <= emitted
    assert set(_pairs_of(written)[0]) <= set(read_topic(site, application.PAIRED.name))
    found, expected_rows = _stores(site), _rows_of(written)
    for store in ("by-last-digit", "per-window"):
        assert all(found[store][key] >= count for key, count in expected_rows[store].items())
    for store in ("last", "copied", "written", "friends"):
        assert found[store].keys() == expected_rows[store].keys()


def check(site: Site, written: Sequence[Input]) -> None:
    """Compare outputs and stores with a plain evaluation of the input: nothing lost, nothing doubled."""
    copied = Counter(read_topic(site, application.COPY.name))
    assert copied == Counter((key.encode(), value.to_bytes(8, "big"), stamp) for key, value, stamp in written)

    joined = Counter(read_topic(site, application.JOINED.name))
    assert joined == copied, "a join has found its own number in the table, or one that came after it"

    counted: dict[str, int] = {}
    for key_bytes, value_bytes, _ in read_topic(site, application.COUNTED.name):
        assert key_bytes is not None and value_bytes is not None
        key, count = key_bytes.decode(), int.from_bytes(value_bytes, "big")
        assert count > counted.get(key, 0), "a count was emitted twice, or went back"
        counted[key] = count
    expected = _rows_of(written)
    assert counted == expected["by-last-digit"]
    found = _stores(site)
    waiting = found.pop(_WAITING)
    assert found == expected

    pairs, alone = _pairs_of(written)
    paired = Counter(read_topic(site, application.PAIRED.name))
    # Which of those without a partner have left by now is the wall clock's business.
    left = Counter(row for row in paired.elements() if row[1] is not None and row[1].endswith(b"+None"))
    assert paired - left == pairs
    assert left + Counter(waiting) == alone

    check_closed(site, application.FINAL.name, written)
    few = [each for each in written if each[1] % application.EACH_OF_FEW == 0]
    check_closed(site, application.CLOSED.name, few)


def _rows_of(written: Sequence[Input]) -> dict[str, Rows]:
    """What each store must hold."""
    sums: Counter[str] = Counter()
    windows: Counter[tuple[str, int]] = Counter()
    last: dict[str, int] = {}
    stamps: dict[str, list[int]] = {}
    for key, value, stamp in written:
        sums[key] += value
        windows[key, stamp // 1000 * 1000] += 1
        last[key] = value
        stamps.setdefault(key, []).append(stamp)
    sessions = {
        (key, session[0], session[-1]): len(session)
        for key in stamps
        for session in _sessions(sorted(stamps[key]))
    }
    return {
        "by-last-digit": dict(Counter(str(value % 10) for _, value, _ in written)),
        "sums": dict(sums),
        "per-window": dict(windows),
        "per-session": sessions,
        "nearby": _sliding_counts(written),
        "last": last,
        "copied": last,
        "written": dict(Counter(key for key, _, _ in written)),
        "friends": _friends(
            {key: value for key, value, _ in written if value % application.EACH_OF_FEW == 0}
        ),
    }


def _friends(last: dict[str, int]) -> Rows:
    """Each key's last number with that of its friend, where the friend has one."""
    return {
        key: application.with_friend(value, last[friend])
        for key, value in last.items()
        if (friend := f"user{value % application.USERS}") in last
    }


def _pairs_of(written: Sequence[Input]) -> tuple[Counter[Row], Counter[Row]]:
    """Even numbers with the odd ones around them, and even numbers that had no partner in time.

    One that came after its window had passed did not wait for a partner, and may have found one nevertheless.
    """
    pairs: Counter[Row] = Counter()
    alone: Counter[Row] = Counter()
    waiting: set[tuple[str, int]] = set()
    seen: dict[tuple[str, bool], list[tuple[int, int]]] = {}
    latest = [-1, -1]
    for key, value, stamp in written:
        partition = partition_for(key.encode(), 2)
        latest[partition] = max(latest[partition], stamp)
        is_even = value % 2 == 0
        partners = [
            (other, at)
            for other, at in seen.get((key, not is_even), [])
            if abs(at - stamp) <= application.PAIR_MS
        ]
        for other, at in partners:
            one, two = (value, other) if is_even else (other, value)
            pairs[key.encode(), f"{one}+{two}".encode(), max(stamp, at)] += 1
            if not is_even:
                waiting.discard((key, other))
        if is_even and not partners:
            if stamp + application.PAIR_MS < latest[partition]:
                alone[key.encode(), f"{value}+None".encode(), stamp] += 1
            else:
                waiting.add((key, value))
        seen.setdefault((key, is_even), []).append((value, stamp))
    stamps = {value: stamp for _, value, stamp in written}
    alone.update((key.encode(), f"{value}+None".encode(), stamps[value]) for key, value in waiting)
    return pairs, alone


def _sessions(stamps: Sequence[int]) -> Iterator[list[int]]:
    """Cut ascending times where the silence between two is longer than the application's gap."""
    session = [stamps[0]]
    for stamp in stamps[1:]:
        if stamp - session[-1] > application.GAP_MS:
            yield session
            session = []
        session.append(stamp)
    yield session


def check_closed(site: Site, topic: str, written: Sequence[Input]) -> None:
    """Compare the final counts in a topic: each closed window is there, once."""
    final = Counter((key, value) for key, value, _ in read_topic(site, topic))
    assert final == Counter(
        (key.encode(), count.to_bytes(8, "big")) for key, count in closed_windows(written).items()
    )


def closed_windows(written: Sequence[Input]) -> dict[str, int]:
    """Final counts of the windows that are closed, by key and start. What is late is none of this input."""
    counts: Counter[tuple[str, int]] = Counter()
    latest = [-1, -1]
    for key, _, stamp in written:
        counts[key, stamp // application.FINAL_SIZE_MS * application.FINAL_SIZE_MS] += 1
        partition = partition_for(key.encode(), 2)
        latest[partition] = max(latest[partition], stamp)
    keeps = application.FINAL_SIZE_MS + application.FINAL_GRACE_MS
    return {
        f"{key}@{start}": count
        for (key, start), count in counts.items()
        if start + keeps <= latest[partition_for(key.encode(), 2)]
    }


def _sliding_counts(written: Sequence[Input]) -> Rows:
    """How many records of a key lie in each sliding window: those that a record ends, and those after one."""
    within = application.NEARBY_WITHIN // timedelta(milliseconds=1)
    by_key: dict[str, list[int]] = {}
    for key, value, stamp in written:
        if value % application.EACH_OF_FEW == 0:
            by_key.setdefault(key, []).append(stamp)
    counts: Rows = {}
    for key, stamps in by_key.items():
        stamps.sort()
        for start in {max(0, stamp - within) for stamp in stamps} | {stamp + 1 for stamp in stamps}:
            count = bisect_right(stamps, start + within) - bisect_left(stamps, start)
            if count:
                counts[key, start] = count
    return counts


def _stores(site: Site) -> dict[str, Rows]:
    """Read every store as the application would find it when it starts."""
    log = site.open_log()
    worker = Worker(
        application.build(),
        log,
        EngineOptions.of({}),
        application_id=application.APPLICATION_ID,
        state_dir=site.folder / "state",
        clock=SystemClock(),
        transactional_id=site.transactional_id,
    )
    worker.open()
    while not all(task.is_running for task in worker.tasks):
        worker.step(0)
    found: dict[str, Rows] = {}
    for task in worker.tasks:
        for spec in task.subtopology.stores:
            if spec.name.startswith("K") or spec.retain_duplicates:
                continue  # what the final counts, and the pairs, are made with
            store = typed(task.state.state(spec.name), task.context)
            rows = found.setdefault(spec.name, {})
            if spec.name == _WAITING:
                for place, values in store.all():
                    for each in values:
                        rows[place.key.encode(), f"{each.value}+None".encode(), place.timestamp] = 1
                continue
            match spec.kind:
                case "key_value":
                    rows.update(store.all())
                case "window":
                    rows.update({(w.key, w.window.start): count for w, count in store.range()})
                case "session":
                    rows.update({(w.key, *w.window): count for w, count in store.sessions()})
    worker.close()
    log.close()
    return found


def restored_records(site: Site) -> list[tuple[int, bool]]:
    """For each store that a start has restored: how many records, and whether that was the whole changelog."""
    lines = (site.folder / "restored.log").read_text().splitlines()
    return [
        (int(line.split(" restored ")[1].split()[0]), "all of its changelog" in line)
        for line in lines
        if " restored " in line
    ]


def changelog_records(site: Site) -> int:
    """How many changelog records were ever written (by offset, so compaction does not matter)."""
    log = site.open_log()
    partitions = [
        TopicPartition(name, partition)
        for name, info in log.topics().items()
        if name.endswith("-changelog")
        for partition in range(info.partitions)
    ]
    total = sum(log.end_offsets(partitions).values())
    log.close()
    return total
