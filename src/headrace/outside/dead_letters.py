"""Dead letters as they are read back: the record, where it came from, and what happened to it.

Source: KIP-1034 and `ExceptionHandlerUtils` of Kafka Streams 4.4, whose dead letters are read too; they name no node.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from headrace.base.columns import Chunk
from headrace.base.ids import TopicPartition
from headrace.base.records import Headers
from headrace.log.port import Log
from headrace.processor.handlers import NODE_HEADER, STAGE_HEADER

__all__ = ["DeadLetter", "LetterFilter", "dead_letter_of", "read_letters"]

_POLL_MS = 200

#: What is put behind the headers of the record, each once.
_ADDED = frozenset(
    {
        *(
            f"__streams.errors.{name}"
            for name in ("exception", "message", "stacktrace", "topic", "partition", "offset")
        ),
        NODE_HEADER,
        STAGE_HEADER,
    }
)
#: The first of them, in dead letters of Kafka Streams as in ours.
_FIRST = "__streams.errors.exception"
_PLACE = re.compile(r" \([^()]*:\d+\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record of a dead-letter topic.

    Attributes:
        place, offset: where it lies.
        origin: where the record was read; None in a punctuation, or where no header tells.
        origin_offset: its offset there, -1 where it is not known.
        key, value, timestamp, headers: of the record as it was read.
        reason: the class of what was raised, with its module; empty where no header tells.
        message, traceback: of what was raised.
        node: its name, and where it was declared; empty in those of Kafka Streams.
        stage: deserialize, process, serialize or produce; empty there too.
    """

    place: TopicPartition
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    origin: TopicPartition | None
    origin_offset: int
    reason: str
    message: str
    traceback: str
    node: str
    stage: str

    @property
    def node_name(self) -> str:
        """The node without its place in the source, which moves with every edit."""
        return _PLACE.sub("", self.node)

    @property
    def has_record(self) -> bool:
        """Whether there is a record to write again. Of one that was held in a cache nothing is known any more."""
        return self.origin is not None and not (self.key is None and self.value is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFilter:
    """Which dead letters are meant; what is None leaves none out.

    Attributes:
        reason: the class of what was raised, with its module or without.
        node: a node's name.
        origin: the topic in which the record was read.
        since, until: timestamps (epoch ms), the first included, the second not.
        partition: of the dead-letter topic.
        first, last: offsets there, both included.
        ends: by partition, where the topic ended when it was looked at: nothing from there on.
    """

    reason: str | None = None
    node: str | None = None
    origin: str | None = None
    since: int | None = None
    until: int | None = None
    partition: int | None = None
    first: int | None = None
    last: int | None = None
    ends: Mapping[TopicPartition, int] | None = None

    def takes(self, letter: DeadLetter) -> bool:
        """Say whether a dead letter is meant."""
        return (
            self.reason in (None, letter.reason, letter.reason.rpartition(".")[2])
            and self.node in (None, letter.node_name)
            and (self.origin is None or (letter.origin is not None and letter.origin.topic == self.origin))
            and (self.since is None or letter.timestamp >= self.since)
            and (self.until is None or letter.timestamp < self.until)
            and self.partition in (None, letter.place.partition)
            and (self.first is None or letter.offset >= self.first)
            and (self.last is None or letter.offset <= self.last)
            and (self.ends is None or letter.offset < self.ends.get(letter.place, 0))
        )


def dead_letter_of(chunk: Chunk, index: int) -> DeadLetter:
    """Return a record of a chunk as a dead letter, whatever it is: what its headers do not tell is empty."""
    headers = () if chunk.headers is None else chunk.headers[index]
    # A record that failed before, and was put back with all of its headers, has some of them twice: the last ones tell.
    begin = len(headers)
    found: dict[str, bytes | None] = {}
    while begin and _FIRST not in found and headers[begin - 1][0] in _ADDED - found.keys():
        begin -= 1
        found[headers[begin][0]] = headers[begin][1]

    def text(name: str) -> str:
        return (found.get(name) or b"").decode("utf-8", "replace")

    topic, partition = text("__streams.errors.topic"), _number(text("__streams.errors.partition"))
    return DeadLetter(
        place=TopicPartition(chunk.topic, chunk.partition),
        offset=chunk.offsets[index],
        timestamp=chunk.timestamps[index],
        key=chunk.keys[index],
        value=chunk.values[index],
        headers=tuple(headers[:begin]),
        origin=TopicPartition(topic, partition) if topic and partition >= 0 else None,
        origin_offset=_number(text("__streams.errors.offset")),
        reason=text("__streams.errors.exception"),
        message=text("__streams.errors.message"),
        traceback=text("__streams.errors.stacktrace"),
        node=text(NODE_HEADER),
        stage=text(STAGE_HEADER),
    )


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return -1


def read_letters(log: Log, topic: str, partitions: int, wanted: LetterFilter) -> Iterator[DeadLetter]:
    """Yield the dead letters that are meant, up to where the topic ends now, in order within each partition.

    Raises:
        LogError: the log does not answer.
    """
    places = [
        TopicPartition(topic, number) for number in range(partitions) if wanted.partition in (None, number)
    ]
    begins, ends = log.beginning_offsets(places), log.end_offsets(places)
    first = 0 if wanted.first is None else wanted.first
    positions = {each: max(begins[each], first) for each in places if max(begins[each], first) < ends[each]}
    reader = log.reader()
    try:
        reader.assign(positions)
        left = set(positions)
        while left:
            for chunk in reader.poll(_POLL_MS):
                end = ends[TopicPartition(chunk.topic, chunk.partition)]
                for index, offset in enumerate(chunk.offsets):
                    if offset < end and wanted.takes(letter := dead_letter_of(chunk, index)):
                        yield letter
            done = {each for each in left if reader.position(each) >= ends[each]}
            reader.unassign(sorted(done))
            left -= done
    finally:
        reader.close()
