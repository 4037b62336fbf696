"""What the ledger of dead letters may forget: what is said of letters that are gone, so that it does not grow for ever.

A letter goes from its topic by retention, or where those that were dropped are deleted; nobody asks for it then. What
is said of its record is needed for longer: another letter of the same record may still be there, and would put it back
once more. So an entry is forgotten when its letter is gone, and no letter that is there is of the same record.
"""

import time
from collections.abc import Iterable

from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.log.port import Log, TopicInfo, Writer
from headrace.outside.dead_letters import LetterFilter, read_letters
from headrace.outside.ledger import Ledger, ReplayedRecord

__all__ = ["forget_gone"]

#: Tombstones in a transaction.
_BATCH_RECORDS = 10_000


def forget_gone(log: Log, topic: TopicInfo, ledger: Ledger, writer: Writer) -> int:
    """Have the ledger forget what it may, by tombstones that are durable then; return how many entries that were.

    The ledger has been read, and nobody else writes it.

    Raises:
        FencedError: somebody else has begun to write it.
        LogError: the log does not answer.
    """
    places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    begins = {place.partition: offset for place, offset in log.beginning_offsets(places).items()}
    gone = ledger.gone(begins)
    needed = _still_of_letters(log, topic, {record for record in gone.values() if record is not None})
    forgotten = [key for key, record in gone.items() if record is None or record not in needed]
    for first in range(0, len(forgotten), _BATCH_RECORDS):
        columns, now_ms = Columns(), time.time_ns() // 1_000_000
        ledger.forget(forgotten[first : first + _BATCH_RECORDS], columns=columns, now_ms=now_ms)
        writer.append(ledger.topic, 0, columns)
        writer.commit({})
    return len(forgotten)


def _still_of_letters(log: Log, topic: TopicInfo, records: Iterable[ReplayedRecord]) -> set[ReplayedRecord]:
    """Return those of these records of which there is a letter."""
    wanted, found = set(records), set[ReplayedRecord]()
    if not wanted:
        return found
    ids: dict[str, str] = {}
    for letter in read_letters(log, topic.name, topic.partitions, LetterFilter()):
        if letter.origin is None:
            continue
        origin = letter.origin.topic
        if origin not in ids:
            info = log.topics([origin]).get(origin)
            ids[origin] = "" if info is None else info.id
        record = ReplayedRecord(ids[origin], letter.origin.partition, letter.origin_offset)
        if record in wanted:
            found.add(record)
    return found
