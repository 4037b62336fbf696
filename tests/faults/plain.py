"""The application to be killed: it is fed, started, and compared with the plain evaluation of its input."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence

import pytest

from headrace.base.columns import Chunk, Columns
from headrace.base.ids import TopicPartition
from headrace.engine.clock import SystemClock
from headrace.engine.options import EngineOptions
from headrace.engine.worker_building import build_worker
from headrace.log.port import TopicSpec
from headrace.state.buffer.versioned import VersionedBuffer
from headrace.state.held_change import decode_change
from headrace.state.typed_stores import typed
from tests.faults import application
from tests.faults.evaluation import (
    Input,
    Rows,
    closed_windows,
    dated_of,
    pairs_of,
    partition_of,
    rows_of,
)
from tests.faults.site import Site

#: The store of even numbers that wait for an odd one.
_WAITING = "pairs-left-shared-join-store"

#: The store of numbers that wait for late versions.
_DELAYED = "dated-Buffer"


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
            application.DATED,
        )
        self._log.create_topics([TopicSpec(topic.name, 2, {"retention.ms": "-1"}) for topic in topics])

    def write(self, count: int) -> None:
        """Append records, in one transaction."""
        columns = {0: Columns(), 1: Columns()}
        for _ in range(count):
            key = f"user{self._random.randrange(application.USERS)}"
            value, timestamp = len(self.written), len(self.written) * 3 + self._random.randrange(500)
            self.written.append((key, value, timestamp))
            partition = partition_of(key)
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


def wait_until_running(site: Site, process: subprocess.Popen[str]) -> None:
    """Read the line that the application prints when it has opened everything."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line == "running\n", f"{line!r}, status {process.poll()}\n{errors_of(site)}"


def drain(site: Site) -> None:
    """Run the application to the end of its input, whatever transactions it takes on a busy machine."""
    process = start(site, "--drain", "--set", "transaction.timeout.ms=60000")
    try:
        process.communicate(timeout=600)
    except subprocess.TimeoutExpired:
        pytest.fail(f"not drained: {standing(site, process)}")
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, errors_of(site)


def wait_until_drained(site: Site, process: subprocess.Popen[str], seconds: float = 300.0) -> None:
    """Wait until a running application has committed the end of its input."""
    log = site.open_log()
    deadline = time.monotonic() + seconds
    while not application.is_drained(log):
        assert process.poll() is None, errors_of(site)
        if time.monotonic() > deadline:
            pytest.fail(f"not drained: {standing(site, process)}")
        time.sleep(0.1)
    log.close()


def errors_of(site: Site) -> str:
    """What the applications here, and in the folders beside, have said of errors."""
    logs = {site.folder / "errors.log", *site.folder.parent.glob("*/errors.log")}
    return "\n".join(f"{log}: {log.read_text()[-4_000:]}" for log in sorted(logs) if log.exists())


def standing(site: Site, process: subprocess.Popen[str]) -> str:
    """How far an application has come, and where its threads are: for one that takes too long."""
    log = site.open_log()
    behind = application.behind(log)
    log.close()
    process.send_signal(signal.SIGUSR1)
    time.sleep(1)  # for it to say so
    return f"{behind}\n{errors_of(site)}"


def take_over_and_wake(
    first: Site, second: Site, feed: Feed, sleeping: subprocess.Popen[str], records: int
) -> None:
    """Let the second take over from the first, which sleeps; then wake that one, which must do nothing of before."""
    newer = start(second)
    wait_until_running(second, newer)
    feed.write(records)
    wait_until_drained(second, newer)
    sleeping.send_signal(signal.SIGCONT)
    feed.write(records)
    wait_until_drained(second, newer)
    assert sleeping.poll() is None, errors_of(first)
    for process in (sleeping, newer):
        process.kill()
        process.communicate()
    # The stores of the first stand where it was last: they are caught up, and nothing is doubled.
    drain(first)
    feed.close()
    check(first, feed.written)


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
    assert set(pairs_of(written)[0]) <= set(read_topic(site, application.PAIRED.name))
    found, expected_rows = _stores(site), rows_of(written)
    dated = {value.split(b"@")[0] for _, value, _ in read_topic(site, application.DATED.name) if value}
    delayed = {value.split(b"@")[0] for _, value, _ in found[_DELAYED]}
    assert dated | delayed == {str(value).encode() for _, value, _ in written}
    for store in ("by-last-digit", "per-window", "shelf"):
        assert all(found[store][key] >= count for key, count in expected_rows[store].items())
    for store in ("last", "copied", "written", "friends"):
        assert found[store].keys() == expected_rows[store].keys()
    for store in ("summary-of-stream", "summary-of-sessions"):
        for key, of_all in expected_rows[store].items():
            told = found[store][key]
            assert (told.least, told.most, told.digits) == (of_all.least, of_all.most, of_all.digits)
            assert (told.n, told.total) >= (of_all.n, of_all.total)


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
    expected = rows_of(written)
    assert counted == expected["by-last-digit"]
    found = _stores(site)
    waiting, delayed = found.pop(_WAITING), found.pop(_DELAYED)
    assert found == expected

    pairs, alone = pairs_of(written)
    paired = Counter(read_topic(site, application.PAIRED.name))
    # Which of those without a partner have left by now is the wall clock's business.
    left = Counter(row for row in paired.elements() if row[1] is not None and row[1].endswith(b"+None"))
    assert paired - left == pairs
    assert left + Counter(waiting) == alone

    dated, not_yet = dated_of(written)
    assert Counter(read_topic(site, application.DATED.name)) == dated
    assert Counter(delayed) == not_yet

    check_closed(site, application.FINAL.name, written)
    few = [each for each in written if each[1] % application.EACH_OF_FEW == 0]
    check_closed(site, application.CLOSED.name, few)


def check_closed(site: Site, topic: str, written: Sequence[Input]) -> None:
    """Compare the final counts in a topic: each closed window is there, once."""
    final = Counter((key, value) for key, value, _ in read_topic(site, topic))
    assert final == Counter(
        (key.encode(), count.to_bytes(8, "big")) for key, count in closed_windows(written).items()
    )


def _stores(site: Site) -> dict[str, Rows]:
    """Read every store as the application would find it when it starts."""
    log = site.open_log()
    worker = build_worker(
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
            if spec.name == _DELAYED:
                for row_key, raw in store.all():
                    held = decode_change(row_key, raw)
                    number = int.from_bytes(held.new or b"", "big")
                    rows[row_key[9:-4], str(number).encode(), held.timestamp] = 1
                continue
            match spec.kind:
                case "versioned":
                    state = task.state.state(spec.name)
                    assert isinstance(state, VersionedBuffer)
                    oldest = state.observed_stream_time - application.HISTORY_MS
                    for key in map("user{}".format, range(application.USERS)):
                        for value, since, _ in store.history(key, max(0, oldest)):
                            rows[key, since] = value
                case "custom":
                    rows.update({key: int(count) for key, count in store.rows.items()})
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
