"""kill -9 at any moment, of what forgets, waits and closes by itself: as if nothing had happened."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import TopicSpec
from tests.faults import forgetful

KILLS = int(os.environ.get("FAULT_KILLS", "10"))
USERS = 40

TOPICS = (
    *("numbers", "first", "counted", "ordered", "repeated", "closed", "too-late"),
    *("sorted", "unsorted", "paired", "together", "not-together"),
)

#: Key, number among those of its key, timestamp.
Input = tuple[str, int, int]
Output = list[tuple[str, int | None, int]]


class Feed:
    """Writes numbers that are nearly in order: some late, some twice, some never."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.written: list[Input] = []
        self._random = random.Random(seed)
        self._next: Counter[str] = Counter()
        self.log = EmbeddedLog.open(folder / "log.db")
        self.log.create_topics([TopicSpec(name, 1, {"retention.ms": "-1"}) for name in TOPICS])

    def write(self, count: int) -> None:
        choice, begin = self._random, len(self.written)
        fresh: list[Input] = []
        for place in range(count):
            key = f"user{int(choice.triangular(0, USERS, 0))}"
            number, self._next[key] = self._next[key], self._next[key] + 1
            if choice.random() > 0.01:
                fresh += [(key, number, (begin + place) * 5)] * (1 if choice.random() > 0.01 else 2)
        order = sorted(
            range(len(fresh)), key=lambda place: place + choice.choice([0, 0, 0, choice.uniform(0, 90)])
        )
        columns = Columns()
        for key, number, timestamp in (fresh[place] for place in order):
            self.written.append((key, number, timestamp))
            columns.append(key.encode(), number.to_bytes(8, "big"), timestamp, ())
        writer = self.log.writer("feed")
        writer.append("numbers", 0, columns)
        writer.commit({})
        writer.close()

    def read(self, topic: str) -> Output:
        """Read the numbers in a topic."""
        return [
            (key, None if value is None else int.from_bytes(value, "big"), timestamp)
            for key, value, timestamp in self.read_bytes(topic)
        ]

    def read_bytes(self, topic: str) -> list[tuple[str, bytes | None, int]]:
        reader, place = self.log.reader(), TopicPartition(topic, 0)
        reader.assign({place: 0})
        end = self.log.end_offsets([place])[place]
        found: list[tuple[str, bytes | None, int]] = []
        while reader.position(place) < end:
            for chunk in reader.poll(100):
                found += [
                    ((key or b"").decode(), value, timestamp)
                    for key, value, timestamp in zip(chunk.keys, chunk.values, chunk.timestamps)
                ]
        reader.close()
        return found

    def is_drained(self) -> bool:
        place = TopicPartition("numbers", 0)
        committed = self.log.committed(forgetful.APPLICATION_ID, [place]).get(place)
        return committed is not None and committed.offset >= self.log.end_offsets([place])[place]


def first_ones(written: list[Input]) -> Output:
    seen: dict[str, int] = {}
    found: Output = []
    stream_time = -1
    for key, number, timestamp in written:
        stream_time = max(stream_time, timestamp)
        until = stream_time - forgetful.SEEN_MS
        if key in seen and seen[key] > until:
            continue
        found.append((key, number, timestamp))
        if timestamp > until:
            seen[key] = timestamp
    return found


def counts(written: list[Input]) -> Output:
    rows: dict[str, tuple[int, int]] = {}
    found: Output = []
    stream_time = -1
    for key, _, timestamp in written:
        stream_time = max(stream_time, timestamp)
        until = stream_time - forgetful.COUNTED_MS
        for at, expired in sorted((at, each) for each, (_, at) in rows.items() if at <= until):
            del rows[expired]
            found.append((expired, None, at + forgetful.COUNTED_MS))
        count, latest = rows.get(key, (0, timestamp))
        latest = max(latest, timestamp)
        if latest > until:
            rows[key] = (count + 1, latest)
            found.append((key, count + 1, latest))
    return found


def in_order(written: list[Input]) -> tuple[Output, Output]:
    """What goes on, and what comes too late or twice."""
    following: dict[str, int] = {}
    waiting: dict[str, dict[int, tuple[int, int]]] = {}
    found: Output = []
    repeated: Output = []
    stream_time = -1

    def release(key: str, up_to: int) -> None:
        held = waiting.get(key, {})
        while held and (min(held) <= up_to or min(held) == following[key]):
            number = min(held)
            found.append((key, number, held.pop(number)[1]))
            following[key] = number + 1

    for key, number, timestamp in written:
        stream_time = max(stream_time, timestamp)
        expected = following.setdefault(key, number)
        held = waiting.setdefault(key, {})
        if number == expected:
            found.append((key, number, timestamp))
            following[key] = number + 1
            release(key, -1)
        elif number < expected or number in held:
            repeated.append((key, number, timestamp))
        else:
            held[number] = (stream_time, timestamp)
        while True:
            waits = [
                (since, other, each) for other, those in waiting.items() for each, (since, _) in those.items()
            ]
            if not waits or min(waits)[0] > stream_time - forgetful.WITHIN_MS:
                break
            release(*min(waits)[1:])
    return found, repeated


