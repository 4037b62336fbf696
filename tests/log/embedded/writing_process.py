"""A process that writes transactions until it is killed: `python -m tests.log.embedded.writing_process PATH COUNT`.

Transaction `n` writes `n % 7 + 1` records with the value `n` to topics a and b and one record to the compacted c, and
commits offset `n + 1`. Each is acknowledged by a byte on standard output, after its commit. A restart goes on behind
the last one committed. Compaction runs all the time.
"""

import os
import sys

from headrace.base.ids import TopicPartition
from headrace.log.embedded import EmbeddedLog
from headrace.log.embedded.compaction import CompactionLimits
from headrace.log.port import CommittedOffset
from tests.log.records import Clock, columns_of

A0 = TopicPartition("a", 0)
KEYS = 5


def main(path: str, count: int) -> None:
    clock = Clock()
    log = EmbeddedLog.open(path, now_ms=clock.now_ms, limits=CompactionLimits(dirty_bytes_min=1))
    writer = log.writer("g")
    committed = log.committed("g", [A0])
    done = committed[A0].offset if committed else 0
    for n in range(done, count):
        text = b"%d" % n
        columns = columns_of([(text, text)] * (n % 7 + 1))
        writer.append("a", 0, columns)
        writer.append("b", 0, columns)
        writer.append("c", 0, columns_of([(b"%d" % (n % KEYS), text + b" " * 50_000)]))
        writer.commit({A0: CommittedOffset(n + 1)})
        os.write(1, b".")
        clock.advance(1_000)
        log.maintain(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
