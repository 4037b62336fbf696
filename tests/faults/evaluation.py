"""What the outputs and stores of the application to be killed must be: a plain evaluation of its input."""

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from heapq import heappop, heappush
from typing import Any

from headrace.base.murmur2 import partition_for
from tests.faults import application

__all__ = ["Input", "Row", "Rows", "closed_windows", "dated_of", "pairs_of", "partition_of", "rows_of"]

Input = tuple[str, int, int]  # key, value, timestamp

#: What tells a row from others in its store (a key; with start, or with start and end), and its value.
Rows = dict[Any, Any]

#: A record of a topic: key, value, timestamp.
Row = tuple[bytes | None, bytes | None, int]


def partition_of(key: str) -> int:
    """The partition of the input that has a key."""
    return partition_for(key.encode(), 2)


def rows_of(written: Sequence[Input]) -> dict[str, Rows]:
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
    versions, of_latest = _versions_of(written)
    few = [each for each in written if each[1] % application.EACH_OF_FEW == 0]
    return {
        "by-last-digit": dict(Counter(str(value % 10) for _, value, _ in written)),
        "sums": dict(sums),
        "per-window": dict(windows),
        "per-session": sessions,
        "nearby": _sliding_counts(written),
        "last": last,
        "copied": last,
        "written": dict(Counter(key for key, _, _ in written)),
        "versions": versions,
        "of-latest": of_latest,
        "friends": _friends({key: value for key, value, _ in few}),
        "shelf": dict(Counter(key for key, _, _ in few)),
        **_summaries(few),
    }


def _summary_of(numbers: Iterable[int]) -> application.Summary:
    """Sum numbers up."""
    found = sorted(numbers, reverse=True)
    return application.Summary(
        len(found),
        sum(found),
        sum(found) / len(found) if found else None,
        min(found, default=None),
        max(found, default=None),
        found[: application.HIGHEST],
        len({value % 10 for value in found}),
    )


def _summaries(few: Sequence[Input]) -> dict[str, Rows]:
    """The summaries of a stream, of its sessions, and of a table grouped by the last digit."""
    numbers: defaultdict[str, dict[int, int]] = defaultdict(dict)  # of a key, by number, when it was
    for key, value, stamp in few:
        numbers[key][value] = stamp
    last = {key: value for key, value, _ in few}
    sessions = {
        (key, session[0], session[-1]): _summary_of(
            value for value, stamp in by_number.items() if session[0] <= stamp <= session[-1]
        )
        for key, by_number in numbers.items()
        for session in _sessions(sorted(by_number.values()))
    }
    return {
        "summary-of-stream": {key: _summary_of(by_number) for key, by_number in numbers.items()},
        "summary-of-sessions": sessions,
        # A group that no row is left in has a summary of nothing.
        "summary-of-table": {
            digit: _summary_of(value for value in last.values() if str(value % 10) == digit)
            for digit in {str(value % 10) for _, value, _ in few}
        },
    }


def _friends(last: dict[str, int]) -> Rows:
    """Each key's last number with that of its friend, where the friend has one."""
    return {
        key: application.with_friend(value, last[friend])
        for key, value in last.items()
        if (friend := f"user{value % application.USERS}") in last
    }


