"""How many records a task is asked to run in one go, so that a turn takes about as long as it should."""

__all__ = ["TURN_SECONDS", "StretchLength"]

#: What a turn aims at: short enough that punctuations and commits are on time.
TURN_SECONDS = 0.010


class StretchLength:
    """Grows while stretches are quick: a function that takes a second a record must not keep a stop waiting for a
    thousand of them.

    Attributes:
        records: how many to ask for, `records_max` at most.
    """

    __slots__ = ("_records_max", "records")

    def __init__(self, records_max: int) -> None:
        self._records_max = records_max
        self.records = 1

    def learn(self, taken: int, seconds: float) -> None:
        """Note how many of `records` were there to be taken, and for how long the turn has gone on by now."""
        if seconds > 2 * TURN_SECONDS:
            self.records = max(1, self.records // 2)
        elif taken == self.records and taken < self._records_max:
            self.records = min(self._records_max, taken * 2)
