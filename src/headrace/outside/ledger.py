"""Which dead letters have been replayed or dropped: a compacted topic beside theirs, written in the same transactions.

Offsets of a group would be forgotten by the brokers after `offsets.retention.minutes`, and could say no more than how
far a replay of all has come.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias

from headrace.base.columns import Columns
from headrace.base.errors import LogError
from headrace.base.ids import TopicPartition
from headrace.log.port import Log, TopicInfo, TopicSpec
from headrace.outside.dead_letters import DeadLetter

__all__ = ["Handled", "Ledger", "ReplayedRecord", "ledger_topic"]

Handled: TypeAlias = Literal["replayed", "dropped"]

_POLL_MS = 200


def ledger_topic(topic: str) -> str:
    """Return the name of the topic that tells what has been done with the dead letters of a topic."""
    return f"{topic}-handled"


class ReplayedRecord(NamedTuple):
    """The record that a dead letter is of. Several may be of one, which failed in several branches, or results.

    By the id of its topic: offsets begin anew in one that is made again.
    """

    topic_id: str
    partition: int
    offset: int


class Ledger:
    """What has been done with the dead letters of one topic.

    A record's key is the topic's id, the partition and the offset of a dead letter: a topic that is made again begins
    anew. Its value says what was done, and where a record was replayed, which: topic id, partition, offset.
    What it may forget is `outside/forgetting.py`.
    """

    def __init__(self, topic: TopicInfo) -> None:
        self.topic = ledger_topic(topic.name)
        self._id = topic.id
        self._done: dict[tuple[int, int], Handled] = {}
        self._records: dict[tuple[int, int], ReplayedRecord] = {}
        self._of_others: set[bytes] = set()  # keys of what is said of topics of this name that are gone

    def make(self, log: Log) -> None:
        """Make its topic, if it is not there.

        Raises:
            LogError: it cannot be made, or there is one that forgets by age.
        """
        found = log.topics([self.topic]).get(self.topic)
        if found is not None and "delete" in (policy := found.config.get("cleanup.policy", "")):
            raise LogError(
                f"cannot keep what was replayed: topic '{self.topic}' has cleanup.policy={policy}, by which it "
                f"forgets, and records would go back twice; set cleanup.policy=compact"
            )
        log.create_topics([TopicSpec(self.topic, 1, {"cleanup.policy": "compact"})])

    def read(self, log: Log, *, is_alone: bool = False) -> None:
        """Read all of it that is committed.

        `is_alone` says that nobody else writes it: a transaction that is open there has lost its end then.

        Raises:
            LogError: the log does not answer; or is alone, and cannot read to the end.
        """
        self._done.clear()
        self._records.clear()
        self._of_others.clear()
        if self.topic not in log.partition_counts([self.topic]):
            return
        place = TopicPartition(self.topic, 0)
        begin, end = log.beginning_offsets([place])[place], log.end_offsets([place])[place]
        # What was replayed may lie behind an open transaction, committed: it would be replayed once more.
        if is_alone and log.end_offsets([place], committed=False)[place] != end:
            raise LogError(
                f"cannot tell what was replayed: {place.in_words()} has a transaction that has lost its end, from "
                f"offset {end} on. `headrace doctor` says what ends it, with errors.dead.letter.queue.topic.name set "
                f"to the topic of dead letters"
            )
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
        if not (partition.isdecimal() and offset.isdecimal()):
            return
        if topic_id != self._id:
            (self._of_others.discard if value is None else self._of_others.add)(key or b"")
            return
        letter = int(partition), int(offset)
        self._done.pop(letter, None)
        self._records.pop(letter, None)
        if value is None:
            return
        done, *record = value.decode("utf-8", "replace").split(" ")
        self._done[letter] = "dropped" if done == "dropped" else "replayed"
        if len(record) == 3 and record[1].isdecimal() and record[2].isdecimal():
            self._records[letter] = ReplayedRecord(record[0], int(record[1]), int(record[2]))

    def entry(
        self,
        letter: DeadLetter,
        done: Handled,
        record: ReplayedRecord | None,
        *,
        columns: Columns,
        now_ms: int,
    ) -> None:
        """Add what is done with a dead letter, and with which record, to columns of the topic's only partition."""
        key = self._key(letter.place.partition, letter.offset)
        value = done if record is None else f"{done} {record.topic_id} {record.partition} {record.offset}"
        columns.append(key, value.encode(), now_ms, ())

    def gone(self, begins: Mapping[int, int]) -> Mapping[bytes, ReplayedRecord | None]:
        """Return the keys of what is said of letters that are not there any more, each with the record it is of.

        `begins` are the first offsets of the topic's partitions. One that was made again has none of its old letters.
        """
        own = {
            self._key(*letter): self._records.get(letter)
            for letter in self._done
            if letter[1] < begins.get(letter[0], 0)
        }
        return {**dict.fromkeys(sorted(self._of_others)), **own}

    def forget(self, keys: Iterable[bytes], *, columns: Columns, now_ms: int) -> None:
        """Add tombstones to columns of the topic's only partition, and know nothing more of these."""
        for key in keys:
            self._note(key, None)
            columns.append(key, None, now_ms, ())

    def _key(self, partition: int, offset: int) -> bytes:
        return f"{self._id} {partition} {offset}".encode()

    def done(self, letter: DeadLetter) -> Handled | None:
        """Return what was done with a dead letter, None where nothing was."""
        return self._done.get((letter.place.partition, letter.offset))

    @property
    def counts(self) -> Counter[Handled]:
        """How many dead letters were replayed or dropped, those too that are gone and not yet forgotten."""
        return Counter(self._done.values())

    @property
    def records(self) -> frozenset[ReplayedRecord]:
        """The records that have been replayed."""
        return frozenset(self._records.values())
