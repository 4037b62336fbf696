"""Which dead letters have been replayed or dropped: a compacted topic beside theirs, written in the same transactions.

Offsets of a group would be forgotten by the brokers after `offsets.retention.minutes`, and could say no more than how
far a replay of all has come.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.log.port import Log, TopicInfo, TopicSpec
from headrace.outside.dead_letters import DeadLetter

__all__ = ["Handled", "Ledger", "ledger_topic"]

Handled: TypeAlias = Literal["replayed", "dropped"]

_POLL_MS = 200


def ledger_topic(topic: str) -> str:
    """Return the name of the topic that tells what has been done with the dead letters of a topic."""
    return f"{topic}-handled"


class Ledger:
    """What has been done with the dead letters of one topic.

    A record's key is the topic's id, the partition and the offset of a dead letter: a topic that is made again begins
    anew. Its value says what was done.
    """

    def __init__(self, topic: TopicInfo) -> None:
        self.topic = ledger_topic(topic.name)
        self._id = topic.id
        self._done: dict[tuple[int, int], Handled] = {}

    def make(self, log: Log) -> None:
        """Make its topic, if it is not there.

        Raises:
            LogError: it cannot be made.
        """
        log.create_topics([TopicSpec(self.topic, 1, {"cleanup.policy": "compact"})])

    def read(self, log: Log) -> None:
        """Read all of it that is committed.

        Raises:
            LogError: the log does not answer.
        """
        self._done.clear()
        if self.topic not in log.partition_counts([self.topic]):
            return
        place = TopicPartition(self.topic, 0)
        begin, end = log.beginning_offsets([place])[place], log.end_offsets([place])[place]
        reader = log.reader()
        try:
            reader.assign({place: begin})
            while reader.position(place) < end:
                for chunk in reader.poll(_POLL_MS):
                    for key, value in zip(chunk.keys, chunk.values):
                        self._note(key, value)
        finally:
            reader.close()

    def _note(self, key: bytes | None, value: bytes | None) -> None:
        topic_id, _, place = (key or b"").decode("utf-8", "replace").partition(" ")
        partition, _, offset = place.partition(" ")
        if topic_id == self._id and partition.isdecimal() and offset.isdecimal():
            self._done[int(partition), int(offset)] = "dropped" if value == b"dropped" else "replayed"

    def entry(self, letter: DeadLetter, done: Handled, columns: Columns, now_ms: int) -> None:
        """Add what is done with a dead letter to columns of the topic's only partition."""
        key = f"{self._id} {letter.place.partition} {letter.offset}"
        columns.append(key.encode(), done.encode(), now_ms, ())

    def done(self, letter: DeadLetter) -> Handled | None:
        """Return what was done with a dead letter, None where nothing was."""
        return self._done.get((letter.place.partition, letter.offset))

    @property
    def counts(self) -> Mapping[Handled, int]:
        """How many have been replayed and dropped."""
        found = list(self._done.values())
        return {"replayed": found.count("replayed"), "dropped": found.count("dropped")}
