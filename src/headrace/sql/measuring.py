"""What a sink counts and times: written by its thread, read by any."""

import time
from collections.abc import Callable

from headrace.metrics.meter import Meter
from headrace.metrics.metric import MetricsOf
from headrace.metrics.of_sinks import SINK_GROUP

__all__ = ["SinkMeters"]


class SinkMeters:
    """The figures of one sink since it was made; `clock` is monotonic (seconds).

    Attributes:
        transactions: time of each batch that was committed (ms).
        records, rows: of those batches.
        partitions: that are claimed now.
        lag: offsets that are left in them, as far as it is known.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.transactions = Meter(clock())
        self.records = 0
        self.rows = 0
        self.dropped = 0
        self.retries = 0
        self.claims = 0
        self.lost_claims = 0
        self.partitions: tuple[int, ...] = ()
        self.lag = 0

    def committed(self, began: float, *, records: int, rows: int) -> None:
        """Take a batch that the database has."""
        now = self.clock()
        self.transactions.record((now - began) * 1000, now)
        self.records += records
        self.rows += rows

    def measure(self, into: MetricsOf, table: str, *, is_waiting: bool) -> None:
        """Gather them, and whether something has to be waited for."""
        tags = {"table": table}
        into.put_latency(SINK_GROUP, tags, "transaction", self.transactions, self.clock())
        into.put_counted(
            SINK_GROUP,
            tags,
            {
                "transaction": self.transactions.count,
                "record": self.records,
                "row": self.rows,
                "dropped-record": self.dropped,
                "retry": self.retries,
                "claim": self.claims,
                "lost-claim": self.lost_claims,
            },
        )
        into.put(
            SINK_GROUP,
            tags,
            {
                "partitions-claimed": len(self.partitions),
                "records-lag": self.lag,
                "waiting": int(is_waiting),
            },
        )