def counted_in(feed: Feed, closed: str, late: str) -> int:
    """How many records windows have counted, or found late."""
    return sum(count or 0 for _, count, _ in feed.read(closed)) + len(feed.read(late))


def check_sorted(feed: Feed) -> None:
    """Each record has left once, in the order of its key's times, or was late for that."""
    found = feed.read("sorted")
    assert Counter(found) + Counter(feed.read("unsorted")) == Counter(feed.written)
    times: dict[str, int] = {}
    for key, _, timestamp in found:
        assert timestamp >= times.get(key, 0)
        times[key] = timestamp


def even_ones(feed: Feed) -> set[tuple[str, int]]:
    return {(key, number) for key, number, _ in feed.written if number % 2 == 0}


def alone_and_paired(feed: Feed) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """Those that have left alone, and those that have left with another."""
    alone: set[tuple[str, int]] = set()
    paired: set[tuple[str, int]] = set()
    for key, value, _ in feed.read_bytes("paired"):
        one, _, two = (value or b"").decode().partition("+")
        (alone if two == "None" else paired).add((key, int(one)))
    return alone, paired


def check_pairs(feed: Feed) -> None:
    """Each even number has left alone or in pairs, once with each odd one; those that came twice tell nothing."""
    twice = {(key, number) for (key, number, _), times in Counter(feed.written).items() if times > 1}
    for (key, value), times in Counter((key, value) for key, value, _ in feed.read_bytes("paired")).items():
        of_pair = [int(each) for each in (value or b"").decode().split("+") if each != "None"]
        assert times == 1 or {(key, number) for number in of_pair} & twice
    alone, paired = alone_and_paired(feed)
    assert alone | paired == even_ones(feed)
    assert alone & paired <= twice
    assert min(len(alone), len(paired)) > 20


def start(folder: Path) -> subprocess.Popen[str]:
    with (folder / "errors.log").open("a") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forgetful", str(folder)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


@pytest.mark.process
@pytest.mark.timeout(600)
def test_killed_at_random_moments_what_forgets_waits_and_closes_does_so_as_if_nothing_had_happened(
    tmp_path: Path,
) -> None:
    moments = random.Random(5)
    feed = Feed(tmp_path, seed=5)
    for _ in range(KILLS):
        feed.write(moments.randrange(500, 2_000))
        process = start(tmp_path)
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        time.sleep(
            moments.uniform(0.0, 0.7)
        )  # the moment of the kill is what is tested; some are in a silence
        process.kill()
        process.communicate()
    process = start(tmp_path)
    deadline = time.monotonic() + 120

    def all_have_left() -> bool:
        alone, paired = alone_and_paired(feed)
        return (
            feed.is_drained()
            and even_ones(feed) <= alone | paired
            and all(
                len(feed.written) <= each
                for each in (
                    counted_in(feed, "closed", "too-late"),
                    counted_in(feed, "together", "not-together"),
                    len(feed.read("sorted") + feed.read("unsorted")),
                )
            )
        )

    while not all_have_left():
        assert process.poll() is None, (tmp_path / "errors.log").read_text()[-4_000:]
        assert time.monotonic() < deadline, (tmp_path / "errors.log").read_text()[-4_000:]
        time.sleep(0.2)
    process.terminate()
    process.communicate(timeout=60)
    ordered, repeated = in_order(feed.written)
    assert feed.read("first") == first_ones(feed.written)
    assert feed.read("counted") == counts(feed.written)
    assert (feed.read("ordered"), feed.read("repeated")) == (ordered, repeated)
    for closed, late in (("closed", "too-late"), ("together", "not-together")):
        windows = feed.read(closed)
        assert len({window for window, _, _ in windows}) == len(windows)
        assert counted_in(feed, closed, late) == len(feed.written)
    check_sorted(feed)
    check_pairs(feed)
    # Each of them had something to do.
    assert min(len(repeated), sum(count is None for _, count, _ in feed.read("counted"))) > 20
    feed.log.close()
