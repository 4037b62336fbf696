"""Records how long something takes, or how much there is of it: counts, sums, and what the last minute was like."""

import math
from collections.abc import Sequence

__all__ = ["Meter"]

#: The last minute is the present sample and the one before it, as in Kafka Streams: `metrics.num.samples` is 2, and
#: `metrics.sample.window.ms` 30,000.
_SAMPLE_SECONDS = 30.0


class _Sample:
    """Half a minute."""

    __slots__ = ("began", "count", "least", "most", "sum")

    def __init__(self, began: float) -> None:
        self.began = began
        self.count = 0
        self.sum = 0.0
        self.most = -math.inf
        self.least = math.inf


class Meter:
    """Takes amounts from one thread, and is read by any. Times are seconds of a monotonic clock.

    A reader may find a count with the sum of a moment before: figures are off by one recording then, at most.

    Attributes:
        count, sum: of all that was recorded, ever.
        most: the largest amount that one time made, ever.
    """

    __slots__ = ("_born", "_past", "_present", "count", "most", "sum")

    def __init__(self, now: float) -> None:
        self._born = now
        self.count = 0
        self.sum = 0.0
        self.most = 0.0
        self._past = self._present = _Sample(_begin(now))

    def record(self, amount: float, now: float, count: int = 1) -> None:
        """Take an amount that so many (at least one) had together; its extremes are those of their share."""
        each = amount if count == 1 else amount / count
        self.count += count
        self.sum += amount
        if each > self.most:  # noqa: PLR1730 - a call costs five times as much
            self.most = each
        sample = self._present
        if now - sample.began >= _SAMPLE_SECONDS:
            self._past, sample = sample, _Sample(_begin(now))
            self._present = sample
        sample.count += count
        sample.sum += amount
        if each > sample.most:  # noqa: PLR1730 - a call costs five times as much
            sample.most = each
        if each < sample.least:  # noqa: PLR1730 - a call costs five times as much
            sample.least = each

    def record_each(self, amounts: Sequence[float], now: float) -> None:
        """Take several amounts, at least one, each for itself."""
        self.record(sum(amounts), now, len(amounts))
        sample = self._present
        sample.most = max(sample.most, *amounts)
        sample.least = min(sample.least, *amounts)
        self.most = max(self.most, sample.most)

    def _recent(self, now: float) -> list[_Sample]:
        present, past = self._present, self._past
        since = _begin(now) - _SAMPLE_SECONDS
        return [each for each in dict.fromkeys((past, present)) if each.began >= since and each.count]

    def average(self, now: float) -> float:
        """Return the mean of the last minute; NaN where there was nothing."""
        samples = self._recent(now)
        return (
            sum(each.sum for each in samples) / sum(each.count for each in samples) if samples else math.nan
        )

    def maximum(self, now: float) -> float:
        """Return the largest amount of the last minute; NaN where there was nothing."""
        return max((each.most for each in self._recent(now)), default=math.nan)

    def minimum(self, now: float) -> float:
        """Return the smallest amount of the last minute; NaN where there was nothing."""
        return min((each.least for each in self._recent(now)), default=math.nan)

    def rate(self, now: float) -> float:
        """Return how many there were, a second."""
        return sum(each.count for each in self._recent(now)) / self._seconds(now)

    def share(self, now: float) -> float:
        """Return how much there was, a second; of times in ms, the share of the time that they took, from 0 to 1."""
        return min(1.0, sum(each.sum for each in self._recent(now)) / 1000 / self._seconds(now))

    def _seconds(self, now: float) -> float:
        """How long the last minute was: from half a minute to a minute, or since the beginning."""
        return max(1.0, now - max(self._born, _begin(now) - _SAMPLE_SECONDS))


def _begin(now: float) -> float:
    """When the half minute of a moment began."""
    return now - now % _SAMPLE_SECONDS
