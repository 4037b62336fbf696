"""Writes dead letters back to where they came from, each once, or gives them up.

A transaction holds some records and what the ledger says of them, so that a replay that was killed goes on where it
was: what is not in the ledger was not written. On a cluster a replay that still runs is fenced by the next one's
transactional id before that reads the ledger; an embedded log is locked by whoever calls.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from headrace.base.columns import Columns
from headrace.base.errors import ProductionError
from headrace.base.ids import TopicPartition
from headrace.engine.admission import Admission, admission_of
from headrace.log.port import Log, TopicInfo, Writer
from headrace.outside.dead_letters import DeadLetter, LetterFilter, read_letters
from headrace.outside.forgetting import forget_gone
from headrace.outside.ledger import Handled, Ledger, ReplayedRecord

__all__ = ["Handling", "Outcome", "handle_letters", "judged"]


@dataclass(frozen=True, slots=True)
class Handling:
    """What is to be done with a dead letter.

    Attributes:
        record: that it is of, where it is replayed and its offset is known.
        destination: where its record goes, or where the letter lies that is dropped; None where the record has gone
            back, or goes, with another letter.
    """

    letter: DeadLetter
    record: ReplayedRecord | None
    destination: TopicPartition | None


@dataclass(slots=True)
class Outcome:
    """What became of the dead letters that were meant.

    Attributes:
        written: how many went to each partition.
        same: how many are of a record that went back with another letter.
        handled_before: how many had been replayed or dropped already.
        left: how many stay as they are, by the reason.
    """

    written: Counter[TopicPartition] = field(default_factory=Counter[TopicPartition])
    same: int = 0
    handled_before: int = 0
    left: Counter[str] = field(default_factory=Counter[str])

    def add(self, handling: Handling) -> None:
        """Count what was done, or would be."""
        if handling.destination is None:
            self.same += 1
        else:
            self.written[handling.destination] += 1


class _Targets:
    """The topics that records go back to, and what each takes."""

    def __init__(self, log: Log, *, to_compacted: bool) -> None:
        self._log = log
        self._to_compacted = to_compacted
        self._known: dict[str, TopicInfo | None] = {}
        self._admissions: dict[str, Admission | None] = {}

    def refusal(self, letter: DeadLetter) -> str | None:
        """Say why a record cannot be written back; None where it can."""
        if letter.origin is None:
            return "it came from no record: a punctuation failed"
        if not letter.has_record:
            return "its record is not known any more: a cache had let it go"
        topic = letter.origin.topic
        if topic not in self._known:
            self._known[topic] = info = self._log.topics([topic]).get(topic)
            self._admissions[topic] = None if info is None else admission_of(info, _now_ms, are_keyed=False)
        info = self._known[topic]
        if info is None:
            return f"topic '{topic}' is not there any more"
        if letter.origin.partition >= info.partitions:
            return f"topic '{topic}' has {info.partitions} partitions by now"
        if "compact" in info.config.get("cleanup.policy", "") and not self._to_compacted:
            return (
                f"topic '{topic}' is compacted: it would take the place of a later record of its key, where there is "
                f"one (--to-compacted)"
            )
        admission = self._admissions[topic]
        try:
            if admission is not None:
                place = letter.origin.partition
                admission.check(place, letter.key, letter.value, letter.timestamp, letter.headers)
        except ProductionError as error:
            return str(error)
        return None

    def record(self, letter: DeadLetter) -> ReplayedRecord | None:
        """Return which record a letter is of that is not refused; None where its offset is not known."""
        info = None if letter.origin is None else self._known[letter.origin.topic]
        if letter.origin is None or info is None or letter.origin_offset < 0:
            return None
        return ReplayedRecord(info.id, letter.origin.partition, letter.origin_offset)


def judged(
    log: Log,
    topic: TopicInfo,
    wanted: LetterFilter,
    done: Handled,
    *,
    ledger: Ledger,
    outcome: Outcome,
    to_compacted: bool = False,
) -> Iterator[Handling]:
    """Yield what is to be done with the dead letters that are meant and can be handled so, and count the others.

    `to_compacted` has records go to compacted topics too, where one may take the place of a later one.

    Raises:
        LogError: the log does not answer.
    """
    targets, replayed = _Targets(log, to_compacted=to_compacted), set(ledger.records)
    for letter in read_letters(log, topic.name, topic.partitions, wanted):
        if ledger.done(letter) is not None:
            outcome.handled_before += 1
        elif done == "dropped":
            yield Handling(letter, None, letter.place)
        elif (reason := targets.refusal(letter)) is not None:
            outcome.left[reason] += 1
        else:
            record = targets.record(letter)
            yield Handling(letter, record, None if record in replayed else letter.origin)
            if record is not None:
                replayed.add(record)


def handle_letters(
    log: Log,
    topic: TopicInfo,
    wanted: LetterFilter,
    done: Handled,
    *,
    batch_records: int,
    batch_bytes: int = 16 * 2**20,
    to_compacted: bool = False,
    tell: Callable[[int], None],
) -> Outcome:
    """Replay or drop the dead letters that are meant, so many in a transaction; `tell` hears how many are durable.

    A transaction holds fewer where it would have more bytes (and a letter that alone has more).

    Raises:
        FencedError: somebody else has begun to do so.
        LogError: the log does not answer; what was told of is durable, and the next call goes on behind it.
    """
    ledger, outcome = Ledger(topic), Outcome()
    ledger.make(log)
    name = f"headrace-dead-letters-{topic.name}"
    writer = log.writer(name, name)
    try:
        # Only now: whoever was at it before is fenced, and its last transaction is decided.
        ledger.read(log, is_alone=True)
        forget_gone(log, topic, ledger, writer)
        batch: list[Handling] = []
        size = 0
        judgements = judged(
            log, topic, wanted, done, ledger=ledger, outcome=outcome, to_compacted=to_compacted
        )
        for handling in judgements:
            added = _size(handling.letter)
            if batch and (len(batch) >= batch_records or size + added > batch_bytes):
                _commit(writer, ledger, batch, done, outcome)
                tell(outcome.written.total())
                size = 0
            batch.append(handling)
            size += added
        if batch:
            _commit(writer, ledger, batch, done, outcome)
            tell(outcome.written.total())
    finally:
        writer.close()
    return outcome


def _commit(writer: Writer, ledger: Ledger, batch: list[Handling], done: Handled, outcome: Outcome) -> None:
    entries, now_ms = Columns(), _now_ms()
    records: dict[TopicPartition, Columns] = {}
    for handling in batch:
        letter = handling.letter
        ledger.entry(letter, done, handling.record, columns=entries, now_ms=now_ms)
        if done == "replayed" and handling.destination is not None:
            columns = records.setdefault(handling.destination, Columns())
            columns.append(letter.key, letter.value, letter.timestamp, letter.headers)
    for place, columns in records.items():
        writer.append(*place, columns)
    writer.append(ledger.topic, 0, entries)
    writer.commit({})
    for handling in batch:
        outcome.add(handling)
    batch.clear()


def _size(letter: DeadLetter) -> int:
    """Weigh what a dead letter holds on to, in bytes, texts at their least."""
    size = len(letter.key or b"") + len(letter.value or b"") + len(letter.traceback) + len(letter.message)
    return size + sum(len(name) + len(value or b"") for name, value in letter.headers)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
