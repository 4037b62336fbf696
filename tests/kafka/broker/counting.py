"""What applications that count keys are given on a broker, and what they have made of it."""

import time
from collections import Counter
from collections.abc import Callable

from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord

__all__ = ["KEYS", "PARTITIONS", "Counting", "wait_for"]

PARTITIONS = 4
KEYS = [b"key%d" % number for number in range(20)]


class Counting:
    """An application by its name, whose output has the last count of each key."""

    def __init__(self, broker: LocalKafka, name: str, source: str, target: str) -> None:
        self.broker = broker
        self.name = name
        self.source, self.target = source, target
        self.sent: Counter[bytes] = Counter()

    def send(self, rounds: int) -> None:
        records = [JavaRecord(key, b"x") for _ in range(rounds) for key in KEYS]
        self.sent.update(record.key or b"" for record in records)
        self.broker.produce_with_java(self.source, records)

    def counted(self) -> dict[bytes, int]:
        """The last count of each key, as Kafka's own consumer reads it."""
        found = self.broker.consume_with_java(self.target)
        return {record.key or b"": int.from_bytes(record.value or b"", "big") for record in found}


def wait_for(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)