class _Versions:
    """The versions of a partition's keys, and what can be read of them: what the history reaches back to."""

    def __init__(self) -> None:
        self.oldest = -1 - application.HISTORY_MS  # time of the history's end
        self.values: dict[str, dict[int, int]] = defaultdict(dict)
        self.stamps: dict[str, list[int]] = defaultdict(list)

    def put(self, key: str, value: int, stamp: int) -> bool:
        """Add a version, unless it is too old; tell whether it is the latest of its key."""
        if stamp < self.oldest:
            return False
        self.oldest = max(self.oldest, stamp - application.HISTORY_MS)
        if stamp not in self.values[key]:
            insort(self.stamps[key], stamp)
        self.values[key][stamp] = value
        return stamp == self.stamps[key][-1]

    def valid(self, key: str, time: int) -> int | None:
        """What was valid at a time."""
        stamps = self.stamps[key]
        place = bisect_right(stamps, time)
        if place == 0 or (place < len(stamps) and time < self.oldest):
            return None
        return self.values[key][stamps[place - 1]]

    def readable(self) -> Rows:
        """Versions that were valid at some time of the history, by key and the time since which each was."""
        return {
            (key, since): self.values[key][since]
            for key, stamps in self.stamps.items()
            for since, until in zip(stamps, [*stamps[1:], None], strict=True)
            if until is None or until > max(self.oldest, 0)
        }


def _versions_of(written: Sequence[Input]) -> tuple[Rows, Rows]:
    """The versions that can be read, and how many keys have a latest one that ends with each digit."""
    partitions = _Versions(), _Versions()
    latest: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for key, value, stamp in written:
        if value % application.EACH_OF_FEW == 0 and partitions[partition_of(key)].put(key, value, stamp):
            counts[latest.get(key, "")] -= 1
            latest[key] = str(value % 10)
            counts[latest[key]] += 1
    del counts[""]
    return partitions[0].readable() | partitions[1].readable(), dict(counts)


def dated_of(written: Sequence[Input]) -> tuple[Counter[Row], Counter[Row]]:
    """Numbers with the version that was valid at their time, and those that wait still for late ones.

    One that comes later than all that wait is joined at once, with the versions that are there by then.
    """
    dated: Counter[Row] = Counter()
    versions = _Versions(), _Versions()
    waiting: tuple[list[tuple[int, int, str]], ...] = [], []
    latest = [-1, -1]

    def join(partition: int, key: str, value: int, stamp: int) -> None:
        found = versions[partition].valid(key, stamp)
        dated[key.encode(), f"{value}@{found}".encode(), stamp] += 1

    for key, value, stamp in written:
        partition = partition_of(key)
        if value % application.EACH_OF_FEW == 0:
            versions[partition].put(key, value, stamp)
        if stamp < latest[partition] - application.WAIT_MS:
            join(partition, key, value, stamp)
            continue
        latest[partition] = max(latest[partition], stamp)
        heappush(waiting[partition], (stamp, value, key))
        while waiting[partition][0][0] <= latest[partition] - application.WAIT_MS:
            then, number, name = heappop(waiting[partition])
            join(partition, name, number, then)
    return dated, Counter(
        (key.encode(), str(value).encode(), stamp) for each in waiting for stamp, value, key in each
    )


def pairs_of(written: Sequence[Input]) -> tuple[Counter[Row], Counter[Row]]:
    """Even numbers with the odd ones around them, and even numbers that had no partner in time.

    One that came after its window had passed did not wait for a partner, and may have found one nevertheless.
    """
    pairs: Counter[Row] = Counter()
    alone: Counter[Row] = Counter()
    waiting: set[tuple[str, int]] = set()
    seen: dict[tuple[str, bool], list[tuple[int, int]]] = {}
    latest = [-1, -1]
    for key, value, stamp in written:
        partition = partition_of(key)
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


def closed_windows(written: Sequence[Input]) -> dict[str, int]:
    """Final counts of the windows that are closed, by key and start. What is late is none of this input."""
    counts: Counter[tuple[str, int]] = Counter()
    latest = [-1, -1]
    for key, _, stamp in written:
        counts[key, stamp // application.FINAL_SIZE_MS * application.FINAL_SIZE_MS] += 1
        partition = partition_of(key)
        latest[partition] = max(latest[partition], stamp)
    keeps = application.FINAL_SIZE_MS + application.FINAL_GRACE_MS
    return {
        f"{key}@{start}": count
        for (key, start), count in counts.items()
        if start + keeps <= latest[partition_of(key)]
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
