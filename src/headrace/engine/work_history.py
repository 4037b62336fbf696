"""An hour of what a stream thread has done: its throughput and the time of its commits. See `reporting`."""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from headrace.engine.thread_figures import ThreadFigures

__all__ = ["SAMPLES_MAX", "SAMPLE_SECONDS", "WorkHistory", "WorkSample", "merged"]

#: An hour has 360 of them, which a page shows point by point.
SAMPLE_SECONDS = 10

SAMPLES_MAX = 3600 // SAMPLE_SECONDS


@dataclass(frozen=True, slots=True)
class WorkSample:
    """What was done in ten seconds.

    Attributes:
        number: which ten seconds: they begin at `number * SAMPLE_SECONDS` of the monotonic clock.
        seconds: how long of them the thread was looked at.
        records: records processed.
        commits: commits that ended.
        commit_ms: the time of these commits together.
        commit_ms_max: the longest one of the last minute before the end of the sample; 0 where there was none.
    """

    number: int
    seconds: float
    records: float
    commits: int
    commit_ms: float
    commit_ms_max: float


class WorkHistory:
    """What one thread has done, of the last hour. Written by the thread, read by any.

    A turn that takes longer than a sample is told evenly over all that it went through.
    """

    def __init__(self, figures: ThreadFigures) -> None:
        self._figures = figures
        self._since = figures.seconds()
        self._before = (0, 0, 0.0)
        self._samples: deque[WorkSample] = deque(maxlen=SAMPLES_MAX)

    def note(self, now: float) -> None:
        """Close the samples that are over. Cheap where none is: it is called several times a second."""
        first, end = self._since // SAMPLE_SECONDS, now // SAMPLE_SECONDS
        if first == end:
            return
        self._samples.extend(self._gone(now, int(end)))
        figures = self._figures
        self._since = now
        self._before = (figures.turns.count, figures.commits.count, figures.commits.sum)

    def samples(self, now: float) -> Sequence[WorkSample]:
        """Return those of the last hour, the oldest first; the last one is not over yet."""
        while True:
            try:
                found = [*self._samples, *self._gone(now, int(now // SAMPLE_SECONDS) + 1)]
            except RuntimeError:  # the thread has added one meanwhile
                continue
            oldest = int(now // SAMPLE_SECONDS) - SAMPLES_MAX
            return [each for each in found if each.number > oldest]

    def _gone(self, now: float, end: int) -> Sequence[WorkSample]:
        """What was done since the last sample, told of those before `end`; commits of the last of these."""
        figures, (records, commits, commit_ms) = self._figures, self._before
        first = max(int(self._since // SAMPLE_SECONDS), end - SAMPLES_MAX)
        share, seconds = (figures.turns.count - records) / (end - first), (now - self._since) / (end - first)
        longest = figures.commits.maximum(now)
        found = [WorkSample(number, seconds, share, 0, 0.0, 0.0) for number in range(first, end)]
        found[-1] = replace(
            found[-1],
            commits=figures.commits.count - commits,
            commit_ms=figures.commits.sum - commit_ms,
            commit_ms_max=0.0 if math.isnan(longest) else longest,
        )
        return found


def merged(histories: Iterable[Sequence[WorkSample]]) -> Sequence[WorkSample]:
    """Add up what several threads have done, by the samples."""
    found: dict[int, WorkSample] = {}
    for each in (sample for history in histories for sample in history):
        other = found.get(each.number)
        found[each.number] = (
            each
            if other is None
            else WorkSample(
                each.number,
                max(each.seconds, other.seconds),
                each.records + other.records,
                each.commits + other.commits,
                each.commit_ms + other.commit_ms,
                max(each.commit_ms_max, other.commit_ms_max),
            )
        )
    return [found[number] for number in sorted(found)]
