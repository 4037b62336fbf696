"""Records that a log has refused after all: known when they come again, so that a handler can decide about each.

A log refuses a batch, and with it the transaction; by then nobody knows any more which node made the record, or of
what. So the worker goes back to the last commit, and the record is told by its topic, partition and content when its
node makes it a second time. What comes then is the production handler's, before anything is written.
"""

from collections.abc import Sequence

from headrace.base.records import RawRecord

__all__ = ["Refusals"]

#: By what a record is told: all of it, its key and partition, its partition alone.
_BY_CONTENT, _BY_KEY, _BY_PARTITION = 0, 1, 2


class _Refused:
    """What was refused of one partition since it was last answered for."""

    __slots__ = ("by", "is_answered", "keys", "reason", "records")

    def __init__(self) -> None:
        self.records: set[RawRecord] = set()
        self.keys: set[bytes | None] = set()
        self.reason = ""
        self.by = _BY_CONTENT
        self.is_answered = False


class Refusals:
    """The refused records of one topic.

    A function may make another record each time, of the clock or by chance. If none of those that were refused has come
    again when more are, records are told by their key, and if that fails too, all of the partition are the handler's
    until the next commit: whatever user code does, this comes to an end.
    """

    __slots__ = ("_partitions",)

    def __init__(self) -> None:
        self._partitions: dict[int, _Refused] = {}

    def __bool__(self) -> bool:
        """Whether any record is to be told."""
        return bool(self._partitions)

    def add(self, partition: int, records: Sequence[RawRecord], reason: str) -> None:
        """Remember what was refused, and why."""
        refused = self._partitions.setdefault(partition, _Refused())
        if refused.records and not refused.is_answered:
            refused.by = min(refused.by + 1, _BY_PARTITION)
        refused.is_answered = False
        refused.reason = reason
        refused.records.update(records)
        refused.keys.update(record.key for record in records)

    def reason(self, partition: int, record: RawRecord) -> str | None:
        """Say why a record was refused before; None where it was not."""
        refused = self._partitions.get(partition)
        if refused is None:
            return None
        if (
            record in refused.records
            or (refused.by == _BY_KEY and record.key in refused.keys)
            or refused.by == _BY_PARTITION
        ):
            refused.is_answered = True
            return refused.reason
        return None

    def committed(self) -> None:
        """Forget what was answered for: what a handler decided is durable."""
        self._partitions = {
            partition: each for partition, each in self._partitions.items() if not each.is_answered
        }
